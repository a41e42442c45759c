//! Follows all of the ledger for those who send commands: what was decided, where ids live, what is in force.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::{Mutex, RwLock};
use pledger_domain::values::Timestamp;
use pledger_ledger::{
    chain::{ChainHead, Verdict},
    commands::{Answer, Undecided},
    directory::Directory,
    log::{Log, LogError, Placed, UpTo},
    record::{Body, Decision},
    slices::{Position, SliceId},
};
use tokio::sync::watch;

use super::waiting::{Keys, Told, Waiting, answer};
use crate::{
    background::{Background, Stopping},
    processor::{BEFORE_ALL, KeyLimits, KeyUse, Places, Said, ScopedKey, intact},
};

/// How many records are read at once.
const READ_RECORDS: usize = 4_096;
/// How long one look for new records takes at most.
const LOOK: Duration = Duration::from_millis(100);
/// How often those are forgotten who gave up waiting.
const FORGET_EVERY: Duration = Duration::from_secs(1);
/// How long reading waits after it failed.
const AFTER_FAILURE: Duration = Duration::from_millis(200);

/// Follows the ledger on a thread of its own.
pub struct Follower {
    followed: Arc<Followed>,
    _thread: Background,
}

/// What is known of the ledger, up to where it was followed.
pub struct Followed {
    log: Arc<dyn Log>,
    directory: Arc<RwLock<Directory>>,
    pub(super) keys: Mutex<Keys>,
    /// Of each slice, where its valid records lie.
    places: Mutex<Vec<Places>>,
    /// Of each slice, the first command that was sent since anything was last recorded there.
    sent: Mutex<Vec<Option<(u64, Instant)>>>,
    references: RwLock<Vec<Position>>,
    last_recorded_at: Mutex<Timestamp>,
    pub(super) waiting: AtomicUsize,
    next_number: AtomicU64,
    records: watch::Sender<u64>,
    void: AtomicU64,
    trouble: Mutex<Option<String>>,
    halted: OnceLock<Arc<str>>,
}

impl Follower {
    /// Reads the ledger to its end, and follows it from there. `limits` are those of the processors: a key that they
    /// remember has to be known here.
    ///
    /// # Errors
    /// `LogError`.
    pub fn start(log: Arc<dyn Log>, limits: KeyLimits) -> Result<Self, LogError> {
        let slices = log.slices().count;
        let followed = Arc::new(Followed {
            directory: Arc::default(),
            keys: Mutex::new(Keys::new(slices, limits)),
            places: Mutex::new(vec![Places::default(); usize::from(slices)]),
            sent: Mutex::new(vec![None; usize::from(slices)]),
            references: RwLock::default(),
            last_recorded_at: Mutex::new(BEFORE_ALL),
            waiting: AtomicUsize::new(0),
            next_number: AtomicU64::new(0),
            records: watch::Sender::new(0),
            void: AtomicU64::new(0),
            trouble: Mutex::default(),
            halted: OnceLock::new(),
            log,
        });
        let mut heads = vec![ChainHead::default(); usize::from(slices)];
        let mut up_to = UpTo::the_end(&*followed.log, &[])?;
        loop {
            let placed = up_to.next(READ_RECORDS)?;
            if placed.is_empty() {
                break;
            }
            followed.take_in(&mut heads, &placed)?;
        }
        let on = Arc::clone(&followed);
        let thread = Background::start("ledger-follower", move |stopping| on.follow(heads, &stopping));
        let thread = thread.map_err(|error| LogError::Store(format!("no thread: {error}")))?;
        Ok(Self { followed, _thread: thread })
    }

    /// What is known.
    #[must_use]
    pub fn followed(&self) -> Arc<Followed> {
        Arc::clone(&self.followed)
    }
}

impl Followed {
    /// The directory as of the last record that was followed.
    #[must_use]
    pub fn directory(&self) -> Arc<RwLock<Directory>> {
        Arc::clone(&self.directory)
    }

    /// When the latest decision was recorded.
    #[must_use]
    pub fn last_recorded_at(&self) -> Timestamp {
        *self.last_recorded_at.lock()
    }

    /// The highest position followed of every reference slice that has one.
    #[must_use]
    pub fn reference_positions(&self) -> Vec<Position> {
        self.references.read().clone()
    }

    /// How many void records were passed.
    #[must_use]
    pub fn void(&self) -> u64 {
        self.void.load(Ordering::Relaxed)
    }

