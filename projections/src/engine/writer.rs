//! The writer: changed rows and the cursors they stand on, in one transaction a shard.

use std::{
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use parking_lot::RwLock;

use super::Shared;
use crate::{
    shard::Shard,
    store::{Changes, Store, StoreError, causes},
    table::AnyTable,
};

/// How often it looks whether there is something to write.
const LOOK: Duration = Duration::from_millis(5);
/// Records before the first write of a rebuild.
const FIRST_RECORDS: u64 = 25_000;
/// How long it waits after a write failed: twice as long each time, up to a bound.
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LONGEST_RETRY: Duration = Duration::from_secs(15);
/// Tries to write once the engine stops.
const LAST_TRIES: usize = 3;

pub(super) struct Writer {
    shared: Arc<Shared>,
    store: Box<dyn Store>,
    /// The records done with at the last write.
    written: u64,
    wrote_at: Instant,
    /// How long it waits after the next write that fails.
    retry: Duration,
}

/// How a write ended.
#[derive(PartialEq, Eq)]
enum Written {
    All,
    /// Something is left to be written.
    NotAll,
    /// Nothing more can be written.
    Over,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, store: Box<dyn Store>) -> Self {
        Self { shared, store, written: 0, wrote_at: Instant::now(), retry: FIRST_RETRY }
    }

    /// Writes until the engine stops and everything is written.
    pub(super) fn run(mut self) {
        while !self.shared.stopping() {
            if self.shared.let_go.load(Ordering::Acquire) {
                return;
            }
            if !self.is_due() {
                thread::sleep(LOOK);
                continue;
            }
            match self.write_all() {
                Written::All => {}
                Written::NotAll => self.wait_to_retry(),
                Written::Over => return,
            }
        }
        while !self.shared.drained.load(Ordering::Acquire) {
            thread::sleep(LOOK);
        }
        for last in 1..=LAST_TRIES {
            if self.shared.let_go.load(Ordering::Acquire) || self.write_all() != Written::NotAll || last == LAST_TRIES {
                break;
            }
            thread::sleep(FIRST_RETRY);
        }
    }

    fn wait_to_retry(&mut self) {
        let until = Instant::now() + self.retry;
        self.retry = (self.retry * 2).min(LONGEST_RETRY);
        while Instant::now() < until && !self.shared.stopping() && !self.shared.let_go.load(Ordering::Acquire) {
            thread::sleep(LOOK);
        }
    }

    fn is_due(&self) -> bool {
        let changed = self.shared.done.load(Ordering::Acquire) - self.written;
        let options = &self.shared.options;
        if self.shared.is_unwritten.load(Ordering::Acquire) {
            return true;
        }
        if self.shared.caught_up.load(Ordering::Acquire) {
            changed > 0 && self.wrote_at.elapsed() >= options.flush_every
        } else {
            // Twice as many each time, up to a bound: at the ledger's end at most half of the rows are left to be written,
            // and a row that every record changes is written a few times only.
            changed >= self.written.max(FIRST_RECORDS).min(options.rebuild_flush_records)
        }
    }

    fn write_all(&mut self) -> Written {
        let done = self.shared.done.load(Ordering::Acquire);
        let is_unwritten = self.shared.is_unwritten.swap(false, Ordering::AcqRel);
        let shared = Arc::clone(&self.shared);
        let written: Result<Vec<()>, _> = shared.shards.iter().enumerate().map(|(number, shard)| self.write(number, shard)).collect();
        let mut trouble = self.shared.writer_trouble.lock();
        match written {
            Ok(_) => {
                self.written = done;
                self.shared.written.store(done, Ordering::Release);
                self.wrote_at = Instant::now();
                self.retry = FIRST_RETRY;
                *trouble = None;
                Written::All
            }
            Err(error) => {
                self.shared.is_unwritten.fetch_or(is_unwritten, Ordering::AcqRel);
                let text = format!("the read models cannot be written: {}", causes(&error));
                if trouble.is_none() {
                    tracing::error!("{text}; the ledger is not affected");
                }
                *trouble = Some(text);
                if !matches!(error, StoreError::TakenOver { .. }) {
                    return Written::NotAll;
                }
                self.shared.taken_over.store(true, Ordering::Release);
                Written::Over
            }
        }
    }

    /// Writes a shard as it stands now. It may be read and changed meanwhile: the shard is held only while a few chunks
    /// are made.
    fn write(&mut self, number: usize, shard: &RwLock<Shard>) -> Result<(), StoreError> {
        let (cursors, tables, emptied, is_late) = {
            let mut shard = shard.write();
            let emptied =
                shard.tables_mut().into_iter().enumerate().filter_map(|(at, table)| table.begin_emptied().then_some(at)).collect();
            let begin = |table: &mut dyn AnyTable| (table.name(), table.begin_write());
            let is_late = std::mem::take(&mut shard.is_late);
            (shard.heads.clone(), shard.tables_mut().into_iter().map(begin).collect::<Vec<_>>(), emptied, is_late)
        };
        let make = |at: usize, chunks: &[u32]| -> Vec<Vec<u8>> {
            let mut shard = shard.write();
            let mut tables = shard.tables_mut();
            chunks.iter().map(|chunk| due(tables[at], *chunk)).collect()
        };
        let changes = Changes { shard: number, cursors, tables, emptied, is_late, make: &make };
        let written = self.store.write(&changes);
        if written.is_err() {
            let mut shard = shard.write();
            shard.is_late |= is_late;
            for (at, (table, (_, chunks))) in shard.tables_mut().into_iter().zip(&changes.tables).enumerate() {
                table.give_back(chunks, changes.emptied.contains(&at));
            }
        }
        written
    }
}

/// About what a chunk takes, in bytes.
const CHUNK_BYTES: usize = 6 * 1024;

fn due(table: &mut dyn AnyTable, chunk: u32) -> Vec<u8> {
    let mut json = Vec::with_capacity(CHUNK_BYTES);
    table.due_chunk(chunk, &mut json);
    json
}
