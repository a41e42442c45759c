//! The topics of a ledger: what they are created with, and what is asked of them at every open.

use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake},
    thread::Thread,
    time::{Duration, Instant},
};

use rdkafka::{
    admin::{AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication},
    error::RDKafkaErrorCode,
};

use super::{
    client::{Quiet, insist},
    options::{DEFAULT_PREFIX, KafkaOptions, TO_ANSWER},
};
use crate::{log::LogError, reach::Unreached, slices::Slices};

/// The topic of decisions.
pub(super) const LEDGER: &str = "ledger";
/// The topic of commands, partitioned as the ledger is.
pub(super) const COMMANDS: &str = "commands";
/// The topic of what services send.
pub(super) const INBOX: &str = "inbox";
/// The topic of published events, partitioned as the ledger is.
pub(super) const EVENTS: &str = "events";
/// The topic of how far events were published, by slice.
pub(super) const PUBLISHED: &str = "published";
/// The topic of what became no command.
pub(super) const DEAD_LETTERS: &str = "dead-letters";

/// How long brokers may take to make topics and choose leaders.
const TO_APPEAR: Duration = Duration::from_secs(60);
/// How soon brokers answer, unless something is wrong.
const SOON: Duration = Duration::from_secs(2);
/// How often they are asked meanwhile.
const ASK_EVERY: Duration = Duration::from_millis(50);

const FOR_EVER: &str = "-1";
const DAYS_30: &str = "2592000000";
const DAYS_90: &str = "7776000000";

/// A topic, and what it is created with beside replicas.
struct Topic {
    name: &'static str,
    partitions: Partitions,
    config: &'static [(&'static str, &'static str)],
}

/// How many partitions a topic has.
#[derive(Clone, Copy)]
enum Partitions {
    /// One a slice.
    Slices,
    /// As the inbox is asked for.
    Inbox,
    /// A small one.
    One,
}

const TOPICS: [Topic; 6] = [
    Topic {
        name: LEDGER,
        partitions: Partitions::Slices,
        config: &[("retention.ms", FOR_EVER), ("retention.bytes", FOR_EVER), ("max.message.bytes", super::MAX_RECORD_BYTES_TEXT)],
    },
    // A foreign clock must not expire what was just written.
    Topic {
        name: COMMANDS,
        partitions: Partitions::Slices,
        config: &[("retention.ms", DAYS_90), ("message.timestamp.type", "LogAppendTime")],
    },
    // What is too large for a command arrives all the same, or nobody would ever say so.
    Topic {
        name: INBOX,
        partitions: Partitions::Inbox,
        config: &[("retention.ms", DAYS_30), ("message.timestamp.type", "LogAppendTime"), ("max.message.bytes", "8388608")],
    },
    Topic { name: EVENTS, partitions: Partitions::Slices, config: &[("max.message.bytes", super::MAX_RECORD_BYTES_TEXT)] },
    // Only the last place of a slice counts.
    Topic { name: PUBLISHED, partitions: Partitions::One, config: &[("cleanup.policy", "compact")] },
    // A letter is what came in, and why it is one.
    Topic { name: DEAD_LETTERS, partitions: Partitions::Inbox, config: &[("retention.ms", DAYS_90), ("max.message.bytes", "16777216")] },
];

/// What every topic is created with.
const COMMON: [(&str, &str); 3] =
    [("cleanup.policy", "delete"), ("compression.type", "producer"), ("unclean.leader.election.enable", "false")];

/// What the ledger's topic has to be at every open, or records would vanish.
const HELD: [(&str, &str); 3] = [("cleanup.policy", "delete"), ("retention.ms", FOR_EVER), ("retention.bytes", FOR_EVER)];

/// Their names with the options' prefix.
pub(super) fn names(options: &KafkaOptions) -> Vec<String> {
    TOPICS.iter().map(|topic| options.topic(topic.name)).collect()
}

/// Asks brokers about topics.
pub(super) struct Topics<'a> {
    options: &'a KafkaOptions,
    client: AdminClient<Quiet>,
}

impl<'a> Topics<'a> {
    pub(super) fn new(options: &'a KafkaOptions) -> Result<Self, LogError> {
        let client = options.admin().create_with_context(Quiet).map_err(|error| options.store("connecting", &error))?;
        Ok(Self { options, client })
    }

    /// Creates the topics that are not there yet, and waits until each has leaders. Answers which it created.
    pub(super) fn create(&self, slices: Slices) -> Result<Vec<String>, LogError> {
        let replicas = self.options.replicas;
        // A majority: with three replicas one may be away.
        let in_sync = (replicas / 2 + 1).to_string();
        let names = TOPICS.map(|topic| self.options.topic(topic.name));
        let wanted = TOPICS.iter().zip(&names).map(|(topic, name)| {
            let count = match topic.partitions {
                Partitions::Slices => slices.count,
                Partitions::Inbox => self.options.inbox_partitions,
                Partitions::One => 1,
            };
            let new = NewTopic::new(name, i32::from(count), TopicReplication::Fixed(i32::from(replicas)));
            let new = new.set("min.insync.replicas", &in_sync);
            let is_own = |name: &str| topic.config.iter().any(|(own, _)| *own == name);
            COMMON.iter().filter(|(name, _)| !is_own(name)).chain(topic.config).fold(new, |new, (key, value)| new.set(key, value))
        });
        let wanted: Vec<NewTopic<'_>> = wanted.collect();
        let limits = AdminOptions::new().request_timeout(Some(TO_APPEAR)).operation_timeout(Some(TO_APPEAR));
        let answers = wait_for(self.client.create_topics(&wanted, &limits));
        let mut made = Vec::new();
        for answer in answers.map_err(|error| self.options.store("creating topics", &error))? {
            match answer {
                Ok(name) => made.push(name),
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((name, RDKafkaErrorCode::InvalidReplicationFactor)) => {
                    let reason = format!(
                        "the topic {name} cannot have {replicas} replicas: the cluster has fewer brokers; where it has one, give --replicas 1"
                    );
                    return Err(LogError::Unfit(reason));
                }
                Err((name, code)) => return Err(LogError::Store(format!("Kafka does not create the topic {name}: {code}"))),
            }
        }
        let until = Instant::now() + TO_APPEAR;
        // The owner may have created an inbox of another size.
        let needed = |topic: &Topic| match topic.partitions {
            Partitions::Slices => slices.count,
            Partitions::Inbox | Partitions::One => 1,
        };
        while let Some((_, name)) = TOPICS.iter().zip(&names).find(|(topic, name)| !self.has_leaders(name, needed(topic))) {
            if Instant::now() > until {
                return Err(LogError::Store(format!("the topic {name} has no leaders yet")));
            }
            std::thread::sleep(ASK_EVERY);
        }
        Ok(made)
    }

