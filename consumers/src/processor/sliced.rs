//! A processor among others: it writes some slices of a ledger, takes their commands from the commands topic, and follows
//! the reference slices that others write.

use std::sync::Arc;

use parking_lot::RwLock;
use pledger_domain::values::Timestamp;
use pledger_ledger::{
    chain::{ChainHead, Verdict},
    commands::CommandEnvelope,
    directory::Directory,
    log::{Log, LogError, Placed, UpTo},
    record::{Body, FORMAT, Outcome, Progress},
    slices::SliceId,
};

use super::{
    Asker, KeyLimits, Processor, SnapshotStore,
    recover::{READ_RECORDS, Said, intact},
    slice::Slice,
};

impl Processor {
    /// A processor that writes no slice yet. Its reference facts stand at the ledger's end.
    ///
    /// # Errors
    /// `LogError`.
    pub fn of_no_slice(log: Arc<dyn Log>, snapshots: &dyn SnapshotStore, limits: KeyLimits, writer_id: String) -> Result<Self, LogError> {
        let mut processor = Self::new(log, limits, writer_id, Arc::new(RwLock::new(Directory::default())));
        processor.from_topic = true;
        processor.keeps_directory = false;
        processor.owned.fill(false);
        // A log may take a moment until it can be written to: whoever takes a slice over should not wait for that.
        processor.producer = Some(processor.log.producer()?);
        for slice in processor.log.slices().references() {
            // Its reference facts are all that is wanted of it.
            processor.load_slice(slice, snapshots)?;
            processor.forget_slice(slice);
        }
        let mut up_to = UpTo::the_end_of(&*processor.log, &processor.followed())?;
        loop {
            let placed = up_to.next(READ_RECORDS)?;
            if placed.is_empty() {
                return Ok(processor);
            }
            placed.iter().try_for_each(|placed| processor.follow(placed))?;
        }
    }

    /// Whether the slice is written here.
    #[must_use]
    pub fn owns(&self, slice: SliceId) -> bool {
        self.owned[usize::from(slice)]
    }

    /// Takes slices over: their state comes from their snapshots and the ledger after those. Answers where each goes on in
    /// the commands topic. A term is opened with the first command that leaves a record.
    ///
    /// # Errors
    /// `LogError`; none of them is taken over then.
    pub fn activate(&mut self, slices: &[SliceId], snapshots: &dyn SnapshotStore) -> Result<Vec<(SliceId, u64)>, LogError> {
        let taken = self.restore_slices(slices, snapshots);
        if taken.is_err() {
            slices.iter().for_each(|slice| self.forget_slice(*slice));
        }
        taken
    }

    fn restore_slices(&mut self, slices: &[SliceId], snapshots: &dyn SnapshotStore) -> Result<Vec<(SliceId, u64)>, LogError> {
        for slice in slices.iter().copied() {
            self.slices[usize::from(slice)] = Slice::new(slice);
            self.parked[usize::from(slice)].clear();
            self.owned[usize::from(slice)] = true;
            if let Some(kept) = self.load_slice(slice, snapshots)? {
                return Err(LogError::Store(format!(
                    "a snapshot was kept at {kept}, and the ledger does not reach that: a broker that is behind leads the slice, or an \
                     older copy of the ledger was put back"
                )));
            }
        }
        let places: Vec<_> = slices.iter().map(|slice| (*slice, self.slices[usize::from(*slice)].writer.settled().next_offset)).collect();
        let mut up_to = UpTo::the_end_of(&*self.log, &places)?;
        loop {
            let placed = up_to.next(READ_RECORDS)?;
            if placed.is_empty() {
                break;
            }
            placed.iter().try_for_each(|placed| self.replay(placed))?;
            // What other slices decided is written meanwhile.
            self.producer.iter_mut().for_each(|producer| producer.go_on());
        }
        let Self { slices: all, deadlines, .. } = self;
        for slice in slices {
            all[usize::from(*slice)].streams.for_each_due(|due, stream| deadlines.push(due, stream.clone()));
        }
        Ok(slices.iter().map(|slice| (*slice, self.slices[usize::from(*slice)].place.next)).collect())
    }

    /// Writes a slice no more. Where something of it is still in flight, every term ends.
    pub fn release(&mut self, slice: SliceId) {
        if !self.slices[usize::from(slice)].in_flight.is_empty() {
            self.recover("a slice was given up while something of it was in flight");
        }
        self.forget_slice(slice);
    }

    /// Whether nothing of a slice is in flight or waits.
    #[must_use]
    pub fn is_settled(&self, slice: SliceId) -> bool {
        self.slices[usize::from(slice)].in_flight.is_empty()
    }

    /// Keeps of a slice only where the reference facts stand.
    fn forget_slice(&mut self, slice: SliceId) {
        let head = self.slices[usize::from(slice)].writer.settled();
        let mut empty = Slice::new(slice);
        empty.writer.resume(head);
        self.slices[usize::from(slice)] = empty;
        self.parked[usize::from(slice)].clear();
        self.owned[usize::from(slice)] = false;
    }

    /// The reference slices that others write, and where each is read on: `follow` wants their records.
    #[must_use]
    pub fn followed(&self) -> Vec<(SliceId, u64)> {
        let others = self.log.slices().references().filter(|slice| !self.owns(*slice));
        others.map(|slice| (slice, self.slices[usize::from(slice)].writer.settled().next_offset)).collect()
    }

