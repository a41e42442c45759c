//! What SQL reads of the read models: views of the same names in SQLite and in PostgreSQL, and their documentation.

pub mod document;
pub mod joined;

use crate::cell::CellKind;

/// The type that PostgreSQL shows a column in.
#[must_use]
pub const fn postgres_type(kind: CellKind) -> &'static str {
    match kind {
        CellKind::Count => "bigint",
        CellKind::Money => "numeric",
        CellKind::Flag => "boolean",
        CellKind::Time => "timestamptz",
        CellKind::Day | CellKind::Month => "date",
        CellKind::Text | CellKind::Place => "text",
        CellKind::Json => "jsonb",
    }
}

/// What SQLite shows of it.
#[must_use]
pub const fn sqlite_unit(kind: CellKind) -> &'static str {
    match kind {
        CellKind::Count => "integer",
        CellKind::Money => "integer, minor units of `currency`",
        CellKind::Flag => "1 or 0",
        CellKind::Time => "integer, microseconds since 1970",
        CellKind::Day => "integer, days since 1970-01-01",
        CellKind::Month => "integer, year * 12 + month - 1",
        CellKind::Text => "text",
        CellKind::Place => "text, `slice:pseq`",
        CellKind::Json => "text, JSON",
    }
}
