//! A writer with its memory of the slice: reads, decides, sends, hears reports, loses its term, crashes.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use pledger_ledger::{
    chain::Verdict,
    log::{Log, Producer},
    record::{Hash, Record},
};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::{
    Ack, Key, Rules, SLICE, Topic,
    chaining::{Chaining, chaining},
};

/// How many polls without a report a writer waits for what is in flight.
const PATIENCE: u32 = 12;

/// What a record of the simulation says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Opened,
    Progress,
    Decided { key: Key, command: usize },
}

impl Entry {
    fn encode(self, next_command: usize) -> Bytes {
        let (kind, key, command) = match self {
            Self::Opened => (b'o', 0, 0),
            Self::Progress => (b'p', 0, 0),
            Self::Decided { key, command } => (b'd', key, command),
        };
        let numbers = [command, next_command].map(|number| u16::try_from(number).expect("schedules are short").to_le_bytes());
        Bytes::from([&[kind, key], numbers.concat().as_slice()].concat())
    }

    /// Answers the place to go on at, too.
    pub(super) fn decode(body: &[u8]) -> (Self, usize) {
        let number = |at: usize| usize::from(u16::from_le_bytes([body[at], body[at + 1]]));
        let entry = match body[0] {
            b'o' => Self::Opened,
            b'p' => Self::Progress,
            _ => Self::Decided { key: body[1], command: number(2) },
        };
        (entry, number(4))
    }
}

/// One of the writers.
pub(super) struct Contender {
    rules: Rules,
    /// How long it listens for reports at a time: not at all where nothing happens but by steps.
    listens: Duration,
    mind: Option<Mind>,
}

/// What a crash forgets.
struct Mind {
    writer: Box<dyn Chaining>,
    producer: Box<dyn Producer>,
    /// Where the slice ended when it was read; none before it was read to the end.
    end: Option<u64>,
    next_command: usize,
    /// The place that the last settled record names: where it goes on after a loss.
    settled_command: usize,
    /// Acknowledged or re-read.
    decided: BTreeMap<Key, (u64, Hash)>,
    flying: VecDeque<(Record, Entry)>,
    /// Commands to be answered once their key's decision is acknowledged.
    waiting: Vec<(usize, Key)>,
    unanswered_polls: u32,
}

impl Contender {
    pub(super) fn new(rules: Rules, listens: Duration) -> Self {
        Self { rules, listens, mind: None }
    }

    /// One move of a schedule.
    pub(super) fn act(&mut self, log: &dyn Log, topic: &Topic, acks: &mut Vec<Ack>, random: &mut ChaCha8Rng) {
        if random.random_ratio(1, 40) {
            self.mind = None;
            return;
        }
        self.work_on(log, topic, acks, random);
    }

    /// One move without a crash.
    pub(super) fn work_on(&mut self, log: &dyn Log, topic: &Topic, acks: &mut Vec<Ack>, random: &mut ChaCha8Rng) {
        let (rules, listens) = (self.rules, self.listens);
        let mind = self.mind.get_or_insert_with(|| Mind::new(rules, log));
        match mind.end {
            None => mind.read(log, acks),
            Some(_) if random.random_bool(0.5) => mind.hear(log, listens, acks),
            Some(end) => {
                for _ in 0..random.random_range(1..=2) {
                    if mind.end.is_some() {
                        mind.decide(rules, end, log, topic, acks, random);
                    }
                }
            }
        }
    }

    /// Whether every command was looked at, and every decision acknowledged.
    pub(super) fn is_done(&self, topic: &Topic) -> bool {
        let done =
            |mind: &Mind| mind.end.is_some() && mind.next_command == topic.0.len() && mind.flying.is_empty() && mind.waiting.is_empty();
        self.mind.as_ref().is_some_and(done)
    }
}

impl Mind {
    fn new(rules: Rules, log: &dyn Log) -> Self {
        Self {
            writer: chaining(rules),
            producer: log.producer().expect("a producer"),
            end: None,
            next_command: 0,
            settled_command: 0,
            decided: BTreeMap::new(),
            flying: VecDeque::new(),
            waiting: Vec::new(),
            unanswered_polls: 0,
        }
    }

