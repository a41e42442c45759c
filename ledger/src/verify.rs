//! Verifying a ledger: every hash, every link, and what records promise of one another.
//!
//! What is checked of every record: its hash is that of its content. Of every valid one besides:
//! - its body can be read, and only the first of slice 0 is `LedgerCreated`, whose slices are those of the log;
//! - a term begins with its one `TermOpened`, and no `TermOpened` follows a record that is not there;
//! - its stream belongs to its slice, and the stream's version is dense: it counts the accepted decisions, so that an
//!   accepted one raises it by one, whatever the number of its events, and a refusal leaves it;
//! - it was not recorded before its predecessor in the slice.
//!
//! A chain cannot show that its end was cut off: compare the heads with ones that were kept elsewhere.

use std::{
    collections::HashMap,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
};

use compact_str::CompactString;
use pledger_domain::values::Timestamp;

use crate::{
    chain::{ChainHead, Verdict},
    log::{Log, LogError, Placed, UpTo},
    record::{Body, Decision, Record},
    slices::{Position, SliceId, Slices},
};

/// How many records are read at once.
const READ: usize = 4096;
/// How many such runs wait for a checking thread.
const QUEUE: usize = 4;
/// The most threads that check.
const MAX_THREADS: usize = 8;

/// A ledger that is what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// How many valid records were checked.
    pub records: u64,
    /// How many void ones: late writes of deposed writers and the like, kept as evidence.
    pub void: u64,
    /// How many of these follow the last valid record of their slice. A writer that died leaves some until the next one
    /// takes over; more, in a ledger that was closed properly, are a sign that a record before them was cut out.
    pub dangling: u64,
    /// The end of the chain of every slice; what was not asked for stands where it began.
    pub heads: Vec<ChainHead>,
}

/// Why a ledger could not be verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It is not what it says.
    #[error("the ledger is broken at {position}: {reason}")]
    Broken {
        /// The first bad place, in the log's order.
        position: Position,
        /// What is wrong there.
        reason: String,
    },
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(LogError),
}

impl From<LogError> for VerifyError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Damaged { position, reason } => Self::Broken { position, reason },
            LogError::Store(_) | LogError::Locked(_) | LogError::ReadOnly(_) | LogError::Unfit(_) | LogError::Absent(_) => {
                Self::Unreadable(error)
            }
        }
    }
}

/// Verifies the whole of a ledger, or of some of its slices, up to the ends that it has now. `progress` is told how
/// many records were read.
///
/// # Errors
/// `VerifyError` with the first bad place.
pub fn verify(log: &dyn Log, slices: Option<&[SliceId]>, progress: &mut dyn FnMut(u64)) -> Result<Verified, VerifyError> {
    let heads = vec![ChainHead::default(); usize::from(log.slices().count)];
    run(log, &heads, slices, progress)
}

/// Verifies what follows `heads`, one a slice, which a snapshot kept: first that each is still there.
///
/// The version of a stream is taken as found where it is met first.
///
/// # Errors
/// `VerifyError` with the first bad place.
pub fn verify_from(log: &dyn Log, heads: &[ChainHead], progress: &mut dyn FnMut(u64)) -> Result<Verified, VerifyError> {
    run(log, heads, None, progress)
}

fn run(log: &dyn Log, heads: &[ChainHead], only: Option<&[SliceId]>, progress: &mut dyn FnMut(u64)) -> Result<Verified, VerifyError> {
    let slices = log.slices();
    let wanted = |slice: SliceId| only.is_none_or(|only| only.contains(&slice));
    let checks = slices.all().map(|slice| {
        let head = heads.get(usize::from(slice)).copied().unwrap_or_default();
        SliceCheck::new(slice, slices, head)
    });
    let checks: Vec<SliceCheck> = checks.collect();
    let (mut from, mut ends) = (Vec::new(), Vec::new());
    for check in &checks {
        let end = log.end(check.slice)?;
        // What is not asked for is passed over by the log itself.
        from.push(if wanted(check.slice) { check.begins_at().min(end) } else { end });
        ends.push(end);
        if wanted(check.slice) && end < check.head.next_offset {
            return Err(check.broken(check.head.next_pseq.saturating_sub(1), "the slice ends before the head that was kept"));
        }
    }
    let (checked, read) = check_in_parallel(log, checks, &from, &ends, progress);
    let mut verified = Verified { records: 0, void: 0, dangling: 0, heads: Vec::new() };
    let mut first: Option<(u64, VerifyError)> = None;
    for mut check in checked {
        if let Some((order, error)) = check.found.take()
            && first.as_ref().is_none_or(|(earliest, _)| order < *earliest)
        {
            first = Some((order, error));
        }
        verified.records += check.records;
        verified.void += check.void;
        verified.dangling += check.dangling;
        verified.heads.push(check.head);
    }
    match first {
        Some((_, error)) => Err(error),
        None => read.map(|()| verified),
    }
}

