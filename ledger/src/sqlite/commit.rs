//! The commit thread: one transaction a group commit, and a report for every record.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, SyncSender},
    },
    thread::JoinHandle,
    time::Duration,
};

use bytes::Bytes;
use rusqlite::params;

use super::{
    Shared,
    checkpoint::Checkpoints,
    connection::{Access, Link, PAGE_BYTES, join, spawn},
    index,
    segment::{FRAME, Segment, frame},
    state::{INDEX_EVERY, State, write_rows},
};
use crate::{
    log::{LogError, Producer, Report},
    record::Record,
};

/// How many batches may wait for the commit thread, which takes them together.
const IN_FLIGHT: usize = 64;
/// Waiting batches are committed together up to this many records ...
const GROUP_RECORDS: usize = 2048;
/// ... and this many bytes.
const GROUP_BYTES: usize = 4 << 20;
/// The most that one batch may hold; SQLite takes no row of a gigabyte.
const BATCH_BYTES: usize = 256 << 20;

/// What a row takes of the write-ahead log beside its bytes: a page that others share.
const ROW_BYTES: usize = PAGE_BYTES as usize;

/// A batch on its way.
struct Batch {
    line: Arc<Line>,
    records: Vec<Record>,
    bytes: usize,
}

/// What a producer and the commit thread share.
struct Line {
    /// Set by the first failure, and when the producer is dropped: nothing more of it is written.
    over: AtomicBool,
    reports: mpsc::Sender<Vec<Report>>,
}

/// The commit thread.
#[derive(Debug)]
pub(super) struct Commits {
    batches: Option<SyncSender<Batch>>,
    thread: Option<JoinHandle<()>>,
}

impl Commits {
    /// Starts it with a connection that `State` was filled by.
    ///
    /// # Errors
    /// `LogError::Store`.
    pub(super) fn start(mut link: Link, state: Arc<State>) -> Result<Self, LogError> {
        let (batches, queue) = mpsc::sync_channel(IN_FLIGHT);
        let checkpoints = Checkpoints::start(&state.file, &mut link)?;
        let committer = Committer { link: Some(link), state, stale: false, rows: Vec::new(), checkpoints };
        let thread = spawn("ledger-commit", move || committer.run(&queue))?;
        Ok(Self { batches: Some(batches), thread: Some(thread) })
    }
}

impl Drop for Commits {
    /// What was handed over is committed first.
    fn drop(&mut self) {
        self.batches = None;
        self.thread.take().into_iter().for_each(join);
    }
}

struct Committer {
    link: Option<Link>,
    state: Arc<State>,
    /// A commit failed: nobody knows what the file holds before it is read again.
    stale: bool,
    /// The index rows of the last segments, not written yet.
    rows: Vec<(u32, Vec<u8>)>,
    checkpoints: Checkpoints,
}

impl Committer {
    fn run(mut self, queue: &Receiver<Batch>) {
        while let Ok(first) = queue.recv() {
            let (mut records, mut bytes) = (first.records.len(), first.bytes);
            let mut group = vec![first];
            while records < GROUP_RECORDS && bytes < GROUP_BYTES {
                let Ok(next) = queue.try_recv() else { break };
                records += next.records.len();
                bytes += next.bytes;
                group.push(next);
            }
            let (over, alive): (Vec<_>, Vec<_>) = group.into_iter().partition(|batch| batch.line.over.load(Ordering::Acquire));
            over.into_iter().for_each(|batch| fail(batch, "an earlier batch of the producer failed"));
            if !alive.is_empty() {
                self.commit(alive);
            }
            if let Some(link) = &mut self.link {
                self.checkpoints.committed(bytes + ROW_BYTES, link);
            }
            if self.rows.len() >= INDEX_EVERY {
                self.write_rows();
            }
        }
        self.write_rows();
    }

    /// Writes the index rows that are not written yet. Where that fails, the next start makes them from the segments.
    fn write_rows(&mut self) {
        let rows = std::mem::take(&mut self.rows);
        if let Some(link) = self.link.as_mut().filter(|_| !self.stale)
            && let Err(error) = write_rows(link, &rows)
        {
            tracing::warn!(%error, "rows of the ledger's index were not written; the next start makes them");
            self.stale = true;
        }
    }

    fn commit(&mut self, group: Vec<Batch>) {
        match self.write(&group) {
            Ok(offsets) => {
                let mut offsets = offsets.into_iter();
                for Batch { line, records, .. } in group {
                    let reports = records.iter().zip(&mut offsets).map(|(record, offset)| report(record, Ok(offset))).collect();
                    // A producer that was dropped reads no reports.
                    drop(line.reports.send(reports));
                }
                // Who waits for an answer goes before who follows the log.
                self.state.announce();
            }
            Err(error) => {
                tracing::error!(%error, "a group commit failed");
                self.stale = true;
                let reason = error.to_string();
                group.into_iter().for_each(|batch| fail(batch, &reason));
            }
        }
    }

