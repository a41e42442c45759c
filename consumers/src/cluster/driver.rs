//! The processor's thread: takes commands of its slices from the topic, has them decided in batches, and never answers.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering, mpsc::SyncSender},
    time::{Duration, Instant},
};

use pledger_domain::values::Timestamp;
use pledger_ledger::{
    commands_topic::{Change, CommandReader, CommandSender, Membership, Queued},
    edge::Edge,
    log::{Log, LogError, Tail},
    slices::SliceId,
};

use super::{chores::ClusterChores, duties::Duties, status::ProcessorStatus};
use crate::{
    background::{Background, Stopping},
    processor::{Processor, SnapshotStore, panic_text},
};

/// The most commands of one batch: a good many for each slice, since each slice takes a request of its own.
const MAX_BATCH: usize = 4_096;
/// The most batches on their way to the log.
const MAX_IN_FLIGHT: usize = 4;
/// The most commands that may wait for facts before no more are taken.
const MAX_PARKED: usize = 10_000;
/// How long the thread waits for commands where it has nothing else to do.
const IDLE: Duration = Duration::from_millis(10);
/// How long it waits for the log's reports, or for facts, before it looks for new commands.
const SHORT: Duration = Duration::from_millis(2);
/// How long the log may report nothing while batches are on their way; then they are given up.
const SILENCE: Duration = Duration::from_secs(60);
/// How often chores are done.
const CHORES_EVERY: Duration = Duration::from_secs(1);
/// How long what is in flight may take when slices are let go of.
const TO_SETTLE: Duration = Duration::from_secs(2);
/// How long commands may wait for a snapshot to be possible; it is tried again with the next chores.
const TO_BE_QUIET: Duration = Duration::from_millis(250);
/// How long a slice waits that could not be restored.
const AFTER_TROUBLE: Duration = Duration::from_secs(1);
/// How long reading waits after it failed.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// What a processor's thread works with.
pub struct Parts {
    /// It writes no slice yet.
    pub processor: Processor,
    /// The ledger, for the reference slices of others.
    pub log: Arc<dyn Log>,
    /// Where commands come from.
    pub reader: Box<dyn CommandReader>,
    /// Where deadlines go.
    pub sender: Arc<dyn CommandSender>,
    /// Which slices to write.
    pub membership: Box<dyn Membership>,
    /// Where snapshots are kept: where successors find them.
    pub snapshots: Arc<dyn SnapshotStore>,
    /// What makes commands of deadlines; its clock is that of every decision.
    pub edge: Edge,
}

/// The processor's thread.
pub struct ClusterProcessor {
    status: Arc<ProcessorStatus>,
    _thread: Background,
}

impl ClusterProcessor {
    /// Starts the thread.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn start(parts: Parts) -> std::io::Result<Self> {
        let Parts { processor, log, reader, sender, membership, snapshots, edge } = parts;
        let status = Arc::<ProcessorStatus>::default();
        let told = Arc::clone(&status);
        let work = move |stopping| {
            let driver = Driver {
                chores: ClusterChores::new(edge, sender, snapshots),
                processor,
                log,
                reader,
                membership,
                duties: Duties::new(),
                tail: None,
                assign_at: None,
                follow_at: Instant::now(),
                reported: Instant::now(),
                chores_done: Instant::now(),
                stopping,
                status: told,
            };
            driver.run_guarded();
        };
        Ok(Self { status, _thread: Background::start("processor", work)? })
    }

    /// What it does.
    #[must_use]
    pub fn status(&self) -> Arc<ProcessorStatus> {
        Arc::clone(&self.status)
    }

    /// Settles what is in flight, keeps snapshots, lets go of the slices, and ends.
    pub fn stop(self) {
        drop(self);
    }
}

struct Driver {
    processor: Processor,
    log: Arc<dyn Log>,
    reader: Box<dyn CommandReader>,
    membership: Box<dyn Membership>,
    chores: ClusterChores,
    duties: Duties,
    /// Reads the reference slices of others: those that were asked for.
    tail: Option<(Vec<SliceId>, Box<dyn Tail>)>,
    /// When places in the commands topic are assigned anew, where they are to be.
    assign_at: Option<Instant>,
    /// When the reference slices may be followed again.
    follow_at: Instant,
    /// When the log last reported anything, or nothing was on its way.
    reported: Instant,
    chores_done: Instant,
    stopping: Stopping,
    status: Arc<ProcessorStatus>,
}