    fn has_leaders(&self, name: &str, count: u16) -> bool {
        let Ok(metadata) = self.client.inner().fetch_metadata(Some(name), TO_ANSWER) else { return false };
        let topic = metadata.topics().iter().find(|topic| topic.name() == name && topic.error().is_none());
        topic.is_some_and(|topic| {
            topic.partitions().len() >= usize::from(count) && topic.partitions().iter().all(|partition| partition.leader() >= 0)
        })
    }

    /// The topics of a ledger that are not there.
    pub(super) fn missing(&self) -> Result<Vec<String>, LogError> {
        let mut missing = Vec::new();
        for name in names(self.options) {
            if self.partitions(&name)?.is_none() {
                missing.push(name);
            }
        }
        Ok(missing)
    }

    /// How many partitions a topic has; none where there is no such topic.
    pub(super) fn partitions(&self, name: &str) -> Result<Option<usize>, LogError> {
        let ask = |patience| self.client.inner().fetch_metadata(Some(name), patience);
        let metadata = match ask(SOON) {
            Ok(metadata) => metadata,
            Err(_) => {
                if let Err(Unreached::Refused(reason)) = self.options.reach() {
                    return Err(LogError::Store(format!("Kafka at {}: {reason}", self.options.brokers)));
                }
                insist(|| ask(TO_ANSWER)).map_err(|error| self.options.store("asking for the topics", &error))?
            }
        };
        let topic = metadata.topics().iter().find(|topic| topic.name() == name);
        Ok(topic.map(|topic| topic.partitions().len()).filter(|count| *count > 0))
    }

    /// The ledger and its commands are partitioned as the ledger's first record says, and keep what they are given.
    ///
    /// # Errors
    /// `LogError::Unfit` naming the topic and what is wrong with it.
    pub(super) fn check(&self, slices: Slices) -> Result<(), LogError> {
        for name in [LEDGER, COMMANDS].map(|name| self.options.topic(name)) {
            let count = self.partitions(&name)?.ok_or_else(|| missing(self.options, &name))?;
            if count != usize::from(slices.count) {
                let reason = format!("the topic {name} has {count} partitions, and the ledger was created with {} slices", slices.count);
                return Err(LogError::Unfit(reason));
            }
        }
        self.check_kept()
    }

    fn check_kept(&self) -> Result<(), LogError> {
        let name = self.options.topic(LEDGER);
        let until = Instant::now() + TO_APPEAR;
        let config = loop {
            // Reading the configuration is a right of its own, which a ledger can be used without.
            let Some(config) = self.configuration(&name)? else { return Ok(()) };
            // A broker that has not heard of a new topic yet says that nothing is configured.
            if !config.entries.is_empty() || Instant::now() > until {
                break config;
            }
            std::thread::sleep(ASK_EVERY);
        };
        for (key, held) in HELD {
            let found = config.get(key).and_then(|entry| entry.value.as_deref()).unwrap_or_default();
            if found != held {
                return Err(LogError::Unfit(format!("the topic {name} has {key} = {found:?}: decisions would be lost; set it to {held}")));
            }
        }
        Ok(())
    }

    /// How a topic is configured; none where we may not know.
    fn configuration(&self, name: &str) -> Result<Option<ConfigResource>, LogError> {
        let limits = AdminOptions::new().request_timeout(Some(TO_ANSWER));
        let answers = wait_for(self.client.describe_configs(&[ResourceSpecifier::Topic(name)], &limits));
        let answers = answers.map_err(|error| self.options.store("asking how long the ledger is kept", &error))?;
        match answers.into_iter().next() {
            Some(Ok(config)) => Ok(Some(config)),
            Some(Err(code)) => {
                tracing::warn!(topic = name, %code, "nobody knows how long the ledger is kept: its configuration cannot be read");
                Ok(None)
            }
            None => Err(LogError::Store(format!("Kafka says nothing of the topic {name}"))),
        }
    }
}

/// A topic that is created with the ledger is not there.
pub(super) fn missing(options: &KafkaOptions, topic: &str) -> LogError {
    let prefix = if options.prefix == DEFAULT_PREFIX { String::new() } else { format!(" --topic-prefix {}", options.prefix) };
    let brokers = &options.brokers;
    LogError::Unfit(format!(
        "there is no topic {topic} at {brokers}; the topics that a ledger lacks are created by: pledger init --kafka {brokers}{prefix}"
    ))
}

/// Waits on this thread for an answer of the library, whose own thread wakes it.
fn wait_for<T>(answer: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let (mut answer, mut context) = (pin!(answer), Context::from_waker(&waker));
    loop {
        match answer.as_mut().poll(&mut context) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => std::thread::park(),
        }
    }
}
