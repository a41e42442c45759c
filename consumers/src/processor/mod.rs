//! The command processor: one writer a slice, state in memory, decisions appended in batches.

mod aggregate;
mod asked;
mod command_place;
mod deadlines;
mod decide;
mod digest;
mod guarded;
mod key_window;
mod places;
mod recover;
mod references;
mod slice;
mod sliced;
mod snapshot;
#[cfg(feature = "postgres")]
mod snapshot_postgres;
mod snapshot_store;
mod unit_of_work;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use parking_lot::RwLock;
use pledger_domain::values::Timestamp;
use pledger_ledger::{
    commands::{Answer, CommandEnvelope, Decided, Undecided},
    directory::Directory,
    log::{Log, LogError, Producer, Report},
    record::{Body, FORMAT, Outcome, Record, TermOpened},
    slices::{Position, SliceId},
};

pub(crate) use asked::{Asked, rules_before_any};
use deadlines::Deadlines;
pub(crate) use guarded::panic_text;
pub use key_window::KeyLimits;
pub(crate) use key_window::{KeyUse, KeyWindow, ScopedKey};
pub(crate) use places::Places;
pub(crate) use recover::{Said, intact, uses_key};
use references::References;
use slice::{AskedHere, InFlight, InFlightDecision, Slice};
pub(crate) use slice::{BEFORE_ALL, Standing, Streams};
pub use snapshot::{SnapshotError, UnfitSnapshot, missing_end};
#[cfg(feature = "postgres")]
pub use snapshot_postgres::PostgresSnapshots;
pub use snapshot_store::{DIRECTORY, FileSnapshots, MemorySnapshots, SnapshotStore};

/// How long a command waits for the reference facts that it names in `after`.
const FACTS_WAIT_MS: i64 = 2_000;

/// Who waits for an answer: the place of a command in what was submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiter {
    /// The submission.
    pub submission: u64,
    /// The command in it.
    pub index: usize,
}

/// Where a command came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// From somebody here, who waits for the answer.
    Here(Waiter),
    /// From this offset of the commands topic. Whoever waits, waits for the record.
    Topic(u64),
}

/// A command that waits for facts, and with it those behind it in its slice.
struct Parked {
    envelope: CommandEnvelope,
    asker: Asker,
    until: Timestamp,
}

/// Decides the commands of the slices that it writes, one after the other, and appends the decisions in batches. On one
/// machine these are all slices of the ledger.
///
/// It has no thread and no clock: its driver offers commands, flushes, and settles what the log reports.
pub struct Processor {
    log: Arc<dyn Log>,
    producer: Option<Box<dyn Producer>>,
    slices: Vec<Slice>,
    /// Of each slice, whether it is written here.
    owned: Vec<bool>,
    parked: Vec<VecDeque<Parked>>,
    references: Arc<RwLock<References>>,
    directory: Arc<RwLock<Directory>>,
    /// Whether commands come from the commands topic.
    from_topic: bool,
    /// Whether the directory is kept here, and not by somebody who follows all of the ledger.
    keeps_directory: bool,
    deadlines: Deadlines,
    limits: KeyLimits,
    /// Names this writer in the terms that it opens.
    writer_id: String,
    /// Framed, not sent.
    batch: Vec<Record>,
    /// Where a body is written before its length is known.
    body: Vec<u8>,
    /// Of each batch that was sent, how many records are not reported yet.
    unreported: VecDeque<usize>,
    /// Answers that are due.
    answers: Vec<(Waiter, Decided)>,
    /// How many decisions of this writer the log reported as durable.
    acknowledged: u64,
    /// How often `recover` had to.
    recoveries: u64,
    /// How many decisions failed.
    failed: u64,
    /// Why nothing is written, where that is so: the ledger is damaged, or its end is missing.
    damage: Option<String>,
    /// Of each slice, the records that the snapshot it was restored from holds.
    from_snapshots: Vec<u64>,
    /// The same of the directory.
    directory_from_snapshot: u64,
}

impl Processor {
    /// Offers a command: it is decided now, or waits for facts. Its answer comes out of `take_answers`, after its
    /// decision is durable.
    pub fn offer(&mut self, envelope: CommandEnvelope, waiter: Waiter, now: Timestamp) {
        let slice = self.log.slices().of(&envelope.stream);
        self.take(slice, envelope, Asker::Here(waiter), now);
    }

