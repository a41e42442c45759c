//! Tables: the rows of one read model in one shard, which are the fold's state at the same time.

use std::{any::Any, hash::BuildHasher, mem};

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use pledger_ledger::slices::Position;
use xxhash_rust::xxh3::xxh3_128;

use crate::{
    cell::{Cell, CellKind, Field},
    row::{ColumnSpec, Row, UnreadableRow},
    shard::At,
};

/// What a row stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stand {
    /// The last decision that changed it.
    pub position: Position,
    /// The version of the rules that decided.
    pub rules: u32,
}

/// The columns that every table ends with: what the row stands on.
pub const STAND_COLUMNS: [ColumnSpec; 2] = [
    ColumnSpec { name: "last_position", kind: CellKind::Place, nullable: false, about: " The last decision that changed the row." },
    ColumnSpec {
        name: "last_rules",
        kind: CellKind::Count,
        nullable: false,
        about: " The version of the rules of that decision; 0 where none was in force.",
    },
];

#[derive(Clone, Debug)]
struct Slot<R: Row> {
    key: R::Key,
    row: R,
    stand: Stand,
}

/// Rows that are written together: a change to one of them writes them all. A page of a database holds about as many,
/// so that fewer would save nothing, and the cost of a value handed over is shared by them.
pub const CHUNK_ROWS: u32 = 16;

/// How a chunk stands to the database.
#[derive(Clone, Copy, Debug, Default)]
struct Chunk {
    /// Whether it is among the changed ones.
    is_changed: bool,
    /// Whether the write that is under way will ask for it as it stood when that began.
    is_due: bool,
}

/// Rows by their keys. Rows are added and changed, and hardly ever taken away.
#[derive(Debug)]
pub struct Table<R: Row> {
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    slots: Vec<Slot<R>>,
    chunks: Vec<Chunk>,
    changed: Vec<u32>,
    /// Chunks that were due when a row of theirs was changed, as they stood before.
    kept: HashMap<u32, Vec<u8>>,
    /// Whether rows were taken out since the last write began.
    emptied: bool,
}

impl<R: Row> Default for Table<R> {
    fn default() -> Self {
        Self {
            index: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            slots: Vec::new(),
            chunks: Vec::new(),
            changed: Vec::new(),
            kept: HashMap::new(),
            emptied: false,
        }
    }
}

impl<R: Row> Table<R> {
    /// The row of `key`.
    #[must_use]
    pub fn get(&self, key: &R::Key) -> Option<&R> {
        self.find(key).map(|at| &self.slots[at as usize].row)
    }

    /// What the row of `key` stands on.
    #[must_use]
    pub fn stand(&self, key: &R::Key) -> Option<Stand> {
        self.find(key).map(|at| self.slots[at as usize].stand)
    }

    /// The row of `key`, to be changed by the decision at `at`; made where there is none.
    pub fn upsert(&mut self, key: R::Key, at: &At<'_>, make: impl FnOnce() -> R) -> &mut R {
        let place = match self.find(&key) {
            Some(place) => place,
            None => self.push(key, make(), at.stand()),
        };
        self.touch(place, at)
    }

    /// The row of `key`, to be changed by the decision at `at`, where there is one.
    pub fn change(&mut self, key: &R::Key, at: &At<'_>) -> Option<&mut R> {
        let place = self.find(key)?;
        Some(self.touch(place, at))
    }

    /// Takes a row out, if it is there. All other rows are written again, so that this is for tables of few rows.
    pub fn take_out(&mut self, key: &R::Key) {
        if self.find(key).is_none() {
            return;
        }
        // A write that is under way gets what it began with.
        for chunk in 0..self.chunks.len() {
            self.keep(u32::try_from(chunk).expect("there are fewer chunks than rows"));
        }
        let slots = mem::take(&mut self.slots);
        self.index.clear();
        self.chunks.clear();
        self.changed.clear();
        for slot in slots.into_iter().filter(|slot| slot.key != *key) {
            self.push(slot.key, slot.row, slot.stand);
        }
        (0..self.chunks.len()).for_each(|chunk| self.mark(u32::try_from(chunk).expect("there are fewer chunks than rows")));
        self.emptied = true;
    }

