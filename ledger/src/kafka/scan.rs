//! Reads topics that are no ledger from given places to the ends they have now.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use rdkafka::{Message as _, Offset, TopicPartitionList, consumer::Consumer as _, error::KafkaError};

use super::{
    client::{Consumer, Quiet, insist, passes_by_itself},
    inbox::read,
    options::{KafkaOptions, TO_ANSWER},
};
use crate::{inbox::Message, log::LogError};

/// How long what is there may take to be read.
const TO_COME: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);

/// Hands `take` the messages of these partitions, each from its offset on, or from the first that is still there. What was
/// compacted or deleted is passed over.
pub(super) fn scan(options: &KafkaOptions, topic: &str, from: &[(u32, u64)], mut take: impl FnMut(Message)) -> Result<(), LogError> {
    let store = |error: KafkaError| options.store(&format!("reading {topic}"), &error);
    let consumer: Consumer = options.scanner().create_with_context(Quiet).map_err(store)?;
    let mut list = TopicPartitionList::new();
    let mut ends: BTreeMap<i32, i64> = BTreeMap::new();
    for (partition, from) in from {
        let (partition, from) = (partition.cast_signed(), from.cast_signed());
        let (low, high) = insist(|| consumer.fetch_watermarks(topic, partition, TO_ANSWER)).map_err(store)?;
        // A place behind the end is one of another topic, that had this name before.
        let from = if from > high { low } else { from.max(low) };
        if from < high {
            ends.insert(partition, high);
            list.add_partition_offset(topic, partition, Offset::Offset(from)).map_err(store)?;
        }
    }
    if ends.is_empty() {
        return Ok(());
    }
    consumer.assign(&list).map_err(store)?;
    let mut until = Instant::now() + TO_COME;
    while !ends.is_empty() {
        match consumer.poll(POLL) {
            Some(Ok(message)) => {
                let (partition, next) = (message.partition(), message.offset() + 1);
                if ends.get(&partition).is_some_and(|end| message.offset() < *end) {
                    take(read(&message));
                }
                ends.retain(|known, end| *known != partition || next < *end);
                until = Instant::now() + TO_COME;
            }
            // The last messages before an end may have been compacted, or be a transaction's marks.
            Some(Err(KafkaError::PartitionEOF(partition))) => drop(ends.remove(&partition)),
            Some(Err(KafkaError::MessageConsumption(code))) if passes_by_itself(code) => {}
            Some(Err(error)) => return Err(store(error)),
            None if Instant::now() < until => {}
            None => return Err(LogError::Store(format!("Kafka at {}: what is in {topic} did not come", options.brokers))),
        }
    }
    // Closing waits for what is assigned to be given back.
    drop(consumer.unassign());
    Ok(())
}