    /// Writes the batches as one segment; answers the offset of every record.
    fn write(&mut self, group: &[Batch]) -> Result<Vec<u64>, LogError> {
        if self.stale {
            self.reopen()?;
        }
        let mut bytes = Vec::with_capacity(group.iter().map(|batch| batch.bytes).sum());
        group.iter().flat_map(|batch| &batch.records).for_each(|record| frame(record, &mut bytes));
        let id =
            self.state.index.read().last().checked_add(1).ok_or_else(|| LogError::Store("the ledger has no segment ids left".into()))?;
        let bytes = Bytes::from(bytes);
        let segment = Segment::parse(id, bytes.clone(), self.state.slices.count)?;
        let entries: Vec<_> = segment.entries().collect();
        let link = self.link.as_mut().expect("reopened after every failure");
        insert(link, id, &bytes)?;
        self.rows.push((id, index::encode(&entries)));
        let offsets = self.offsets(&entries);
        self.state.committed(segment, &entries)?;
        Ok(offsets)
    }

    fn offsets(&self, entries: &[(u16, u32)]) -> Vec<u64> {
        let index = self.state.index.read();
        let mut next: Vec<u64> = self.state.slices.all().map(|slice| index.end(slice)).collect();
        let mut offset = |slice: &u16| {
            let next = &mut next[usize::from(*slice)];
            *next += 1;
            *next - 1
        };
        entries.iter().map(|(slice, _)| offset(slice)).collect()
    }

    /// After a failure: a new connection, and whatever the file really holds.
    fn reopen(&mut self) -> Result<(), LogError> {
        self.link = None;
        let mut link = Link::open(&self.state.file, Access::Write)?;
        Checkpoints::leave_to(&mut link)?;
        self.state.refresh(&mut link, true)?;
        self.link = Some(link);
        self.stale = false;
        Ok(())
    }
}

/// Writes one segment, durably.
///
/// # Errors
/// `LogError::Store`: full, away, or refused.
fn insert(link: &mut Link, id: u32, bytes: &[u8]) -> Result<(), LogError> {
    link.run(|connection| {
        let mut insert = connection.prepare_cached("INSERT INTO segment (id, bytes) VALUES (?, ?)")?;
        insert.execute(params![id, bytes]).map(|_| ())
    })
}

fn report(record: &Record, outcome: Result<u64, String>) -> Report {
    let header = &record.header;
    Report { slice: header.slice, pseq: header.pseq, term: header.term, outcome }
}

fn fail(batch: Batch, reason: &str) {
    batch.line.over.store(true, Ordering::Release);
    let reports = batch.records.iter().map(|record| report(record, Err(reason.to_owned()))).collect();
    // A producer that was dropped reads no reports.
    drop(batch.line.reports.send(reports));
}

/// Hands batches to the commit thread.
pub(super) struct SqliteProducer {
    shared: Arc<Shared>,
    line: Arc<Line>,
    reports: Receiver<Vec<Report>>,
}

impl SqliteProducer {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let (sender, reports) = mpsc::channel();
        Self { shared, line: Arc::new(Line { over: AtomicBool::new(false), reports: sender }), reports }
    }
}

impl Drop for SqliteProducer {
    fn drop(&mut self) {
        self.line.over.store(true, Ordering::Release);
    }
}

impl Producer for SqliteProducer {
    fn send(&mut self, batch: Vec<Record>) -> Result<(), LogError> {
        let refuse = |reason: String| Err(LogError::Store(reason));
        if self.line.over.load(Ordering::Acquire) {
            return refuse("an earlier batch of the producer failed".into());
        }
        if let Some(record) = batch.iter().find(|record| record.header.slice >= self.shared.state.slices.count) {
            return refuse(format!("the ledger has no slice {}", record.header.slice));
        }
        let bytes = batch.iter().map(|record| FRAME + record.body.len()).sum();
        if bytes > BATCH_BYTES {
            return refuse(format!("a batch of {bytes} bytes is more than the {BATCH_BYTES} that a commit may hold"));
        }
        if batch.is_empty() {
            return Ok(());
        }
        let batches = self.shared.commits.as_ref().and_then(|commits| commits.batches.as_ref());
        let sent = batches.map(|batches| batches.send(Batch { line: Arc::clone(&self.line), records: batch, bytes }));
        if let Some(Ok(())) = sent { Ok(()) } else { refuse("the ledger's commit thread has ended".into()) }
    }

    fn reports(&mut self, wait: Duration) -> Vec<Report> {
        let mut reports = match self.reports.recv_timeout(wait) {
            Ok(reports) => reports,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Vec::new(),
        };
        self.reports.try_iter().for_each(|more| reports.extend(more));
        reports
    }
}

/// Creates the tables and the first segment, in one transaction.
///
/// # Errors
/// `LogError::Store`.
pub(super) fn create(file: &Path, first: &Record) -> Result<(), LogError> {
    let mut bytes = Vec::new();
    frame(first, &mut bytes);
    let entries: Vec<_> = Segment::parse(1, Bytes::from(bytes.clone()), 1)?.entries().collect();
    Link::open(file, Access::Create)?.run(|connection| {
        let transaction = connection.transaction()?;
        for table in super::TABLES {
            transaction.execute(table, [])?;
        }
        transaction.execute("INSERT INTO meta (key, value) VALUES ('layout', ?)", [super::LAYOUT])?;
        transaction.execute("INSERT INTO segment (id, bytes) VALUES (1, ?)", [bytes])?;
        transaction.execute("INSERT INTO segment_index (id, entries) VALUES (1, ?)", [index::encode(&entries)])?;
        transaction.commit()
    })
}