    /// Every row with its key and what it stands on, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = (&R::Key, &R, Stand)> {
        self.slots.iter().map(|slot| (&slot.key, &slot.row, slot.stand))
    }

    /// How many rows there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    fn find(&self, key: &R::Key) -> Option<u32> {
        self.index.find(self.hasher.hash_one(key), |at| self.slots[*at as usize].key == *key).copied()
    }

    fn push(&mut self, key: R::Key, row: R, stand: Stand) -> u32 {
        let place = u32::try_from(self.slots.len()).expect("a shard's table has fewer than four billion rows: they are in memory");
        let hash = self.hasher.hash_one(&key);
        if place.is_multiple_of(CHUNK_ROWS) {
            self.chunks.push(Chunk::default());
        } else {
            self.keep(place / CHUNK_ROWS);
        }
        self.slots.push(Slot { key, row, stand });
        let (slots, hasher) = (&self.slots, &self.hasher);
        self.index.insert_unique(hash, place, |at| hasher.hash_one(&slots[*at as usize].key));
        place
    }

    fn touch(&mut self, place: u32, at: &At<'_>) -> &mut R {
        self.keep(place / CHUNK_ROWS);
        self.mark(place / CHUNK_ROWS);
        let slot = &mut self.slots[place as usize];
        // What was left out and is folded late does not make a row older than what it stands on already.
        if at.position.slice != slot.stand.position.slice || at.position.pseq >= slot.stand.position.pseq {
            slot.stand = at.stand();
        }
        &mut slot.row
    }

    fn write_chunk(&self, chunk: u32, json: &mut Vec<u8>) {
        let first = (chunk * CHUNK_ROWS) as usize;
        let last = (first + CHUNK_ROWS as usize).min(self.slots.len());
        let mut before = b'[';
        for slot in &self.slots[first..last] {
            json.extend_from_slice(&[before, b'[']);
            before = b',';
            slot.row.write_json(&slot.key, json);
            slot.stand.position.write_json(json);
            json.push(b',');
            slot.stand.rules.write_json(json);
            json.push(b']');
        }
        json.push(b']');
    }

    fn mark(&mut self, chunk: u32) {
        if !mem::replace(&mut self.chunks[chunk as usize].is_changed, true) {
            self.changed.push(chunk);
        }
    }

    /// A row of the chunk is about to change: what is due is kept as it stands.
    fn keep(&mut self, chunk: u32) {
        if self.chunks[chunk as usize].is_due {
            let mut json = Vec::new();
            self.due_chunk(chunk, &mut json);
            self.kept.insert(chunk, json);
        }
    }
}

/// Whether a digest covers places in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Places {
    /// It does: two read models of one ledger are compared.
    Covered,
    /// It does not: two ledgers with the same streams are compared.
    Left,
}