    fn take(&mut self, slice: SliceId, envelope: CommandEnvelope, asker: Asker, now: Timestamp) {
        let parked = &mut self.parked[usize::from(slice)];
        if !parked.is_empty() || !self.references.read().has_seen(&envelope.after) {
            let until = now.plus_micros(FACTS_WAIT_MS * 1_000);
            parked.push_back(Parked { envelope, asker, until });
        } else {
            self.decide(slice, envelope, asker, now, false);
        }
    }

    /// Decides the commands whose facts have come, and refuses those that waited too long.
    pub fn unpark(&mut self, now: Timestamp) {
        for slice in 0..self.parked.len() {
            while let Some(first) = self.parked[slice].front() {
                let seen = self.references.read().has_seen(&first.envelope.after);
                if !seen && first.until > now {
                    break;
                }
                let Some(Parked { envelope, asker, .. }) = self.parked[slice].pop_front() else { break };
                let id = self.slices[slice].id;
                self.decide(id, envelope, asker, now, !seen);
            }
        }
    }

    /// Sends what was decided since the last flush, as one batch.
    pub fn flush(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let batch = std::mem::take(&mut self.batch);
        let count = batch.len();
        let sent = match self.producer.as_mut() {
            Some(producer) => producer.send(batch),
            None => Err(LogError::Store("there is no producer".into())),
        };
        match sent {
            Ok(()) => self.unreported.push_back(count),
            Err(error) => self.recover(&error.to_string()),
        }
    }

    /// Takes in what the log reports within `wait`, and acknowledges.
    pub fn settle(&mut self, wait: Duration) {
        let reports = match self.producer.as_mut() {
            Some(producer) if !self.unreported.is_empty() => producer.reports(wait),
            _ => return,
        };
        for report in reports {
            if let Some(count) = self.unreported.front_mut() {
                *count -= 1;
                if *count == 0 {
                    self.unreported.pop_front();
                }
            }
            if let Err(reason) = self.take_report(&report) {
                self.recover(&reason);
                return;
            }
        }
    }

    /// Waits no longer for what the log does not report: the term is over, and the ledger is read again.
    pub fn give_up(&mut self, reason: &str) {
        if !self.unreported.is_empty() {
            self.recover(reason);
        }
    }

    fn take_report(&mut self, report: &Report) -> Result<(), String> {
        let slice = &mut self.slices[usize::from(report.slice)];
        let Some(pending) = slice.pending(report.pseq) else {
            return Err(format!("a report of the unknown record {}:{}", report.slice, report.pseq));
        };
        let hash = pending.hash;
        slice.writer.report(report, hash).map_err(|lost| lost.to_string())?;
        if let Ok(offset) = report.outcome
            && slice.writer.settled().next_pseq == report.pseq + 1
        {
            slice.places.note(report.pseq, offset);
        }
        while slice.in_flight.front().is_some_and(|first| first.pseq < slice.writer.settled().next_pseq) {
            if let Some(settled) = slice.in_flight.pop_front() {
                slice.place.settle(settled.next_command);
                self.acknowledged += u64::from(settled.decided.is_some());
                let directory = self.keeps_directory.then_some(&*self.directory);
                acknowledge(&mut self.answers, &mut self.references.write(), directory, report.slice, settled);
            }
        }
        Ok(())
    }

    /// The answers that came due since the last call.
    pub fn take_answers(&mut self) -> Vec<(Waiter, Decided)> {
        std::mem::take(&mut self.answers)
    }

    /// How many batches are on their way to the log.
    #[must_use]
    pub fn batches_in_flight(&self) -> usize {
        self.unreported.len()
    }

    /// How many records are in them that the log has not reported.
    #[must_use]
    pub fn records_in_flight(&self) -> usize {
        self.unreported.iter().sum()
    }

    /// Whether any command waits for facts.
    #[must_use]
    pub fn has_parked(&self) -> bool {
        self.parked.iter().any(|parked| !parked.is_empty())
    }

