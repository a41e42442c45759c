//! A log in memory: a plain engine for tests of what stands on a log, and a hostile one for simulations.
//!
//! The hostile one is seeded and moves by `step` only, so that every schedule can be run again. What its network may do
//! is what a broker's may: delay, duplicate, split and overtake batches, fail them in the middle of a pipeline, write
//! them and say that it failed, report late or never, and deliver what a dropped producer had sent long after.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};
use pledger_domain::stream::StreamName;

use crate::{
    body_stream::is_of,
    log::{Log, LogError, Placed, Producer, Report, Tail},
    record::{Body, Hash, LedgerCreated, Record},
    slices::{SliceId, Slices},
};

/// How often, of a thousand times, each thing goes wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// A batch is not written, and said to have failed.
    pub fail: u16,
    /// A batch is written, and said to have failed.
    pub unsure: u16,
    /// A batch is written twice.
    pub duplicate: u16,
    /// A batch is written before one that was sent earlier.
    pub overtake: u16,
    /// A batch is written in two parts.
    pub split: u16,
    /// Nothing is ever said of a batch.
    pub mute: u16,
    /// A producer's connection breaks: nothing more is said, what it sent may still arrive.
    pub tear: u16,
    /// A batch of a dropped producer is lost; otherwise it may arrive at any time.
    pub lose: u16,
}

/// A log in memory; clones are one log.
#[derive(Clone, Debug)]
pub struct MemoryLog {
    slices: Slices,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    grown: Condvar,
}

#[derive(Debug, Default)]
struct State {
    records: Vec<Vec<Record>>,
    /// Every record in the order of arrival.
    order: Vec<(SliceId, u64)>,
    /// Present where the network is hostile.
    network: Option<Network>,
}

/// What is on its way.
#[derive(Debug)]
struct Network {
    faults: Faults,
    random: u64,
    lines: BTreeMap<u64, Line>,
    next_line: u64,
}

/// The connection of one producer.
#[derive(Debug, Default)]
struct Line {
    sent: VecDeque<Vec<Record>>,
    /// Reports on their way back.
    reports: VecDeque<Vec<Report>>,
    arrived: Vec<Report>,
    torn: bool,
}

impl Default for MemoryLog {
    /// A plain ledger of the default slices.
    fn default() -> Self {
        let created = r#"{"v":1,"ledger_id":"memory","slices":{"count":64,"reference":4},"created_at":"2026-01-01T00:00:00Z"}"#;
        Self::new(serde_json::from_str(created).expect("a fixed text that a test reads"))
    }
}

impl MemoryLog {
    /// A plain ledger: what is sent is written and reported at once.
    ///
    /// # Panics
    /// Where `created` cannot be written, which holds nothing that could fail.
    #[must_use]
    pub fn new(created: LedgerCreated) -> Self {
        let log = Self::bare(created.slices);
        let body = Body::LedgerCreated(created).encode().expect("it holds no personal field");
        log.append([Record::chain(0, 0, 0, Hash::default(), body)]);
        log
    }

    /// A log without a first record.
    #[must_use]
    pub fn bare(slices: Slices) -> Self {
        let state = State { records: vec![Vec::new(); usize::from(slices.count)], ..State::default() };
        Self { slices, shared: Arc::new(Shared { state: Mutex::new(state), grown: Condvar::new() }) }
    }

    /// A bare log behind a hostile network, which moves by `step` only.
    #[must_use]
    pub fn hostile(slices: Slices, faults: Faults, seed: u64) -> Self {
        let log = Self::bare(slices);
        log.shared.state.lock().network = Some(Network { faults, random: seed, lines: BTreeMap::new(), next_line: 0 });
        log
    }

    /// Writes records as they are, past any producer; answers their offsets.
    pub fn append(&self, records: impl IntoIterator<Item = Record>) -> Vec<u64> {
        let mut state = self.shared.state.lock();
        let offsets = records.into_iter().map(|record| state.append(record)).collect();
        self.shared.grown.notify_all();
        offsets
    }

    /// Lets one thing happen on a hostile network; answers whether anything is left on its way.
    pub fn step(&self) -> bool {
        let mut state = self.shared.state.lock();
        let Some(mut network) = state.network.take() else { return false };
        let moved = network.step(&mut state);
        state.network = Some(network);
        self.shared.grown.notify_all();
        moved
    }

    /// From now on the network does nothing wrong; what is on its way arrives.
    pub fn calm(&self) {
        if let Some(network) = &mut self.shared.state.lock().network {
            network.faults = Faults::default();
        }
    }

    fn slice(&self, slice: SliceId, offset: u64, max: usize, wanted: impl Fn(&Record) -> bool) -> Vec<Placed> {
        let state = self.shared.state.lock();
        let skip = usize::try_from(offset).unwrap_or(usize::MAX);
        let records = state.records.get(usize::from(slice)).into_iter().flatten().skip(skip);
        let placed = (offset..).zip(records).filter(|(_, record)| wanted(record)).take(max);
        placed.map(|(offset, record)| Placed { offset, record: record.clone() }).collect()
    }
}