    /// Why the ledger is not followed at the moment, or for good.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.halted.get().map(ToString::to_string).or_else(|| self.trouble.lock().clone())
    }

    pub(super) fn halted(&self) -> Option<Arc<str>> {
        self.halted.get().cloned()
    }

    pub(super) fn number(&self) -> u64 {
        self.next_number.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn records(&self) -> watch::Receiver<u64> {
        self.records.subscribe()
    }

    /// What a key was used for; otherwise somebody waits for it from now on.
    pub(super) fn find_or_wait(&self, slice: SliceId, key: ScopedKey, waiting: Waiting) -> Option<KeyUse> {
        let number = waiting.number;
        let mut keys = self.keys.lock();
        let known = keys.find_or_wait(slice, key, waiting);
        if known.is_none() {
            // While the keys are held: its record comes later.
            self.sent.lock()[usize::from(slice)].get_or_insert_with(|| (number, Instant::now()));
        }
        known
    }

    /// Nobody waits for a command any more that was not written.
    pub(super) fn not_sent(&self, slice: SliceId, number: u64) {
        self.sent.lock()[usize::from(slice)].take_if(|(first, _)| *first == number);
    }

    /// The slices in which nothing was recorded for so long though a command was written.
    pub(super) fn silent(&self, patience: Duration) -> Vec<SliceId> {
        let sent = self.sent.lock();
        let is_silent = |slice: &SliceId| sent[usize::from(*slice)].is_some_and(|(_, at)| at.elapsed() > patience);
        self.log.slices().all().filter(is_silent).collect()
    }

    /// Whoever waits under this number is told that no decision will come.
    pub(super) fn refuse(&self, slice: SliceId, key: ScopedKey, number: u64, undecided: Undecided) {
        self.not_sent(slice, number);
        let waiting = self.keys.lock().remove(key, number);
        if let Some(waiting) = waiting {
            let _ = waiting.reply.send(Err(undecided));
        }
    }

    /// The answer that a decision gave. Reads the log.
    pub(super) fn answer_again(&self, position: Position) -> Result<Answer, Undecided> {
        let offset = self.places.lock()[usize::from(position.slice)].offset(position.pseq);
        let unavailable = |reason: String| Undecided::Unavailable(reason);
        let found = self.log.read(position.slice, offset, 1).map_err(|error| unavailable(error.to_string()))?.pop();
        let record = found.map(|placed| placed.record).filter(|record| record.header.pseq == position.pseq && record.is_intact());
        let record = record.ok_or_else(|| unavailable(format!("the decision at {position} cannot be read")))?;
        match Body::decode(&record.body).map_err(|error| unavailable(error.to_string()))? {
            Body::Decision(decision) => Ok(answer(&decision, position, true)),
            Body::LedgerCreated(_) | Body::TermOpened(_) | Body::Progress(_) => Err(unavailable(format!("{position} holds no decision"))),
        }
    }

    /// Takes records in, in the log's order; then tells those who waited for them.
    fn take_in(&self, heads: &mut [ChainHead], placed: &[Placed]) -> Result<(), LogError> {
        let mut told = Vec::new();
        let taken = placed.iter().try_for_each(|placed| self.take_one(heads, placed, &mut told));
        // Who is answered must find its own facts in force: the positions go first.
        let references = self.log.slices().references().filter_map(|slice| {
            let pseq = heads[usize::from(slice)].next_pseq.checked_sub(1)?;
            Some(Position { slice, pseq })
        });
        *self.references.write() = references.collect();
        self.records.send_modify(|count| *count += placed.len() as u64);
        for (reply, decided) in told {
            // A client that went away has its decision all the same.
            let _ = reply.send(decided);
        }
        taken
    }

    fn take_one(&self, heads: &mut [ChainHead], placed: &Placed, told: &mut Vec<Told>) -> Result<(), LogError> {
        let Placed { offset, record } = placed;
        intact(record)?;
        let head = &mut heads[usize::from(record.header.slice)];
        let verdict = head.accept(*offset, record);
        // Void records are behind us too.
        head.next_offset = offset + 1;
        if verdict != Verdict::Valid {
            self.void.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        let said = Said::of(record)?;
        self.sent.lock()[usize::from(record.header.slice)] = None;
        self.places.lock()[usize::from(record.header.slice)].note(record.header.pseq, *offset);
        if let Some(decision) = &said.decision {
            self.decided(decision, record.position(), told);
        }
        Ok(())
    }

    fn decided(&self, decision: &Decision<'_>, position: Position, told: &mut Vec<Told>) {
        self.directory.write().apply(decision);
        let mut last = self.last_recorded_at.lock();
        *last = decision.recorded_at.max(*last);
        drop(last);
        told.extend(self.keys.lock().take_in(decision, position));
    }

    fn follow(&self, mut heads: Vec<ChainHead>, stopping: &Stopping) {
        while !stopping.is_set() {
            let Err(error) = self.follow_on(&mut heads, stopping) else { continue };
            if matches!(error, LogError::Damaged { .. }) {
                tracing::error!(%error, "no command is taken from here on");
                self.halted.get_or_init(|| error.to_string().into());
                return;
            }
            tracing::warn!(%error, "the ledger cannot be followed; it is tried again");
            *self.trouble.lock() = Some(error.to_string());
            std::thread::sleep(AFTER_FAILURE);
        }
    }

    fn follow_on(&self, heads: &mut [ChainHead], stopping: &Stopping) -> Result<(), LogError> {
        let from: Vec<u64> = heads.iter().map(|head| head.next_offset).collect();
        let mut tail = self.log.tail_closely(&from)?;
        let mut forgotten = Instant::now();
        while !stopping.is_set() {
            let placed = tail.next(READ_RECORDS, LOOK)?;
            if !placed.is_empty() {
                self.take_in(heads, &placed)?;
            }
            self.trouble.lock().take();
            if forgotten.elapsed() >= FORGET_EVERY {
                forgotten = Instant::now();
                self.keys.lock().forget_those_gone();
            }
        }
        Ok(())
    }
}
