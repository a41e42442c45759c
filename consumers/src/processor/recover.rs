//! Coming back: from the ledger at a start, and from the ledger again after a failed append.

use std::{collections::VecDeque, sync::Arc};

use hashbrown::HashMap;
use parking_lot::RwLock;
use pledger_domain::{stream::StreamName, values::Timestamp};
use pledger_ledger::{
    chain::{ChainHead, Verdict},
    directory::Directory,
    log::{Log, LogError, Placed, UpTo},
    record::{Body, Decision, Outcome, Progress, Record, TermOpened},
    slices::{Position, SliceId},
    stream_of,
};

use super::{
    InFlight, KeyLimits, Processor, acknowledge,
    deadlines::Deadlines,
    key_window::{KeyUse, ScopedKey},
    references::References,
    slice::{BEFORE_ALL, Slice},
    snapshot_store::SnapshotStore,
    unknown,
};

/// How many records are read at once.
pub(super) const READ_RECORDS: usize = 4_096;

impl Processor {
    /// Restores the state of every slice from its snapshot and the ledger after it, checking the hash of every record
    /// that is read.
    ///
    /// Where snapshots of this ledger stand behind its end, an older copy of it was put back: its state is restored, and
    /// it takes no commands, which would be decided without what was acknowledged since.
    ///
    /// # Errors
    /// `LogError::Damaged` with the first bad position, or the log's own.
    pub fn restore(log: Arc<dyn Log>, snapshots: &dyn SnapshotStore, limits: KeyLimits, writer_id: String) -> Result<Self, LogError> {
        let mut processor = Self::new(log, limits, writer_id, Arc::default());
        let beyond = processor.load_snapshots(snapshots)?;
        let offsets: Vec<u64> = processor.slices.iter().map(|slice| slice.writer.settled().next_offset).collect();
        let mut up_to = UpTo::the_end(&*processor.log, &offsets)?;
        loop {
            let placed = up_to.next(READ_RECORDS)?;
            if placed.is_empty() {
                break;
            }
            for record in placed {
                processor.replay(&record)?;
            }
        }
        let Self { slices, deadlines, .. } = &mut processor;
        slices.iter().for_each(|slice| slice.streams.for_each_due(|due, stream| deadlines.push(due, stream.clone())));
        processor.refuse_missing_end(beyond);
        Ok(processor)
    }

    /// A processor of an empty ledger.
    pub(super) fn new(log: Arc<dyn Log>, limits: KeyLimits, writer_id: String, directory: Arc<RwLock<Directory>>) -> Self {
        let shape = log.slices();
        Self {
            producer: None,
            slices: shape.all().map(Slice::new).collect(),
            owned: vec![true; usize::from(shape.count)],
            parked: shape.all().map(|_| VecDeque::new()).collect(),
            references: Arc::new(RwLock::new(References::new(shape))),
            directory,
            keeps_directory: true,
            from_topic: false,
            deadlines: Deadlines::default(),
            limits,
            writer_id,
            batch: Vec::new(),
            body: Vec::new(),
            unreported: VecDeque::new(),
            answers: Vec::new(),
            acknowledged: 0,
            recoveries: 0,
            failed: 0,
            damage: None,
            from_snapshots: vec![0; usize::from(shape.count)],
            directory_from_snapshot: 0,
            log,
        }
    }

    /// Takes no writes where the ledger does not reach the positions that snapshots of it were kept at.
    pub(super) fn refuse_missing_end(&mut self, beyond: Vec<Position>) {
        let Some(missing) = tell_missing_end(beyond, |slice| self.settled(slice)) else { return };
        let reason = format!(
            "{missing}, so none is added. Put the newest copy of the ledger's file back and start again; or, to go on without what \
             is missing, remove the folder of the snapshots and start again"
        );
        tracing::error!("{reason}");
        self.refuse_writes(reason);
    }

