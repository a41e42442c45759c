//! The inbox topic, read by a group: the partitions are shared out, and the places are the group's committed offsets.
//!
//! The group begins at the earliest message, unlike any reader of the ledger: a new group has missed nothing yet, and what
//! is read twice is decided once, by its key.

use std::{collections::BTreeMap, time::Duration};

use parking_lot::Mutex;
use pledger_domain::values::Timestamp;
use rdkafka::{
    ClientContext, Offset, Statistics, Timestamp as Stamp, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance},
    error::KafkaError,
    message::{BorrowedHeaders, BorrowedMessage, Headers as _, Message as _},
};

use super::{
    client::{self, passes_by_itself},
    courier::bytes,
    options::{KafkaOptions, TO_ANSWER},
    topics::{INBOX, Topics, missing},
};
use crate::{
    inbox::{Headers, Inbox, Message, Place},
    log::LogError,
};

/// The group's name, after the prefix of the topics.
const GROUP: &str = "ingest";

/// What a rebalance leaves behind, and what it needs to know.
struct Membership {
    topic: String,
    lost: Mutex<Vec<u32>>,
    gained: Mutex<Vec<u32>>,
    /// Where whoever reads a partition next is to begin.
    done: Mutex<BTreeMap<u32, u64>>,
}

impl Membership {
    fn of(&self, list: &TopicPartitionList) -> Vec<u32> {
        list.elements_for_topic(&self.topic).iter().filter_map(|element| u32::try_from(element.partition()).ok()).collect()
    }

    /// The places of these partitions, as far as they are known.
    fn places(&self, partitions: &[u32]) -> TopicPartitionList {
        let done = self.done.lock();
        list(
            &self.topic,
            partitions.iter().filter_map(|partition| Some((*partition, Offset::Offset((*done.get(partition)?).try_into().ok()?)))),
        )
    }
}

impl ClientContext for Membership {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::say(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        client::complain(&error, reason);
    }

    fn stats(&self, _: Statistics) {}
}

impl ConsumerContext for Membership {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => {
                let gained = self.of(list);
                tracing::info!(topic = self.topic, partitions = ?gained, "ingest takes partitions over");
                self.gained.lock().extend(gained);
            }
            Rebalance::Revoke(list) => {
                let lost = self.of(list);
                tracing::info!(topic = self.topic, partitions = ?lost, "ingest gives partitions up");
                let places = self.places(&lost);
                if places.count() > 0
                    && let Err(error) = consumer.commit(&places, CommitMode::Async)
                {
                    tracing::debug!(%error, "the next reader begins where was committed before");
                }
                self.done.lock().retain(|partition, _| !lost.contains(partition));
                self.lost.lock().extend(lost);
            }
            Rebalance::Error(error) => tracing::warn!(%error, "sharing out the inbox failed"),
        }
    }
}

/// A member of the group.
pub struct KafkaInbox {
    consumer: BaseConsumer<Membership>,
    options: KafkaOptions,
}

impl KafkaInbox {
    /// Joins the group.
    ///
    /// # Errors
    /// `LogError::Unfit` where there is no inbox, `LogError::Store`.
    pub fn join(options: KafkaOptions) -> Result<Self, LogError> {
        options.check()?;
        let topic = options.topic(INBOX);
        if Topics::new(&options)?.partitions(&topic)?.is_none() {
            return Err(missing(&options, &topic));
        }
        let (lost, gained, done) = Default::default();
        let membership = Membership { topic: topic.clone(), lost, gained, done };
        let config = options.group(GROUP, "earliest");
        let consumer: BaseConsumer<Membership> =
            config.create_with_context(membership).map_err(|error| options.store("creating a consumer", &error))?;
        consumer.subscribe(&[&topic]).map_err(|error| options.store("joining the group", &error))?;
        Ok(Self { consumer, options })
    }

    fn membership(&self) -> &Membership {
        self.consumer.client().context()
    }