/// Records with their place in the order of reading.
type Run = Vec<(u64, Placed)>;

/// Reads on this thread and checks on others; answers the checks in the order of their slices.
fn check_in_parallel(
    log: &dyn Log,
    checks: Vec<SliceCheck>,
    from: &[u64],
    ends: &[u64],
    progress: &mut dyn FnMut(u64),
) -> (Vec<SliceCheck>, Result<(), VerifyError>) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
    let mut shares: Vec<Vec<SliceCheck>> = (0..threads).map(|_| Vec::new()).collect();
    checks.into_iter().for_each(|check| shares[usize::from(check.slice) % threads].push(check));
    std::thread::scope(|scope| {
        let start = |share| {
            let (runs, queue) = sync_channel(QUEUE);
            (runs, scope.spawn(move || check_runs(log, share, threads, &queue)))
        };
        let (queues, workers): (Vec<_>, Vec<_>) = shares.into_iter().map(start).unzip();
        let read = read_runs(log, from, ends, &queues, progress);
        drop(queues);
        let shares = workers.into_iter().map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        let mut checked: Vec<SliceCheck> = shares.flatten().collect();
        checked.sort_by_key(|check| check.slice);
        (checked, read)
    })
}

fn read_runs(
    log: &dyn Log,
    from: &[u64],
    ends: &[u64],
    queues: &[SyncSender<Run>],
    progress: &mut dyn FnMut(u64),
) -> Result<(), VerifyError> {
    let (mut up_to, mut read) = (UpTo::ends(log, from, ends.to_vec())?, 0);
    loop {
        let placed = up_to.next(READ)?;
        if placed.is_empty() {
            return Ok(());
        }
        let mut runs: Vec<Run> = vec![Vec::new(); queues.len()];
        for placed in placed {
            runs[usize::from(placed.record.header.slice) % queues.len()].push((read, placed));
            read += 1;
        }
        progress(read);
        let ended = runs.into_iter().zip(queues).any(|(run, queue)| queue.send(run).is_err());
        if ended {
            // A worker that has found something reads no further.
            return Ok(());
        }
    }
}

fn check_runs(log: &dyn Log, mut share: Vec<SliceCheck>, threads: usize, queue: &Receiver<Run>) -> Vec<SliceCheck> {
    while let Ok(run) = queue.recv() {
        for (order, placed) in run {
            let check = &mut share[usize::from(placed.record.header.slice) / threads];
            let checked = check.check(&placed);
            let checked = checked.and_then(|()| if log.is_found_by_its_stream(&placed) { Ok(()) } else { Err(check.lost(&placed)) });
            if let Err(error) = checked {
                check.found = Some((order, error));
                return share;
            }
        }
    }
    share
}

/// What is known of a slice while it is checked.
struct SliceCheck {
    slice: SliceId,
    slices: Slices,
    head: ChainHead,
    /// The head was kept by a snapshot, and its record has not been seen yet.
    kept: bool,
    /// Versions are known from the beginning.
    whole: bool,
    versions: HashMap<CompactString, u64>,
    recorded_at: Option<Timestamp>,
    records: u64,
    void: u64,
    dangling: u64,
    /// The first bad place, and where in the order of reading.
    found: Option<(u64, VerifyError)>,
}

impl SliceCheck {
    fn new(slice: SliceId, slices: Slices, head: ChainHead) -> Self {
        let whole = head.next_pseq == 0;
        Self {
            slice,
            slices,
            head,
            kept: !whole,
            whole,
            versions: HashMap::new(),
            recorded_at: None,
            records: 0,
            void: 0,
            dangling: 0,
            found: None,
        }
    }

    /// The offset of the first record to look at: that of a kept head is looked at too.
    fn begins_at(&self) -> u64 {
        if self.kept { self.head.next_offset.saturating_sub(1) } else { 0 }
    }

    fn broken(&self, pseq: u64, reason: impl Into<String>) -> VerifyError {
        VerifyError::Broken { position: Position { slice: self.slice, pseq }, reason: reason.into() }
    }

    /// The record is what was hashed, and whoever asks for its stream does not find it.
    fn lost(&self, placed: &Placed) -> VerifyError {
        let reason = "the record is what was hashed, and the ledger's index does not lead from its stream to it; the index is made anew at \
                      the next start where nothing is left of it: while no pledger runs, DELETE FROM segment_index in ledger.db";
        self.broken(placed.record.header.pseq, reason)
    }

