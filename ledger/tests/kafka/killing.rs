//! Brokers that are killed, as by `kill -9`, in the middle of a pipeline: everything acknowledged is there, once.
//!
//! `PLEDGER_XTASK` names the program that starts and kills them.

use std::{
    collections::{BTreeMap, VecDeque},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use bytes::Bytes;
use pledger_ledger::{
    chain::{ChainHead, Verdict},
    kafka::{KafkaLog, KafkaOptions},
    log::{Log, LogError, Placed, Producer},
    record::{Hash, Record},
    slices::SliceId,
    verify::verify,
    writer::SliceWriter,
};

use crate::{
    contract::writers::stream_in,
    decisions::{created, decision},
};

const SLICE: SliceId = 1;
/// How many decisions are acknowledged between two kills.
const BETWEEN: usize = 3_000;
/// How many records are in flight, and in a batch.
const IN_FLIGHT: usize = 600;
const BATCH: usize = 20;
/// How long everything together may take.
const PATIENCE: Duration = Duration::from_secs(240);

pub(crate) fn the_only_broker_is_killed_and_comes_back(xtask: &Path) {
    survive(&Cluster::up(xtask, 1), 1, &[1, 1, 1]);
}

pub(crate) fn each_of_three_brokers_is_killed_and_comes_back(xtask: &Path) {
    survive(&Cluster::up(xtask, 3), 3, &[1, 2, 3]);
}

/// Brokers of our own.
struct Cluster {
    xtask: PathBuf,
    dir: tempfile::TempDir,
    brokers: String,
}

impl Cluster {
    fn up(xtask: &Path, count: u8) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut cluster = Self { xtask: xtask.to_owned(), dir, brokers: String::new() };
        let said = cluster.xtask("up", &["--brokers", &count.to_string()]);
        cluster.brokers = said.trim().strip_prefix("PLEDGER_TEST_KAFKA=").expect("it says where they are").to_owned();
        cluster
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.xtask);
        command.args(["kafka", verb, "--dir"]).arg(self.dir.path().join("kafka")).env_remove("PLEDGER_TEST_KAFKA").stderr(Stdio::inherit());
        command
    }

    fn xtask(&self, verb: &str, args: &[&str]) -> String {
        let output = self.command(verb).args(args).output().expect("xtask");
        assert!(output.status.success(), "kafka {verb} failed");
        String::from_utf8(output.stdout).expect("text")
    }

    fn kill(&self, broker: u8) -> JoinHandle<()> {
        self.xtask("kill", &[&broker.to_string()]);
        let mut start = self.command("start");
        // It comes back while the writer goes on trying.
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs(1));
            assert!(start.status().expect("xtask").success(), "kafka start failed");
        })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.xtask("down", &[]);
    }
}

/// A writer that never stops.
struct Clerk<'a> {
    log: &'a KafkaLog,
    writer: SliceWriter,
    producer: Box<dyn Producer>,
    flying: VecDeque<Record>,
    /// What was acknowledged, or found valid when the slice was read again.
    acknowledged: BTreeMap<u64, Hash>,
    /// The stream's version after the last framed record, and after the last settled one.
    framed: u64,
    settled: u64,
}

impl<'a> Clerk<'a> {
    fn new(log: &'a KafkaLog) -> Self {
        let writer = SliceWriter::new(SLICE, ChainHead::default());
        let producer = log.producer().expect("a producer");
        Self { log, writer, producer, flying: VecDeque::new(), acknowledged: BTreeMap::new(), framed: 0, settled: 0 }
    }

    /// Sends what there is room for, and takes in what is reported.
    fn work(&mut self, until: Instant) {
        while self.writer.is_open() && self.flying.len() < IN_FLIGHT {
            let batch: Vec<_> = (0..BATCH).map(|_| self.decide()).collect();
            self.flying.extend(batch.iter().cloned());
            if self.producer.send(batch).is_err() {
                self.writer.close();
            }
        }
        for report in self.producer.reports(Duration::from_millis(20)) {
            let hash =
                self.flying.iter().find(|record| record.header.pseq == report.pseq).map_or_else(Hash::default, |record| record.header.hash);
            if self.writer.is_open() && self.writer.report(&report, hash).is_ok() && self.writer.settled().next_pseq > report.pseq {
                let record = self.flying.pop_front().expect("it was in flight");
                self.settle(&record);
            }
        }
        if !self.writer.is_open() {
            self.open(until);
        }
    }

