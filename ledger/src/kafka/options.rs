//! How the cluster is reached, and what its topics are called.

use std::{collections::BTreeMap, fmt, time::Duration};

use rdkafka::{ClientConfig, config::RDKafkaLogLevel, error::KafkaError};

use crate::log::LogError;

/// What topics' names begin with, where nothing else is asked for.
pub const DEFAULT_PREFIX: &str = "pledger.";
/// The replicas of every record, where nothing else is asked for.
pub const DEFAULT_REPLICAS: u8 = 3;

/// The partitions of the inbox, where nothing else is asked for.
pub const DEFAULT_INBOX_PARTITIONS: u16 = 8;

/// How long a question to a broker may take.
pub(super) const TO_ANSWER: Duration = Duration::from_secs(15);

/// What the engine's promises rest on: nobody else sets it.
const OURS: [&str; 14] = [
    "acks",
    "request.required.acks",
    "auto.offset.reset",
    "bootstrap.servers",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.gapless.guarantee",
    "enable.idempotence",
    "enable.partition.eof",
    "isolation.level",
    "max.in.flight",
    "max.in.flight.requests.per.connection",
    "metadata.broker.list",
    "transactional.id",
];

/// How every consumer fetches. What waits to be taken is unpacked already, four times what was fetched and more: a consumer behind a
/// long topic keeps tens of megabytes, not hundreds, and works on what the processor's cache still has.
const FETCHING: [(&str, &str); 5] = [
    ("fetch.wait.max.ms", "20"),
    ("fetch.min.bytes", "1"),
    ("fetch.max.bytes", "2097152"),
    ("fetch.queue.backoff.ms", "10"),
    ("queued.max.messages.kbytes", "8192"),
];

/// How the cluster is reached. Properties may hold secrets, so `Debug` shows their names only.
#[derive(Clone)]
pub struct KafkaOptions {
    /// Where to begin: `host:port`, several of them with commas between.
    pub brokers: String,
    /// What topics' names begin with.
    pub prefix: String,
    /// How many brokers keep each record of a topic that is created; a majority of them has to have it before it counts
    /// as written.
    pub replicas: u8,
    /// How many partitions the inbox and the dead letters are created with.
    pub inbox_partitions: u16,
    /// Properties of librdkafka, such as `security.protocol` (`SASL_SSL`), `sasl.mechanism` (`SCRAM-SHA-512`),
    /// `sasl.username`, `sasl.password`, `ssl.ca.location`.
    pub properties: BTreeMap<String, String>,
}

/// How soon a follower has what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// Somebody waits for the answer.
    Close,
    /// What is made of it is shown a little later anyway.
    Easy,
}

impl KafkaOptions {
    /// These brokers, and the defaults.
    #[must_use]
    pub fn new(brokers: impl Into<String>) -> Self {
        Self {
            brokers: brokers.into(),
            prefix: DEFAULT_PREFIX.into(),
            replicas: DEFAULT_REPLICAS,
            inbox_partitions: DEFAULT_INBOX_PARTITIONS,
            properties: BTreeMap::new(),
        }
    }

