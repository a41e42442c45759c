//! Schedules of processors that take their commands from a topic: two of them think every slice theirs, on a hostile
//! network. Afterwards every message is held against the ledger, read by the chain rule alone.

use std::{collections::HashSet, sync::Arc, time::Duration};

use bytes::Bytes;
use pledger_consumers::processor::{KeyLimits, MemorySnapshots, Processor, SnapshotStore};
use pledger_domain::{facts::Channel, values::Timestamp};
use pledger_ledger::{
    chain::{ChainHead, Verdict},
    commands::CommandEnvelope,
    commands_topic::{CommandSender as _, Queued, memory::MemoryCommands},
    edge::{Clock, Edge, Incoming, SeededRandomness, SteppedClock},
    keys::MemoryKeyStore,
    log::Log,
    memory::MemoryLog,
    record::{Body, FORMAT, Hash, LedgerCreated, Outcome, Record},
    slices::{SliceId, Slices},
    verify::verify,
};

use crate::{
    asks::{self, Ask},
    random::Random,
    world::{LIMITS, faults},
};

const TURNS: u64 = 60;
/// Rounds of a calm network within which everything must be decided.
const CALM_ROUNDS: usize = 40;

/// What happened in schedules: a simulation in which nothing does proves nothing.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    decided: u64,
    passed: u64,
    foreign: u64,
    rewound: u64,
    crashes: u64,
    void: u64,
}

impl Tally {
    pub(crate) const fn add(&mut self, other: &Self) {
        self.decided += other.decided;
        self.passed += other.passed;
        self.foreign += other.foreign;
        self.rewound += other.rewound;
        self.crashes += other.crashes;
        self.void += other.void;
    }

    pub(crate) fn assert_that_everything_happened(&self, schedules: u64) {
        let Self { decided, passed, foreign, rewound, crashes, void } = *self;
        assert!([decided / 10, passed, foreign, rewound, crashes, void].into_iter().all(|times| times >= schedules), "{self:?}");
    }
}

/// A processor, and where it reads each slice on.
struct Node {
    processor: Processor,
    at: Vec<u64>,
}

struct World {
    log: MemoryLog,
    topic: MemoryCommands,
    clock: Arc<SteppedClock>,
    edge: Edge,
    random: Random,
    nodes: Vec<Node>,
    snapshots: MemorySnapshots,
    asks: Vec<Ask>,
    tally: Tally,
}

/// Lives through the schedule of a seed; answers the promise that it breaks, where it does.
pub(crate) fn live(seed: u64) -> Result<Tally, String> {
    let mut world = World::new(seed)?;
    for ask in 0..world.asks.len() {
        world.send(ask);
    }
    for _ in 0..TURNS {
        world.turn()?;
    }
    world.settle_all()?;
    world.check()?;
    Ok(world.tally)
}

impl World {
    fn new(seed: u64) -> Result<Self, String> {
        let mut random = Random(seed.wrapping_mul(0x2000_0003) | 1);
        let slices = Slices::new(4).expect("four slices");
        let log = MemoryLog::hostile(slices, faults(&mut random), random.next());
        let start = Timestamp::parse("2026-02-01").expect("a date");
        let created = LedgerCreated { v: FORMAT, ledger_id: "simulated".into(), slices, created_at: start, generated: None };
        let body = Body::LedgerCreated(created).encode().expect("it holds no personal field");
        log.append([Record::chain(0, 0, 0, Hash::default(), body)]);
        let clock = Arc::new(SteppedClock::new(start, 1_000));
        let edge = Edge {
            slices,
            keys: Arc::new(MemoryKeyStore::default()),
            directory: Arc::default(),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            randomness: Arc::new(SeededRandomness::new(1)),
        };
        let (asks, snapshots) = (asks::opening(), MemorySnapshots::default());
        let topic = MemoryCommands::new(slices);
        let mut world = Self { log, topic, clock, edge, random, nodes: Vec::new(), snapshots, asks, tally: Tally::default() };
        world.nodes = (0..2).map(|_| world.node(true)).collect::<Result<_, _>>()?;
        Ok(world)
    }