impl State {
    fn append(&mut self, record: Record) -> u64 {
        let slice = record.header.slice;
        let records = &mut self.records[usize::from(slice)];
        let offset = records.len() as u64;
        records.push(record);
        self.order.push((slice, offset));
        offset
    }
}

impl Network {
    /// SplitMix64: the same schedule for a seed in every release of every library.
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// One of `count`.
    fn pick(&mut self, count: usize) -> usize {
        usize::try_from(self.random() % count as u64).expect("less than a usize")
    }

    fn happens(&mut self, per_mille: u16) -> bool {
        // The seed's stream is the same whatever the chances are.
        self.random() % 1000 < u64::from(per_mille)
    }

    fn step(&mut self, state: &mut State) -> bool {
        let moves = |(id, line): (&u64, &Line)| {
            [(!line.sent.is_empty()).then_some((*id, true)), (!line.reports.is_empty()).then_some((*id, false))]
        };
        let moves: Vec<(u64, bool)> = self.lines.iter().flat_map(moves).flatten().collect();
        if moves.is_empty() {
            return false;
        }
        let (id, forward) = moves[self.pick(moves.len())];
        if forward {
            self.deliver(id, state);
        } else {
            self.bring_back(id);
        }
        true
    }

    fn line(&mut self, id: u64) -> &mut Line {
        self.lines.get_mut(&id).expect("a line that has something to move")
    }

    fn bring_back(&mut self, id: u64) {
        let tear = self.happens(self.faults.tear);
        let line = self.line(id);
        let reports = line.reports.pop_front().unwrap_or_default();
        if tear {
            line.torn = true;
            line.reports.clear();
        } else {
            line.arrived.extend(reports);
        }
    }

    fn deliver(&mut self, id: u64, state: &mut State) {
        let faults = self.faults;
        let [overtake, split, fail, unsure, duplicate, mute] =
            [faults.overtake, faults.split, faults.fail, faults.unsure, faults.duplicate, faults.mute].map(|chance| self.happens(chance));
        let (at, second) = (self.random(), self.happens(500));
        let line = self.line(id);
        let taken = if overtake && line.sent.len() > 1 { line.sent.remove(1) } else { line.sent.pop_front() };
        let mut batch = taken.unwrap_or_default();
        if split && batch.len() > 1 {
            let at = 1 + usize::try_from(at % (batch.len() as u64 - 1)).expect("less than a usize");
            line.sent.push_front(batch.split_off(at));
        }
        let mut reports: Vec<Report> = batch.iter().map(|record| report(record, Err("the broker did not answer".into()))).collect();
        if !fail {
            let first: Vec<u64> = batch.iter().map(|record| state.append(record.clone())).collect();
            let again: Vec<u64> = if duplicate { batch.iter().map(|record| state.append(record.clone())).collect() } else { first.clone() };
            if !unsure {
                let offsets = if second { again } else { first };
                reports.iter_mut().zip(offsets).for_each(|(report, offset)| report.outcome = Ok(offset));
            }
        }
        let line = self.line(id);
        if !mute && !line.torn {
            line.reports.push_back(reports);
        }
    }

    fn drop_line(&mut self, id: u64) {
        let mut sent = std::mem::take(&mut self.line(id).sent);
        sent.retain(|_| !self.happens(self.faults.lose));
        if sent.is_empty() {
            self.lines.remove(&id);
        } else {
            self.lines.insert(id, Line { sent, torn: true, ..Line::default() });
        }
    }
}

fn report(record: &Record, outcome: Result<u64, String>) -> Report {
    let header = &record.header;
    Report { slice: header.slice, pseq: header.pseq, term: header.term, outcome }
}

impl Log for MemoryLog {
    fn slices(&self) -> Slices {
        self.slices
    }

    fn end(&self, slice: SliceId) -> Result<u64, LogError> {
        Ok(self.shared.state.lock().records.get(usize::from(slice)).map_or(0, |records| records.len() as u64))
    }

    fn read(&self, slice: SliceId, offset: u64, max: usize) -> Result<Vec<Placed>, LogError> {
        Ok(self.slice(slice, offset, max, |_| true))
    }

    fn read_stream(&self, stream: &StreamName, offset: u64, max: usize) -> Result<Vec<Placed>, LogError> {
        Ok(self.slice(self.slices.of(stream), offset, max, |record| is_of(&record.body, stream)))
    }

    fn tail(&self, from: &[u64]) -> Result<Box<dyn Tail>, LogError> {
        Ok(Box::new(MemoryTail { shared: Arc::clone(&self.shared), from: from.to_vec(), next: 0 }))
    }

    fn producer(&self) -> Result<Box<dyn Producer>, LogError> {
        let mut state = self.shared.state.lock();
        let id = state.network.as_mut().map(|network| {
            let id = network.next_line;
            network.next_line += 1;
            network.lines.insert(id, Line::default());
            id
        });
        Ok(Box::new(MemoryProducer { shared: Arc::clone(&self.shared), slices: self.slices, line: id, reports: Vec::new() }))
    }
}

struct MemoryTail {
    shared: Arc<Shared>,
    from: Vec<u64>,
    /// How far in the order of arrival.
    next: usize,
}

