//! What SQL shows of the generation in use: a view a table, with amounts, times and days in types of their own, and views
//! that combine them.

use crate::{
    ColumnSpec,
    cell::CellKind,
    shard::Shard,
    sql::{
        Dialect,
        joined::{JOINED, JoinedView},
        minor_unit,
    },
    table::AnyTable,
};

/// The statements that show a generation's tables in `schema`, one a view, each after those that it stands on.
pub(crate) fn show(schema: &str, generation: &str) -> Vec<(&'static str, String)> {
    let shards = Shard::default();
    let tables = shards.tables().into_iter().map(|table| (table.name(), show_table(schema, generation, table)));
    let join = |view: &JoinedView| {
        let query = (view.query)(Dialect::Postgres).replace("{}", schema);
        (view.name, format!("VIEW {schema}.\"{}\" AS {query}", view.name))
    };
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
        CellKind::Money => format!("{name} * {}", minor_unit()),
        CellKind::Weight => format!("{name} / 1000000000000::numeric"),
        CellKind::Flag => format!("{name} <> 0"),
        // A double holds every microsecond of the next two centuries.
        CellKind::Time => format!("timestamptz 'epoch' + {name}::double precision * interval '1 microsecond'"),
        CellKind::Day => format!("date 'epoch' + {name}::integer"),
        CellKind::Month => format!("make_date(({name} / 12)::integer, ({name} % 12 + 1)::integer, 1)"),
        CellKind::Json => format!("{name}::jsonb"),
    }
}

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
}