    /// A processor that takes every slice over.
    fn node(&self, snapshots: bool) -> Result<Node, String> {
        let none = MemorySnapshots::default();
        let from: &dyn SnapshotStore = if snapshots { &self.snapshots } else { &none };
        let log: Arc<dyn Log> = Arc::new(self.log.clone());
        let limits: KeyLimits = LIMITS;
        let mut processor = Processor::of_no_slice(log, from, limits, "writer".into()).map_err(|error| error.to_string())?;
        let all: Vec<SliceId> = self.log.slices().all().collect();
        let places = processor.activate(&all, from).map_err(|error| error.to_string())?;
        Ok(Node { processor, at: places.into_iter().map(|(_, next)| next).collect() })
    }

    /// Sends an ask, once or twice, where an edge takes it.
    fn send(&mut self, ask: usize) {
        let Some(envelope) = self.envelope(ask) else { return };
        for _ in 0..=u64::from(self.random.once_in(8)) {
            self.topic.send(&envelope, Box::new(|_| ())).expect("memory takes it");
        }
        if self.random.once_in(10) {
            self.topic.write(self.log.slices().of(&envelope.stream), Bytes::from_static(b"what is this"));
        }
    }

    fn envelope(&mut self, ask: usize) -> Option<CommandEnvelope> {
        let seen = self.random.index(2);
        let Ask { name, payload, key, sender, if_match } = &self.asks[ask];
        let payload = payload.to_string();
        let after = self.nodes[seen].processor.reference_positions();
        let incoming = Incoming {
            key: Some(key),
            if_match: *if_match,
            after,
            ..Incoming::new(name, payload.as_bytes(), Arc::from(*sender), Channel::Api)
        };
        self.edge.prepare(incoming).ok()
    }

    fn turn(&mut self) -> Result<(), String> {
        let node = usize::from(self.random.once_in(6));
        for _ in 0..self.random.below(4) {
            let known = self.asks.len();
            let again = self.random.index(known);
            let altered = if self.random.once_in(20) { asks::altered(&self.asks[again]) } else { None };
            let ask = match altered {
                Some(other) => {
                    self.asks.push(other);
                    known
                }
                None if self.random.once_in(4) => again,
                None => {
                    self.asks.push(asks::random(&mut self.random, known));
                    known
                }
            };
            self.send(ask);
        }
        if self.random.once_in(2) {
            let most = self.random.below(6);
            self.take(node, most);
        }
        let steps = self.random.below(5);
        self.move_on(steps);
        match self.random.below(40) {
            0 | 1 => {
                self.tally.crashes += 1;
                let snapshots = self.random.once_in(2);
                self.nodes[node] = self.node(snapshots)?;
            }
            2 | 3 => self.keep_snapshots(node)?,
            4 => self.nodes[node].processor.give_up("silence"),
            5 => self.clock.advance_to(self.clock.now().plus_micros(3_000_000)),
            6 => self.clock.advance_to(self.clock.now().plus_days(2)),
            _ => {}
        }
        Ok(())
    }

    /// A node takes at most so many commands of each slice.
    fn take(&mut self, node: usize, most: u64) {
        let now = self.clock.now();
        let Node { processor, at } = &mut self.nodes[node];
        for (slice, at) in self.log.slices().all().zip(at.iter_mut()) {
            for _ in 0..most {
                let Some(Queued { offset, command, .. }) = self.topic.read(slice, *at) else { break };
                *at += 1;
                match command {
                    Ok(envelope) => processor.offer_from_topic(slice, offset, *envelope, now),
                    Err(_) => processor.pass_over(slice, offset, now),
                }
            }
        }
        processor.flush();
    }

    /// Lets the network do `steps` things; everybody takes in what that brings, and goes back where it has to.
    fn move_on(&mut self, steps: u64) {
        for _ in 0..steps {
            self.log.step();
        }
        let now = self.clock.now();
        for Node { processor, at } in &mut self.nodes {
            processor.settle(Duration::ZERO);
            processor.unpark(now);
            processor.look_after_progress(now);
            processor.flush();
            for (slice, next) in processor.take_rewound() {
                self.tally.rewound += 1;
                at[usize::from(slice)] = next;
            }
        }
    }

