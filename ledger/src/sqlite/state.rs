//! What all threads of the engine share: the index, the last segments, and how far the log reaches.

use std::{
    collections::{HashMap, VecDeque},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex, RwLock};
use rusqlite::params;

use super::{
    connection::Link,
    index::{self, Index},
    segment::Segment,
};
use crate::{
    log::LogError,
    slices::{SliceId, Slices},
};

/// How many bytes of segments stay in memory.
const CACHE_BYTES: usize = 32 << 20;
/// How many rows of the index are read at once.
const INDEX_ROWS: u32 = 4096;

/// How many index rows are written together: they can be made from the segments, and each alone would cost a commit a
/// page of the database.
pub(super) const INDEX_EVERY: usize = 64;

/// Shared by all threads.
#[derive(Debug)]
pub(super) struct State {
    pub(super) file: PathBuf,
    pub(super) slices: Slices,
    pub(super) index: RwLock<Index>,
    cache: Mutex<Cache>,
    /// The id of the last segment, for those who wait for the next.
    last: Mutex<u32>,
    grown: Condvar,
    /// Only one may take in new segments.
    refreshing: Mutex<()>,
}

impl State {
    pub(super) fn new(file: PathBuf, slices: Slices) -> Self {
        Self {
            file,
            slices,
            index: RwLock::new(Index::new(slices.count)),
            cache: Mutex::default(),
            last: Mutex::new(0),
            grown: Condvar::new(),
            refreshing: Mutex::new(()),
        }
    }

    /// Waits until there is a segment after `id`, at most `wait`.
    pub(super) fn wait_for(&self, id: u32, wait: Duration) -> bool {
        let mut last = self.last.lock();
        if *last < id {
            self.grown.wait_while_for(&mut last, |last| *last < id, wait);
        }
        *last >= id
    }

    /// Takes in a segment that was committed just now; to be announced.
    ///
    /// # Errors
    /// `LogError::Store` where it is not the next one.
    pub(super) fn committed(&self, segment: Segment, entries: &[(SliceId, u32)]) -> Result<(), LogError> {
        self.cache.lock().insert(Arc::new(segment));
        self.index.write().push(entries.iter().copied())
    }

    /// Wakes those who wait for the next segment.
    pub(super) fn announce(&self) {
        let last = self.index.read().last();
        *self.last.lock() = last;
        self.grown.notify_all();
    }

    /// A segment that is in memory.
    pub(super) fn cached(&self, id: u32) -> Option<Arc<Segment>> {
        self.cache.lock().segments.get(&id).cloned()
    }

    /// Keeps a segment in memory for a while.
    pub(super) fn keep(&self, segment: &Arc<Segment>) {
        self.cache.lock().insert(Arc::clone(segment));
    }

    /// Takes in what was written to the file since. With `repair`, index rows that were missing are written.
    ///
    /// # Errors
    /// `LogError`.
    pub(super) fn refresh(&self, link: &mut Link, repair: bool) -> Result<(), LogError> {
        let _one = self.refreshing.lock();
        let last: Option<i64> =
            link.run(|connection| connection.prepare_cached("SELECT max(id) FROM segment")?.query_row([], |row| row.get(0)))?;
        let last = segment_id(last.unwrap_or(0))?;
        let known = self.index.read().last();
        if last.saturating_sub(known) > INDEX_ROWS / 4 {
            let sum = "SELECT sum(length(entries)) FROM segment_index WHERE id > ?";
            let sum: Option<i64> = link.run(|connection| connection.query_row(sum, [known], |row| row.get(0)))?;
            let bytes = usize::try_from(sum.unwrap_or(0)).unwrap_or(0);
            self.index.write().reserve(bytes / index::ENTRY);
        }
        loop {
            let from = self.index.read().last() + 1;
            if from > last {
                break;
            }
            let to = last.min(from.saturating_add(INDEX_ROWS - 1));
            let missing = self.take_rows(link, from, to)?;
            if missing.len() > INDEX_EVERY {
                tracing::warn!(file = %self.file.display(), rows = missing.len(), "the ledger's index is made from its segments");
            }
            if repair {
                write_rows(link, &missing)?;
            }
        }
        self.announce();
        Ok(())
    }

