//! Topics of their own for each test.

use std::sync::atomic::{AtomicU32, Ordering};

use pledger_ledger::{
    kafka::{KafkaLog, KafkaOptions},
    log::{Log, LogError},
};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication},
    client::DefaultClientContext,
    producer::{BaseProducer, BaseRecord, Producer as _},
};
use tokio::runtime::Runtime;

use crate::{contract::Home, decisions::created};

/// The names of a ledger's topics.
const TOPICS: [&str; 6] = ["ledger", "commands", "inbox", "events", "published", "dead-letters"];

/// A prefix that nobody else has; its topics are deleted in the end.
pub(crate) struct InKafka {
    pub(crate) options: KafkaOptions,
    runtime: Runtime,
}

impl InKafka {
    pub(crate) fn new(brokers: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_millis();
        let prefix = format!("test-{now}-{}-{count}.", std::process::id());
        let options = KafkaOptions { prefix, replicas: 1, ..KafkaOptions::new(brokers) };
        Self { options, runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime") }
    }

    pub(crate) fn created(&self) -> KafkaLog {
        KafkaLog::create(self.options.clone(), created()).expect("a new ledger")
    }

    pub(crate) fn opened(&self) -> Result<KafkaLog, LogError> {
        KafkaLog::open(self.options.clone())
    }

    pub(crate) fn topic(&self, name: &str) -> String {
        format!("{}{name}", self.options.prefix)
    }

    /// A client that is none of ours.
    pub(crate) fn foreign(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.options.brokers);
        config
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.foreign().create().expect("an admin client")
    }

    /// What the broker says of a topic's configuration.
    pub(crate) fn configuration(&self, name: &str, keys: &[&str]) -> Vec<String> {
        let topic = self.topic(name);
        let asked = [ResourceSpecifier::Topic(&topic)];
        let answers = self.runtime.block_on(self.admin().describe_configs(&asked, &AdminOptions::new())).expect("an answer");
        let config = answers[0].as_ref().expect("a topic");
        keys.iter().map(|key| config.get(key).and_then(|entry| entry.value.clone()).unwrap_or_default()).collect()
    }

    /// How many partitions a topic has.
    pub(crate) fn partitions(&self, name: &str) -> usize {
        let topic = self.topic(name);
        let metadata = self.admin().inner().fetch_metadata(Some(&topic), std::time::Duration::from_secs(10)).expect("an answer");
        metadata.topics()[0].partitions().len()
    }

    /// Changes a topic as its owner might.
    pub(crate) fn configure(&self, name: &str, settings: &[(&str, &str)]) {
        let topic = self.topic(name);
        let change =
            settings.iter().fold(AlterConfig::new(ResourceSpecifier::Topic(&topic)), |change, (key, value)| change.set(key, value));
        let answers = self.runtime.block_on(self.admin().alter_configs(&[change], &AdminOptions::new())).expect("an answer");
        answers[0].as_ref().expect("changed");
    }

    /// Creates a topic behind the engine's back.
    pub(crate) fn create_topic(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        let topic = self.topic(name);
        let new = NewTopic::new(&topic, partitions, TopicReplication::Fixed(1));
        let new = settings.iter().fold(new, |new, (key, value)| new.set(key, value));
        let answers = self.runtime.block_on(self.admin().create_topics(&[new], &AdminOptions::new())).expect("an answer");
        answers[0].as_ref().expect("created");
    }

    /// Deletes a topic, and waits until it is gone.
    pub(crate) fn delete_topic(&self, name: &str) {
        let topic = self.topic(name);
        let answers = self.runtime.block_on(self.admin().delete_topics(&[&topic], &AdminOptions::new())).expect("an answer");
        answers[0].as_ref().expect("deleted");
        let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while self.partitions(name) > 0 {
            assert!(std::time::Instant::now() < until, "{topic} is there still");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }

    /// Deletes the beginning of a slice.
    pub(crate) fn delete_before(&self, slice: u16, offset: i64) {
        self.delete_in("ledger", slice, offset);
    }

    /// Deletes the beginning of a topic's partition.
    pub(crate) fn delete_in(&self, topic: &str, slice: u16, offset: i64) {
        let mut list = rdkafka::TopicPartitionList::new();
        list.add_partition_offset(&self.topic(topic), i32::from(slice), rdkafka::Offset::Offset(offset)).expect("a place");
        self.runtime.block_on(self.admin().delete_records(&list, &AdminOptions::new())).expect("deleted");
    }

    /// Writes a message that no writer of ours would.
    pub(crate) fn write_foreign(&self, slice: u16, value: &[u8], headers: Option<rdkafka::message::OwnedHeaders>) {
        let producer: BaseProducer = self.foreign().create().expect("a producer");
        let topic = self.topic("ledger");
        let mut message = BaseRecord::<[u8], [u8]>::to(&topic).partition(i32::from(slice)).payload(value);
        if let Some(headers) = headers {
            message = message.headers(headers);
        }
        producer.send(message).map_err(|(error, _)| error).expect("taken");
        producer.flush(std::time::Duration::from_secs(10)).expect("written");
    }
}

impl InKafka {
    /// Writes a message as no writer of ours would, in a transaction.
    pub(crate) fn write_in_transaction(&self, slice: u16, value: &[u8]) {
        let (topic, patience) = (self.topic("ledger"), std::time::Duration::from_secs(30));
        let producer: BaseProducer = self.foreign().set("transactional.id", &topic).create().expect("a producer");
        producer.init_transactions(patience).expect("ready");
        producer.begin_transaction().expect("begun");
        let message = BaseRecord::<[u8], [u8]>::to(&topic).partition(i32::from(slice)).payload(value);
        producer.send(message).map_err(|(error, _)| error).expect("taken");
        producer.commit_transaction(patience).expect("written");
    }
}

impl Home for InKafka {
    fn create(&self) -> Result<Box<dyn Log>, LogError> {
        Ok(Box::new(KafkaLog::create(self.options.clone(), created())?))
    }

    fn open(&self) -> Result<Box<dyn Log>, LogError> {
        Ok(Box::new(self.opened()?))
    }

    fn beside(&self) -> Result<Box<dyn Log>, LogError> {
        self.open()
    }
}

impl Drop for InKafka {
    fn drop(&mut self) {
        let topics = TOPICS.map(|name| self.topic(name));
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        // A test may not have come as far as its topics.
        drop(self.runtime.block_on(self.admin().delete_topics(&names, &AdminOptions::new())));
    }
}