    /// The name of a topic.
    pub(super) fn topic(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// # Errors
    /// `LogError::Unfit` naming what cannot be asked for.
    pub(super) fn check(&self) -> Result<(), LogError> {
        if let Some(name) = self.properties.keys().find(|name| OURS.contains(&name.as_str())) {
            return Err(LogError::Unfit(format!("the Kafka property {name} is not for the configuration to set: the ledger rests on it")));
        }
        if self.replicas == 0 {
            return Err(LogError::Unfit("a record needs at least one replica".into()));
        }
        if self.inbox_partitions == 0 {
            return Err(LogError::Unfit("the inbox needs at least one partition".into()));
        }
        let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if !self.prefix.chars().all(is_legal) || self.prefix.len() > 100 {
            return Err(LogError::Unfit(format!("{:?} cannot begin the name of a topic", self.prefix)));
        }
        Ok(())
    }

    /// What every client is configured with. The owner's properties come after what only concerns speed.
    fn client(&self, tuned: &[(&str, &str)], fixed: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        let reconnecting = [
            ("reconnect.backoff.ms", "20"),
            ("reconnect.backoff.max.ms", "1000"),
            ("topic.metadata.refresh.fast.interval.ms", "50"),
            ("enable.metrics.push", "false"),
            ("client.id", "pledger"),
        ];
        let owners = self.properties.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in reconnecting.into_iter().chain(tuned.iter().copied()).chain(owners).chain(fixed.iter().copied()) {
            config.set(name, value);
        }
        config.set("bootstrap.servers", &self.brokers).set_log_level(RDKafkaLogLevel::Info);
        config
    }

    /// Asks and creates.
    pub(super) fn admin(&self) -> ClientConfig {
        self.client(&[], &[])
    }

    pub(super) fn producer(&self) -> ClientConfig {
        let tuned = [
            ("compression.type", "lz4"),
            ("linger.ms", "1"),
            ("retry.backoff.ms", "5"),
            ("message.timeout.ms", "30000"),
            // More than a producer has in flight: its own limits are met first.
            ("queue.buffering.max.messages", "1000000"),
            ("queue.buffering.max.kbytes", "524288"),
        ];
        let largest = super::MAX_RECORD_BYTES.to_string();
        self.client(&tuned, &[("acks", "all"), ("enable.idempotence", "true"), ("message.max.bytes", &largest)])
    }

    /// Writes commands, whose senders wait for a decision.
    pub(super) fn command_producer(&self) -> ClientConfig {
        let mut config = self.producer();
        for (name, value) in [("message.timeout.ms", "10000"), ("linger.ms", "0")] {
            if !self.properties.contains_key(name) {
                config.set(name, value);
            }
        }
        config
    }

    /// A member of a group that reads nothing.
    pub(super) fn member(&self, group: &str, silence: Duration) -> ClientConfig {
        let mut config = self.consumer();
        let silence = silence.as_millis();
        let settings = [
            ("group.id", group.to_owned()),
            ("group.protocol", "classic".to_owned()),
            ("partition.assignment.strategy", "cooperative-sticky".to_owned()),
            ("session.timeout.ms", silence.to_string()),
            ("heartbeat.interval.ms", (silence / 4).max(100).to_string()),
            // Its thread does nothing but poll.
            ("max.poll.interval.ms", silence.max(300_000).to_string()),
        ];
        for (name, value) in settings {
            config.set(name, value);
        }
        config
    }

    /// Reads partitions that it is told to.
    pub(super) fn consumer(&self) -> ClientConfig {
        // A name is asked for though no group is joined: partitions are assigned, and nothing is committed.
        let tuned = [FETCHING.as_slice(), &[("group.id", "pledger-ledger")]].concat();
        let fixed = [
            // A place that the log does not have is an error; never is another one taken in silence.
            ("auto.offset.reset", "error"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("enable.partition.eof", "false"),
            // Somebody's open transaction holds no reader of ours back.
            ("isolation.level", "read_uncommitted"),
        ];
        self.client(&tuned, &fixed)
    }

    /// Reads on and on. A broker looks at every partition that a fetch names, so a consumer of many that is answered at the first
    /// byte asks it all the time: this one asks once in so long, unless there is much to read.
    pub(super) fn follower(&self, pace: Pace) -> ClientConfig {
        let mut config = self.consumer();
        let wait = match pace {
            Pace::Close => "5",
            Pace::Easy => "20",
        };
        for (name, value) in [("fetch.wait.max.ms", wait), ("fetch.min.bytes", "65536")] {
            if !self.properties.contains_key(name) {
                config.set(name, value);
            }
        }
        config
    }

    /// Reads commands: of each partition a little at a time, since decisions on many slices are written side by side, and those on one
    /// slice a request after the other.
    pub(super) fn command_reader(&self) -> ClientConfig {
        let mut config = self.follower(Pace::Close);
        // The library knows it by two names.
        if !["max.partition.fetch.bytes", "fetch.message.max.bytes"].iter().any(|name| self.properties.contains_key(*name)) {
            config.set("max.partition.fetch.bytes", "131072");
        }
        config
    }

    /// A member of a group whose partitions are shared out, and that begins at `reset` where nothing was committed.
    ///
    /// Of a sender's transactions only what was committed is read. The newer group protocol stalls with this library.
    pub(super) fn group(&self, name: &str, reset: &str) -> ClientConfig {
        // How long partitions of a member that was killed wait for another one.
        let session = [("session.timeout.ms", "10000"), ("heartbeat.interval.ms", "2000")];
        let tuned = [FETCHING.as_slice(), &session].concat();
        let group = format!("{}{name}", self.prefix);
        let fixed = [
            ("group.id", group.as_str()),
            ("group.protocol", "classic"),
            ("partition.assignment.strategy", "cooperative-sticky"),
            ("auto.offset.reset", reset),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("enable.partition.eof", "false"),
            ("isolation.level", "read_committed"),
        ];
        self.client(&tuned, &fixed)
    }

    /// Reads what lies in a topic up to its end.
    pub(super) fn scanner(&self) -> ClientConfig {
        let mut config = self.consumer();
        config.set("enable.partition.eof", "true");
        config
    }

    /// A producer of events, which gives none up: a later one must not be written in its stead.
    pub(super) fn publisher(&self) -> ClientConfig {
        let mut config = self.courier();
        config.set("message.timeout.ms", "0");
        config
    }

    /// A producer of messages that are no records, as large as they come: brokers judge them by their topic.
    pub(super) fn courier(&self) -> ClientConfig {
        let mut config = self.producer();
        config.set("message.max.bytes", super::MAX_PARCEL_BYTES.to_string());
        config
    }

    /// An error of the client library, without what a property holds.
    pub(super) fn store(&self, what: &str, error: &KafkaError) -> LogError {
        match error {
            KafkaError::ClientConfig(_, _, name, _) => LogError::Unfit(format!("Kafka's client does not take what {name} is set to")),
            other => LogError::Store(format!("Kafka at {}: {what}: {other}", self.brokers)),
        }
    }
}

impl fmt::Debug for KafkaOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { brokers, prefix, replicas, inbox_partitions, properties } = self;
        let names: Vec<_> = properties.keys().collect();
        let mut debug = f.debug_struct("KafkaOptions");
        debug.field("brokers", brokers).field("prefix", prefix).field("replicas", replicas);
        debug.field("inbox_partitions", inbox_partitions).field("properties", &names).finish()
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::producer::BaseProducer;

    use super::*;

    fn with(name: &str, value: &str) -> KafkaOptions {
        let properties = [(name.to_owned(), value.to_owned())].into();
        KafkaOptions { properties, ..KafkaOptions::new("127.0.0.1:1") }
    }

    #[test]
    fn secrets_are_not_shown() {
        let options = with("sasl.password", "hush");
        assert_eq!(
            format!("{options:?}"),
            r#"KafkaOptions { brokers: "127.0.0.1:1", prefix: "pledger.", replicas: 3, inbox_partitions: 8, properties: ["sasl.password"] }"#
        );
        // A value that the library refuses stands in its own message.
        let options = with("security.protocol", "hush");
        let refused = options.producer().create::<BaseProducer>().map(drop).expect_err("no such protocol");
        assert!(refused.to_string().contains("hush"));
        let error = options.store("creating a producer", &refused).to_string();
        assert_eq!(error, "Kafka's client does not take what security.protocol is set to");
    }

    #[test]
    fn owners_tune_but_do_not_loosen() {
        let options = with("linger.ms", "7");
        options.check().expect("only slower");
        assert_eq!(options.producer().get("linger.ms"), Some("7"));
        for name in OURS {
            let error = with(name, "0").check().expect_err(name);
            assert!(error.to_string().contains(name), "{error}");
        }
        assert_eq!(options.producer().get("acks"), Some("all"));
        assert_eq!(options.consumer().get("auto.offset.reset"), Some("error"));
    }

    #[test]
    fn what_cannot_name_a_topic_is_refused() {
        for prefix in ["a b", "é", "a/", &"x".repeat(101)] {
            assert!(KafkaOptions { prefix: prefix.into(), ..KafkaOptions::new("127.0.0.1:1") }.check().is_err(), "{prefix}");
        }
        KafkaOptions { prefix: String::new(), ..KafkaOptions::new("127.0.0.1:1") }.check().expect("a bare name is one");
    }

    #[test]
    fn scram_over_tls_is_what_the_library_was_built_with() {
        let mut options = with("security.protocol", "SASL_SSL");
        for (name, value) in [("sasl.mechanism", "SCRAM-SHA-512"), ("sasl.username", "ledger"), ("sasl.password", "hush")] {
            options.properties.insert(name.into(), value.into());
        }
        options.producer().create::<BaseProducer>().map(drop).expect("a client that would connect");
    }
}
