//! Digests: read models compared in one number a table.

use serde::Serialize;
use xxhash_rust::xxh3::Xxh3;

use crate::{shard::Shard, table::Places};

/// The digest of a table's rows in the order of their keys: XXH3-128, the same for any number of workers, any size of
/// batches and any order in which slices were read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableDigest {
    /// The table.
    pub table: &'static str,
    /// How many rows it has.
    pub rows: usize,
    /// 32 hexadecimal digits.
    pub digest: String,
}

/// The digests of every table over these shards.
#[must_use]
pub fn digests<'a>(shards: impl Iterator<Item = &'a Shard>, places: Places) -> Vec<TableDigest> {
    let shards: Vec<_> = shards.map(Shard::tables).collect();
    let tables = shards.first().map_or(0, Vec::len);
    (0..tables).map(|at| digest(shards.iter().map(|tables| tables[at]), places)).collect()
}

fn digest<'a>(parts: impl Iterator<Item = &'a dyn crate::table::AnyTable>, places: Places) -> TableDigest {
    let (mut name, mut rows) = ("", Vec::new());
    for part in parts {
        name = part.name();
        part.digest_rows(places, &mut rows);
    }
    rows.sort_unstable();
    if places == Places::Left {
        // What several slices keep alike is one row without its slice.
        rows.dedup();
    }
    let mut hash = Xxh3::new();
    for (key, row) in &rows {
        hash.update(key);
        hash.update(&row.to_be_bytes());
    }
    TableDigest { table: name, rows: rows.len(), digest: format!("{:032x}", hash.digest128()) }
}
