//! A cluster in one process: APIs that send and follow, processors that decide.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::RwLock;
use pledger_consumers::{
    cluster::{ClusterProcessor, ClusterSink, Follower, Parts, SinkLimits},
    processor::{KeyLimits, MemorySnapshots, Processor, SnapshotStore},
};
use pledger_domain::{facts::Channel, rules::Rules};
use pledger_ledger::{
    chain::{ChainHead, Verdict},
    commands::{Answer, CommandEnvelope, CommandSink, Decided},
    commands_topic::{Fixed, Membership},
    directory::Directory,
    edge::{Clock, Edge, Incoming, SystemClock, SystemRandomness},
    keys::MemoryKeyStore,
    log::{Log, UpTo},
    record::{Body, Record},
    slices::SliceId,
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::topics::Topics;

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

fn edge(log: &dyn Log, directory: Arc<RwLock<Directory>>) -> Edge {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    Edge { slices: log.slices(), keys: Arc::new(MemoryKeyStore::default()), directory, clock, randomness: Arc::new(SystemRandomness) }
}

/// Starts a processor.
pub(crate) fn processor(topics: &dyn Topics, membership: Box<dyn Membership>, snapshots: &Arc<MemorySnapshots>) -> ClusterProcessor {
    let snapshots: Arc<dyn SnapshotStore> = Arc::clone(snapshots) as Arc<dyn SnapshotStore>;
    let log = topics.log();
    let processor = Processor::of_no_slice(Arc::clone(&log), &*snapshots, KeyLimits::default(), "test".into()).expect("restored");
    let edge = edge(&*log, Arc::default());
    let (reader, sender) = (topics.reader(), topics.sender());
    ClusterProcessor::start(Parts { processor, log, reader, sender, membership, snapshots, edge }).expect("a thread")
}

/// One that writes these slices for ever.
pub(crate) fn fixed(topics: &dyn Topics, slices: impl IntoIterator<Item = SliceId>) -> ClusterProcessor {
    processor(topics, Box::new(Fixed::new(slices.into_iter().collect())), &Arc::default())
}

/// One that writes all slices.
pub(crate) fn of_all(topics: &dyn Topics) -> ClusterProcessor {
    fixed(topics, topics.log().slices().all())
}

/// An API process: it sends commands and follows the ledger.
pub(crate) struct Api {
    pub(crate) sink: ClusterSink,
    pub(crate) edge: Edge,
    runtime: Runtime,
    _follower: Follower,
}

impl Api {
    pub(crate) fn start(topics: &dyn Topics) -> Self {
        Self::with(topics, SinkLimits { patience: PATIENCE, ..SinkLimits::default() })
    }

    pub(crate) fn with(topics: &dyn Topics, limits: SinkLimits) -> Self {
        let log = topics.log();
        let follower = Follower::start(Arc::clone(&log), KeyLimits::default()).expect("the ledger is followed");
        let sink = ClusterSink::new(follower.followed(), topics.sender(), log.slices(), limits);
        let edge = edge(&*log, follower.followed().directory());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        Self { sink, edge, runtime, _follower: follower }
    }

    pub(crate) fn prepare(&self, (name, payload, key): (&str, Value, &str)) -> CommandEnvelope {
        let payload = payload.to_string();
        let after = self.sink.reference_positions();
        let incoming = Incoming { key: Some(key), after, ..Incoming::new(name, payload.as_bytes(), Arc::from("anonymous"), Channel::Api) };
        self.edge.prepare(incoming).expect("a command")
    }

    pub(crate) fn submit(&self, commands: Vec<CommandEnvelope>) -> Vec<Decided> {
        self.runtime.block_on(self.sink.submit(commands))
    }

    /// Hands commands over now, to be waited for on another thread.
    pub(crate) fn submit_later(&self, commands: Vec<CommandEnvelope>) -> std::thread::JoinHandle<Vec<Decided>> {
        let (submitted, runtime) = (self.sink.submit(commands), self.runtime.handle().clone());
        std::thread::spawn(move || runtime.block_on(submitted))
    }

    /// Sends one command.
    pub(crate) fn ask(&self, item: (&str, Value, &str)) -> Decided {
        self.submit(vec![self.prepare(item)]).remove(0)
    }

    /// Sends one command that is accepted.
    pub(crate) fn accepted(&self, item: (&str, Value, &str)) -> Answer {
        let answer = self.ask(item).expect("decided");
        assert!(answer.outcome.is_ok(), "{:?}", answer.outcome);
        answer
    }

    /// The default rules, and a partner that may register deals.
    pub(crate) fn open(&self) {
        self.accepted(("PublishRules", json!({"program": Rules::DEFAULT, "effective_from": "2020-01-01"}), "rules"));
        self.accepted(("RegisterPartner", json!({"partner_id": "p-1", "name": "Nordwind", "roles": ["reseller"]}), "p1"));
        self.accepted(("SignAgreement", json!({"partner_id": "p-1"}), "p2"));
        self.accepted(("ActivatePartner", json!({"partner_id": "p-1"}), "p3"));
    }
}

/// A deal on an account of its own.
pub(crate) fn deal(number: usize) -> Value {
    let domain = format!("a{number}.example");
    json!({
        "deal_id": format!("d-{number}"), "partner_id": "p-1", "account": {"name": domain, "domain": domain}, "product": "GTX Pro",
        "amount": {"amount": "120.00", "currency": "USD"},
    })
}

/// The valid records of a ledger, slice by slice.
pub(crate) fn valid(log: &dyn Log) -> Vec<Record> {
    let mut heads = vec![ChainHead::default(); usize::from(log.slices().count)];
    let mut up_to = UpTo::the_end(log, &[]).expect("a tail");
    let mut valid = Vec::new();
    loop {
        let placed = up_to.next(10_000).expect("read");
        if placed.is_empty() {
            valid.sort_by_key(Record::position);
            return valid;
        }
        let is_valid = |head: &mut ChainHead, offset, record: &Record| head.accept(offset, record) == Verdict::Valid;
        valid.extend(
            placed
                .into_iter()
                .filter(|placed| is_valid(&mut heads[usize::from(placed.record.header.slice)], placed.offset, &placed.record))
                .map(|placed| placed.record),
        );
    }
}

/// Where each valid record of a slice says that a successor goes on.
pub(crate) fn next_commands(log: &dyn Log, slice: SliceId) -> Vec<u64> {
    let records = valid(log).into_iter().filter(|record| record.header.slice == slice);
    records
        .filter_map(|record| match Body::decode(&record.body).expect("readable") {
            Body::Decision(decision) => decision.next_command,
            Body::TermOpened(opened) => opened.next_command,
            Body::Progress(progress) => progress.next_command,
            Body::LedgerCreated(_) => None,
        })
        .collect()
}

/// Waits until something is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "{what} never came about");
        std::thread::sleep(Duration::from_millis(5));
    }
}