    /// Says where messages were deleted before anybody read them.
    fn look_for_gaps(&self) {
        let gained = std::mem::take(&mut *self.membership().gained.lock());
        let topic = &self.membership().topic;
        let asked = list(topic, gained.into_iter().map(|partition| (partition, Offset::Invalid)));
        if asked.count() == 0 {
            return;
        }
        let Ok(committed) = self.consumer.committed_offsets(asked, TO_ANSWER) else { return };
        for element in committed.elements() {
            let (Offset::Offset(next), Ok((low, _))) =
                (element.offset(), self.consumer.fetch_watermarks(topic, element.partition(), TO_ANSWER))
            else {
                continue;
            };
            if next < low {
                let partition = element.partition();
                tracing::error!(topic, partition, from = next, until = low, "messages of the inbox were deleted before they were read");
            }
        }
    }

    fn only(&self, partition: u32) -> TopicPartitionList {
        list(&self.membership().topic, std::iter::once((partition, Offset::Invalid)))
    }

    fn note(&self, places: &[Place]) -> TopicPartitionList {
        let membership = self.membership();
        membership.done.lock().extend(places.iter().map(|place| (place.partition, place.offset)));
        membership.places(&places.iter().map(|place| place.partition).collect::<Vec<_>>())
    }
}

/// Partitions of one topic.
fn list(topic: &str, partitions: impl Iterator<Item = (u32, Offset)>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in partitions {
        let Ok(partition) = i32::try_from(partition) else { continue };
        let added = list.add_partition_offset(topic, partition, offset);
        added.expect("an offset that came from the library or is none");
    }
    list
}

impl Inbox for KafkaInbox {
    fn next(&mut self, wait: Duration) -> Result<Option<Message>, LogError> {
        let polled = self.consumer.poll(wait);
        let message = match polled {
            None => None,
            Some(Ok(message)) => Some(read(&message)),
            Some(Err(KafkaError::MessageConsumption(code))) if passes_by_itself(code) => None,
            Some(Err(error)) => return Err(self.options.store("reading the inbox", &error)),
        };
        if !self.membership().gained.lock().is_empty() {
            self.look_for_gaps();
        }
        Ok(message)
    }

    fn lost(&mut self) -> Vec<u32> {
        std::mem::take(&mut *self.membership().lost.lock())
    }

    fn pause(&mut self, partition: u32) {
        if let Err(error) = self.consumer.pause(&self.only(partition)) {
            tracing::debug!(%error, partition, "not paused: it is no longer ours");
        }
    }

    fn resume(&mut self, partition: u32) {
        if let Err(error) = self.consumer.resume(&self.only(partition)) {
            tracing::debug!(%error, partition, "not resumed: it is no longer ours");
        }
    }

    fn commit(&mut self, places: &[Place]) {
        let list = self.note(places);
        if list.count() > 0
            && let Err(error) = self.consumer.commit(&list, CommitMode::Async)
        {
            tracing::debug!(%error, "places in the inbox were not committed; they are with the next ones");
        }
    }

    fn close(self: Box<Self>, places: &[Place]) {
        let list = self.note(places);
        if list.count() > 0
            && let Err(error) = self.consumer.commit(&list, CommitMode::Sync)
        {
            tracing::debug!(%error, "the last places in the inbox were not committed");
        }
        // Dropping a consumer that is still subscribed may wait for ever.
        self.consumer.unsubscribe();
    }
}

impl Drop for KafkaInbox {
    fn drop(&mut self) {
        self.consumer.unsubscribe();
    }
}

/// A message of any topic, in our own memory.
pub(super) fn read(message: &BorrowedMessage<'_>) -> Message {
    Message {
        place: Place { partition: message.partition().unsigned_abs(), offset: message.offset().unsigned_abs() },
        key: bytes(message.key()),
        headers: message.headers().map(headers).unwrap_or_default(),
        value: bytes(message.payload()),
        arrived_at: match message.timestamp() {
            Stamp::LogAppendTime(millis) => Some(Timestamp::from_micros(millis.saturating_mul(1000))),
            Stamp::CreateTime(_) | Stamp::NotAvailable => None,
        },
    }
}

/// Every header. One whose name is not UTF-8 cannot be read: a replacement character stands for it.
fn headers(headers: &BorrowedHeaders) -> Headers {
    let header = |at| {
        let header = headers.get(at);
        (header.key.to_owned(), header.value.map(<[u8]>::to_vec))
    };
    let unreadable = || (char::REPLACEMENT_CHARACTER.to_string(), None);
    (0..headers.count()).map(|at| client::guarded(|| header(at)).unwrap_or_else(unreadable)).collect()
}