    /// How many commands wait for facts.
    #[must_use]
    pub fn parked(&self) -> usize {
        self.parked.iter().map(VecDeque::len).sum()
    }

    /// How many decisions this writer has had acknowledged.
    #[must_use]
    pub const fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// How often the terms were lost and the ledger was read again.
    #[must_use]
    pub const fn recoveries(&self) -> u64 {
        self.recoveries
    }

    /// How many decisions failed by a fault of the program, and were recorded as refusals.
    #[must_use]
    pub const fn failed_decisions(&self) -> u64 {
        self.failed
    }

    /// Refuses commands from here on: the ledger was found damaged.
    pub fn refuse_writes(&mut self, reason: String) {
        self.damage.get_or_insert(reason);
    }

    /// Why commands are refused, where they are.
    #[must_use]
    pub fn damage(&self) -> Option<&str> {
        self.damage.as_deref()
    }

    /// The directory that this processor keeps: it knows an id before the answer that introduced it goes out.
    #[must_use]
    pub fn directory(&self) -> Arc<RwLock<Directory>> {
        Arc::clone(&self.directory)
    }

    /// The highest acknowledged position of every reference slice that has one.
    #[must_use]
    pub fn reference_positions(&self) -> Vec<Position> {
        self.references.read().positions()
    }

    /// Opens a term in the slice: right after reading to the end, with nothing of ours in flight.
    fn open_term(&mut self, slice: SliceId, now: Timestamp) -> Result<(), LogError> {
        if self.producer.is_none() {
            self.producer = Some(self.log.producer()?);
        }
        // Not the log's end, which may have moved meanwhile: what was not read must not count as read.
        let end = self.slices[usize::from(slice)].writer.settled().next_offset;
        let next_command = self.from_topic.then_some(self.slices[usize::from(slice)].place.next);
        let opened = TermOpened { v: FORMAT, opened_at: now, writer: self.writer_id.clone(), next_command };
        let body = Body::TermOpened(opened).encode().map_err(|error| LogError::Store(error.to_string()))?;
        let record = self.slices[usize::from(slice)].writer.open(end, body);
        self.send_later(record, next_command, None);
        Ok(())
    }

    /// Keeps a framed record for the next batch.
    fn send_later(&mut self, record: Record, next_command: Option<u64>, decided: Option<Box<InFlightDecision>>) {
        let slice = &mut self.slices[usize::from(record.header.slice)];
        slice.in_flight.push_back(InFlight { pseq: record.header.pseq, hash: record.header.hash, next_command, decided });
        self.batch.push(record);
    }
}

/// Tells everybody who waits for the record, after the reference facts and the directory have seen it.
fn acknowledge(
    answers: &mut Vec<(Waiter, Decided)>,
    references: &mut References,
    directory: Option<&RwLock<Directory>>,
    slice: SliceId,
    settled: InFlight,
) {
    let position = Position { slice, pseq: settled.pseq };
    if let Some(decided) = settled.decided {
        let InFlightDecision { stream, version, effective_at, outcome, asked } = *decided;
        if let (Some(directory), Some(asked)) = (directory, &asked) {
            directory.write().take_in(&asked.envelope, &outcome);
        }
        if let Outcome::Accepted(events) = &outcome
            && stream.kind().is_reference()
        {
            references.apply(&stream, version, events, effective_at);
        }
        if let Some(asked) = asked {
            let AskedHere { answer, waiter, repeated, reused, .. } = *asked;
            let again = repeated.into_iter().map(|waiter| (waiter, Ok(Answer { replayed: true, ..answer.clone() })));
            answers.extend(again);
            answers.push((waiter, Ok(answer)));
            answers.extend(reused.into_iter().map(|waiter| (waiter, Err(Undecided::KeyReused { first: position }))));
        }
    }
    references.advance(position);
}

/// What those are told who wait for a decision that may or may not have become durable.
fn unknown(answers: &mut Vec<(Waiter, Decided)>, asked: AskedHere, reason: &str) {
    let waiting = std::iter::once(asked.waiter).chain(asked.repeated).chain(asked.reused);
    answers.extend(waiting.map(|waiter| (waiter, Err(Undecided::Unknown(reason.to_owned())))));
}
