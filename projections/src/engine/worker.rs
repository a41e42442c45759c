//! A worker: takes in the records of its slices, in their order, into its shard.

use std::{
    collections::BTreeMap,
    mem,
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use pledger_domain::{rules::RuleSet, stream::StreamName};
use pledger_ledger::{
    chain::{ChainHead, Verdict},
    log::Placed,
    outline::Outline,
    slices::{Position, SliceId},
};

use super::{
    Shared,
    decode::{Meaning, decode},
};
use crate::shard::At;

/// Why a stream is parked whose rules never came.
pub(super) const NO_SUCH_RULES: &str = "it was decided under rules that the ledger does not have";
/// How often it looks whether rules that a slice waits for have come.
const LOOK: Duration = Duration::from_millis(2);

/// Records that are decoded before they are folded: few enough to be still at hand in the processor's cache, and enough
/// that taking the shard's lock costs nothing.
const PART: usize = 64;

/// What is settled at once, with the shard held.
const SETTLED: usize = 64;

pub(super) struct Worker {
    number: usize,
    shared: Arc<Shared>,
    /// The last record taken in of each slice.
    heads: Vec<ChainHead>,
    /// Slices that wait for rules, with their records from the waiting decision on.
    waiting: BTreeMap<SliceId, Vec<Placed>>,
    waiting_since: Option<Instant>,
    /// Slices of which nothing more was known at the moment that is folded, and the last record that was.
    over: Vec<Option<ChainHead>>,
    program_slice: usize,
}

/// What is to be done to the shard.
enum Step<'a> {
    Fold(Position, Outline<'a>, Option<Arc<RuleSet>>),
    Park(Position, Option<String>, String),
}

/// What of a batch has to wait for rules: whole slices, from some record on.
#[derive(Default)]
struct PutOff {
    slices: Vec<SliceId>,
    /// By their indexes in the batch.
    records: Vec<usize>,
}

impl Worker {
    pub(super) fn new(number: usize, shared: Arc<Shared>, heads: &[ChainHead]) -> Self {
        let program_slice = usize::from(shared.log.slices().of(&StreamName::program()));
        Self {
            number,
            shared,
            heads: heads.to_vec(),
            waiting: BTreeMap::new(),
            waiting_since: None,
            over: vec![None; heads.len()],
            program_slice,
        }
    }

    /// Works until the inbox closes.
    pub(super) fn run(mut self, inbox: &Receiver<Vec<Placed>>) {
        loop {
            let batch =
                if self.waiting.is_empty() { inbox.recv().map_err(|_| RecvTimeoutError::Disconnected) } else { inbox.recv_timeout(LOOK) };
            let batch = match batch {
                Ok(batch) => batch,
                Err(RecvTimeoutError::Timeout) => Vec::new(),
                Err(RecvTimeoutError::Disconnected) => return,
            };
            self.take_waiting();
            let (came, done) = (batch.len(), self.take(batch));
            self.shared.held.fetch_add((came - done) as u64, Ordering::AcqRel);
        }
    }

    /// Tries the slices that wait for rules again.
    fn take_waiting(&mut self) {
        for (_, records) in mem::take(&mut self.waiting) {
            let done = self.take(records);
            self.shared.held.fetch_sub(done as u64, Ordering::AcqRel);
        }
        if self.program_slice % self.shared.shards.len() == self.number {
            let waits = self.waiting.keys().any(|slice| usize::from(*slice) == self.program_slice);
            self.shared.program_waits.store(waits, Ordering::Release);
        }
        self.waiting_since = if self.waiting.is_empty() { None } else { self.waiting_since.or_else(|| Some(Instant::now())) };
    }

    /// Takes in what can be taken in now, and puts the rest off; how many records are done with.
    fn take(&mut self, batch: Vec<Placed>) -> usize {
        if batch.is_empty() {
            return 0;
        }
        let mut kept: Vec<Placed> = Vec::with_capacity(batch.len());
        for placed in batch {
            match self.waiting.get_mut(&placed.record.header.slice) {
                Some(records) => records.push(placed),
                None => kept.push(placed),
            }
        }
        let mut put_off = PutOff::default();
        for (number, part) in kept.chunks(PART).enumerate() {
            let (steps, touched) = self.steps(number * PART, part, &mut put_off);
            self.fold(steps, &touched);
        }
        self.settle();
        let done = kept.len() - put_off.records.len();
        let mut put_off = put_off.records.into_iter().peekable();
        for (index, placed) in kept.into_iter().enumerate() {
            if put_off.next_if_eq(&index).is_some() {
                self.waiting.entry(placed.record.header.slice).or_default().push(placed);
            }
        }
        self.shared.done.fetch_add(done as u64, Ordering::AcqRel);
        self.shared.look_for_the_end();
        done
    }

    /// Settles what the batch put off, so that no question has to.
    fn settle(&self) {
        let shard = &self.shared.shards[self.number];
        while !shard.read().is_settled() {
            shard.write().settle(SETTLED);
        }
    }

    /// What the records ask for, and the slices they move. `first` is the index of the first one in its batch.
    fn steps<'a>(&mut self, first: usize, records: &'a [Placed], put_off: &mut PutOff) -> (Vec<Step<'a>>, Vec<SliceId>) {
        let (mut steps, mut touched) = (Vec::with_capacity(records.len()), Vec::new());
        let mut program = Arc::clone(&self.shared.program.read());
        for (index, Placed { offset, record }) in records.iter().enumerate() {
            let slice = record.header.slice;
            if put_off.slices.contains(&slice) {
                put_off.records.push(first + index);
                continue;
            }
            let mut head = self.heads[usize::from(slice)];
            if let Verdict::Void(_) = head.accept(*offset, record) {
                self.shared.void.fetch_add(1, Ordering::AcqRel);
                continue;
            }
            if self.over[usize::from(slice)].is_some() {
                self.pass(slice, head, &mut touched);
                continue;
            }
            let mut meaning = decode(&record.body, &program);
            let gives_up = matches!(meaning, Meaning::Ahead(_)) && self.gives_up();
            if gives_up {
                // Everything else is folded by now, but perhaps not when these rules were looked up.
                program = Arc::clone(&self.shared.program.read());
                meaning = decode(&record.body, &program);
            }
            match meaning {
                Meaning::Nothing => {}
                // Before its rules are looked for: what was not known yet needs none.
                Meaning::Decision(decision, _) | Meaning::Ahead(decision) if self.shared.admission.is_over(&decision) => {
                    // Records of a slice are in the order of their times.
                    self.over[usize::from(slice)] = Some(self.heads[usize::from(slice)]);
                    self.pass(slice, head, &mut touched);
                    continue;
                }
                Meaning::Decision(decision, rules) => {
                    if self.shared.publish(&decision) {
                        program = Arc::clone(&self.shared.program.read());
                    }
                    if let Some(rules) = self.shared.admitted(&decision, slice, rules) {
                        steps.push(Step::Fold(record.position(), decision, rules));
                    }
                }
                Meaning::Ahead(decision) if gives_up => {
                    steps.push(Step::Park(record.position(), Some(decision.stream.to_string()), NO_SUCH_RULES.to_owned()));
                }
                Meaning::Ahead(_) => {
                    put_off.slices.push(slice);
                    put_off.records.push(first + index);
                    continue;
                }
                Meaning::Poisoned { stream, reason } => {
                    steps.push(Step::Park(record.position(), stream.map(|stream| stream.to_string()), reason));
                }
            }
            self.pass(slice, head, &mut touched);
        }
        (steps, touched)
    }

    /// A record is done with.
    fn pass(&mut self, slice: SliceId, head: ChainHead, touched: &mut Vec<SliceId>) {
        self.heads[usize::from(slice)] = head;
        if !touched.contains(&slice) {
            touched.push(slice);
        }
    }

    /// Whether rules that are still missing will not come: everything else up to the ledger's end is folded, and that
    /// long ago.
    fn gives_up(&self) -> bool {
        let shared = &self.shared;
        let waited = self.waiting_since.is_some_and(|since| since.elapsed() >= shared.options.rules_wait);
        let owns_program = self.program_slice % shared.shards.len() == self.number;
        waited && shared.is_stuck() && (owns_program || !shared.program_waits.load(Ordering::Acquire))
    }

    fn fold(&self, steps: Vec<Step<'_>>, touched: &[SliceId]) {
        if touched.is_empty() {
            return;
        }
        let heads: Vec<_> = touched.iter().map(|slice| (*slice, self.heads[usize::from(*slice)])).collect();
        let mut shard = self.shared.shards[self.number].write();
        for step in steps {
            match step {
                Step::Fold(position, decision, rules) => {
                    shard.fold(&decision, &At::of(&decision, position, rules.as_ref()));
                }
                Step::Park(position, stream, reason) => {
                    tracing::error!(%position, ?stream, reason, "a record cannot be folded; its stream is parked");
                    shard.parked.park(stream.as_deref(), &At::left_out(position), &reason);
                }
            }
        }
        for (slice, head) in &heads {
            shard.set_head(*slice, self.over[usize::from(*slice)].unwrap_or(*head));
        }
        drop(shard);
        self.shared.progress.advance(&heads);
    }
}
