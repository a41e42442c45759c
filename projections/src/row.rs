//! Rows: typed in memory, cells in a database.

use crate::cell::{Cell, CellKind};

/// A column of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnSpec {
    /// Its name.
    pub name: &'static str,
    /// Its kind.
    pub kind: CellKind,
    /// Whether it may be null.
    pub nullable: bool,
    /// What it says, as its field is documented.
    pub about: &'static str,
}

/// A stored row that is none of its table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a row of {table} cannot be read: the column {column} holds what it cannot hold")]
pub struct UnreadableRow {
    /// The table.
    pub table: &'static str,
    /// The first column that is wrong.
    pub column: &'static str,
}

/// A row of a read model, without its key. `row!` writes the implementation.
pub trait Row: Clone + std::fmt::Debug + PartialEq + Send + Sync + 'static {
    /// What the row is found by.
    type Key: Clone + std::fmt::Debug + Eq + std::hash::Hash + Ord + Send + Sync + 'static;
    /// The table's name.
    const TABLE: &'static str;
    /// What a row is, as its type is documented.
    const ABOUT: &'static str;
    /// The columns of the key.
    const KEY_COLUMNS: &'static [ColumnSpec];
    /// The columns of the row.
    const COLUMNS: &'static [ColumnSpec];
    /// The first cell of the key.
    fn first(key: &Self::Key) -> Cell;
    /// Appends the key's cells.
    fn write_key(key: &Self::Key, cells: &mut Vec<Cell>);
    /// Appends the row's cells.
    fn write(&self, cells: &mut Vec<Cell>);
    /// Appends the cells of key and row in JSON, a comma after each.
    fn write_json(&self, key: &Self::Key, json: &mut Vec<u8>);
    /// Reads key and row back.
    ///
    /// # Errors
    /// `UnreadableRow`.
    fn read(cells: &mut dyn Iterator<Item = Cell>) -> Result<(Self::Key, Self), UnreadableRow>;
}

/// Declares a row, its key and its table; every field is a `cell::Field`.
#[macro_export]
macro_rules! row {
    ($(#[doc = $doc:literal])* $name:ident keyed $key:ident in $table:literal {
        key { $($(#[doc = $kdoc:literal])* $kf:ident: $kt:ty),* $(,)? }
        $($(#[doc = $fdoc:literal])* $f:ident: $t:ty),* $(,)?
    }) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name { $($(#[doc = $fdoc])* pub $f: $t),* }

        #[doc = concat!("What a `", stringify!($name), "` is found by.")]
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $key { $($(#[doc = $kdoc])* pub $kf: $kt),* }

        impl $crate::Row for $name {
            type Key = $key;
            const TABLE: &'static str = $table;
            const ABOUT: &'static str = concat!($($doc),*);
            const KEY_COLUMNS: &'static [$crate::ColumnSpec] = &[$($crate::ColumnSpec {
                name: stringify!($kf),
                kind: <$kt as $crate::cell::Field>::KIND,
                nullable: <$kt as $crate::cell::Field>::NULLABLE,
                about: concat!($($kdoc),*),
            }),*];
            const COLUMNS: &'static [$crate::ColumnSpec] = &[$($crate::ColumnSpec {
                name: stringify!($f),
                kind: <$t as $crate::cell::Field>::KIND,
                nullable: <$t as $crate::cell::Field>::NULLABLE,
                about: concat!($($fdoc),*),
            }),*];
            fn first(key: &$key) -> $crate::cell::Cell {
                [$((|key| $crate::cell::Field::cell(&key.$kf)) as fn(&$key) -> $crate::cell::Cell),*][0](key)
            }
            fn write_key(key: &$key, cells: &mut Vec<$crate::cell::Cell>) {
                $(cells.push($crate::cell::Field::cell(&key.$kf));)*
            }
            fn write(&self, cells: &mut Vec<$crate::cell::Cell>) {
                $(cells.push($crate::cell::Field::cell(&self.$f));)*
            }
            fn write_json(&self, key: &$key, json: &mut Vec<u8>) {
                $(
                    $crate::cell::Field::write_json(&key.$kf, json);
                    json.push(b',');
                )*
                $(
                    $crate::cell::Field::write_json(&self.$f, json);
                    json.push(b',');
                )*
            }
            fn read(cells: &mut dyn Iterator<Item = $crate::cell::Cell>) -> Result<($key, Self), $crate::UnreadableRow> {
                let wrong = |column| $crate::UnreadableRow { table: $table, column };
                let key = $key { $($kf: cells.next().and_then(<$kt as $crate::cell::Field>::from_cell).ok_or_else(|| wrong(stringify!($kf)))?),* };
                let row = Self { $($f: cells.next().and_then(<$t as $crate::cell::Field>::from_cell).ok_or_else(|| wrong(stringify!($f)))?),* };
                Ok((key, row))
            }
        }
    };
}
