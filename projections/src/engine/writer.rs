//! The writer: changed rows and the cursors they stand on, in one transaction a shard.

use std::{
    mem,
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use parking_lot::RwLockWriteGuard;

use super::Shared;
use crate::{
    shard::Shard,
    store::{Cursor, Store, StoreError, TableShape},
};

/// How often it looks whether there is something to write.
const LOOK: Duration = Duration::from_millis(5);
/// How long it waits after a write failed.
const RETRY: Duration = Duration::from_secs(1);
/// Rows that are copied so that the shard is free while they are written. Of more, which only a rebuild has, parts are
/// copied while the shard may be read and not changed.
const COPIED_ROWS: usize = 20_000;
/// Rows in such a part.
const PART_ROWS: usize = 4_000;
/// Tries to write once the engine stops.
const LAST_TRIES: usize = 3;

pub(super) struct Writer {
    shared: Arc<Shared>,
    store: Store,
    shapes: Vec<TableShape>,
    /// The records done with at the last write.
    written: u64,
    wrote_at: Instant,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, store: Store) -> Self {
        let shapes = Shard::default().tables().into_iter().map(TableShape::of).collect();
        Self { shared, store, shapes, written: 0, wrote_at: Instant::now() }
    }

    /// Writes until the engine stops and everything is written.
    pub(super) fn run(mut self) {
        while !self.shared.stopping() {
            if self.is_due() { self.write_all() } else { thread::sleep(LOOK) }
        }
        while !self.shared.drained.load(Ordering::Acquire) {
            thread::sleep(LOOK);
        }
        for _ in 0..LAST_TRIES {
            self.write_all();
            if self.shared.writer_trouble.lock().is_none() {
                break;
            }
        }
    }

    fn is_due(&self) -> bool {
        let changed = self.shared.done.load(Ordering::Acquire) - self.written;
        let options = &self.shared.options;
        if self.shared.caught_up.load(Ordering::Acquire) {
            changed > 0 && self.wrote_at.elapsed() >= options.flush_every
        } else {
            changed >= options.rebuild_flush_records
        }
    }

    fn write_all(&mut self) {
        let done = self.shared.done.load(Ordering::Acquire);
        let shared = Arc::clone(&self.shared);
        let written: Result<Vec<()>, _> = shared.shards.iter().map(|shard| self.write(shard.write())).collect();
        let mut trouble = self.shared.writer_trouble.lock();
        match written {
            Ok(_) => {
                self.written = done;
                self.wrote_at = Instant::now();
                *trouble = None;
            }
            Err(error) => {
                if trouble.is_none() {
                    tracing::error!(%error, "the read models cannot be written; the ledger is not affected");
                }
                *trouble = Some(format!("the read models cannot be written: {}", causes(&error)));
                drop(trouble);
                thread::sleep(RETRY);
            }
        }
    }

    fn write(&mut self, mut shard: RwLockWriteGuard<'_, Shard>) -> Result<(), StoreError> {
        let cursors = shard.heads.clone();
        let places: Vec<Vec<u32>> = shard.tables_mut().into_iter().map(|table| table.take_changed()).collect();
        let rows: usize = places.iter().map(Vec::len).sum();
        let shard_lock = RwLockWriteGuard::rwlock(&shard);
        let written = if rows <= COPIED_ROWS {
            let mut cells: Vec<_> = shard.tables().into_iter().zip(&places).map(|(table, places)| table.cells(places)).collect();
            drop(shard);
            self.transact(&cursors, |table, batch, shape| batch.rows(shape, mem::take(&mut cells[table])))
        } else {
            let shard = RwLockWriteGuard::downgrade(shard);
            let tables = shard.tables();
            self.transact(&cursors, |table, batch, shape| {
                places[table].chunks(PART_ROWS).try_for_each(|part| batch.rows(shape, tables[table].cells(part)))
            })
        };
        if written.is_err() {
            let mut shard = shard_lock.write();
            shard.tables_mut().into_iter().zip(&places).for_each(|(table, places)| table.give_back(places));
        }
        written
    }

    fn transact(
        &mut self,
        cursors: &[Cursor],
        mut rows: impl FnMut(usize, &mut crate::store::Batch<'_>, &TableShape) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let shapes = &self.shapes;
        self.store.transact(|batch| {
            shapes.iter().enumerate().try_for_each(|(table, shape)| rows(table, batch, shape))?;
            batch.cursors(cursors)
        })
    }
}

/// An error with its causes.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
