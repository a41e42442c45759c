//! A cluster in one process: APIs that send and follow, processors that decide.

use std::{sync::Arc, time::Duration};

use parking_lot::{Mutex, MutexGuard};
use pledger_consumers::{
    cluster::{ClusterProcessor, ClusterSink, Follower, Parts, SinkLimits},
    processor::{KeyLimits, Processor},
};
use pledger_ledger::{
    chain::{ChainHead, Verdict},
    commands_topic::{CommandReader, Fixed, Gone, Membership, Queued},
    log::{Log, LogError, UpTo},
    record::{Body, Record},
    slices::SliceId,
};
use serde_json::Value;

use crate::{
    running::{Kept, PATIENCE, Running, deal},
    topics::Topics,
};

/// Starts a processor that writes these slices for ever.
pub(crate) fn processor(topics: &dyn Topics, slices: impl IntoIterator<Item = SliceId>, kept: &Kept) -> ClusterProcessor {
    reading(topics, topics.reader(), Box::new(Fixed::new(slices.into_iter().collect())), kept)
}

/// Starts a processor that reads by `reader` and writes what `membership` says.
pub(crate) fn reading(
    topics: &dyn Topics,
    reader: Box<dyn CommandReader>,
    membership: Box<dyn Membership>,
    kept: &Kept,
) -> ClusterProcessor {
    let (log, snapshots) = (topics.log(), Arc::clone(&kept.snapshots));
    let processor = Processor::of_no_slice(Arc::clone(&log), &*snapshots, KeyLimits::default(), "test".into()).expect("restored");
    let edge = kept.edge(&*log, Arc::default());
    let sender = topics.sender();
    ClusterProcessor::start(Parts { processor, log, reader, sender, membership, snapshots, edge }).expect("a thread")
}

/// One that keeps nothing for others.
pub(crate) fn fixed(topics: &dyn Topics, slices: impl IntoIterator<Item = SliceId>) -> ClusterProcessor {
    processor(topics, slices, &Kept::default())
}

/// One that writes all slices.
pub(crate) fn of_all(topics: &dyn Topics) -> ClusterProcessor {
    fixed(topics, topics.log().slices().all())
}

/// One that writes all slices, and whose thread can be stopped for a while: it knows nothing of that when it goes on.
pub(crate) struct Stallable {
    pub(crate) processor: ClusterProcessor,
    going: Arc<Mutex<()>>,
}

impl Stallable {
    pub(crate) fn of_all(topics: &dyn Topics) -> Self {
        let going = Arc::<Mutex<()>>::default();
        let reader = StallableReader { reader: topics.reader(), going: Arc::clone(&going) };
        Self {
            processor: reading(topics, Box::new(reader), Box::new(Fixed::new(topics.log().slices().all().collect())), &Kept::default()),
            going,
        }
    }

    /// It takes nothing more until what is answered is dropped.
    pub(crate) fn stall(&self) -> MutexGuard<'_, ()> {
        self.going.lock()
    }
}

struct StallableReader {
    reader: Box<dyn CommandReader>,
    going: Arc<Mutex<()>>,
}

impl CommandReader for StallableReader {
    fn assign(&mut self, places: &[(SliceId, u64)]) -> Result<Vec<Gone>, LogError> {
        self.reader.assign(places)
    }

    fn next(&mut self, max: usize, wait: Duration) -> Result<Vec<Queued>, LogError> {
        let _going = self.going.lock();
        self.reader.next(max, wait)
    }
}

/// An API process: it sends commands and follows the ledger. `beside` is what ends with it.
pub(crate) fn api_beside(topics: &dyn Topics, limits: SinkLimits, kept: &Kept, beside: Option<ClusterProcessor>) -> (Running, ClusterSink) {
    let log = topics.log();
    let follower = Follower::start(Arc::clone(&log), KeyLimits::default()).expect("the ledger is followed");
    let sink = ClusterSink::new(follower.followed(), topics.sender(), log.slices(), limits);
    let edge = kept.edge(&*log, follower.followed().directory());
    (Running::new(log, edge, Arc::new(sink.clone()), (beside, follower)), sink)
}

/// Waits as long as anything may take.
fn patient() -> SinkLimits {
    SinkLimits { patience: PATIENCE, ..SinkLimits::default() }
}

/// One that is patient.
pub(crate) fn api_of(topics: &dyn Topics) -> Running {
    api_beside(topics, patient(), &Kept::default(), None).0
}

/// Both.
pub(crate) fn both(topics: &dyn Topics, kept: &Kept) -> Running {
    let processor = processor(topics, topics.log().slices().all(), kept);
    api_beside(topics, patient(), kept, Some(processor)).0
}

/// A deal on an account of its own.
pub(crate) fn numbered(number: usize) -> Value {
    deal(&format!("d-{number}"), "p-1", &format!("a{number}.example"))
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