    /// Reads the slice to its end: what another writer left there is taken in.
    pub(super) fn read_to_end(&mut self, slice: SliceId) -> Result<(), LogError> {
        loop {
            let from = self.slices[usize::from(slice)].writer.settled().next_offset;
            let placed = self.log.read(slice, from, READ_RECORDS)?;
            let Some(last) = placed.last().map(|placed| placed.offset) else { return Ok(()) };
            for record in &placed {
                self.replay(record)?;
                self.note_deadlines(record);
            }
            let state = &mut self.slices[usize::from(slice)];
            // Void records at the end are behind us too.
            let head = state.writer.settled();
            state.writer.resume(ChainHead { next_offset: last + 1, ..head });
        }
    }

    /// Notes what another writer's decision lets fall due. A void one only has its stream looked at in vain.
    fn note_deadlines(&mut self, placed: &Placed) {
        if let Ok(Said { decision: Some(Decision { stream, outcome: Outcome::Accepted(events), .. }), .. }) = Said::of(&placed.record) {
            self.deadlines.note(&stream, &events);
        }
    }

    /// Takes in one record that was read, where it is valid.
    pub(super) fn replay(&mut self, placed: &Placed) -> Result<(), LogError> {
        let Placed { offset, record } = placed;
        // Before it is judged: a chain field that was tampered with must not pass for the mark of a void record.
        intact(record)?;
        let state = &mut self.slices[usize::from(record.header.slice)];
        let mut head = state.writer.settled();
        if let Verdict::Void(reason) = head.accept(*offset, record) {
            tracing::warn!(slice = record.header.slice, offset, %reason, "a void record was skipped");
            return Ok(());
        }
        let said = Said::of(record)?;
        state.writer.resume(head);
        state.places.note(record.header.pseq, *offset);
        state.last_recorded_at = state.last_recorded_at.max(said.recorded_at);
        state.place.settle(said.next_command);
        state.place.catch_up();
        if let Some(decision) = &said.decision {
            if self.keeps_directory {
                self.directory.write().apply(decision);
            }
            take_in(state, decision, record.header.pseq, self.limits);
        }
        self.refer(&said, record.position());
        Ok(())
    }

    /// After a doubtful report: ends every term, drops the producer, reads what became durable, acknowledges that,
    /// and forgets whatever else the lost batches had touched.
    pub(super) fn recover(&mut self, reason: &str) {
        tracing::warn!(reason, "an append failed; reading the ledger again");
        self.recoveries += 1;
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
        let from = self.slices[slice].writer.settled();
        for stream in lost.iter().filter_map(|record| record.decided.as_ref().map(|decided| &decided.stream)) {
            self.slices[slice].streams.forget(stream);
            // What fell due there may have been taken for done by a decision that is lost.
            self.deadlines.push(BEFORE_ALL, stream.clone());
        }
        self.slices[slice].keys.forget_from(from.next_pseq);
        if let Err(error) = self.reread(slice, &mut lost) {
            tracing::error!(slice, %error, "the slice could not be read again; it is when it is next written to");
            self.refuse_damage(&error);
        }
        if self.from_topic {
            // What did not become durable is there still.
            self.parked[slice].clear();
            self.slices[slice].place.rewind_to_settled();
        }
        for asked in lost.into_iter().filter_map(|record| record.decided?.asked) {
            unknown(&mut self.answers, *asked, reason);
        }
    }

    /// Reads a slice to its end after a failed append.
    fn reread(&mut self, slice: usize, lost: &mut VecDeque<InFlight>) -> Result<(), LogError> {
        let id = self.slices[slice].id;
        loop {
            let mut head = self.slices[slice].writer.settled();
            let placed = self.log.read(id, head.next_offset, READ_RECORDS)?;
            if placed.is_empty() {
                return Ok(());
            }
            for Placed { offset, record } in placed {
                intact(&record)?;
                if head.accept(offset, &record) == Verdict::Valid {
                    self.settle_reread(slice, offset, &record, lost)?;
                }
                head.next_offset = offset + 1;
                self.slices[slice].writer.resume(head);
            }
        }
    }