impl Tail for MemoryTail {
    fn next(&mut self, max: usize, wait: Duration) -> Result<Vec<Placed>, LogError> {
        let until = Instant::now() + wait;
        let mut state = self.shared.state.lock();
        loop {
            let mut placed = Vec::new();
            while let Some((slice, offset)) = state.order.get(self.next).copied()
                && placed.len() < max.max(1)
            {
                self.next += 1;
                if offset >= self.from.get(usize::from(slice)).copied().unwrap_or(0) {
                    let at = usize::try_from(offset).expect("offsets in memory fit");
                    placed.push(Placed { offset, record: state.records[usize::from(slice)][at].clone() });
                }
            }
            if !placed.is_empty() || self.shared.grown.wait_until(&mut state, until).timed_out() {
                return Ok(placed);
            }
        }
    }
}

struct MemoryProducer {
    shared: Arc<Shared>,
    slices: Slices,
    /// Its connection, where the network is hostile.
    line: Option<u64>,
    /// What was not asked for yet, where it is not.
    reports: Vec<Report>,
}

impl Producer for MemoryProducer {
    fn send(&mut self, batch: Vec<Record>) -> Result<(), LogError> {
        if let Some(record) = batch.iter().find(|record| record.header.slice >= self.slices.count) {
            return Err(LogError::Store(format!("the ledger has no slice {}", record.header.slice)));
        }
        let mut state = self.shared.state.lock();
        if let (Some(id), Some(network)) = (self.line, state.network.as_mut()) {
            let line = network.line(id);
            if line.torn {
                return Err(LogError::Store("the connection broke".into()));
            }
            line.sent.push_back(batch);
            return Ok(());
        }
        for record in batch {
            let mut written = report(&record, Ok(0));
            written.outcome = Ok(state.append(record));
            self.reports.push(written);
        }
        self.shared.grown.notify_all();
        Ok(())
    }

    /// On a hostile network it does not wait: nothing happens there but by `step`.
    fn reports(&mut self, wait: Duration) -> Vec<Report> {
        if let (Some(id), Some(network)) = (self.line, self.shared.state.lock().network.as_mut()) {
            return std::mem::take(&mut network.line(id).arrived);
        }
        if self.reports.is_empty() {
            // Everything was reported: none can come, and a caller that asks again and again should not spin.
            std::thread::sleep(wait);
        }
        std::mem::take(&mut self.reports)
    }
}

impl Drop for MemoryProducer {
    fn drop(&mut self) {
        if let (Some(id), Some(network)) = (self.line, self.shared.state.lock().network.as_mut()) {
            network.drop_line(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::chain::ChainHead;

    fn records(slice: SliceId, count: u64) -> Vec<Record> {
        let mut head = ChainHead::default();
        (0..count)
            .map(|n| {
                let record = Record::chain(slice, n, 1, head.hash, Bytes::from(n.to_string()));
                head.accept(n, &record);
                record
            })
            .collect()
    }

    #[test]
    fn a_plain_log_writes_and_reports_at_once() {
        let log = MemoryLog::default();
        let mut producer = log.producer().expect("a producer");
        producer.send(records(7, 3)).expect("sent");
        assert_eq!(producer.reports(Duration::ZERO).into_iter().map(|report| report.outcome).collect::<Vec<_>>(), [Ok(0), Ok(1), Ok(2)]);
        assert!(producer.reports(Duration::ZERO).is_empty());
        assert_eq!((log.end(7).expect("an end"), log.end(0).expect("an end")), (3, 1));
        let mut tail = log.tail(&[1, 0, 0, 0, 0, 0, 0, 1]).expect("a tail");
        let offsets: Vec<u64> = tail.next(9, Duration::ZERO).expect("readable").into_iter().map(|placed| placed.offset).collect();
        assert_eq!(offsets, [1, 2]);
    }

    #[test]
    fn a_tail_waits_for_what_another_thread_sends() {
        let log = MemoryLog::default();
        let mut tail = log.tail(&[1]).expect("a tail");
        let waiting = std::thread::spawn(move || tail.next(9, Duration::from_secs(10)).expect("readable").len());
        log.append(records(3, 2));
        assert_ne!(waiting.join().expect("no panic"), 0);
    }

    #[test]
    fn a_seed_is_a_schedule() {
        let faults = Faults { fail: 100, unsure: 100, duplicate: 200, overtake: 200, split: 300, mute: 50, tear: 20, lose: 300 };
        let run = |seed| {
            let log = MemoryLog::hostile(Slices::default(), faults, seed);
            let mut producers: Vec<_> = (0..3).map(|_| log.producer().expect("a producer")).collect();
            let mut reports = Vec::new();
            for round in 0..20 {
                for producer in &mut producers {
                    drop(producer.send(records(round, 4)));
                    log.step();
                    reports.extend(producer.reports(Duration::ZERO));
                }
            }
            drop(producers);
            while log.step() {}
            (log.shared.state.lock().order.clone(), reports)
        };
        assert_eq!(run(5), run(5));
        assert_ne!(run(5), run(6));
    }
}
