//! The ledger of a cluster: a Kafka topic, a partition a slice, a message a decision.
//!
//! There is no lock and no transaction. Who may write is decided by the chain (`chain.rs`, `writer.rs`), which needs of
//! the log only that a partition keeps its order, and that every record is reported with its offset or as failed.

mod client;
mod command_reader;
mod commands;
mod courier;
mod events;
mod inbox;
mod letters;
mod membership;
mod message;
mod options;
mod producer;
mod reach;
mod read;
mod scan;
mod tail;
mod topics;
mod watch;

use std::{fmt, sync::Arc, time::Duration};

use parking_lot::Mutex;
use pledger_domain::stream::StreamName;

pub use self::{
    commands::KafkaCommands,
    events::KafkaEvents,
    inbox::KafkaInbox,
    letters::{Entry, KafkaLetters, Mark, MarkKind},
    options::{DEFAULT_INBOX_PARTITIONS, DEFAULT_PREFIX, DEFAULT_REPLICAS, KafkaOptions},
    watch::KafkaWatch,
};
use self::{
    options::Pace,
    producer::KafkaProducer,
    read::{Bound, Idle, Reader},
    tail::KafkaTail,
    topics::Topics,
};
use crate::{
    body_stream::is_of,
    log::{Log, LogError, Placed, Producer, Tail},
    record::{Body, Hash, LedgerCreated, Record},
    slices::{Position, SliceId, Slices},
};

/// The most that one record may hold, with its headers and key.
pub const MAX_RECORD_BYTES: usize = 8 << 20;
/// The same as the topic is told.
const MAX_RECORD_BYTES_TEXT: &str = "8388608";
/// The most that the client library takes of a message that is no record.
const MAX_PARCEL_BYTES: usize = 64 << 20;
/// How long the first record may take to be written.
const TO_WRITE: Duration = Duration::from_secs(60);

/// A ledger in Kafka. Clones are one log.
#[derive(Clone)]
pub struct KafkaLog {
    shared: Arc<Shared>,
    created: Arc<LedgerCreated>,
    /// The producer that is asked for next. Before a producer writes, a broker has to give it an id, which the library asks for when it
    /// begins and then twice a second: one that begins when it is needed keeps whoever takes a slice over waiting for that.
    spare: Arc<Mutex<Option<KafkaProducer>>>,
}

/// What producers, tails and readers share.
struct Shared {
    options: Arc<KafkaOptions>,
    slices: Slices,
    /// The name of the ledger's topic.
    ledger: Arc<str>,
    idle: Idle,
    /// Readers that read nothing: a broker answers the questions of one that reads after it has waited for something to be read.
    asking: Idle,
}

impl Shared {
    fn new(options: &Arc<KafkaOptions>, slices: Slices) -> Arc<Self> {
        let ledger = options.topic(topics::LEDGER).into();
        Arc::new(Self { options: Arc::clone(options), slices, ledger, idle: Idle::default(), asking: Idle::default() })
    }

    fn reader(&self) -> Result<Reader, LogError> {
        Reader::new(&self.options, &self.ledger)
    }

    fn with_reader<T>(&self, at: Option<(SliceId, u64)>, work: impl FnOnce(&mut Reader) -> Result<T, LogError>) -> Result<T, LogError> {
        self.idle.with(at, || self.reader(), work)
    }

    fn ask<T>(&self, question: impl FnOnce(&Reader) -> Result<T, LogError>) -> Result<T, LogError> {
        self.asking.with(None, || self.reader(), |reader| question(reader))
    }

    /// # Errors
    /// `LogError::Store` for a slice that the ledger does not have.
    fn check(&self, slice: SliceId) -> Result<(), LogError> {
        let known = slice < self.slices.count;
        if known { Ok(()) } else { Err(LogError::Store(format!("the ledger has no slice {slice}"))) }
    }
}

