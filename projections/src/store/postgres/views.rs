//! What SQL shows of the generation in use: a view a table, with amounts, times and days in types of their own, and views
//! that combine them.

use std::{collections::BTreeMap, sync::LazyLock};

use pledger_domain::values::Currency;

use crate::{
    ColumnSpec,
    cell::CellKind,
    shard::Shard,
    sql::joined::{JOINED, JoinedView},
    table::AnyTable,
};

/// The statements that show a generation's tables in `schema`, one a view, each after those that it stands on.
pub(crate) fn show(schema: &str, generation: &str) -> Vec<(&'static str, String)> {
    let shards = Shard::default();
    let tables = shards.tables().into_iter().map(|table| (table.name(), show_table(schema, generation, table)));
    let join = |view: &JoinedView| (view.name, format!("VIEW {schema}.\"{}\" AS {}", view.name, view.query.replace("{}", schema)));
    tables.chain(JOINED.iter().map(join)).collect()
}

fn show_table(schema: &str, generation: &str, table: &dyn AnyTable) -> String {
    let name = table.name();
    let columns: Vec<_> = table.columns().iter().map(|column| format!("{} AS \"{}\"", expression(column), column.name)).collect();
    format!("VIEW {schema}.\"{name}\" AS SELECT {} FROM {generation}.\"{name}\"", columns.join(", "))
}

/// A column's value in the type that it is shown in.
fn expression(column: &ColumnSpec) -> String {
    let name = format!("\"{}\"", column.name);
    match column.kind {
        CellKind::Count | CellKind::Text | CellKind::Place => name,
        CellKind::Money => format!("{name} * {}", &*MINOR_UNIT),
        CellKind::Flag => format!("{name} <> 0"),
        // A double holds every microsecond of the next two centuries.
        CellKind::Time => format!("timestamptz 'epoch' + {name}::double precision * interval '1 microsecond'"),
        CellKind::Day => format!("date 'epoch' + {name}::integer"),
        CellKind::Month => format!("make_date(({name} / 12)::integer, ({name} % 12 + 1)::integer, 1)"),
        CellKind::Json => format!("{name}::jsonb"),
    }
}

/// What a minor unit of the row's currency is worth in the currency.
static MINOR_UNIT: LazyLock<String> = LazyLock::new(|| {
    let letters = || 'A'..='Z';
    let codes = letters().flat_map(|a| letters().flat_map(move |b| letters().map(move |c| String::from_iter([a, b, c]))));
    let mut by_digits: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for currency in codes.filter_map(|code| Currency::parse(&code).ok()).filter(|currency| currency.digits() != 2) {
        by_digits.entry(currency.digits()).or_default().push(format!("'{}'", currency.code()));
    }
    let unit = |digits: u32| if digits == 0 { "1".to_owned() } else { format!("0.{:0>1$}", 1, digits as usize) };
    let cases: Vec<_> =
        by_digits.iter().map(|(digits, codes)| format!("WHEN currency IN ({}) THEN {}", codes.join(", "), unit(*digits))).collect();
    format!("CASE {} ELSE {} END", cases.join(" "), unit(2))
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_amount_stands_beside_its_currency() {
        for table in Shard::default().tables() {
            let columns = table.columns();
            let has = |name| columns.iter().any(|column| column.name == name);
            let has_money = columns.iter().any(|column| column.kind == CellKind::Money);
            assert!(!has_money || has("currency"), "{}", table.name());
        }
    }

    #[test]
    fn minor_units_are_those_of_the_standard() {
        for part in ["'JPY'", "THEN 1 ", "'BHD'", "THEN 0.001", "'UYW') THEN 0.0001", "ELSE 0.01 END"] {
            assert!(MINOR_UNIT.contains(part), "{part} in {}", &*MINOR_UNIT);
        }
    }
}
