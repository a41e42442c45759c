//! The reader: the ledger's records, in the log's order, to the workers of their slices.

use std::{
    mem,
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{SendError, SyncSender},
    },
    thread,
    time::Duration,
};

use pledger_ledger::log::{LogError, Placed, Tail};

use super::Shared;

/// How long one look at the log's end waits for more.
const LOOK: Duration = Duration::from_millis(5);
/// How long it waits before it looks again whether the gate is open.
const HELD: Duration = Duration::from_millis(2);
/// How long it waits before it tries a failed log again.
const RETRY: Duration = Duration::from_secs(1);

/// A worker's inbox.
pub(super) type Inbox = SyncSender<Vec<Placed>>;

pub(super) struct Reader {
    shared: Arc<Shared>,
    /// The offset of the next record of every slice.
    next: Vec<u64>,
    inboxes: Vec<Inbox>,
    tail: Box<dyn Tail>,
    /// Where the slices ended when the log was last asked.
    ends: Vec<u64>,
    /// Records that the gate holds back.
    back: Vec<Placed>,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>, next: Vec<u64>, inboxes: Vec<Inbox>) -> Result<Self, LogError> {
        let tail = shared.log.tail(&next)?;
        Ok(Self { shared, next, inboxes, tail, ends: Vec::new(), back: Vec::new() })
    }

    /// Reads until the engine stops. Workers end when their inboxes close.
    pub(super) fn run(mut self) {
        let mut wait = Duration::ZERO;
        while !self.shared.stopping() {
            let read = self.read(wait);
            // The end is noticed at once, and then waited at.
            wait = if read.as_ref().is_ok_and(|records| !records.is_empty()) { Duration::ZERO } else { LOOK };
            let told = match read {
                Ok(records) => self.route(records),
                Err(error) => {
                    self.recover(&error);
                    Ok(())
                }
            };
            if told.is_err() {
                *self.shared.reader_trouble.lock() = Some("a worker of the fold engine ended; restart pledger".to_owned());
                return;
            }
        }
    }

    /// The next records that may go on.
    fn read(&mut self, wait: Duration) -> Result<Vec<Placed>, LogError> {
        let mut records = mem::take(&mut self.back);
        if records.is_empty() {
            records = self.tail.next(self.shared.options.read_records, wait)?;
        }
        let (on, back) = self.shared.gate.admit(records, &self.next);
        self.back = back;
        if on.is_empty() && !self.back.is_empty() {
            thread::sleep(HELD);
        }
        Ok(on)
    }

    fn route(&mut self, records: Vec<Placed>) -> Result<(), SendError<Vec<Placed>>> {
        if records.is_empty() && self.shared.gate.is_shut() {
            return Ok(());
        }
        if records.is_empty() {
            // That nothing came says little where records come over a network.
            let is_end = self.shared.caught_up.load(Ordering::Acquire) || self.has_read_all();
            self.shared.at_end.store(is_end, Ordering::Release);
            self.shared.look_for_the_end();
            return Ok(());
        }
        let shared = &self.shared;
        shared.at_end.store(false, Ordering::Release);
        shared.routed.fetch_add(records.len() as u64, Ordering::AcqRel);
        let workers = self.inboxes.len();
        let mut batches: Vec<Vec<Placed>> = vec![Vec::with_capacity(records.len() / workers + 16); workers];
        for placed in records {
            let slice = usize::from(placed.record.header.slice);
            if let Some(next) = self.next.get_mut(slice) {
                *next = placed.offset + 1;
            }
            batches[slice % workers].push(placed);
        }
        for (batch, inbox) in batches.iter_mut().zip(&self.inboxes) {
            if !batch.is_empty() {
                inbox.send(mem::take(batch))?;
            }
        }
        Ok(())
    }

    /// Whether every slice was read to its end. The log is asked where that is only once everything was read that was there
    /// when it was last asked: over a network the question takes longer than reading what came meanwhile.
    fn has_read_all(&mut self) -> bool {
        let is_there = |ends: &[u64], next: &[u64]| ends.iter().zip(next).all(|(end, next)| next >= end);
        if !is_there(&self.ends, &self.next) {
            return false;
        }
        let log = &self.shared.log;
        let Ok(ends) = log.ends(&log.slices().all().collect::<Vec<_>>()) else { return false };
        self.ends = ends;
        is_there(&self.ends, &self.next)
    }

    fn recover(&mut self, error: &LogError) {
        let mut trouble = self.shared.reader_trouble.lock();
        if trouble.is_none() {
            tracing::error!(%error, "the fold engine cannot read the ledger");
        }
        *trouble = Some(error.to_string());
        drop(trouble);
        thread::sleep(RETRY);
        if let Ok(tail) = self.shared.log.tail(&self.next) {
            self.tail = tail;
            self.back.clear();
            *self.shared.reader_trouble.lock() = None;
        }
    }
}