    fn decide(&mut self) -> Record {
        self.framed += 1;
        let second = u32::try_from(self.framed).expect("a test writes little");
        self.writer.frame(Bytes::from(decision(&stream_in(SLICE), self.framed, true, second).to_string()))
    }

    fn settle(&mut self, record: &Record) {
        self.acknowledged.insert(record.header.pseq, record.header.hash);
        let body: serde_json::Value = serde_json::from_slice(&record.body).expect("JSON");
        self.settled = body["decision"]["version"].as_u64().unwrap_or(self.settled);
    }

    /// Reads the slice to its end and opens a term, as often as it takes.
    fn open(&mut self, until: Instant) {
        self.flying.clear();
        self.producer = self.log.producer().expect("a producer");
        let mut head = self.writer.settled();
        let placed = insist(until, || self.log.read(SLICE, head.next_offset, usize::MAX));
        let end = head.next_offset + placed.len() as u64;
        for placed in placed {
            if head.accept(placed.offset, &placed.record) == Verdict::Valid {
                self.settle(&placed.record);
            }
        }
        self.writer.resume(head);
        self.framed = self.settled;
        let body = r#"{"term_opened":{"v":1,"opened_at":"2026-01-01T00:00:00Z","writer":"test"}}"#;
        let record = self.writer.open(end, Bytes::from_static(body.as_bytes()));
        self.flying.push_back(record.clone());
        self.producer.send(vec![record]).expect("a new producer takes what it is given");
    }
}

/// A log that is away for a while is asked again.
fn insist(until: Instant, ask: impl Fn() -> Result<Vec<Placed>, LogError>) -> Vec<Placed> {
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
    }
}

fn survive(cluster: &Cluster, replicas: u8, kills: &[u8]) {
    let options = KafkaOptions { replicas, ..KafkaOptions::new(&cluster.brokers) };
    let log = KafkaLog::create(options.clone(), created()).expect("a new ledger");
    let mut clerk = Clerk::new(&log);
    let until = Instant::now() + PATIENCE;
    let mut returns = Vec::new();
    for (broker, count) in kills.iter().zip(1..) {
        // With some in flight: a pipeline is what it is about.
        while clerk.acknowledged.len() < count * BETWEEN || clerk.flying.is_empty() {
            assert!(Instant::now() < until, "{} of {} were acknowledged", clerk.acknowledged.len(), count * BETWEEN);
            clerk.work(until);
        }
        // The one before has to be back, or no majority is left.
        returns.drain(..).for_each(|back: JoinHandle<()>| back.join().expect("it came back"));
        returns.push(cluster.kill(*broker));
    }
    while clerk.acknowledged.len() < (kills.len() + 1) * BETWEEN {
        assert!(Instant::now() < until, "{} were acknowledged", clerk.acknowledged.len());
        clerk.work(until);
    }
    returns.drain(..).for_each(|back| back.join().expect("it came back"));
    let acknowledged = std::mem::take(&mut clerk.acknowledged);
    drop(clerk);
    // A reader that knows nothing of it all.
    let log = KafkaLog::open(options).expect("opened");
    verify(&log, None, &mut |_| ()).expect("sound");
    let mut head = ChainHead::default();
    let all = log.read(SLICE, 0, usize::MAX).expect("readable");
    let valid: BTreeMap<u64, Hash> = all
        .iter()
        .filter(|placed| head.accept(placed.offset, &placed.record) == Verdict::Valid)
        .map(|placed| (placed.record.header.pseq, placed.record.header.hash))
        .collect();
    for (pseq, hash) in &acknowledged {
        assert_eq!(valid.get(pseq), Some(hash), "the record {pseq} was acknowledged");
    }
}
