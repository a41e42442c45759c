//! Rows on their way from a database into shards, each of which is filled by a thread of its own.

use std::{
    sync::{
        Arc,
        mpsc::{self, Receiver, SyncSender},
    },
    thread,
};

use pledger_ledger::slices::Position;

use super::StoreError;
use crate::{
    cell::{Cell, Field},
    row::UnreadableRow,
    shard::Shard,
    table::STAND_COLUMNS,
};

/// Parts that are read ahead for each shard.
const PARTS_AHEAD: usize = 256;

/// Rows of a table.
pub(super) struct Part {
    /// The table, by its number in `Shard::tables`.
    pub(super) table: usize,
    pub(super) rows: Rows,
}

/// As a database has them.
pub(super) enum Rows {
    /// A JSON array of rows, each an array of its columns.
    Json(Arc<str>),
    /// Rows, each its columns.
    #[cfg(feature = "postgres")]
    Cells(Vec<Vec<Cell>>),
}

/// Where parts go: an inbox a shard.
pub(super) type Inboxes = [SyncSender<Part>];

/// Fills the named tables of the shards, or all, from what `read` sends to their inboxes.
pub(super) fn fill(
    shards: &mut [Shard],
    names: Option<&[&str]>,
    read: impl FnOnce(&Inboxes) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let many = shards.len();
    thread::scope(|scope| {
        let start = |(number, shard)| {
            let (inbox, parts) = mpsc::sync_channel(PARTS_AHEAD);
            (inbox, scope.spawn(move || load_shard(shard, number, many, names, &parts)))
        };
        let (inboxes, loaders): (Vec<_>, Vec<_>) = shards.iter_mut().enumerate().map(start).unzip();
        let read = read(&inboxes);
        drop(inboxes);
        for loader in loaders {
            loader.join().expect("a row that cannot be read is an error and no panic")?;
        }
        read
    })
}

/// Takes the rows of its slices in, until there are no more.
fn load_shard(shard: &mut Shard, number: usize, many: usize, names: Option<&[&str]>, parts: &Receiver<Part>) -> Result<(), StoreError> {
    let left_out = shard.left_out.clone();
    let mut tables = shard.tables_mut();
    for part in parts {
        let table = &mut tables[part.table];
        let place = table.columns().len() - STAND_COLUMNS.len();
        let wrong = |_| UnreadableRow { table: table.name(), column: "rows" };
        let rows: Vec<Vec<Cell>> = match part.rows {
            Rows::Json(text) => serde_json::from_str(&text).map_err(wrong)?,
            #[cfg(feature = "postgres")]
            Rows::Cells(rows) => rows,
        };
        for row in rows {
            let position = row.get(place).cloned().and_then(Position::from_cell);
            let is_wanted = position.is_none_or(|position| !left_out.contains(&position.slice));
            if is_wanted && position.map_or(0, |position| usize::from(position.slice)) % many == number {
                table.load(&mut row.into_iter())?;
            }
        }
    }
    shard.loaded(names);
    Ok(())
}