    fn keep_snapshots(&mut self, node: usize) -> Result<(), String> {
        let processor = &self.nodes[node].processor;
        for slice in self.log.slices().all().filter(|slice| processor.is_settled(*slice)) {
            let bytes = processor.snapshot(slice).map_err(|error| error.to_string())?;
            self.snapshots.save(slice, &bytes).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// The network does nothing wrong any more: everything in the topic is decided or passed.
    fn settle_all(&mut self) -> Result<(), String> {
        self.log.calm();
        for _ in 0..CALM_ROUNDS {
            self.clock.advance_to(self.clock.now().plus_micros(3_000_000));
            while self.log.step() {}
            self.move_on(0);
            for node in 0..2 {
                self.nodes[node].processor.give_up("silence");
            }
            self.move_on(0);
            let ends = |node: &Node| self.log.slices().all().all(|slice| node.at[usize::from(slice)] == self.topic.end(slice));
            let first = &self.nodes[0];
            if ends(first) && first.processor.batches_in_flight() == 0 && !first.processor.has_parked() {
                return Ok(());
            }
            self.take(0, u64::MAX);
        }
        Err("commands are left without a decision on a calm network".into())
    }

    /// Every message was decided once, in order, or rightly left no record.
    fn check(&mut self) -> Result<(), String> {
        self.tally.void += verify(&self.log, None, &mut |_| {}).map_err(|error| error.to_string())?.void;
        for slice in self.log.slices().all() {
            let mut head = ChainHead::default();
            let all = self.log.read(slice, 0, usize::MAX).expect("memory can be read");
            let (mut next, mut said, mut used) = (0, 0, HashSet::new());
            for placed in all.into_iter().filter(|placed| head.accept(placed.offset, &placed.record) == Verdict::Valid) {
                let position = placed.record.position();
                let decision = match Body::decode(&placed.record.body).map_err(|error| error.to_string())? {
                    Body::Decision(decision) => decision,
                    Body::TermOpened(opened) => {
                        said = goes_on(said, opened.next_command, position)?;
                        continue;
                    }
                    Body::Progress(progress) => {
                        said = goes_on(said, progress.next_command, position)?;
                        continue;
                    }
                    Body::LedgerCreated(_) => continue,
                };
                said = goes_on(said, decision.next_command, position)?;
                self.tally.decided += 1;
                let offset =
                    said.checked_sub(1).filter(|offset| *offset >= next).ok_or_else(|| format!("{position} decides a command again"))?;
                self.passed(slice, next..offset, &used)?;
                let command = self.command(slice, offset).ok_or_else(|| format!("{position} decides what is no command"))?;
                let (asked, key) = (&decision.command, (command.sender.to_string(), command.stream.clone(), command.key.to_string()));
                if decision.stream != command.stream || asked.id != command.key || asked.input != format!("{:032x}", command.input) {
                    return Err(format!("{position} decides another command than that at {offset}"));
                }
                let may_pass_later = matches!(&decision.outcome, Outcome::Rejected(rejection) if rejection.may_pass_later());
                if !may_pass_later && !used.insert(key) {
                    return Err(format!("{position} decides a key again"));
                }
                next = offset + 1;
            }
            self.passed(slice, next..self.topic.end(slice), &used)?;
        }
        Ok(())
    }

    fn command(&self, slice: SliceId, offset: u64) -> Option<CommandEnvelope> {
        self.topic.read(slice, offset)?.command.ok().map(|command| *command)
    }

    /// These messages left no record: they hold no command, or one whose key was used.
    fn passed(&mut self, slice: SliceId, offsets: std::ops::Range<u64>, used: &HashSet<Key>) -> Result<(), String> {
        for offset in offsets {
            match self.command(slice, offset) {
                None => self.tally.foreign += 1,
                Some(CommandEnvelope { sender, stream, key, .. }) => {
                    self.tally.passed += 1;
                    if !used.contains(&(sender.to_string(), stream, key.to_string())) {
                        return Err(format!("the command at {offset} of slice {slice}, under {key}, was passed over"));
                    }
                }
            }
        }
        Ok(())
    }
}

/// A key in its scope.
type Key = (String, pledger_domain::stream::StreamName, String);

/// Where a record says that a successor goes on: no earlier than the record before it said.
fn goes_on(said: u64, next: Option<u64>, position: pledger_ledger::slices::Position) -> Result<u64, String> {
    next.filter(|next| *next >= said).ok_or_else(|| format!("{position} says {next:?} after {said}"))
}