    /// Takes in a record of a reference slice that another process writes.
    ///
    /// # Errors
    /// `LogError::Damaged`.
    pub fn follow(&mut self, placed: &Placed) -> Result<(), LogError> {
        let Placed { offset, record } = placed;
        let slice = record.header.slice;
        if self.owns(slice) || slice >= self.log.slices().reference {
            return Ok(());
        }
        intact(record)?;
        let writer = &mut self.slices[usize::from(slice)].writer;
        let mut head = writer.settled();
        if *offset < head.next_offset {
            return Ok(());
        }
        if head.accept(*offset, record) == Verdict::Valid {
            let said = Said::of(record)?;
            self.refer(&said, record.position());
        }
        self.slices[usize::from(slice)].writer.resume(ChainHead { next_offset: offset + 1, ..head });
        Ok(())
    }

    /// Offers the command at an offset of the commands topic. Nobody is answered: its record is its answer.
    pub fn offer_from_topic(&mut self, slice: SliceId, offset: u64, envelope: CommandEnvelope, now: Timestamp) {
        let state = &self.slices[usize::from(slice)];
        if self.owns(slice) && !state.place.rewound {
            self.take(slice, envelope, Asker::Topic(offset), now);
        }
    }

    /// Passes over a message of the commands topic that holds no command.
    pub fn pass_over(&mut self, slice: SliceId, offset: u64, now: Timestamp) {
        // Behind a command that waits, the record of that one or a later one goes past it.
        if self.owns(slice) && self.parked[usize::from(slice)].is_empty() && !self.slices[usize::from(slice)].place.rewound {
            self.pass(slice, offset, now);
        }
    }

    /// Whether the ledger is past a command, or it has to be taken again later.
    pub(super) fn is_passed(&self, slice: SliceId, asker: Asker) -> bool {
        let place = &self.slices[usize::from(slice)].place;
        match asker {
            Asker::Here(_) => false,
            Asker::Topic(offset) => place.rewound || offset < place.next,
        }
    }

    /// A command leaves no record.
    pub(super) fn pass(&mut self, slice: SliceId, offset: u64, now: Timestamp) {
        let place = &mut self.slices[usize::from(slice)].place;
        if offset >= place.next {
            place.pass(offset, now);
        }
        if place.wants_record(now) {
            self.record_progress(slice, now);
        }
    }

    /// Writes a record where commands were passed long ago, so that no successor passes them again.
    pub fn look_after_progress(&mut self, now: Timestamp) {
        for slice in self.log.slices().all() {
            if self.owns(slice) && self.slices[usize::from(slice)].place.wants_record(now) {
                self.record_progress(slice, now);
            }
        }
    }

    fn record_progress(&mut self, slice: SliceId, now: Timestamp) {
        if self.damage.is_some() {
            return;
        }
        if let Err(error) = self.frame_progress(slice, now) {
            self.refuse_damage(&error);
            tracing::warn!(slice, %error, "no record of passed commands could be written; it is tried again");
        }
    }

    fn frame_progress(&mut self, slice: SliceId, now: Timestamp) -> Result<(), LogError> {
        if !self.slices[usize::from(slice)].writer.is_open() {
            self.read_to_end(slice)?;
            self.open_term(slice, now)?;
        }
        let state = &mut self.slices[usize::from(slice)];
        let next_command = Some(state.place.next);
        let recorded_at = now.max(state.last_recorded_at);
        let body = Body::Progress(Progress { v: FORMAT, recorded_at, next_command }).encode();
        let record = state.writer.frame(body.map_err(|error| LogError::Store(error.to_string()))?);
        state.last_recorded_at = recorded_at;
        state.place.recorded(state.place.next);
        self.send_later(record, next_command, None);
        Ok(())
    }

    /// Has the commands of a slice taken again from `offset` on; those that wait are among them.
    pub(super) fn rewind(&mut self, slice: SliceId, offset: u64) {
        self.parked[usize::from(slice)].clear();
        self.slices[usize::from(slice)].place.rewind(offset);
    }

    /// The slices whose commands have to be taken again, each from this offset on. Until this is asked, none of them is
    /// taken.
    pub fn take_rewound(&mut self) -> Vec<(SliceId, u64)> {
        let rewound = self.slices.iter_mut().filter(|slice| slice.place.rewound);
        rewound
            .map(|slice| {
                slice.place.rewound = false;
                (slice.id, slice.place.next)
            })
            .collect()
    }

    /// Where the slice goes on in the commands topic, as its last acknowledged record says.
    #[must_use]
    pub fn next_command(&self, slice: SliceId) -> u64 {
        self.slices[usize::from(slice)].place.settled.unwrap_or(0)
    }

    /// Takes reference facts in that were not seen yet.
    pub(super) fn refer(&self, said: &Said<'_>, position: pledger_ledger::slices::Position) {
        let mut references = self.references.write();
        if references.has_seen(&[position]) && position.slice < self.log.slices().reference {
            return;
        }
        if let Some(decision) = &said.decision
            && let Outcome::Accepted(events) = &decision.outcome
        {
            references.apply(&decision.stream, decision.version, events, decision.effective_at);
        }
        references.advance(position);
    }
}