    /// A record that the re-read shows valid: ours is acknowledged, anyone's is taken in.
    fn settle_reread(&mut self, slice: usize, offset: u64, record: &Record, lost: &mut VecDeque<InFlight>) -> Result<(), LogError> {
        let said = Said::of(record)?;
        let state = &mut self.slices[slice];
        state.places.note(record.header.pseq, offset);
        state.last_recorded_at = state.last_recorded_at.max(said.recorded_at);
        state.place.settle(said.next_command);
        if let Some(decision) = &said.decision {
            state.streams.forget(&decision.stream);
            remember_key(state, decision, record.header.pseq, self.limits);
        }
        if lost.front().is_some_and(|first| first.hash == record.header.hash)
            && let Some(settled) = lost.pop_front()
        {
            let directory = self.keeps_directory.then_some(&*self.directory);
            acknowledge(&mut self.answers, &mut self.references.write(), directory, record.header.slice, settled);
            return Ok(());
        }
        if let Some(decision) = &said.decision {
            if self.keeps_directory {
                self.directory.write().apply(decision);
            }
            if let Outcome::Accepted(events) = &decision.outcome {
                self.deadlines.note(&decision.stream, events);
            }
        }
        self.refer(&said, record.position());
        Ok(())
    }

    /// Takes no more writes where the ledger was found damaged.
    pub(super) fn refuse_damage(&mut self, error: &LogError) {
        match error {
            LogError::Damaged { .. } => self.refuse_writes(error.to_string()),
            LogError::Store(_) | LogError::Locked(_) | LogError::ReadOnly(_) | LogError::Unfit(_) | LogError::Absent(_) => {}
        }
    }

    /// Folds a forgotten aggregate again. It stays forgotten where that fails.
    ///
    /// Where streams are not found by their names, a slice is read once for all that are forgotten, and not once for each.
    pub(super) fn refold_if_stale(&self, slice: SliceId, stream: &StreamName) -> Result<(), LogError> {
        let state = &self.slices[usize::from(slice)];
        if !state.streams.is_stale(stream) {
            return Ok(());
        }
        // A log that keeps other writers out has an index of streams, and no other has one.
        let finds_by_name = !self.log.may_hold_void();
        let stale = if finds_by_name { vec![stream.clone()] } else { state.streams.stale() };
        stale.iter().for_each(|stream| state.streams.renew(stream));
        let read = |offset| match finds_by_name {
            true => self.log.read_stream(stream, offset, READ_RECORDS),
            false => self.log.read(slice, offset, READ_RECORDS),
        };
        let versions = stale.iter().map(|stream| (stream.clone(), 0)).collect();
        refold(state, versions, read).inspect_err(|_| stale.iter().for_each(|stream| state.streams.forget(stream)))
    }

    /// The durable record at `position`.
    pub(super) fn find(&self, position: Position) -> Result<Record, LogError> {
        find_in(&*self.log, &self.slices[usize::from(position.slice)], position.pseq)
    }
}

/// Folds streams from their beginning, from what is read of their slice, page by page; beside each, how far it is.
fn refold(
    state: &Slice,
    mut versions: HashMap<StreamName, u64>,
    read: impl Fn(u64) -> Result<Vec<Placed>, LogError>,
) -> Result<(), LogError> {
    let (end, mut next) = (state.writer.settled().next_pseq, 0);
    loop {
        let placed = read(next)?;
        let Some(last) = placed.last().map(|placed| placed.offset) else { return Ok(()) };
        for Placed { offset, record } in placed {
            let pseq = record.header.pseq;
            let is_valid = pseq < end && state.places.offset(pseq) == offset;
            let name = if is_valid { stream_of(&record.body) } else { None };
            let Some((stream, version)) = name.and_then(|name| versions.get_key_value_mut(&*name)) else { continue };
            intact(&record)?;
            let Some(Decision { version: after, outcome: Outcome::Accepted(events), effective_at, .. }) = Said::of(&record)?.decision
            else {
                continue;
            };
            *version += 1;
            if after != *version {
                let reason = format!("{stream} is at version {after} here; {version} was to follow");
                return Err(LogError::Damaged { position: record.position(), reason });
            }
            state.streams.evolve(stream, *version, &events, effective_at);
        }
        next = last + 1;
    }
}