/// Any table, to load, to write and to digest it without knowing its rows.
pub trait AnyTable: Send + Sync {
    /// The table's name.
    fn name(&self) -> &'static str;
    /// What a row of it is.
    fn about(&self) -> &'static str;
    /// How many columns the key has; they come first.
    fn key_columns(&self) -> usize;
    /// Every column: key, row, stand.
    fn columns(&self) -> Vec<ColumnSpec>;
    /// How many rows there are.
    fn rows(&self) -> usize;
    /// Makes room for so many rows to be loaded.
    fn reserve(&mut self, rows: usize);
    /// Takes in a row as it was written. Rows have to come in the order they were written in.
    ///
    /// # Errors
    /// `UnreadableRow`.
    fn load(&mut self, cells: &mut dyn Iterator<Item = Cell>) -> Result<(), UnreadableRow>;
    /// Shows the place of every row, and what stands first in its key.
    fn each_first(&self, show: &mut dyn FnMut(u32, Cell));
    /// Takes in the row at a place of another table of these rows; where it lies here.
    ///
    /// # Panics
    /// Where the other one is of other rows.
    fn copy_row(&mut self, from: &dyn AnyTable, place: u32) -> u32;
    /// The table as it is.
    fn as_any(&self) -> &dyn Any;
    /// What the row at a place stands on.
    fn stand_at(&self, place: u32) -> Stand;
    /// Begins a write: the chunks with rows that changed since the last one began, in order. They are due, each once.
    fn begin_write(&mut self) -> Vec<u32>;
    /// Appends the rows of a chunk as they stood when the write began, where it is due: a JSON array of rows, each an
    /// array of its columns. It is due no more.
    fn due_chunk(&mut self, chunk: u32, json: &mut Vec<u8>);
    /// Whether rows were taken out since the last write began: asked before each one begins.
    fn begin_emptied(&mut self) -> bool;
    /// These chunks could not be written: they count as changed again, and are not due. `emptied` is what was said when the
    /// write began.
    fn give_back(&mut self, chunks: &[u32], emptied: bool);
    /// Every chunk counts as changed.
    fn change_all(&mut self);
    /// Appends (the key's bytes, the hash of the whole row) of every row. `Places::Left` leaves places in the ledger out:
    /// what is left depends on the order inside each stream only.
    fn digest_rows(&self, places: Places, rows: &mut Vec<(Box<[u8]>, u128)>);
}

impl<R: Row> AnyTable for Table<R> {
    fn name(&self) -> &'static str {
        R::TABLE
    }

    fn about(&self) -> &'static str {
        R::ABOUT
    }

    fn key_columns(&self) -> usize {
        R::KEY_COLUMNS.len()
    }

    fn columns(&self) -> Vec<ColumnSpec> {
        [R::KEY_COLUMNS, R::COLUMNS, &STAND_COLUMNS].concat()
    }

    fn rows(&self) -> usize {
        self.len()
    }

    fn reserve(&mut self, rows: usize) {
        let (slots, hasher) = (&self.slots, &self.hasher);
        self.index.reserve(rows, |at| hasher.hash_one(&slots[*at as usize].key));
        // Some more will be made: room that is not used yet takes no memory, and moving everything would.
        self.slots.reserve(rows + rows / 4);
    }

    fn load(&mut self, cells: &mut dyn Iterator<Item = Cell>) -> Result<(), UnreadableRow> {
        let (key, row) = R::read(cells)?;
        let wrong = |column| UnreadableRow { table: R::TABLE, column };
        let position = cells.next().and_then(Position::from_cell).ok_or_else(|| wrong("last_position"))?;
        let rules = cells.next().and_then(u32::from_cell).ok_or_else(|| wrong("last_rules"))?;
        self.push(key, row, Stand { position, rules });
        Ok(())
    }

    fn each_first(&self, show: &mut dyn FnMut(u32, Cell)) {
        self.slots.iter().zip(0..).for_each(|(slot, place)| show(place, R::first(&slot.key)));
    }

    fn copy_row(&mut self, from: &dyn AnyTable, place: u32) -> u32 {
        let from: &Self = from.as_any().downcast_ref().expect("a row is copied to a table of its kind");
        let Slot { key, row, stand } = from.slots[place as usize].clone();
        self.push(key, row, stand)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn stand_at(&self, place: u32) -> Stand {
        self.slots[place as usize].stand
    }

    fn begin_write(&mut self) -> Vec<u32> {
        let mut chunks = mem::take(&mut self.changed);
        chunks.sort_unstable();
        for chunk in &chunks {
            self.chunks[*chunk as usize] = Chunk { is_changed: false, is_due: true };
        }
        chunks
    }

    fn begin_emptied(&mut self) -> bool {
        mem::take(&mut self.emptied)
    }

    fn due_chunk(&mut self, chunk: u32, json: &mut Vec<u8>) {
        if let Some(kept) = self.kept.remove(&chunk) {
            json.extend_from_slice(&kept);
        } else if self.chunks.get_mut(chunk as usize).is_some_and(|chunk| mem::take(&mut chunk.is_due)) {
            self.write_chunk(chunk, json);
        }
    }

    fn give_back(&mut self, chunks: &[u32], emptied: bool) {
        self.kept.clear();
        self.emptied |= emptied;
        for chunk in chunks {
            if let Some(given) = self.chunks.get_mut(*chunk as usize) {
                given.is_due = false;
                self.mark(*chunk);
            }
        }
    }

    fn change_all(&mut self) {
        for chunk in 0..self.chunks.len() {
            self.mark(u32::try_from(chunk).expect("there are fewer chunks than rows"));
        }
    }

    fn digest_rows(&self, places: Places, rows: &mut Vec<(Box<[u8]>, u128)>) {
        let (mut cells, mut bytes) = (Vec::new(), Vec::new());
        for slot in &self.slots {
            cells.clear();
            bytes.clear();
            slot.write(&mut cells);
            if places == Places::Left {
                cells.iter_mut().filter(|cell| cell.is_place()).for_each(|cell| *cell = Cell::Null);
            }
            let (key, rest) = cells.split_at(R::KEY_COLUMNS.len());
            key.iter().for_each(|cell| cell.digest_into(&mut bytes));
            let key: Box<[u8]> = bytes.as_slice().into();
            rest.iter().for_each(|cell| cell.digest_into(&mut bytes));
            rows.push((key, xxh3_128(&bytes)));
        }
    }
}

