//! One schedule: two processors, their clients, the network between them and the ledger.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use pledger_consumers::processor::{DIRECTORY, KeyLimits, MemorySnapshots, Processor, SnapshotStore, Waiter};
use pledger_domain::{facts::Channel, stream::StreamName, values::Timestamp};
use pledger_ledger::{
    commands::{CommandEnvelope, Decided, Undecided},
    edge::{Clock, Edge, Incoming, SeededRandomness, SteppedClock},
    keys::MemoryKeyStore,
    log::Log,
    memory::{Faults, MemoryLog},
    record::{Body, FORMAT, Hash, LedgerCreated, Record},
    slices::{Position, Slices},
};

use crate::{
    again,
    asks::{self, Ask},
    checker,
    random::Random,
};

/// Turns of a schedule, after its opening.
const TURNS: u64 = 40;
/// How far the clock of the second node's machine is ahead.
const AHEAD_US: i64 = 5_000_000;
/// Nothing is forgotten within a schedule, in which months may go by.
pub(crate) const LIMITS: KeyLimits = KeyLimits { window_days: u16::MAX, per_slice: 100_000 };
/// Rounds of a calm network within which everything must be decided.
const CALM_ROUNDS: usize = 60;

/// Something that a client was told.
pub(crate) struct Heard {
    pub(crate) ask: usize,
    pub(crate) stream: StreamName,
    pub(crate) input: u128,
    pub(crate) decided: Decided,
}

/// What happened in schedules: a simulation in which nothing does proves nothing.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    pub(crate) replayed: u64,
    pub(crate) reused: u64,
    pub(crate) unknown: u64,
    pub(crate) void: u64,
    pub(crate) behind: u64,
    pub(crate) crashes: u64,
    pub(crate) compared: u64,
    pub(crate) due: u64,
    /// Decisions that drafts of the rules would have made otherwise.
    pub(crate) otherwise: u64,
}

impl Tally {
    pub(crate) const fn add(&mut self, other: Self) {
        let Self { accepted, refused, replayed, reused, unknown, void, behind, crashes, compared, due, otherwise } = other;
        self.accepted += accepted;
        self.refused += refused;
        self.replayed += replayed;
        self.reused += reused;
        self.unknown += unknown;
        self.void += void;
        self.behind += behind;
        self.crashes += crashes;
        self.compared += compared;
        self.due += due;
        self.otherwise += otherwise;
    }

    pub(crate) fn assert_that_everything_happened(&self, schedules: u64) {
        let Self { accepted, refused, replayed, reused, unknown, void, behind, crashes, compared, due, otherwise } = *self;
        let often = [accepted / 10, refused / 4, replayed, unknown, void, crashes, compared, otherwise];
        assert!(often.into_iter().all(|times| times >= schedules), "{self:?}");
        assert!([reused, behind, due].into_iter().all(|times| times >= schedules / 20), "{self:?}");
    }
}

/// A processor with those who wait for it.
struct Node {
    processor: Processor,
    edge: Edge,
    waiting: HashMap<u64, (usize, StreamName, u128)>,
}

pub(crate) struct World {
    pub(crate) log: MemoryLog,
    clock: Arc<SteppedClock>,
    random: Random,
    nodes: Vec<Node>,
    snapshots: MemorySnapshots,
    pub(crate) asks: Vec<Ask>,
    pub(crate) heard: Vec<Heard>,
    submissions: u64,
    pub(crate) tally: Tally,
}

/// Lives through the schedule of a seed; answers the promise that it breaks, where it does.
pub(crate) fn live(seed: u64) -> Result<Tally, String> {
    let mut world = World::new(seed);
    world.open()?;
    for _ in 0..TURNS {
        world.turn()?;
    }
    world.settle_all()?;
    world.compare(0)?;
    world.compare_snapshots()?;
    world.compare_due()?;
    checker::check(&mut world)?;
    world.tally.otherwise = again::check(&world, seed)?;
    Ok(world.tally)
}