/// Says what is missing of a ledger that does not reach these positions, if there are any. `settled` is how many records
/// each slice has.
pub(super) fn tell_missing_end(mut beyond: Vec<Position>, settled: impl Fn(SliceId) -> u64) -> Option<String> {
    beyond.sort_unstable();
    beyond.dedup_by_key(|position| position.slice);
    let first = beyond.first()?;
    let end = match settled(first.slice).checked_sub(1) {
        Some(pseq) => format!("ends at {}", Position { pseq, ..*first }),
        None => "is empty".to_owned(),
    };
    let others = if beyond.len() > 1 { format!(", and so it is in {} other slices", beyond.len() - 1) } else { String::new() };
    Some(format!(
        "the ledger is older than its own state: slice {} {end} here, and a snapshot of it was kept at {first}{others}. Decisions \
         that were acknowledged are missing",
        first.slice
    ))
}

/// The durable record of a slice with this sequence.
pub(super) fn find_in(log: &dyn Log, state: &Slice, pseq: u64) -> Result<Record, LogError> {
    let found = log.read(state.id, state.places.offset(pseq), 1)?.pop().map(|placed| placed.record);
    let record = found.filter(|record| record.header.pseq == pseq).ok_or_else(|| {
        let position = Position { slice: state.id, pseq };
        LogError::Damaged { position, reason: "there is no such record".into() }
    })?;
    intact(&record).map(|()| record)
}

/// Refuses a record whose hash is not that of its content.
pub(crate) fn intact(record: &Record) -> Result<(), LogError> {
    if record.is_intact() {
        return Ok(());
    }
    Err(LogError::Damaged { position: record.position(), reason: "the record does not have its hash".into() })
}

/// What a record says.
pub(crate) struct Said<'a> {
    /// The decision in it, where it is one.
    pub(crate) decision: Option<Decision<'a>>,
    /// When it was written.
    recorded_at: Timestamp,
    /// Where a successor goes on in the commands topic.
    next_command: Option<u64>,
}

impl<'a> Said<'a> {
    pub(crate) fn of(record: &'a Record) -> Result<Self, LogError> {
        let body = Body::decode(&record.body);
        Ok(match body.map_err(|error| LogError::Damaged { position: record.position(), reason: error.to_string() })? {
            Body::Decision(decision) => {
                Self { recorded_at: decision.recorded_at, next_command: decision.next_command, decision: Some(*decision) }
            }
            Body::Progress(Progress { recorded_at, next_command, .. }) => Self { decision: None, recorded_at, next_command },
            Body::TermOpened(TermOpened { next_command, .. }) => Self { decision: None, recorded_at: BEFORE_ALL, next_command },
            Body::LedgerCreated(_) => Self { decision: None, recorded_at: BEFORE_ALL, next_command: None },
        })
    }
}

/// Brings the slice's state past a recorded decision.
fn take_in(state: &mut Slice, decision: &Decision<'_>, pseq: u64, limits: KeyLimits) {
    if let Outcome::Accepted(events) = &decision.outcome {
        state.streams.evolve(&decision.stream, decision.version, events, decision.effective_at);
    }
    remember_key(state, decision, pseq, limits);
}

fn remember_key(state: &mut Slice, decision: &Decision<'_>, pseq: u64, limits: KeyLimits) {
    if !uses_key(&decision.outcome) {
        return;
    }
    let command = &decision.command;
    let Ok(input) = u128::from_str_radix(&command.input, 16) else { return };
    let key = ScopedKey::new(&command.sender, &decision.stream, &command.id);
    state.keys.remember(key, KeyUse { pseq, input }, decision, limits);
}

/// Whether an outcome uses its command's key up.
pub(crate) fn uses_key(outcome: &Outcome<'_>) -> bool {
    !matches!(outcome, Outcome::Rejected(rejection) if rejection.may_pass_later())
}