    fn check(&mut self, placed: &Placed) -> Result<(), VerifyError> {
        let Placed { offset, record } = placed;
        let pseq = record.header.pseq;
        if !record.is_intact() {
            return Err(self.broken(pseq, format!("the record at offset {offset} is not what was hashed")));
        }
        if self.kept {
            return self.check_kept(*offset, record);
        }
        let before = self.head;
        match self.head.accept(*offset, record) {
            Verdict::Valid => {
                self.records += 1;
                self.dangling = 0;
                let body = Body::decode(&record.body).map_err(|error| self.broken(pseq, error.to_string()))?;
                self.check_valid(&before, record, &body)
            }
            Verdict::Void(_) => {
                self.void += 1;
                self.dangling += 1;
                self.check_void(&before, record)
            }
        }
    }

    /// The record of a kept head: still there, and the same.
    fn check_kept(&mut self, offset: u64, record: &Record) -> Result<(), VerifyError> {
        let head = self.head;
        if offset + 1 != head.next_offset || record.header.pseq + 1 != head.next_pseq || record.header.hash != head.hash {
            return Err(self.broken(record.header.pseq, "the record at the head that was kept is another one"));
        }
        let body = Body::decode(&record.body).map_err(|error| self.broken(record.header.pseq, error.to_string()))?;
        self.recorded_at = recorded_at(&body);
        self.kept = false;
        Ok(())
    }

    /// A writer opens a term after it has read the slice to its end, so what it follows stands before it.
    fn check_void(&self, head: &ChainHead, record: &Record) -> Result<(), VerifyError> {
        let pseq = record.header.pseq;
        if pseq > head.next_pseq && record.header.term > head.term && matches!(Body::decode(&record.body), Ok(Body::TermOpened(_))) {
            return Err(self.broken(head.next_pseq, format!("records are missing: a term was opened at {pseq}")));
        }
        Ok(())
    }

    fn check_valid(&mut self, before: &ChainHead, record: &Record, body: &Body<'_>) -> Result<(), VerifyError> {
        let (pseq, term) = (record.header.pseq, record.header.term);
        let opens = matches!(body, Body::TermOpened(_));
        if opens != (term > before.term) {
            let what = if opens { "a term was opened twice" } else { "a term began without being opened" };
            return Err(self.broken(pseq, what));
        }
        let first = self.slice == 0 && pseq == 0;
        match body {
            Body::LedgerCreated(created) if first && created.slices == self.slices => {}
            Body::LedgerCreated(created) if first => {
                let reason = format!("the ledger was created with {} slices, not {}", created.slices.count, self.slices.count);
                return Err(self.broken(pseq, reason));
            }
            Body::LedgerCreated(_) => return Err(self.broken(pseq, "the ledger was created before")),
            Body::TermOpened(_) | Body::Progress(_) | Body::Decision(_) if first => {
                return Err(self.broken(pseq, "the ledger does not begin with what it is"));
            }
            Body::TermOpened(_) | Body::Progress(_) => {}
            Body::Decision(decision) => self.check_decision(pseq, decision)?,
        }
        if let Some(at) = recorded_at(body) {
            if self.recorded_at.is_some_and(|last| at < last) {
                return Err(self.broken(pseq, "it was recorded before its predecessor"));
            }
            self.recorded_at = Some(at);
        }
        Ok(())
    }

    fn check_decision(&mut self, pseq: u64, decision: &Decision<'_>) -> Result<(), VerifyError> {
        let stream = &decision.stream;
        let home = self.slices.of(stream);
        if home != self.slice {
            return Err(self.broken(pseq, format!("{stream} belongs to slice {home}")));
        }
        let raised = u64::from(decision.is_accepted());
        let known = self.versions.get(stream.as_str()).copied().or(self.whole.then_some(0));
        if let Some(known) = known
            && decision.version != known + raised
        {
            let reason = format!("{stream} is at version {known}, and this leaves it at {}", decision.version);
            return Err(self.broken(pseq, reason));
        }
        self.versions.insert(stream.as_str().into(), decision.version);
        Ok(())
    }
}

/// When a record was written, where its time is the slice's; a `TermOpened` has its writer's.
fn recorded_at(body: &Body<'_>) -> Option<Timestamp> {
    match body {
        Body::Decision(decision) => Some(decision.recorded_at),
        Body::Progress(progress) => Some(progress.recorded_at),
        Body::LedgerCreated(_) | Body::TermOpened(_) => None,
    }
}