    /// Reads the slice to its end, by the chain rule, from the last settled record on.
    fn read(&mut self, log: &dyn Log, acks: &mut Vec<Ack>) {
        let mut head = self.writer.settled();
        let placed = log.read(SLICE, head.next_offset, usize::MAX).expect("readable");
        self.end = Some(head.next_offset + placed.len() as u64);
        for placed in placed {
            if head.accept(placed.offset, &placed.record) == Verdict::Valid {
                self.learn(&placed.record);
            }
        }
        self.writer.resume(head);
        self.next_command = self.settled_command;
        // What is not valid will be decided again from the topic, or was sent and lands yet: its client goes on waiting.
        let decided = &self.decided;
        self.waiting.retain(|(command, key)| match decided.get(key) {
            Some((pseq, hash)) => {
                acks.push(Ack { command: *command, key: *key, pseq: *pseq, hash: *hash });
                false
            }
            None => true,
        });
    }

    fn learn(&mut self, record: &Record) {
        let (entry, next_command) = Entry::decode(&record.body);
        self.settled_command = next_command;
        if let Entry::Decided { key, .. } = entry {
            self.decided.insert(key, (record.header.pseq, record.header.hash));
        }
    }

    /// Decides up to three commands and sends what they leave.
    fn decide(&mut self, rules: Rules, end: u64, log: &dyn Log, topic: &Topic, acks: &mut Vec<Ack>, random: &mut ChaCha8Rng) {
        let mut batch = Vec::new();
        for _ in 0..random.random_range(1..=3) {
            let Some(key) = topic.0.get(self.next_command).copied() else { break };
            let command = self.next_command;
            self.next_command += 1;
            let in_flight = self.flying.iter().find(|(_, entry)| matches!(entry, Entry::Decided { key: other, .. } if *other == key));
            if let Some((pseq, hash)) = self.decided.get(&key).copied() {
                acks.push(Ack { command, key, pseq, hash });
            } else if let Some((record, _)) = in_flight {
                if rules.wait_for_ack {
                    self.wait(command, key);
                } else {
                    acks.push(Ack { command, key, pseq: record.header.pseq, hash: record.header.hash });
                }
            } else {
                if !self.writer.is_open() {
                    let record = self.writer.open(end, Entry::Opened.encode(command));
                    self.fly(record, Entry::Opened, &mut batch);
                }
                let entry = Entry::Decided { key, command };
                let record = self.writer.frame(entry.encode(self.next_command));
                self.fly(record, entry, &mut batch);
                self.wait(command, key);
            }
        }
        if self.writer.is_open() && random.random_ratio(1, 6) {
            let record = self.writer.frame(Entry::Progress.encode(self.next_command));
            self.fly(record, Entry::Progress, &mut batch);
        }
        if !batch.is_empty() && self.producer.send(batch).is_err() {
            self.lose(log);
        }
    }

    fn wait(&mut self, command: usize, key: Key) {
        if !self.waiting.contains(&(command, key)) {
            self.waiting.push((command, key));
        }
    }

    fn fly(&mut self, record: Record, entry: Entry, batch: &mut Vec<Record>) {
        self.flying.push_back((record.clone(), entry));
        batch.push(record);
    }

    /// Takes in reports; without any for too long, what is in flight counts as lost.
    fn hear(&mut self, log: &dyn Log, listens: Duration, acks: &mut Vec<Ack>) {
        let reports = self.producer.reports(listens);
        self.unanswered_polls = if reports.is_empty() && !self.flying.is_empty() { self.unanswered_polls + 1 } else { 0 };
        if self.unanswered_polls > PATIENCE {
            return self.lose(log);
        }
        for report in reports {
            let flying = self.flying.iter().position(|(record, _)| record.header.pseq == report.pseq);
            let about = flying.map(|at| &self.flying[at]);
            let hash = about.map_or_else(Hash::default, |(record, _)| record.header.hash);
            let progress = about.is_some_and(|(_, entry)| *entry == Entry::Progress);
            match self.writer.report(&report, hash, progress) {
                None => return self.lose(log),
                Some(false) => {}
                Some(true) => {
                    if let Some((record, _)) = flying.and_then(|at| self.flying.remove(at)) {
                        self.acknowledge(&record, acks);
                    }
                }
            }
        }
    }

    fn acknowledge(&mut self, record: &Record, acks: &mut Vec<Ack>) {
        self.learn(record);
        let (pseq, hash) = (record.header.pseq, record.header.hash);
        let (Entry::Decided { key, .. }, _) = Entry::decode(&record.body) else { return };
        self.waiting.retain(|(command, waiting)| {
            if *waiting == key {
                acks.push(Ack { command: *command, key, pseq, hash });
            }
            *waiting != key
        });
    }

    /// The term is over: purge and drop the producer, and read again.
    fn lose(&mut self, log: &dyn Log) {
        self.producer = log.producer().expect("a producer");
        self.flying.clear();
        self.unanswered_polls = 0;
        self.end = None;
    }
}