    /// Takes in the segments `from..=to` by their index rows; answers those that had to be made from the segment.
    fn take_rows(&self, link: &mut Link, from: u32, to: u32) -> Result<Vec<(u32, Vec<u8>)>, LogError> {
        let mut missing = Vec::new();
        let mut next = from;
        while next <= to {
            self.take_stored(link, next, to)?;
            let id = self.index.read().last() + 1;
            if id <= to {
                let entries: Vec<_> = read(link, id, self.slices.count)?.entries().collect();
                self.index.write().push(entries.iter().copied())?;
                missing.push((id, index::encode(&entries)));
            }
            next = id.saturating_add(1);
        }
        Ok(missing)
    }

    /// Takes in the index rows of `from..=to`, up to the first that is missing or says nothing of use.
    fn take_stored(&self, link: &mut Link, from: u32, to: u32) -> Result<(), LogError> {
        link.run(|connection| {
            let mut select = connection.prepare_cached("SELECT id, entries FROM segment_index WHERE id BETWEEN ? AND ? ORDER BY id")?;
            let mut rows = select.query([from, to])?;
            let mut expected = i64::from(from);
            while let Some(row) = rows.next()? {
                let is_next = row.get::<_, i64>(0)? == expected;
                let taken =
                    index::decode(row.get_ref(1)?.as_blob()?).is_some_and(|entries| is_next && self.index.write().push(entries).is_ok());
                if !taken {
                    break;
                }
                expected += 1;
            }
            Ok(())
        })
    }
}

/// Writes rows of the index.
///
/// # Errors
/// `LogError::Store`.
pub(super) fn write_rows(link: &mut Link, rows: &[(u32, Vec<u8>)]) -> Result<(), LogError> {
    if rows.is_empty() {
        return Ok(());
    }
    link.run(|connection| {
        let transaction = connection.transaction()?;
        let mut insert = transaction.prepare_cached("INSERT OR REPLACE INTO segment_index (id, entries) VALUES (?, ?)")?;
        for (id, entries) in rows {
            insert.execute(params![id, entries])?;
        }
        drop(insert);
        transaction.commit()
    })
}

/// An id as the file has it.
///
/// # Errors
/// `LogError::Store` outside of u32.
pub(super) fn segment_id(id: i64) -> Result<u32, LogError> {
    u32::try_from(id).map_err(|_| LogError::Store(format!("{id} is not the id of a segment")))
}

/// Reads one segment of a ledger with this many slices.
///
/// # Errors
/// `LogError`: it is missing or damaged.
pub(super) fn read(link: &mut Link, id: u32, slices: u16) -> Result<Segment, LogError> {
    let (mut found, read) = read_run(link, id, id, slices);
    read.map(|()| found.pop().expect("the segment was read"))
}

/// Reads the segments `from..=to`: as many as are whole, and what is wrong with the next one.
pub(super) fn read_run(link: &mut Link, from: u32, to: u32, slices: u16) -> (Vec<Segment>, Result<(), LogError>) {
    let mut segments = Vec::new();
    // Row by row, so that what SQLite copied is given back before the next row needs as much.
    let mut rows = Vec::new();
    let read = link.run(|connection| {
        let mut select = connection.prepare_cached("SELECT id, bytes FROM segment WHERE id BETWEEN ? AND ? ORDER BY id")?;
        let mut found = select.query([from, to])?;
        while let Some(row) = found.next()? {
            rows.push((row.get::<_, i64>(0)?, Bytes::copy_from_slice(row.get_ref(1)?.as_blob()?)));
        }
        Ok(())
    });
    let mut rows = rows.into_iter().peekable();
    for expected in from..=to {
        let Some((_, bytes)) = rows.next_if(|(id, _)| *id == i64::from(expected)) else {
            let missing = LogError::Store(format!("segment {expected} is missing"));
            return (segments, read.and(Err(link.named(missing))));
        };
        match Segment::parse(expected, bytes, slices) {
            Ok(segment) => segments.push(segment),
            Err(error) => return (segments, Err(link.named(error))),
        }
    }
    (segments, Ok(()))
}

/// The last segments, oldest out first.
#[derive(Debug, Default)]
struct Cache {
    segments: HashMap<u32, Arc<Segment>>,
    order: VecDeque<u32>,
    bytes: usize,
}

impl Cache {
    fn insert(&mut self, segment: Arc<Segment>) {
        let (id, size) = (segment.id, segment.size());
        if self.segments.insert(id, segment).is_some() {
            return;
        }
        self.order.push_back(id);
        self.bytes += size;
        while self.bytes > CACHE_BYTES && self.order.len() > 1 {
            if let Some(old) = self.order.pop_front().and_then(|id| self.segments.remove(&id)) {
                self.bytes -= old.size();
            }
        }
    }
}