impl Driver {
    /// Runs until it is told to stop. A panic ends it: what it was doing may be half done, and only the ledger knows. Its
    /// slices go to others.
    fn run_guarded(mut self) {
        let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.run())) else { return };
        let reason = format!("the processor failed ({}); start pledger again", panic_text(&*panic));
        tracing::error!("{reason}");
        self.status.halt(&reason);
    }

    fn run(&mut self) {
        while !self.stopping.is_set() {
            if let Some(reason) = self.processor.damage() {
                tracing::error!("{reason}; no command is decided here");
                self.status.halt(reason);
                break;
            }
            self.look();
            self.work();
        }
        let all: Vec<SliceId> = self.duties.slices().collect();
        self.let_go(&all, None);
        self.membership.leave();
    }

    /// One round: takes commands, decides them, sends the decisions, takes reports in.
    fn work(&mut self) {
        let now = self.now();
        self.processor.unpark(now);
        let in_flight = self.processor.batches_in_flight();
        let parked = self.processor.parked();
        let took = if in_flight >= MAX_IN_FLIGHT || parked >= MAX_PARKED {
            0
        } else {
            self.take(match (in_flight, parked) {
                (0, 0) => IDLE,
                (0, _) => SHORT,
                _ => Duration::ZERO,
            })
        };
        self.processor.flush();
        self.settle(if took == 0 { SHORT } else { Duration::ZERO });
        let rewound = self.processor.take_rewound();
        if !rewound.is_empty() {
            tracing::warn!(slices = rewound.len(), "commands are taken again from where the ledger ends");
            self.duties.lost(&rewound, Instant::now());
            self.assign();
        }
        self.status.acknowledged.store(self.processor.acknowledged(), Ordering::Relaxed);
        self.status.lost_terms.store(self.processor.recoveries(), Ordering::Relaxed);
        self.status.failed.store(self.processor.failed_decisions(), Ordering::Relaxed);
    }

    /// Offers what the topic has, at most a batch of it.
    fn take(&mut self, wait: Duration) -> usize {
        let queued = match self.reader.next(MAX_BATCH, wait) {
            Ok(queued) => queued,
            Err(error) => {
                tracing::warn!(%error, "commands could not be read; it is tried again");
                self.assign_at.get_or_insert(Instant::now() + AFTER_FAILURE);
                return 0;
            }
        };
        let (count, now) = (queued.len(), self.now());
        for Queued { slice, offset, command } in queued {
            self.duties.took(slice, offset);
            match command {
                Ok(envelope) => self.processor.offer_from_topic(slice, offset, *envelope, now),
                Err(reason) => {
                    tracing::warn!(slice, offset, %reason, "a message of the commands topic is passed over");
                    self.status.passed_over.fetch_add(1, Ordering::Relaxed);
                    self.processor.pass_over(slice, offset, now);
                }
            }
        }
        self.status.taken.fetch_add(count as u64, Ordering::Relaxed);
        count
    }

    /// Takes in what the log reports, and gives up what it stays silent about.
    fn settle(&mut self, wait: Duration) {
        let in_flight = self.processor.batches_in_flight();
        self.processor.settle(wait);
        if in_flight == 0 || self.processor.batches_in_flight() != in_flight {
            self.reported = Instant::now();
        } else if self.reported.elapsed() >= SILENCE {
            self.processor.give_up("the ledger did not say whether it was written");
        }
        // Nobody waits here.
        drop(self.processor.take_answers());
    }

    /// Looks after everything but commands.
    fn look(&mut self) {
        for change in self.membership.changes() {
            match change {
                Change::Gained(slices) => {
                    tracing::info!(?slices, "slices to write");
                    slices.into_iter().for_each(|slice| self.gain(slice));
                }
                Change::Lost(slices, done) => {
                    tracing::info!(?slices, "slices to let go of");
                    self.let_go(&slices, done);
                    self.assign();
                }
            }
        }
        let now = Instant::now();
        self.restore(&self.duties.to_restore(now));
        if self.assign_at.is_some_and(|at| at <= now) || self.duties.has_waited(now) {
            self.assign();
        }
        self.follow();
        if self.chores_done.elapsed() >= CHORES_EVERY {
            self.chores_done = Instant::now();
            let now = self.now();
            self.processor.look_after_progress(now);
            self.chores.send_due(&mut self.processor, now);
            if let Some(slice) = self.chores.grown(&self.processor) {
                self.await_settled(&[slice], Instant::now() + TO_BE_QUIET);
                self.chores.keep_one(&self.processor, slice);
            }
        }
    }

    fn gain(&mut self, slice: SliceId) {
        self.duties.add(slice);
        if let Some(reason) = self.duties.stopped(slice) {
            self.status.troubles.lock().insert(slice, reason.to_owned());
        }
    }

    /// Takes nothing more until nothing of these slices is in flight. A slice under load is never so by itself.
    fn await_settled(&mut self, slices: &[SliceId], until: Instant) {
        self.processor.flush();
        while Instant::now() < until && slices.iter().any(|slice| !self.processor.is_settled(*slice)) {
            self.settle(SHORT);
        }
    }

    /// Takes slices over.
    fn restore(&mut self, slices: &[SliceId]) {
        if slices.is_empty() {
            return;
        }
        let begun = Instant::now();
        // The ledger is read while nothing is decided: reports go on coming in the meantime, and are taken in after it.
        let mut restored = self.processor.activate(slices, &*self.chores.snapshots);
        if restored.is_err() && slices.len() > 1 {
            // One that cannot be restored should not keep the others waiting.
            restored = Ok(slices.iter().flat_map(|slice| self.restore_one(*slice)).collect());
        } else if let ([slice], Err(error)) = (slices, &restored) {
            self.trouble(*slice, error);
        }
        self.reported = Instant::now();
        let restored = restored.unwrap_or_default();
        for (slice, next) in &restored {
            self.chores.restored(&self.processor, *slice);
            self.status.troubles.lock().remove(slice);
            self.duties.go_on(*slice, *next);
        }
        tracing::info!(slices = restored.len(), took = ?begun.elapsed(), "slices were taken over");
        self.assign();
    }

    fn restore_one(&mut self, slice: SliceId) -> Vec<(SliceId, u64)> {
        self.processor.activate(&[slice], &*self.chores.snapshots).unwrap_or_else(|error| {
            self.trouble(slice, &error);
            Vec::new()
        })
    }

    fn trouble(&mut self, slice: SliceId, error: &LogError) {
        tracing::error!(slice, %error, "a slice cannot be taken over; it is tried again");
        self.status.troubles.lock().insert(slice, error.to_string());
        self.duties.wait(slice, Instant::now() + AFTER_TROUBLE);
    }

    /// Has the reader read what there is to do now.
    fn assign(&mut self) {
        self.assign_at = None;
        self.status.owned.store(self.duties.active(), Ordering::Relaxed);
        let now = Instant::now();
        let places = self.duties.places(now);
        match self.reader.assign(&places) {
            Ok(gone) => {
                let mut troubles = self.status.troubles.lock();
                for (slice, _) in places.iter().filter(|(slice, _)| gone.iter().all(|gone| gone.slice != *slice)) {
                    self.duties.found(*slice);
                    troubles.remove(slice);
                }
                for gone in gone {
                    let told = self.duties.missed(&gone, now);
                    tracing::error!("{told}");
                    troubles.insert(gone.slice, told);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "commands cannot be read; it is tried again");
                self.assign_at = Some(now + AFTER_FAILURE);
            }
        }
    }

    /// Takes in the reference slices of others.
    fn follow(&mut self) {
        let wanted = self.processor.followed();
        let slices = || wanted.iter().map(|(slice, _)| *slice);
        if self.tail.as_ref().is_some_and(|(followed, _)| !followed.iter().copied().eq(slices())) {
            self.tail = None;
        }
        if wanted.is_empty() || self.follow_at > Instant::now() {
            return;
        }
        let followed = self.follow_some(&wanted);
        if let Err(error) = followed {
            self.processor_trouble(&error);
            self.tail = None;
            self.follow_at = Instant::now() + AFTER_FAILURE;
        }
    }

    fn follow_some(&mut self, wanted: &[(SliceId, u64)]) -> Result<(), LogError> {
        let (_, tail) = match &mut self.tail {
            Some(tail) => tail,
            none => none.insert((wanted.iter().map(|(slice, _)| *slice).collect(), self.log.tail_of(wanted)?)),
        };
        let placed = tail.next(MAX_BATCH, Duration::ZERO)?;
        placed.iter().try_for_each(|placed| self.processor.follow(placed))
    }

    fn processor_trouble(&mut self, error: &LogError) {
        match error {
            LogError::Damaged { .. } => self.processor.refuse_writes(error.to_string()),
            LogError::Store(_) | LogError::Locked(_) | LogError::ReadOnly(_) | LogError::Unfit(_) | LogError::Absent(_) => {
                tracing::warn!(%error, "the reference slices cannot be followed; it is tried again");
            }
        }
    }

    /// Lets go of slices once nothing of them is in flight, or after a while. Whoever waits for `done` waits no longer then.
    fn let_go(&mut self, slices: &[SliceId], done: Option<SyncSender<()>>) {
        self.await_settled(slices, Instant::now() + TO_SETTLE);
        for slice in slices.iter().copied() {
            if self.duties.remove(slice) {
                self.chores.keep_last(&self.processor, slice);
                self.processor.release(slice);
                self.status.troubles.lock().remove(&slice);
            }
        }
        self.status.owned.store(self.duties.active(), Ordering::Relaxed);
        drop(done);
    }

    fn now(&self) -> Timestamp {
        self.chores.edge.clock.now()
    }
}
