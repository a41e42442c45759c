//! Whether brokers answer, and have the ledger's topics: asked again and again. The library's clients go on trying by themselves, and
//! say nothing of it to whoever reads or writes nothing just now.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rdkafka::{
    ClientContext, Statistics,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext},
    error::KafkaError,
};

use super::{options::KafkaOptions, topics};
use crate::log::LogError;

/// How often they are asked.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// How soon they have to answer.
const SOON: Duration = Duration::from_secs(2);
/// How long a trouble has to last: leaders are chosen anew now and then.
const LASTS: Duration = Duration::from_secs(4);

/// Looks after the brokers on a thread of its own, which ends when this is dropped.
pub struct KafkaWatch {
    trouble: Arc<Mutex<Option<String>>>,
    stopping: Arc<AtomicBool>,
}

impl KafkaWatch {
    /// Starts the thread.
    ///
    /// # Errors
    /// `LogError::Unfit` where the options are not as they must be, `LogError::Store`.
    pub fn start(options: &KafkaOptions) -> Result<Self, LogError> {
        options.check()?;
        let client = options.consumer().create_with_context(Silent).map_err(|error| options.store("connecting", &error))?;
        let watch = Self { trouble: Arc::default(), stopping: Arc::default() };
        let (trouble, stopping) = (Arc::clone(&watch.trouble), Arc::clone(&watch.stopping));
        let looking = Looking { client, brokers: options.brokers.clone(), names: topics::names(options), since: None };
        let thread = thread::Builder::new().name("kafka-watch".into()).spawn(move || looking.run(&trouble, &stopping));
        thread.map_err(|error| LogError::Store(format!("no thread: {error}")))?;
        Ok(watch)
    }

    /// What is wrong with the brokers, where something has been for some seconds.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().clone()
    }
}

impl Drop for KafkaWatch {
    fn drop(&mut self) {
        // It is not waited for: it may just ask brokers that are away.
        self.stopping.store(true, Ordering::Release);
    }
}

struct Looking {
    client: BaseConsumer<Silent>,
    brokers: String,
    names: Vec<String>,
    /// Since when something is wrong.
    since: Option<Instant>,
}

impl Looking {
    fn run(mut self, trouble: &Mutex<Option<String>>, stopping: &AtomicBool) {
        while !stopping.load(Ordering::Acquire) {
            let found = self.look();
            self.since = found.as_ref().map(|_| self.since.unwrap_or_else(Instant::now));
            *trouble.lock() = found.filter(|_| self.since.is_some_and(|since| since.elapsed() >= LASTS));
            thread::sleep(ASK_EVERY);
        }
    }

    fn look(&self) -> Option<String> {
        self.names.iter().find_map(|name| match self.client.fetch_metadata(Some(name), SOON) {
            Ok(metadata) => {
                let is_there = metadata.topics().iter().any(|topic| topic.name() == name && !topic.partitions().is_empty());
                (!is_there).then(|| format!("Kafka at {} has no topic {name}; it is created by: pledger init", self.brokers))
            }
            Err(error) => Some(format!("Kafka at {} does not answer: {error}", self.brokers)),
        })
    }
}

/// The context of a client whose troubles are told by whoever asks.
struct Silent;

impl ClientContext for Silent {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(target: "kafka", facility, "{message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        super::client::complain(&error, reason);
    }

    fn stats(&self, _: Statistics) {}
}

impl ConsumerContext for Silent {}
