//! Coming back: from the ledger at a start, and from the ledger again after a failed append.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use parking_lot::RwLock;
use pledger_domain::{stream::StreamName, values::Timestamp};
use pledger_ledger::{
    chain::{ChainHead, Verdict},
    log::{Log, LogError, Placed},
    record::{Body, Decision, Outcome, Record},
    slices::{Position, SliceId},
};

use super::{
    InFlight, KeyLimits, Processor, acknowledge,
    deadlines::Deadlines,
    key_window::{KeyUse, ScopedKey},
    references::References,
    slice::Slice,
    snapshot::SnapshotStore,
    unknown,
};

/// How many records are read at once.
const READ_RECORDS: usize = 4_096;

impl Processor {
    /// Restores the state of every slice from its snapshot and the ledger after it, checking the hash of every record
    /// that is read.
    ///
    /// # Errors
    /// `LogError::Damaged` with the first bad position, or the log's own.
    pub fn restore(log: Arc<dyn Log>, snapshots: &dyn SnapshotStore, limits: KeyLimits, writer_id: String) -> Result<Self, LogError> {
        let shape = log.slices();
        let mut processor = Self {
            producer: None,
            slices: shape.all().map(Slice::new).collect(),
            parked: shape.all().map(|_| VecDeque::new()).collect(),
            references: Arc::new(RwLock::new(References::new(shape))),
            directory: Arc::default(),
            deadlines: Deadlines::default(),
            limits,
            writer_id,
            batch: Vec::new(),
            unreported: VecDeque::new(),
            answers: Vec::new(),
            damage: None,
            log,
        };
        processor.load_snapshots(snapshots)?;
        let offsets: Vec<u64> = processor.slices.iter().map(|slice| slice.writer.settled().next_offset).collect();
        let mut tail = processor.log.tail(&offsets)?;
        loop {
            let placed = tail.next(READ_RECORDS, Duration::ZERO)?;
            if placed.is_empty() {
                break;
            }
            for record in placed {
                processor.replay(&record)?;
            }
        }
        let Self { slices, deadlines, .. } = &mut processor;
        slices.iter().for_each(|slice| slice.streams.for_each_due(|due, stream| deadlines.push(due, stream.clone())));
        Ok(processor)
    }

    /// Reads the slice to its end: what another writer left there is taken in.
    pub(super) fn read_to_end(&mut self, slice: SliceId) -> Result<(), LogError> {
        loop {
            let from = self.slices[usize::from(slice)].writer.settled().next_offset;
            let placed = self.log.read(slice, from, READ_RECORDS)?;
            let Some(last) = placed.last().map(|placed| placed.offset) else { return Ok(()) };
            for record in &placed {
                self.replay(record)?;
            }
            let state = &mut self.slices[usize::from(slice)];
            // Void records at the end are behind us too.
            let head = state.writer.settled();
            state.writer.resume(ChainHead { next_offset: last + 1, ..head });
        }
    }

    /// Takes in one record that was read, where it is valid.
    fn replay(&mut self, placed: &Placed) -> Result<(), LogError> {
        let Placed { offset, record } = placed;
        let state = &mut self.slices[usize::from(record.header.slice)];
        let mut head = state.writer.settled();
        if let Verdict::Void(reason) = head.accept(*offset, record) {
            tracing::warn!(position = %record.position(), offset, ?reason, "a void record was skipped");
            return Ok(());
        }
        let decision = read_intact(record)?;
        state.writer.resume(head);
        if let Some(decision) = &decision {
            self.directory.write().apply(decision);
            take_in(state, decision, record.header.pseq, self.limits);
        }
        let mut references = self.references.write();
        if let Some(Decision { stream, version, outcome: Outcome::Accepted(events), effective_at, .. }) = &decision {
            references.apply(stream, *version, events, *effective_at);
        }
        references.advance(record.position());
        Ok(())
    }

    /// After a doubtful report: ends every term, drops the producer, reads what became durable, acknowledges that,
    /// and forgets whatever else the lost batches had touched.
    pub(super) fn recover(&mut self, reason: &str) {
        tracing::warn!(reason, "an append failed; reading the ledger again");
        self.producer = None;
        self.batch.clear();
        self.unreported.clear();
        for slice in 0..self.slices.len() {
            let lost = std::mem::take(&mut self.slices[slice].in_flight);
            self.slices[slice].writer.close();
            if !lost.is_empty() {
                self.recover_slice(slice, lost, reason);
            }
        }
    }

    fn recover_slice(&mut self, slice: usize, mut lost: VecDeque<InFlight>, reason: &str) {
        let id = self.slices[slice].id;
        let from = self.slices[slice].writer.settled();
        for stream in lost.iter().filter_map(|record| record.decided.as_ref().map(|decided| &decided.stream)) {
            self.slices[slice].streams.forget(stream);
        }
        self.slices[slice].keys.forget_from(from.next_pseq);
        let mut head = from;
        while let Ok(placed) = self.log.read(id, head.next_offset, READ_RECORDS) {
            let Some(last) = placed.last().map(|placed| placed.offset) else { break };
            for Placed { offset, record } in placed {
                if head.accept(offset, &record) != Verdict::Valid {
                    continue;
                }
                self.settle_reread(slice, &record, &mut lost);
            }
            head.next_offset = last + 1;
        }
        self.slices[slice].writer.resume(head);
        for record in lost {
            if let Some(decided) = record.decided {
                unknown(&mut self.answers, decided.waiters, reason);
            }
        }
    }

