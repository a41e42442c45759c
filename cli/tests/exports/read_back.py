"""Reads exported files with the tools that analysts use, and compares every column with the CSV of the same view.

Usage: read_back.py FOLDER NAME...     each as NAME.csv, NAME.parquet and NAME.arrow in FOLDER; what stands before a + in
NAME is the view
"""

import csv
import decimal
import json
import sys
from datetime import datetime, timezone
from pathlib import Path

import duckdb
import pandas
import pyarrow
import pyarrow.ipc
import pyarrow.parquet


def text(value, kind):
    """A value as the CSV writes it."""
    if value is None or value == "[]":
        return ""
    if pyarrow.types.is_boolean(kind):
        return "true" if value else "false"
    if pyarrow.types.is_list(kind):
        return ";".join(value)
    if pyarrow.types.is_timestamp(kind):
        return value.astimezone(timezone.utc)
    if pyarrow.types.is_date(kind):
        return value.isoformat()
    return value


def told(cell, kind):
    """A cell of the CSV, where it is compared by what it means."""
    if cell == "":
        return ""
    if pyarrow.types.is_decimal(kind):
        return decimal.Decimal(cell)
    if pyarrow.types.is_integer(kind):
        return int(cell)
    if pyarrow.types.is_timestamp(kind):
        return datetime.fromisoformat(cell.replace("Z", "+00:00"))
    return cell


def compare(view, rows, table):
    assert table.num_rows == len(rows), (view, table.num_rows, len(rows))
    assert table.column_names == list(rows[0]), (view, table.column_names)
    for name in table.column_names:
        kind = table.schema.field(name).type
        have = [text(value, kind) for value in table.column(name).to_pylist()]
        want = [told(row[name], kind) for row in rows]
        assert have == want, (view, name, [pair for pair in zip(have, want) if pair[0] != pair[1]][:3])


def money(table):
    """The names of the columns of amounts: each has its currency beside it."""
    return [name for name in table.column_names if f"{name}_currency" in table.column_names]


def check_types(view, table):
    for field in table.schema:
        if field.name.endswith("_currency"):
            assert pyarrow.types.is_dictionary(field.type), (view, field)
        if field.name.endswith("_at"):
            assert field.type == pyarrow.timestamp("us", "UTC"), (view, field)
        if field.name.startswith("window_"):
            assert field.type == pyarrow.date32(), (view, field)
    for name in money(table):
        kind = table.schema.field(name).type
        assert kind == pyarrow.decimal128(38, 4), (view, name, kind)


def check_sums(view, path, rows, table):
    """Sums in DuckDB and pandas are those of the CSV, to the cent."""
    frame = pandas.read_parquet(path)
    for name in money(table):
        sums = {}
        for row in rows:
            if row[name]:
                currency = row[f"{name}_currency"]
                sums[currency] = sums.get(currency, 0) + decimal.Decimal(row[name])
        query = f'SELECT {name}_currency, sum({name}) FROM read_parquet(?) WHERE {name} IS NOT NULL GROUP BY 1'
        assert dict(duckdb.execute(query, [str(path)]).fetchall()) == sums, (view, name)
        grouped = frame.dropna(subset=[name]).groupby(f"{name}_currency", observed=True)[name].sum()
        assert dict(grouped) == sums, (view, name)


def main():
    folder, names = Path(sys.argv[1]), sys.argv[2:]
    csv.field_size_limit(1 << 30)
    summed = 0
    for name in names:
        view = name.split("+")[0]
        with open(folder / f"{name}.csv", newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        parquet = pyarrow.parquet.read_table(folder / f"{name}.parquet")
        with pyarrow.ipc.open_file(folder / f"{name}.arrow") as file:
            arrow = file.read_all()
        assert parquet.schema.equals(arrow.schema), (view, parquet.schema, arrow.schema)
        metadata = parquet.schema.metadata
        assert metadata[b"pledger.view"] == view.encode(), metadata
        assert view == "ledger" or json.loads(metadata[b"pledger.position"]), metadata
        for table in (parquet, arrow):
            compare(view, rows, table)
            check_types(view, table)
        check_sums(view, folder / f"{name}.parquet", rows, parquet)
        summed += len(money(parquet))
    assert summed > 0
    print(f"{len(names)} exports agree, {summed} columns of amounts")


main()