pub(crate) fn faults(random: &mut Random) -> Faults {
    if random.once_in(5) {
        return Faults { lose: 500, ..Faults::default() };
    }
    let mut up_to = |most: u64| u16::try_from(random.below(most)).expect("less than a thousand");
    Faults {
        fail: up_to(60),
        unsure: up_to(60),
        duplicate: up_to(80),
        overtake: up_to(120),
        split: up_to(300),
        mute: up_to(40),
        tear: up_to(40),
        lose: up_to(800),
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x1000_0001));
        let slices = Slices::new(4).expect("four slices");
        let log = MemoryLog::hostile(slices, faults(&mut random), random.next());
        let start = Timestamp::parse("2026-02-01").expect("a date");
        let created = LedgerCreated { v: FORMAT, ledger_id: "simulated".into(), slices, created_at: start, generated: None };
        let body = Body::LedgerCreated(created).encode().expect("it holds no personal field");
        log.append([Record::chain(0, 0, 0, Hash::default(), body)]);
        let clock = Arc::new(SteppedClock::new(start, 1_000));
        let (asks, tally) = (asks::opening(), Tally::default());
        let (nodes, snapshots) = (Vec::new(), MemorySnapshots::default());
        let mut world = Self { log, clock, random, nodes, snapshots, asks, heard: Vec::new(), submissions: 0, tally };
        world.nodes = (0..2).map(|_| world.node(true).expect("an empty ledger")).collect();
        world
    }

    /// A processor that starts on what the ledger holds now.
    fn node(&self, snapshots: bool) -> Result<Node, String> {
        let none = MemorySnapshots::default();
        let from: &dyn SnapshotStore = if snapshots { &self.snapshots } else { &none };
        let log: Arc<dyn Log> = Arc::new(self.log.clone());
        let processor = Processor::restore(log, from, LIMITS, "writer".into()).map_err(|error| error.to_string())?;
        let edge = Edge {
            slices: self.log.slices(),
            keys: Arc::new(MemoryKeyStore::default()),
            directory: processor.directory(),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            randomness: Arc::new(SeededRandomness::new(1)),
        };
        Ok(Node { processor, edge, waiting: HashMap::new() })
    }

    /// Brings about what everything else rests on, one after the other.
    fn open(&mut self) -> Result<(), String> {
        for ask in 0..self.asks.len() {
            let mut left = 400;
            while !self.is_decided(ask) {
                left -= 1;
                if left == 0 {
                    return Err(format!("{:?} is never decided", self.asks[ask].name));
                }
                if left % 20 == 0 {
                    self.submit(0, ask, false);
                    self.nodes[0].processor.give_up("silence");
                }
                self.move_on(2);
            }
        }
        Ok(())
    }

    fn is_decided(&self, ask: usize) -> bool {
        self.heard.iter().any(|heard| heard.ask == ask && heard.decided.is_ok())
    }

    /// Whether an ask needs no more: it was decided, or its key was used by another.
    fn is_over(&self, ask: usize) -> bool {
        let over = |decided: &Decided| matches!(decided, Ok(_) | Err(Undecided::KeyReused { .. }));
        self.heard.iter().any(|heard| heard.ask == ask && over(&heard.decided))
    }

    /// Hands an ask to a node, where its edge takes it.
    fn submit(&mut self, node: usize, ask: usize, elsewhere: bool) {
        // What a client has seen, it may have seen at the other node.
        let after = self.nodes[if elsewhere { 1 - node } else { node }].processor.reference_positions();
        let Some(envelope) = self.envelope(node, ask, after) else { return };
        self.submissions += 1;
        let (submission, now) = (self.submissions, self.now(node));
        let node = &mut self.nodes[node];
        node.waiting.insert(submission, (ask, envelope.stream.clone(), envelope.input));
        node.processor.offer(envelope, Waiter { submission, index: 0 }, now);
    }

    fn envelope(&self, node: usize, ask: usize, after: Vec<Position>) -> Option<CommandEnvelope> {
        let Ask { name, payload, key, sender, if_match } = &self.asks[ask];
        let payload = payload.to_string();
        let incoming = Incoming {
            key: Some(key),
            if_match: *if_match,
            after,
            ..Incoming::new(name, payload.as_bytes(), Arc::from(*sender), Channel::Api)
        };
        self.nodes[node].edge.prepare(incoming).ok()
    }

    /// The clock of a node's machine: the other one's is ahead.
    fn now(&self, node: usize) -> Timestamp {
        self.clock.now().plus_micros(if node == 0 { 0 } else { AHEAD_US })
    }

    fn turn(&mut self) -> Result<(), String> {
        // Mostly one node is at work: both at once only depose each other.
        let node = usize::from(self.random.once_in(12));
        if self.random.once_in(2) {
            self.ask_something(node);
        }
        if self.random.once_in(2) {
            self.nodes[node].processor.flush();
        }
        let steps = self.random.below(5);
        self.move_on(steps);
        match self.random.below(60) {
            0 | 1 => self.crash(node)?,
            2 | 3 => self.keep_snapshots(node)?,
            4 => self.nodes[node].processor.give_up("silence"),
            5 => self.compare(node)?,
            6 => self.clock.advance_to(self.clock.now().plus_micros(3_000_000)),
            7 => self.fall_due(node),
            _ => {}
        }
        Ok(())
    }

    fn ask_something(&mut self, node: usize) {
        for _ in 0..=self.random.below(4) {
            let known = self.asks.len();
            let again = self.random.index(known);
            let altered = if self.random.once_in(20) { asks::altered(&self.asks[again]) } else { None };
            let ask = if let Some(other) = altered {
                self.asks.push(other);
                known
            } else if self.random.once_in(4) {
                again
            } else {
                self.asks.push(asks::random(&mut self.random, known));
                known
            };
            let elsewhere = self.random.once_in(6);
            self.submit(node, ask, elsewhere);
        }
    }

    /// Lets the network do `steps` things; everybody takes in what that brings.
    fn move_on(&mut self, steps: u64) {
        for _ in 0..steps {
            self.log.step();
        }
        let now = [self.now(0), self.now(1)];
        for (node, now) in self.nodes.iter_mut().zip(now) {
            node.processor.settle(Duration::ZERO);
            node.processor.unpark(now);
            if node.processor.batches_in_flight() < 3 {
                node.processor.flush();
            }
            for (waiter, decided) in node.processor.take_answers() {
                if let Some((ask, stream, input)) = node.waiting.remove(&waiter.submission) {
                    self.heard.push(Heard { ask, stream, input, decided });
                }
            }
        }
    }

    /// A crash: whoever waited hears nothing, what was sent may still arrive. Another process takes the place.
    fn crash(&mut self, node: usize) -> Result<(), String> {
        self.tally.crashes += 1;
        let snapshots = self.random.once_in(2);
        self.nodes[node] = self.node(snapshots)?;
        Ok(())
    }

    /// Days go by, and what fell due is sent.
    fn fall_due(&mut self, node: usize) {
        let days = i64::try_from(self.random.below(40)).expect("a few");
        self.clock.advance_to(self.clock.now().plus_days(days));
        let now = self.clock.now();
        let node = &mut self.nodes[node];
        for (stream, deadline) in node.processor.take_due(now) {
            let payload = deadline.payload_in(&stream).to_string();
            let incoming = Incoming {
                key: Some(&deadline.id),
                effective_at: Some(deadline.due),
                ..Incoming::new(deadline.command, payload.as_bytes(), Arc::from("deadlines"), Channel::Deadline)
            };
            let envelope = node.edge.prepare(incoming).expect("a deadline names its own stream");
            node.processor.offer(envelope, Waiter { submission: u64::MAX, index: 0 }, now);
            self.tally.due += 1;
        }
    }

    /// Whether nothing of a node is on its way.
    fn is_quiet(&mut self, node: usize) -> bool {
        self.nodes[node].processor.flush();
        self.nodes[node].processor.batches_in_flight() == 0
    }

    fn keep_snapshots(&mut self, node: usize) -> Result<(), String> {
        if self.is_quiet(node) {
            let processor = &self.nodes[node].processor;
            for slice in self.log.slices().all() {
                // Not all of them at once, as in life.
                if self.random.once_in(2) {
                    let bytes = processor.snapshot(slice).map_err(|error| error.to_string())?;
                    self.snapshots.save(slice, &bytes).map_err(|error| error.to_string())?;
                }
            }
            if self.random.once_in(2) {
                let bytes = processor.directory_snapshot().map_err(|error| error.to_string())?;
                self.snapshots.save(DIRECTORY, &bytes).map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }

    /// The state of a node is what the ledger says, slice by slice, where both stand at the same head.
    fn compare(&mut self, node: usize) -> Result<(), String> {
        if !self.is_quiet(node) {
            return Ok(());
        }
        let fresh = self.node(false)?;
        let (live, folded) = (&self.nodes[node].processor, &fresh.processor);
        let mut same = true;
        for slice in self.log.slices().all() {
            if live.settled(slice) != folded.settled(slice) {
                same = false;
                continue;
            }
            self.tally.compared += 1;
            equal(&format!("the state of slice {slice}"), digest(live, slice)?, digest(folded, slice)?)?;
        }
        if self.log.slices().references().all(|slice| live.settled(slice) == folded.settled(slice)) {
            let of = |processor: &Processor| processor.references_digest().map_err(|error| error.to_string());
            equal("the reference facts", of(live)?, of(folded)?)?;
        }
        if same { checker::same_directory(live, folded) } else { Ok(()) }
    }

    /// A start from snapshots is a start from the ledger.
    fn compare_snapshots(&self) -> Result<(), String> {
        let (short, long) = (self.node(true)?.processor, self.node(false)?.processor);
        for slice in self.log.slices().all() {
            equal(&format!("the snapshot of slice {slice}"), digest(&short, slice)?, digest(&long, slice)?)?;
        }
        let of = |processor: &Processor| processor.references_digest().map_err(|error| error.to_string());
        equal("the reference facts of a snapshot", of(&short)?, of(&long)?)?;
        checker::same_directory(&short, &long)
    }

    /// What a node is going to send when it falls due is what the ledger says, in the slices that it has read to their end.
    fn compare_due(&mut self) -> Result<(), String> {
        let far = self.clock.now().plus_days(3_650);
        let mut folded = self.node(false)?.processor;
        let slices = self.log.slices();
        let live = &mut self.nodes[0].processor;
        let read: HashSet<u16> = slices.all().filter(|slice| live.settled(*slice) == folded.settled(*slice)).collect();
        let of = |processor: &mut Processor| {
            let due = processor.take_due(far).into_iter().filter(|(stream, _)| read.contains(&slices.of(stream)));
            due.map(|(stream, deadline)| (stream, deadline.id)).collect::<BTreeSet<_>>()
        };
        let (sent, expected) = (of(live), of(&mut folded));
        if sent == expected { Ok(()) } else { Err(format!("{sent:?} is going to fall due; the ledger says {expected:?}")) }
    }

    /// The network does nothing wrong any more: everything that was asked is decided.
    fn settle_all(&mut self) -> Result<(), String> {
        self.log.calm();
        for _ in 0..CALM_ROUNDS {
            self.clock.advance_to(self.clock.now().plus_micros(3_000_000));
            while self.log.step() {}
            self.move_on(0);
            while self.log.step() {}
            self.move_on(0);
            for node in 0..2 {
                self.nodes[node].processor.give_up("silence");
            }
            self.move_on(0);
            let taken = |world: &Self, ask: usize| world.envelope(0, ask, Vec::new()).is_some();
            let open: Vec<usize> = (0..self.asks.len()).filter(|ask| !self.is_over(*ask) && taken(self, *ask)).collect();
            if open.is_empty() && self.is_quiet(0) {
                return Ok(());
            }
            open.into_iter().for_each(|ask| self.submit(0, ask, false));
            self.nodes[0].processor.flush();
        }
        Err("commands are left without a decision on a calm network".into())
    }
}

fn digest(processor: &Processor, slice: u16) -> Result<[u8; 32], String> {
    processor.digest(slice).map_err(|error| error.to_string())
}

fn equal(what: &str, live: [u8; 32], folded: [u8; 32]) -> Result<(), String> {
    if live == folded { Ok(()) } else { Err(format!("{what} is not what the ledger says")) }
}