impl KafkaLog {
    /// Creates the topics and the ledger's first record, and opens it. Goes on where an earlier try stopped half-way.
    ///
    /// # Errors
    /// `LogError::Unfit` where the topics hold a ledger already, are not as they must be or cannot be made as asked;
    /// `LogError::Store`.
    pub fn create(options: KafkaOptions, created: LedgerCreated) -> Result<Self, LogError> {
        options.check()?;
        let (options, slices) = (Arc::new(options), created.slices);
        let taken =
            |topic: &str| Err(LogError::Unfit(format!("the topic {topic} is not empty: it holds a ledger already, or something else")));
        let topics = Topics::new(&options)?;
        let ledger = options.topic(topics::LEDGER);
        if let Some(count) = topics.partitions(&ledger)?.filter(|count| *count != usize::from(slices.count)) {
            let reason = format!("the topic {ledger} is there already, with {count} partitions: it holds a ledger, or something else");
            return Err(LogError::Unfit(reason));
        }
        topics.create(slices)?;
        topics.check(slices)?;
        let shared = Shared::new(&options, slices);
        for slice in slices.all() {
            if shared.ask(|reader| reader.ends(slice))?.1 > 0 {
                return taken(&shared.ledger);
            }
        }
        let body = Body::LedgerCreated(created).encode().map_err(|error| LogError::Unfit(error.to_string()))?;
        let mut producer = KafkaProducer::new(Arc::clone(&shared))?;
        producer.send(vec![Record::chain(0, 0, 0, Hash::default(), body)])?;
        match producer.reports(TO_WRITE).pop().map(|report| report.outcome) {
            Some(Ok(0)) => Self::start(options),
            // Two were creating it, and the other one was first: what we wrote is void.
            Some(Ok(_)) => taken(&shared.ledger),
            Some(Err(reason)) => Err(LogError::Store(format!("the ledger's first record was not written: {reason}"))),
            None => Err(LogError::Store("the ledger's first record was not written in time".into())),
        }
    }