impl<R: Row> Slot<R> {
    fn write(&self, cells: &mut Vec<Cell>) {
        R::write_key(&self.key, cells);
        self.row.write(cells);
        cells.push(self.stand.position.cell());
        cells.push(self.stand.rules.cell());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parked::{ParkedKey, ParkedStream};

    fn at() -> At<'static> {
        At::left_out(Position { slice: 0, pseq: 7 })
    }

    /// Counts one more on the row called `stream`, which is made where there is none.
    fn count(table: &mut Table<ParkedStream>, stream: &str) {
        let make = || ParkedStream { since: at().position, reason: "x".into(), left_out: 0 };
        table.upsert(ParkedKey { stream: stream.into() }, &at(), make).left_out += 1;
    }

    fn due(table: &mut Table<ParkedStream>, chunk: u32) -> String {
        let mut json = Vec::new();
        table.due_chunk(chunk, &mut json);
        String::from_utf8(json).expect("JSON is UTF-8")
    }

    #[test]
    fn what_is_written_is_what_stood_when_the_write_began() {
        let mut table = Table::default();
        ["a", "b"].iter().for_each(|stream| count(&mut table, stream));
        assert_eq!(table.begin_write(), [0]);
        // One row is changed twice, and one is new.
        ["a", "a", "c"].iter().for_each(|stream| count(&mut table, stream));
        assert_eq!(due(&mut table, 0), r#"[["a","0:7","x",1,"0:7",0],["b","0:7","x",1,"0:7",0]]"#);
        let after = r#"[["a","0:7","x",3,"0:7",0],["b","0:7","x",1,"0:7",0],["c","0:7","x",1,"0:7",0]]"#;
        assert_eq!(table.begin_write(), [0]);
        assert_eq!(due(&mut table, 0), after);
        assert_eq!(table.begin_write(), [0_u32; 0]);
    }

    #[test]
    fn what_could_not_be_written_is_written_as_it_stands_later() {
        let mut table = Table::default();
        count(&mut table, "a");
        let chunks = table.begin_write();
        count(&mut table, "a");
        table.give_back(&chunks, false);
        assert_eq!(table.begin_write(), [0]);
        assert_eq!(due(&mut table, 0), r#"[["a","0:7","x",2,"0:7",0]]"#);
    }
}
