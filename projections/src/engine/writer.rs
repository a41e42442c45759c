//! The writer: changed rows and the cursors they stand on, in one transaction a shard.

use std::{
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use parking_lot::RwLockWriteGuard;

use super::Shared;
use crate::{
    shard::Shard,
    store::{Store, StoreError},
    table::AnyTable,
};

/// How often it looks whether there is something to write.
const LOOK: Duration = Duration::from_millis(5);
/// How long it waits after a write failed.
const RETRY: Duration = Duration::from_secs(1);
/// Chunks that are copied so that the shard is free while they are written. More of them, which only a rebuild has, are
/// written while the shard may be read and not changed.
const COPIED_CHUNKS: usize = 2_000;
/// Tries to write once the engine stops.
const LAST_TRIES: usize = 3;

pub(super) struct Writer {
    shared: Arc<Shared>,
    store: Store,
    /// The records done with at the last write.
    written: u64,
    wrote_at: Instant,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, store: Store) -> Self {
        Self { shared, store, written: 0, wrote_at: Instant::now() }
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
        let written: Result<Vec<()>, _> =
            shared.shards.iter().enumerate().map(|(number, shard)| self.write(number, shard.write())).collect();
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

    fn write(&mut self, number: usize, mut shard: RwLockWriteGuard<'_, Shard>) -> Result<(), StoreError> {
        let cursors = shard.heads.clone();
        let changed: Vec<Vec<u32>> = shard.tables_mut().into_iter().map(|table| table.take_changed()).collect();
        let lock = RwLockWriteGuard::rwlock(&shard);
        let written = if changed.iter().map(Vec::len).sum::<usize>() <= COPIED_CHUNKS {
            let copies = copy(&shard, &changed);
            drop(shard);
            self.store.transact(|batch| {
                for (table, chunks) in &copies {
                    let text = |chunk: u32, json: &mut Vec<u8>| {
                        let place = chunks.binary_search_by_key(&chunk, |(known, _)| *known);
                        json.extend_from_slice(place.map_or(b"[]", |place| &chunks[place].1));
                    };
                    let numbers: Vec<u32> = chunks.iter().map(|(chunk, _)| *chunk).collect();
                    batch.chunks(table, number, &numbers, text)?;
                }
                batch.cursors(&cursors)
            })
        } else {
            let shard = RwLockWriteGuard::downgrade(shard);
            self.store.transact(|batch| {
                for (table, chunks) in shard.tables().into_iter().zip(&changed) {
                    batch.chunks(table.name(), number, chunks, |chunk, json| table.write_chunk(chunk, json))?;
                }
                batch.cursors(&cursors)
            })
        };
        if written.is_err() {
            let mut shard = lock.write();
            shard.tables_mut().into_iter().zip(&changed).for_each(|(table, chunks)| table.give_back(chunks));
        }
        written
    }
}

type Copies = Vec<(&'static str, Vec<(u32, Vec<u8>)>)>;

fn copy(shard: &Shard, changed: &[Vec<u32>]) -> Copies {
    let chunk = |table: &dyn AnyTable, chunk: u32| {
        let mut json = Vec::new();
        table.write_chunk(chunk, &mut json);
        (chunk, json)
    };
    let tables = shard.tables().into_iter().zip(changed);
    tables.map(|(table, chunks)| (table.name(), chunks.iter().map(|number| chunk(table, *number)).collect())).collect()
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
