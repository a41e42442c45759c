//! The thread that publishes.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use pledger_ledger::{
    chain::{ChainHead, Verdict},
    commands_topic::{Change, Membership},
    log::{LogError, Placed},
    published::{EventPlace, Outlet},
    slices::SliceId,
};

use super::{PublisherDesk, encode};
use crate::background::{Background, Stopping};

/// The most records that are read at once, and how long a read waits.
const MAX_READ: usize = 1_000;
const TO_COME: Duration = Duration::from_millis(50);
/// How often places are kept.
const KEEP_EVERY: Duration = Duration::from_secs(60);
/// How long what is on its way may take at the end.
const TO_SETTLE: Duration = Duration::from_secs(10);
/// How long to wait after something failed.
const AGAIN_AFTER: Duration = Duration::from_secs(2);

/// The publisher at work; stops when it is told to, after what is on its way.
pub struct Publisher {
    _thread: Background,
}

impl Publisher {
    /// Starts the thread, which publishes the slices that `membership` gives it. `open` opens the outlet, again after an error.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn start(
        desk: PublisherDesk,
        membership: Box<dyn Membership>,
        open: impl Fn() -> Result<Box<dyn Outlet>, LogError> + Send + 'static,
    ) -> std::io::Result<Self> {
        let work = move |stopping| Worker { desk, membership, slices: BTreeSet::new(), stopping }.run(open);
        Ok(Self { _thread: Background::start("publisher", work)? })
    }

    /// Waits for what is on its way, and leaves the group.
    pub fn stop(self) {
        drop(self);
    }
}

struct Worker {
    desk: PublisherDesk,
    membership: Box<dyn Membership>,
    slices: BTreeSet<SliceId>,
    stopping: Stopping,
}

impl Worker {
    fn run(mut self, open: impl Fn() -> Result<Box<dyn Outlet>, LogError>) {
        while !self.stopping.is_set() {
            if self.slices.is_empty() {
                std::thread::park_timeout(TO_COME);
                let changes = self.membership.changes();
                self.adopt(changes);
                continue;
            }
            match open().and_then(|mut outlet| self.publish(&mut *outlet)) {
                Ok(changes) => self.adopt(changes),
                Err(error) => {
                    self.desk.status.note(Some(&error.to_string()));
                    std::thread::park_timeout(AGAIN_AFTER);
                    let changes = self.membership.changes();
                    self.adopt(changes);
                }
            }
        }
        self.membership.leave();
    }

    fn adopt(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Gained(slices) => self.slices.extend(slices),
                // Whoever waits for them goes on once the sender is dropped: nothing of ours is on its way any more.
                Change::Lost(slices, _let_go) => self.slices.retain(|slice| !slices.contains(slice)),
            }
        }
    }

    /// Publishes its slices until they change or it is told to stop; answers what changed.
    fn publish(&mut self, outlet: &mut dyn Outlet) -> Result<Vec<Change>, LogError> {
        let slices: Vec<SliceId> = self.slices.iter().copied().collect();
        let mut heads: BTreeMap<SliceId, ChainHead> = slices.iter().map(|slice| (*slice, ChainHead::default())).collect();
        for end in outlet.ends(&slices)?.into_iter().flatten() {
            self.go_on_behind(&end, outlet)?;
            heads.insert(end.position.slice, end.head());
        }
        let places: Vec<(SliceId, u64)> = heads.iter().map(|(slice, head)| (*slice, head.next_offset)).collect();
        let mut tail = self.desk.log.tail_of(&places)?;
        let mut kept = Instant::now();
        self.desk.status.note(None);
        loop {
            let changes = self.membership.changes();
            if !changes.is_empty() || self.stopping.is_set() {
                if !outlet.settle(TO_SETTLE)? {
                    tracing::warn!("what is on its way to the topic of events may be published once more");
                }
                outlet.keep()?;
                return Ok(changes);
            }
            for placed in tail.next(MAX_READ, TO_COME)? {
                let Some(head) = heads.get_mut(&placed.record.header.slice) else { continue };
                if head.accept(placed.offset, &placed.record) == Verdict::Valid {
                    self.hand_over(&placed, 0, outlet)?;
                }
            }
            // What was reported is taken in, and an error is an error although nothing new comes.
            outlet.settle(Duration::ZERO)?;
            if kept.elapsed() >= KEEP_EVERY {
                kept = Instant::now();
                outlet.keep()?;
            }
        }
    }

    /// Checks that what was published last is of this ledger, and publishes what is left of its decision.
    fn go_on_behind(&self, end: &EventPlace, outlet: &mut dyn Outlet) -> Result<(), LogError> {
        let slice = end.position.slice;
        let record = self.desk.log.read(slice, end.offset, 1)?.into_iter().next();
        match record.filter(|placed| placed.record.position() == end.position && placed.record.header.hash == end.hash) {
            Some(placed) => self.hand_over(&placed, end.index + 1, outlet),
            None => Err(LogError::Unfit(format!(
                "the last published event of slice {slice} is {}, which is of another ledger: publish to topics of its own (--topic-prefix)",
                end.id()
            ))),
        }
    }

    /// Hands over the events of a record from this one on.
    fn hand_over(&self, placed: &Placed, from: u32, outlet: &mut dyn Outlet) -> Result<(), LogError> {
        let position = placed.record.position();
        let events = encode::events(&self.desk, placed.offset, &placed.record);
        let mut events = events.map_err(|error| LogError::Damaged { position, reason: error.to_string() })?;
        events.retain(|event| event.place.index >= from);
        let count = events.len();
        outlet.send(events)?;
        self.desk.status.count(count);
        Ok(())
    }
}
