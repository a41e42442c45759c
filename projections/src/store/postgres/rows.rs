//! Rows of a table, to PostgreSQL by the column and back by the row.

use compact_str::CompactString;
use futures_util::TryStreamExt as _;
use pledger_ledger::slices::{Position, SliceId};
use sqlx::{AssertSqlSafe, PgConnection, Row as _, postgres::PgRow};

use super::{Heads, within};
use crate::{
    ColumnSpec,
    cell::{Cell, Field as _},
    row::UnreadableRow,
    shard::Shard,
    store::{
        Cursor, StoreError,
        load::{Inboxes, Part, Rows},
    },
    table::{AnyTable, CHUNK_ROWS, STAND_COLUMNS},
};

/// Rows in one statement: a round trip is shared by many, and what one of them holds in memory is some hundred kilobytes.
const STATEMENT_ROWS: usize = 1_000;
/// Chunks that are made at once.
const MADE_CHUNKS: usize = STATEMENT_ROWS / CHUNK_ROWS as usize;
/// Rows that a shard is handed at once.
const PART_ROWS: usize = 256;

/// Writes the rows of these chunks that were changed after the cursors were left.
pub(super) async fn write(
    connection: &mut PgConnection,
    schema: &str,
    table: &dyn AnyTable,
    left: &Heads,
    chunks: &[u32],
    make: impl Fn(&[u32]) -> Vec<Vec<u8>>,
) -> Result<(), StoreError> {
    if chunks.is_empty() {
        return Ok(());
    }
    let columns = table.columns();
    let sql = upsert(schema, table.name(), table.key_columns(), &columns);
    let mut rows: Vec<Vec<Cell>> = Vec::with_capacity(2 * STATEMENT_ROWS);
    for chunks in chunks.chunks(MADE_CHUNKS) {
        for json in make(chunks) {
            let made: Vec<Vec<Cell>> = serde_json::from_slice(&json).expect("it was just made");
            rows.extend(made.into_iter().filter(|row| is_new(row, columns.len(), left)));
        }
        if rows.len() >= STATEMENT_ROWS {
            execute(connection, &sql, &columns, &mut rows).await?;
        }
    }
    if rows.is_empty() { Ok(()) } else { execute(connection, &sql, &columns, &mut rows).await }
}

/// Takes the rows of these slices away.
pub(super) async fn empty(connection: &mut PgConnection, schema: &str, table: &dyn AnyTable, cursors: &[Cursor]) -> Result<(), StoreError> {
    let slices: Vec<i64> = cursors.iter().map(|(slice, _)| i64::from(*slice)).collect();
    let sql =
        format!("DELETE FROM {schema}.\"{}\" WHERE split_part(\"{}\", ':', 1)::bigint = ANY($1)", table.name(), STAND_COLUMNS[0].name);
    within(sqlx::query(AssertSqlSafe(sql)).bind(slices).execute(connection)).await?;
    Ok(())
}

/// Whether the row was changed after the cursor of its slice was left.
fn is_new(row: &[Cell], columns: usize, left: &Heads) -> bool {
    let position = position_of(row, columns).expect("every row has a place");
    left.get(&position.slice).is_none_or(|head| position.pseq >= head.next_pseq)
}

fn position_of(row: &[Cell], columns: usize) -> Option<Position> {
    row.get(columns - STAND_COLUMNS.len()).cloned().and_then(Position::from_cell)
}

/// A row that is there is changed, unless another cursor let it in already.
fn upsert(schema: &str, table: &str, keys: usize, columns: &[ColumnSpec]) -> String {
    let names: Vec<_> = columns.iter().map(|column| format!("\"{}\"", column.name)).collect();
    let arrays: Vec<_> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| format!("${}::{}", at + 1, if column.kind.is_number() { "bigint[]" } else { "text[]" }))
        .collect();
    let changes: Vec<_> = names[keys..].iter().map(|name| format!("{name} = excluded.{name}")).collect();
    format!(
        "INSERT INTO {schema}.\"{table}\" ({}) SELECT * FROM unnest({}) ON CONFLICT ({}) DO UPDATE SET {}",
        names.join(", "),
        arrays.join(", "),
        names[..keys].join(", "),
        changes.join(", ")
    )
}