    /// A record that the re-read shows valid: ours is acknowledged, anyone's is taken in.
    fn settle_reread(&mut self, slice: usize, record: &Record, lost: &mut VecDeque<InFlight>) {
        let decision = read_intact(record).ok().flatten();
        if let Some(decision) = &decision {
            self.directory.write().apply(decision);
            let state = &mut self.slices[slice];
            state.streams.forget(&decision.stream);
            remember_key(state, decision, record.header.pseq, self.limits);
        }
        let mut references = self.references.write();
        if lost.front().is_some_and(|first| first.hash == record.header.hash)
            && let Some(settled) = lost.pop_front()
        {
            acknowledge(&mut self.answers, &mut references, record.header.slice, settled);
            return;
        }
        if let Some(Decision { stream, version, outcome: Outcome::Accepted(events), effective_at, .. }) = &decision {
            references.apply(stream, *version, events, *effective_at);
        }
        references.advance(record.position());
    }

    /// Folds the slice's forgotten aggregates again, where `stream` is one of them.
    pub(super) fn refold_if_stale(&mut self, slice: SliceId, stream: &StreamName) -> Result<(), LogError> {
        if !self.slices[usize::from(slice)].streams.is_stale(stream) {
            return Ok(());
        }
        let state = &self.slices[usize::from(slice)];
        state.streams.renew(stream);
        let end = state.writer.settled().next_pseq;
        let mut head = ChainHead::default();
        loop {
            let placed = self.log.read(slice, head.next_offset, READ_RECORDS)?;
            let Some(last) = placed.last().map(|placed| placed.offset) else { return Ok(()) };
            for Placed { offset, record } in placed {
                if head.accept(offset, &record) != Verdict::Valid || record.header.pseq >= end {
                    continue;
                }
                if let Some(decision) = read_intact(&record)?
                    && decision.stream == *stream
                    && let Outcome::Accepted(events) = &decision.outcome
                {
                    state.streams.evolve(stream, decision.version, events, decision.effective_at);
                }
            }
            head.next_offset = last + 1;
        }
    }

    /// The durable record at `position`.
    pub(super) fn find(&self, position: Position) -> Result<Record, LogError> {
        // Void records may lie before it, never fewer than its sequence.
        let mut offset = position.pseq;
        loop {
            let placed = self.log.read(position.slice, offset, READ_RECORDS.min(64))?;
            let Some(last) = placed.last() else {
                return Err(LogError::Damaged { position, reason: "there is no such record".into() });
            };
            offset = last.offset + 1;
            let found = placed.into_iter().find(|placed| placed.record.header.pseq == position.pseq);
            if let Some(placed) = found {
                return Ok(placed.record);
            }
        }
    }
}

/// The decision in a record, where it is one; its hash is checked.
fn read_intact(record: &Record) -> Result<Option<Decision<'_>>, LogError> {
    let damaged = |reason: String| LogError::Damaged { position: record.position(), reason };
    if !record.is_intact() {
        return Err(damaged("the record does not have its hash".into()));
    }
    match Body::decode(&record.body).map_err(|error| damaged(error.to_string()))? {
        Body::Decision(decision) => Ok(Some(*decision)),
        Body::LedgerCreated(_) | Body::TermOpened(_) | Body::Progress(_) => Ok(None),
    }
}

/// Brings the slice's state past a recorded decision.
fn take_in(state: &mut Slice, decision: &Decision<'_>, pseq: u64, limits: KeyLimits) {
    state.last_recorded_at = state.last_recorded_at.max(decision.recorded_at);
    if let Outcome::Accepted(events) = &decision.outcome {
        state.streams.evolve(&decision.stream, decision.version, events, decision.effective_at);
    }
    remember_key(state, decision, pseq, limits);
}

fn remember_key(state: &mut Slice, decision: &Decision<'_>, pseq: u64, limits: KeyLimits) {
    if matches!(&decision.outcome, Outcome::Rejected(rejection) if rejection.may_pass_later()) {
        return;
    }
    let command = &decision.command;
    let Ok(input) = u128::from_str_radix(&command.input, 16) else { return };
    let key = ScopedKey::new(&command.sender, &decision.stream, &command.id);
    let ages = !command.sender.starts_with("import:");
    state.keys.insert(key, KeyUse { pseq, input }, decision.recorded_at, ages, limits);
}

/// The earliest time there is: before any record.
pub(super) const BEFORE_ALL: Timestamp = Timestamp::from_micros(i64::MIN);
