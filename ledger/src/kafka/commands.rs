//! The topic of commands: written by whoever takes commands, read by whoever writes their slice.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use rdkafka::{
    ClientContext, Statistics,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode},
    message::DeliveryResult,
    producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext, ThreadedProducer},
};

use super::{
    KafkaLog, TO_WRITE, client,
    command_reader::KafkaCommandReader,
    membership::{Group, KafkaMembership},
    options::KafkaOptions,
    read::{Bound, Reader},
    topics,
};
use crate::{
    commands::{CommandEnvelope, Undecided},
    commands_topic::{CommandReader, CommandSender, Membership, Undelivered, encode},
    log::LogError,
    slices::{SliceId, Slices},
};

/// How many commands may wait to be written.
const MAX_WAITING: usize = 100_000;

/// The commands topic of a ledger.
#[derive(Clone)]
pub struct KafkaCommands {
    options: Arc<KafkaOptions>,
    slices: Slices,
    topic: Arc<str>,
}

impl KafkaCommands {
    /// The topic beside this ledger, which was checked when that was opened.
    #[must_use]
    pub fn of(log: &KafkaLog) -> Self {
        let options = Arc::clone(&log.shared.options);
        Self { slices: log.shared.slices, topic: options.topic(topics::COMMANDS).into(), options }
    }

    /// A new sender.
    ///
    /// # Errors
    /// `LogError`.
    pub fn sender(&self) -> Result<Arc<dyn CommandSender>, LogError> {
        let state = Arc::new(Sending::default());
        let config = self.options.command_producer();
        let client = config.create_with_context(Deliveries(Arc::clone(&state)));
        let client = client.map_err(|error| self.options.store("creating a producer", &error))?;
        Ok(Arc::new(KafkaSender { topic: Arc::clone(&self.topic), slices: self.slices, state, client }))
    }

    /// A new reader.
    ///
    /// # Errors
    /// `LogError`.
    pub fn reader(&self) -> Result<Box<dyn CommandReader>, LogError> {
        Ok(Box::new(KafkaCommandReader::new(&self.options, &self.topic, self.slices)?))
    }

    /// The offset after the last message of each of these slices.
    ///
    /// # Errors
    /// `LogError::Store`.
    pub fn ends(&self, slices: &[SliceId]) -> Result<Vec<u64>, LogError> {
        Reader::new(&self.options, &self.topic)?.bounds(slices, Bound::End)
    }

    /// Writes a message as it is, and waits until it is written: what a tool or a test puts there.
    ///
    /// # Errors
    /// `LogError::Store`.
    pub fn write(&self, slice: SliceId, message: &[u8]) -> Result<(), LogError> {
        let client: BaseProducer =
            self.options.command_producer().create().map_err(|error| self.options.store("creating a producer", &error))?;
        let record = BaseRecord::<[u8], [u8]>::to(&self.topic).partition(i32::from(slice)).payload(message);
        client.send(record).map_err(|(error, _)| self.options.store("writing to the commands topic", &error))?;
        client.flush(TO_WRITE).map_err(|error| self.options.store("writing to the commands topic", &error))
    }

    /// Joins the group of processes that share the slices out among themselves. A member that says nothing for `silence`
    /// is taken for dead, and its slices are given to others.
    ///
    /// # Errors
    /// `LogError`.
    pub fn join(&self, group: &str, silence: Duration) -> Result<Box<dyn Membership>, LogError> {
        let group = Group { name: format!("{}{group}", self.options.prefix), topic: Arc::clone(&self.topic), silence };
        Ok(Box::new(KafkaMembership::join(&self.options, group)?))
    }
}

/// What the polling thread and those who send know.
#[derive(Debug, Default)]
struct Sending {
    waiting: AtomicUsize,
    /// No broker answers.
    away: AtomicBool,
}

/// Takes delivery reports on the library's polling thread.
struct Deliveries(Arc<Sending>);

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::say(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            self.0.away.store(true, Ordering::Relaxed);
        }
        client::complain(&error, reason);
    }

    fn stats(&self, _: Statistics) {}
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<Undelivered>;

    fn delivery(&self, result: &DeliveryResult<'_>, undelivered: Box<Undelivered>) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
        match result {
            Ok(_) => self.0.away.store(false, Ordering::Relaxed),
            Err((error, _)) => undelivered(fate(error)),
        }
    }
}

/// What became of a command that was not reported as written.
fn fate(error: &KafkaError) -> Undecided {
    use RDKafkaErrorCode as Code;
    let reason = format!("the commands topic: {error}");
    match error.rdkafka_error_code() {
        // A broker said that it does not take it.
        Some(
            Code::MessageSizeTooLarge
            | Code::TopicAuthorizationFailed
            | Code::UnknownTopicOrPartition
            | Code::UnknownTopic
            | Code::PurgeQueue,
        ) => Undecided::Unavailable(reason),
        // It may have been on its way.
        Some(_) | None => Undecided::Unknown(reason),
    }
}

/// Writes commands. Dropping it waits for nothing.
struct KafkaSender {
    topic: Arc<str>,
    slices: Slices,
    state: Arc<Sending>,
    client: ThreadedProducer<Deliveries>,
}

impl CommandSender for KafkaSender {
    fn send(&self, envelope: &CommandEnvelope, undelivered: Undelivered) -> Result<(), Undecided> {
        let waiting = self.state.waiting.load(Ordering::Relaxed);
        if waiting > 0 && self.state.away.load(Ordering::Relaxed) {
            // One that waits already will show when a broker is back.
            return Err(Undecided::Unavailable("no Kafka broker answers".into()));
        }
        if waiting >= MAX_WAITING {
            return Err(Undecided::Overloaded);
        }
        self.state.waiting.fetch_add(1, Ordering::Relaxed);
        let message = encode(envelope);
        let message = BaseRecord::with_opaque_to(&self.topic, Box::new(undelivered))
            .partition(i32::from(self.slices.of(&envelope.stream)))
            .key(envelope.stream.as_str())
            .payload(&message[..]);
        self.client.send(message).map_err(|(error, _)| {
            self.state.waiting.fetch_sub(1, Ordering::Relaxed);
            match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::QueueFull) => Undecided::Overloaded,
                Some(_) | None => Undecided::Unavailable(format!("the commands topic: {error}")),
            }
        })
    }
}
