//! Rows on their way from a database into shards, each of which is filled by a thread of its own.

use std::{
    fmt,
    sync::{
        Arc,
        mpsc::{self, Receiver, SyncSender},
    },
    thread,
};

use pledger_ledger::slices::Position;
use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, SeqAccess, Visitor},
};

use super::StoreError;
use crate::{
    cell::{Cell, Field},
    row::UnreadableRow,
    shard::Shard,
    table::STAND_COLUMNS,
};

/// Parts that are read ahead for each shard: each is many rows.
const PARTS_AHEAD: usize = 4;

/// Rows of a table.
pub(super) struct Part {
    /// The table, by its number in `Shard::tables`.
    pub(super) table: usize,
    pub(super) rows: Rows,
}

/// As a database has them.
pub(super) enum Rows {
    /// None yet: so many of them will come at most.
    Ahead(usize),
    /// A JSON array of chunks, each an array of rows, each an array of its columns.
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
        let table = &mut *tables[part.table];
        let (name, place) = (table.name(), table.columns().len() - STAND_COLUMNS.len());
        let mut take = |row: &mut Vec<Cell>| {
            let position = row.get(place).cloned().and_then(Position::from_cell);
            let is_wanted = position.is_none_or(|position| !left_out.contains(&position.slice));
            if is_wanted && position.map_or(0, |position| usize::from(position.slice)) % many == number {
                return table.load(&mut row.drain(..));
            }
            Ok(())
        };
        match part.rows {
            Rows::Ahead(rows) => table.reserve(rows),
            Rows::Json(text) => read_chunks(&text, name, &mut take)?,
            #[cfg(feature = "postgres")]
            Rows::Cells(rows) => rows.into_iter().try_for_each(|mut row| take(&mut row))?,
        }
    }
    shard.loaded(names);
    Ok(())
}

/// What is done with a row; it may take the cells out.
type Take<'a> = dyn FnMut(&mut Vec<Cell>) -> Result<(), UnreadableRow> + 'a;

fn read_chunks(text: &str, table: &'static str, take: &mut Take<'_>) -> Result<(), UnreadableRow> {
    let mut reading = Reading { row: Vec::new(), take, failed: None };
    let read = Level { depth: 0, reading: &mut reading }.deserialize(&mut serde_json::Deserializer::from_str(text));
    match (reading.failed, read) {
        (Some(failed), _) => Err(failed),
        (None, Err(_)) => Err(UnreadableRow { table, column: "rows" }),
        (None, Ok(())) => Ok(()),
    }
}

/// Rows as they are met: a place for one, used again for the next.
struct Reading<'a> {
    row: Vec<Cell>,
    take: &'a mut Take<'a>,
    failed: Option<UnreadableRow>,
}

/// Chunks, the rows of one, and a row are arrays, one in the other.
struct Level<'a, 'b> {
    depth: usize,
    reading: &'b mut Reading<'a>,
}

/// The depth of a row.
const ROW: usize = 2;

impl<'de> DeserializeSeed<'de> for Level<'_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Level<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut within: A) -> Result<(), A::Error> {
        let Self { depth, reading } = self;
        if depth < ROW {
            while within.next_element_seed(Level { depth: depth + 1, reading })?.is_some() {}
            return Ok(());
        }
        reading.row.clear();
        while let Some(cell) = within.next_element()? {
            reading.row.push(cell);
        }
        (reading.take)(&mut reading.row).map_err(|failed| {
            reading.failed = Some(failed);
            A::Error::custom("a row that cannot be read")
        })
    }
}