/// A column of some rows.
enum Column {
    Numbers(Vec<Option<i64>>),
    Texts(Vec<Option<String>>),
}

async fn execute(connection: &mut PgConnection, sql: &str, columns: &[ColumnSpec], rows: &mut Vec<Vec<Cell>>) -> Result<(), StoreError> {
    let empty = |column: &ColumnSpec| match column.kind.is_number() {
        true => Column::Numbers(Vec::with_capacity(rows.len())),
        false => Column::Texts(Vec::with_capacity(rows.len())),
    };
    let mut turned: Vec<Column> = columns.iter().map(empty).collect();
    for (cell, column) in rows.drain(..).flat_map(|row| row.into_iter().enumerate()).map(|(at, cell)| (cell, at)) {
        match &mut turned[column] {
            Column::Numbers(numbers) => numbers.push(i64::from_cell(cell)),
            Column::Texts(texts) => texts.push(CompactString::from_cell(cell).map(CompactString::into_string)),
        }
    }
    let mut query = sqlx::query(AssertSqlSafe(sql.to_owned()));
    for column in turned {
        query = match column {
            Column::Numbers(numbers) => query.bind(numbers),
            Column::Texts(texts) => query.bind(texts),
        };
    }
    within(query.execute(connection)).await?;
    Ok(())
}

/// Reads the named tables for the shards that their rows belong to.
pub(super) async fn read(connection: &mut PgConnection, schema: &str, names: Option<&[&str]>, inboxes: &Inboxes) -> Result<(), StoreError> {
    for (at, table) in Shard::default().tables().into_iter().enumerate() {
        if names.is_none_or(|names| names.contains(&table.name())) && !read_table(connection, schema, at, table, inboxes).await? {
            break;
        }
    }
    Ok(())
}

/// Whether every shard still takes rows. One that met a row that it cannot read says so when it is joined.
async fn read_table(
    connection: &mut PgConnection,
    schema: &str,
    at: usize,
    table: &dyn AnyTable,
    inboxes: &Inboxes,
) -> Result<bool, StoreError> {
    let columns = table.columns();
    let names: Vec<_> = columns.iter().map(|column| format!("\"{}\"", column.name)).collect();
    let sql = format!("SELECT {} FROM {schema}.\"{}\"", names.join(", "), table.name());
    let mut parts: Vec<Vec<Vec<Cell>>> = inboxes.iter().map(|_| Vec::new()).collect();
    let mut rows = sqlx::query(AssertSqlSafe(sql)).fetch(connection);
    while let Some(row) = within(rows.try_next()).await? {
        let row = read_row(&row, &columns)?;
        let position = position_of(&row, columns.len()).ok_or(UnreadableRow { table: table.name(), column: STAND_COLUMNS[0].name })?;
        let shard = usize::from(SliceId::from(position.slice)) % inboxes.len();
        parts[shard].push(row);
        if parts[shard].len() == PART_ROWS {
            let rows = std::mem::take(&mut parts[shard]);
            if inboxes[shard].send(Part { table: at, rows: Rows::Cells(rows) }).is_err() {
                return Ok(false);
            }
        }
    }
    let last = parts.into_iter().zip(inboxes);
    Ok(last.into_iter().all(|(rows, inbox)| inbox.send(Part { table: at, rows: Rows::Cells(rows) }).is_ok()))
}

fn read_row(row: &PgRow, columns: &[ColumnSpec]) -> Result<Vec<Cell>, StoreError> {
    let cell = |(at, column): (usize, &ColumnSpec)| {
        let cell = match column.kind.is_number() {
            true => row.try_get::<Option<i64>, _>(at)?.map(Cell::Integer),
            false => row.try_get::<Option<&str>, _>(at)?.map(|text| Cell::Text(text.into())),
        };
        Ok(cell.unwrap_or(Cell::Null))
    };
    columns.iter().enumerate().map(cell).collect()
}
