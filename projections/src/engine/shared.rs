//! What the threads of an engine share.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
use pledger_domain::{program::Program, rules::RuleSet, stream::Stream};
use pledger_ledger::{
    chain::ChainHead,
    log::Log,
    outline::Outline,
    record::{Events, Outcome},
    slices::SliceId,
};

use super::{Options, Supposed, gate, moment::Admission, progress::Progress};
use crate::{query::Rows, shard::Shard};

/// What the threads share.
pub(super) struct Shared {
    pub(super) log: Arc<dyn Log>,
    pub(super) options: Options,
    pub(super) shards: Vec<RwLock<Shard>>,
    pub(super) program: RwLock<Arc<Program>>,
    pub(super) progress: Progress,
    /// How many records lay before the places where the reader began.
    pub(super) begun_at: u64,
    /// Records handed to workers, and records that these are done with.
    pub(super) routed: AtomicU64,
    pub(super) done: AtomicU64,
    /// Records that workers hold back until rules come.
    pub(super) held: AtomicU64,
    /// Whether the slice of the stream `program` is one of those that wait.
    pub(super) program_waits: AtomicBool,
    pub(super) void: AtomicU64,
    /// Whether rows changed that no record counts for.
    pub(super) is_unwritten: AtomicBool,
    /// How many of the records that workers are done with are written.
    pub(super) written: AtomicU64,
    pub(super) admission: Admission,
    /// What is folded and answered under in place of the rules as published.
    pub(super) supposed: Option<Supposed>,
    /// Whether the reader's last look found nothing new.
    pub(super) at_end: AtomicBool,
    /// How far the reader may go.
    pub(super) gate: gate::Gate,
    pub(super) caught_up: AtomicBool,
    pub(super) stopping: AtomicBool,
    /// Whether nothing is written any more, since somebody else keeps the generation.
    pub(super) let_go: AtomicBool,
    /// Whether somebody else moved a cursor.
    pub(super) taken_over: AtomicBool,
    /// Whether the reader and the workers ended, so that nothing changes any more.
    pub(super) drained: AtomicBool,
    /// Held by whoever tries parked streams again: two would fold what was left out twice.
    pub(super) retrying: Mutex<()>,
    pub(super) reader_trouble: Mutex<Option<String>>,
    pub(super) writer_trouble: Mutex<Option<String>>,
}

impl Shared {
    /// Nothing read yet: the shards stand at these heads.
    pub(super) fn new(log: Arc<dyn Log>, options: Options, shards: Vec<Shard>, heads: &[ChainHead], supposed: Option<Supposed>) -> Self {
        let program = shards.iter().map(|shard| shard.rules.program()).max_by_key(|program| program.count()).unwrap_or_default();
        let begun_at = heads.iter().map(|head| head.next_offset).sum();
        let admission = Admission::new(options.moment, log.slices().count, begun_at);
        Self {
            log,
            options,
            shards: shards.into_iter().map(RwLock::new).collect(),
            program: RwLock::new(program),
            progress: Progress::new(heads.iter().map(|head| head.next_pseq).collect()),
            begun_at,
            routed: AtomicU64::new(0),
            done: AtomicU64::new(0),
            held: AtomicU64::new(0),
            program_waits: AtomicBool::new(false),
            void: AtomicU64::new(0),
            is_unwritten: AtomicBool::new(false),
            written: AtomicU64::new(0),
            admission,
            supposed,
            at_end: AtomicBool::new(false),
            gate: gate::Gate::default(),
            caught_up: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            let_go: AtomicBool::new(false),
            taken_over: AtomicBool::new(false),
            drained: AtomicBool::new(false),
            retrying: Mutex::default(),
            reader_trouble: Mutex::new(None),
            writer_trouble: Mutex::new(None),
        }
    }

    /// All rows, held still.
    pub(super) fn rows(&self) -> Rows<'_> {
        // Always in the order of the shards, so that no two questions and the workers can wait for each other.
        let shards = self.shards.iter().map(|shard| Box::new(settled(shard)) as Box<_>).collect();
        Rows::new(shards).supposing(self.supposed.as_ref()).true_by(self.options.moment.as_of)
    }

    /// Makes rules known to every worker before anything that was decided under them is folded; whether there were any.
    pub(super) fn publish(&self, decision: &Outline<'_>) -> bool {
        let Outcome::Accepted(Events::Program(events)) = &decision.outcome else { return false };
        let mut program = self.program.write();
        for event in events.iter() {
            Arc::make_mut(&mut program).evolve(event, decision.effective_at);
        }
        true
    }

    /// The rules that a decision is folded under, where it counts at all.
    pub(super) fn admitted(&self, decision: &Outline<'_>, slice: SliceId, named: Option<Arc<RuleSet>>) -> Option<Option<Arc<RuleSet>>> {
        let supposed = || self.supposed.as_ref().and_then(|supposed| supposed.governing(decision.effective_at));
        self.admission.admits(decision, slice).then(|| supposed().map(Arc::clone).or(named))
    }

    /// Whether everything that was folded is written.
    pub(super) fn is_written(&self) -> bool {
        self.written.load(Ordering::Acquire) == self.done.load(Ordering::Acquire) && !self.is_unwritten.load(Ordering::Acquire)
    }

    pub(super) fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Whether every record that was read is taken in or held back, and there are no more for now.
    pub(super) fn is_stuck(&self) -> bool {
        let taken = self.done.load(Ordering::Acquire) + self.held.load(Ordering::Acquire);
        self.at_end.load(Ordering::Acquire) && taken == self.routed.load(Ordering::Acquire)
    }

    /// Says that the ledger's end was reached, where every record that was read is taken in and there are no more for now.
    pub(super) fn look_for_the_end(&self) {
        if self.at_end.load(Ordering::Acquire) && self.done.load(Ordering::Acquire) == self.routed.load(Ordering::Acquire) {
            self.caught_up.store(true, Ordering::Release);
        }
    }
}

/// A shard to read, with nothing put off.
fn settled(shard: &RwLock<Shard>) -> RwLockReadGuard<'_, Shard> {
    let read = shard.read();
    if read.is_settled() {
        return read;
    }
    drop(read);
    let mut shard = shard.write();
    shard.settle(usize::MAX);
    RwLockWriteGuard::downgrade(shard)
}