    /// Creates the topics that a ledger lacks; answers their names, or nothing where there is no ledger.
    ///
    /// # Errors
    /// `LogError::Unfit` where they cannot be made as asked, `LogError::Damaged`, `LogError::Store`.
    pub fn create_missing(options: KafkaOptions) -> Result<Option<Vec<String>>, LogError> {
        options.check()?;
        let options = Arc::new(options);
        let topics = Topics::new(&options)?;
        match find(&options, &topics) {
            Ok(created) => Ok(Some(topics.create(created.slices)?)),
            Err(LogError::Absent(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The names of the topics that a ledger lacks.
    ///
    /// # Errors
    /// `LogError::Unfit` where the options are not as they must be, `LogError::Store`.
    pub fn missing_topics(options: &KafkaOptions) -> Result<Vec<String>, LogError> {
        options.check()?;
        Topics::new(options)?.missing()
    }

    /// Opens the ledger in the topics with the options' prefix.
    ///
    /// # Errors
    /// `LogError::Absent` where there is none, `LogError::Unfit` where its topics are not as its first record says;
    /// `LogError::Damaged`, `LogError::Store`.
    pub fn open(options: KafkaOptions) -> Result<Self, LogError> {
        options.check()?;
        Self::start(Arc::new(options))
    }

    fn start(options: Arc<KafkaOptions>) -> Result<Self, LogError> {
        let topics = Topics::new(&options)?;
        let created = find(&options, &topics)?;
        topics.check(created.slices)?;
        // The number of reference slices comes from the first record, too.
        Ok(Self { shared: Shared::new(&options, created.slices), created: Arc::new(created), spare: Arc::default() })
    }

    fn tail_at(&self, from: &[u64], pace: Pace) -> Result<Box<dyn Tail>, LogError> {
        let from = from.iter().copied().chain(std::iter::repeat(0));
        let places: Vec<(SliceId, u64)> = self.slices().all().zip(from).collect();
        Ok(Box::new(KafkaTail::new(&self.shared, &places, pace)?))
    }

    /// What the ledger is: its first record.
    #[must_use]
    pub fn created(&self) -> &LedgerCreated {
        &self.created
    }
}

/// What the ledger in the topics is.
fn find(options: &Arc<KafkaOptions>, topics: &Topics<'_>) -> Result<LedgerCreated, LogError> {
    let name = options.topic(topics::LEDGER);
    let none = || LogError::Absent(format!("there is no ledger in the topic {name} of {}", options.brokers));
    let partitions = topics.partitions(&name)?.and_then(|count| u16::try_from(count).ok()).ok_or_else(none)?;
    let found = Slices::new(partitions).map_err(|error| LogError::Unfit(format!("the topic {name}: {error}")))?;
    read_created(&Shared::new(options, found))?.ok_or_else(none)
}

/// The first record of slice 0, where there is one.
fn read_created(shared: &Shared) -> Result<Option<LedgerCreated>, LogError> {
    let damaged =
        |reason: String| LogError::Damaged { position: Position { slice: 0, pseq: 0 }, reason: format!("{}: {reason}", shared.ledger) };
    let (low, high) = shared.ask(|reader| reader.ends(0))?;
    if low > 0 {
        return Err(damaged(format!("what stood before offset {low} was deleted")));
    }
    let first = shared.with_reader(None, |reader| reader.records(0, 0, high.min(1), 1))?;
    let Some(Placed { record, .. }) = first.into_iter().next() else { return Ok(None) };
    if !record.is_intact() {
        return Err(damaged("the first record is not what was hashed".into()));
    }
    match Body::decode(&record.body).map_err(|error| damaged(error.to_string()))? {
        Body::LedgerCreated(created) => Ok(Some(created)),
        Body::TermOpened(_) | Body::Progress(_) | Body::Decision(_) => {
            Err(damaged("the first record does not say what the ledger is".into()))
        }
    }
}

impl fmt::Debug for KafkaLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaLog").field("options", &self.shared.options).field("created", &self.created).finish_non_exhaustive()
    }
}

impl Log for KafkaLog {
    fn slices(&self) -> Slices {
        self.shared.slices
    }

    fn end(&self, slice: SliceId) -> Result<u64, LogError> {
        self.shared.check(slice)?;
        Ok(self.shared.ask(|reader| reader.ends(slice))?.1)
    }

    fn ends(&self, slices: &[SliceId]) -> Result<Vec<u64>, LogError> {
        slices.iter().try_for_each(|slice| self.shared.check(*slice))?;
        self.shared.ask(|reader| reader.bounds(slices, Bound::End))
    }

    /// Good for the end of a slice, and for going on where the last read ended. To read all of a ledger use `tail`.
    fn read(&self, slice: SliceId, offset: u64, max: usize) -> Result<Vec<Placed>, LogError> {
        let end = self.end(slice)?;
        if offset >= end || max == 0 {
            return Ok(Vec::new());
        }
        self.shared.with_reader(Some((slice, offset)), |reader| reader.records(slice, offset, end, max))
    }

    /// Reads the slice from `offset` on: Kafka has no index by key. What is asked often belongs in a read model.
    fn read_stream(&self, stream: &StreamName, offset: u64, max: usize) -> Result<Vec<Placed>, LogError> {
        let slice = self.slices().of(stream);
        let (end, mut placed) = (self.end(slice)?, Vec::new());
        if offset >= end || max == 0 {
            return Ok(placed);
        }
        self.shared.with_reader(Some((slice, offset)), |reader| {
            reader.each(slice, offset, end, |message| {
                // The body says whose it is; the key is for others' tools.
                let found = message::placed(slice, message);
                if is_of(&found.record.body, stream) {
                    placed.push(found);
                }
                placed.len() >= max
            })
        })?;
        Ok(placed)
    }

    fn tail(&self, from: &[u64]) -> Result<Box<dyn Tail>, LogError> {
        self.tail_at(from, Pace::Easy)
    }

    fn tail_closely(&self, from: &[u64]) -> Result<Box<dyn Tail>, LogError> {
        self.tail_at(from, Pace::Close)
    }

    fn tail_of(&self, places: &[(SliceId, u64)]) -> Result<Box<dyn Tail>, LogError> {
        Ok(Box::new(KafkaTail::new(&self.shared, places, Pace::Close)?))
    }

    fn producer(&self) -> Result<Box<dyn Producer>, LogError> {
        let new = || KafkaProducer::new(Arc::clone(&self.shared));
        let mut spare = self.spare.lock();
        let producer = spare.take().filter(KafkaProducer::is_fit).map_or_else(new, Ok)?;
        *spare = new().inspect_err(|error| tracing::warn!(%error, "no producer could be made ahead")).ok();
        Ok(Box::new(producer))
    }
}
