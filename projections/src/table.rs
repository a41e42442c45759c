//! Tables: the rows of one read model in one shard, which are the fold's state at the same time.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};
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
    ColumnSpec { name: "last_position", kind: CellKind::Text, nullable: false },
    ColumnSpec { name: "last_rules", kind: CellKind::Integer, nullable: false },
];

#[derive(Clone, Debug)]
struct Slot<R: Row> {
    key: R::Key,
    row: R,
    stand: Stand,
    dirty: bool,
}

/// Rows by their keys. Rows are added and changed, never taken away.
#[derive(Debug)]
pub struct Table<R: Row> {
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    slots: Vec<Slot<R>>,
    dirty: Vec<u32>,
}

impl<R: Row> Default for Table<R> {
    fn default() -> Self {
        Self { index: HashTable::new(), hasher: DefaultHashBuilder::default(), slots: Vec::new(), dirty: Vec::new() }
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
        self.slots.push(Slot { key, row, stand, dirty: false });
        let (slots, hasher) = (&self.slots, &self.hasher);
        self.index.insert_unique(hash, place, |at| hasher.hash_one(&slots[*at as usize].key));
        place
    }

    fn touch(&mut self, place: u32, at: &At<'_>) -> &mut R {
        self.mark(place);
        let slot = &mut self.slots[place as usize];
        slot.stand = at.stand();
        &mut slot.row
    }

    fn mark(&mut self, place: u32) {
        let slot = &mut self.slots[place as usize];
        if !slot.dirty {
            slot.dirty = true;
            self.dirty.push(place);
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
    /// How many columns the key has; they come first.
    fn key_columns(&self) -> usize;
    /// Every column: key, row, stand.
    fn columns(&self) -> Vec<ColumnSpec>;
    /// How many rows there are.
    fn rows(&self) -> usize;
    /// How many rows changed since they were last taken.
    fn changed(&self) -> usize;
    /// Takes in a row as it was written.
    ///
    /// # Errors
    /// `UnreadableRow`.
    fn load(&mut self, cells: &mut dyn Iterator<Item = Cell>) -> Result<(), UnreadableRow>;
    /// The places of the rows that changed since the last call, in the order of their keys.
    fn take_changed(&mut self) -> Vec<u32>;
    /// The rows at these places could not be written: they count as changed again.
    fn give_back(&mut self, places: &[u32]);
    /// The cells of the rows at these places, row after row.
    fn cells(&self, places: &[u32]) -> Vec<Cell>;
    /// Appends (the key's bytes, the hash of the whole row) of every row. `Places::Left` leaves places in the ledger out:
    /// what is left depends on the order inside each stream only.
    fn digest_rows(&self, places: Places, rows: &mut Vec<(Box<[u8]>, u128)>);
}

impl<R: Row> AnyTable for Table<R> {
    fn name(&self) -> &'static str {
        R::TABLE
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

    fn changed(&self) -> usize {
        self.dirty.len()
    }

    fn load(&mut self, cells: &mut dyn Iterator<Item = Cell>) -> Result<(), UnreadableRow> {
        let (key, row) = R::read(cells)?;
        let wrong = |column| UnreadableRow { table: R::TABLE, column };
        let position = cells.next().and_then(Position::from_cell).ok_or_else(|| wrong("last_position"))?;
        let rules = cells.next().and_then(u32::from_cell).ok_or_else(|| wrong("last_rules"))?;
        self.push(key, row, Stand { position, rules });
        Ok(())
    }

    fn take_changed(&mut self) -> Vec<u32> {
        let mut places = std::mem::take(&mut self.dirty);
        places.sort_unstable_by(|a, b| self.slots[*a as usize].key.cmp(&self.slots[*b as usize].key));
        for place in &places {
            self.slots[*place as usize].dirty = false;
        }
        places
    }

    fn give_back(&mut self, places: &[u32]) {
        for place in places {
            self.mark(*place);
        }
    }

    fn cells(&self, places: &[u32]) -> Vec<Cell> {
        let width = R::KEY_COLUMNS.len() + R::COLUMNS.len() + STAND_COLUMNS.len();
        let mut cells = Vec::with_capacity(places.len() * width);
        for place in places {
            self.slots[*place as usize].write(&mut cells);
        }
        cells
    }

    fn digest_rows(&self, places: Places, rows: &mut Vec<(Box<[u8]>, u128)>) {
        let (mut cells, mut bytes) = (Vec::new(), Vec::new());
        for slot in &self.slots {
            cells.clear();
            bytes.clear();
            slot.write(&mut cells);
            if places == Places::Left {
                cells.iter_mut().filter(|cell| matches!(cell, Cell::Place(_))).for_each(|cell| *cell = Cell::Null);
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
