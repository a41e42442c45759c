//! Consumers that read where they are told: no group, no commits.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::Consumer as _,
    error::{KafkaError, RDKafkaErrorCode},
    message::{BorrowedMessage, Message},
};

use super::{
    client::{Consumer, Quiet, insist, passes_by_itself},
    message,
    options::{KafkaOptions, Pace},
};
use crate::{
    log::{LogError, Placed},
    slices::SliceId,
};

/// How long a record that is there may take to come.
const TO_COME: Duration = Duration::from_secs(30);
/// How long one client is asked for the end of a slice.
const TO_ANSWER_ONCE: Duration = Duration::from_secs(2);
/// How long one poll waits.
const POLL: Duration = Duration::from_millis(100);
/// How many consumers are kept for the next reads.
const KEPT: usize = 4;

/// A consumer of the ledger's topic.
pub(super) struct Reader {
    consumer: Consumer,
    options: Arc<KafkaOptions>,
    topic: Arc<str>,
    /// Where reading began.
    from: Vec<(SliceId, u64)>,
    /// What a read of one slice would get next.
    at: Option<(SliceId, u64)>,
}

/// Which bound of a slice is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Bound {
    Begin,
    End,
}

impl Reader {
    pub(super) fn new(options: &Arc<KafkaOptions>, topic: &Arc<str>) -> Result<Self, LogError> {
        Self::with(options, topic, &options.consumer())
    }

    /// One that reads on and on.
    pub(super) fn follower(options: &Arc<KafkaOptions>, topic: &Arc<str>, pace: Pace) -> Result<Self, LogError> {
        Self::with(options, topic, &options.follower(pace))
    }

    /// One that reads commands.
    pub(super) fn of_commands(options: &Arc<KafkaOptions>, topic: &Arc<str>) -> Result<Self, LogError> {
        Self::with(options, topic, &options.command_reader())
    }

    fn with(options: &Arc<KafkaOptions>, topic: &Arc<str>, config: &ClientConfig) -> Result<Self, LogError> {
        let consumer = config.create_with_context(Quiet).map_err(|error| options.store("creating a consumer", &error))?;
        Ok(Self { consumer, options: Arc::clone(options), topic: Arc::clone(topic), from: Vec::new(), at: None })
    }

    /// Reads these slices from these offsets on, from now on.
    pub(super) fn assign(&mut self, places: impl Iterator<Item = (SliceId, u64)>) -> Result<(), LogError> {
        let mut list = TopicPartitionList::new();
        self.from = places.collect();
        for (slice, offset) in self.from.iter().copied() {
            let offset = i64::try_from(offset).map_err(|_| LogError::Store(format!("no log reaches offset {offset}")))?;
            let added = list.add_partition_offset(&self.topic, i32::from(slice), Offset::Offset(offset));
            added.map_err(|error| self.options.store("assigning a slice", &error))?;
        }
        self.at = None;
        self.consumer.assign(&list).map_err(|error| self.options.store("assigning slices", &error))
    }

    /// The next message of any assigned slice; none within `wait`.
    pub(super) fn poll(&self, wait: Duration) -> Result<Option<(SliceId, BorrowedMessage<'_>)>, LogError> {
        match self.consumer.poll(wait) {
            None => Ok(None),
            Some(Ok(message)) => {
                let slice = SliceId::try_from(message.partition()).map_err(|_| LogError::Store("a message of no partition".into()))?;
                Ok(Some((slice, message)))
            }
            Some(Err(KafkaError::MessageConsumption(code))) if passes_by_itself(code) => Ok(None),
            Some(Err(KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset))) => Err(self.not_there()),
            Some(Err(error)) => Err(self.options.store("reading", &error)),
        }
    }

    /// Which place it is that the log does not have: retention or a deletion took it, or it is another log.
    fn not_there(&self) -> LogError {
        for (slice, asked) in &self.from {
            let Ok((low, high)) = self.ends(*slice) else { continue };
            if !(low..=high).contains(asked) {
                return LogError::Store(format!(
                    "{}: slice {slice} has the offsets {low} to {high}; what was asked for at {asked} is gone or was never there",
                    self.topic
                ));
            }
        }
        LogError::Store(format!("{}: a slice does not have the offset that was asked for", self.topic))
    }

    /// The first offset of a slice, and the one after its last.
    pub(super) fn ends(&self, slice: SliceId) -> Result<(u64, u64), LogError> {
        let ask = |consumer: &Consumer| consumer.fetch_watermarks(&self.topic, i32::from(slice), TO_ANSWER_ONCE);
        let (low, high) = self.asked(ask).map_err(|error| self.options.store("asking for the end of a slice", &error))?;
        Ok((low.unsigned_abs(), high.unsigned_abs()))
    }

    /// What brokers answer to `ask`, which is asked again as long as it passes by itself.
    fn asked<T>(&self, ask: impl Fn(&Consumer) -> Result<T, KafkaError>) -> Result<T, KafkaError> {
        // A client that reads nothing goes on asking a leader that is lost, and may never hear of another one: a new client
        // has to find out.
        let anew = || ask(&self.options.consumer().create_with_context(Quiet)?);
        match ask(&self.consumer) {
            Err(error) if error.rdkafka_error_code().is_some_and(passes_by_itself) => insist(anew),
            answer => answer,
        }
    }

    /// The first offset of each slice, or the one after its last: all with one question to each of their brokers.
    pub(super) fn bounds(&self, slices: &[SliceId], bound: Bound) -> Result<Vec<u64>, LogError> {
        if slices.is_empty() {
            return Ok(Vec::new());
        }
        let end = match bound {
            Bound::Begin => Offset::Beginning,
            Bound::End => Offset::End,
        };
        let ask = |consumer: &Consumer| {
            let mut list = TopicPartitionList::with_capacity(slices.len());
            for slice in slices {
                list.add_partition_offset(&self.topic, i32::from(*slice), end)?;
            }
            let answer = consumer.offsets_for_times(list, TO_ANSWER_ONCE)?;
            slices.iter().map(|slice| self.answered(&answer, *slice)).collect()
        };
        self.asked(ask).map_err(|error| self.options.store("asking for the ends of slices", &error))
    }

    /// What was answered of one slice. One that nothing was answered of is asked for again.
    fn answered(&self, answer: &TopicPartitionList, slice: SliceId) -> Result<u64, KafkaError> {
        let found = answer.find_partition(&self.topic, i32::from(slice));
        let found = found.ok_or(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownPartition))?;
        found.error()?;
        match found.offset() {
            Offset::Offset(offset) => Ok(offset.unsigned_abs()),
            _ => Err(KafkaError::MetadataFetch(RDKafkaErrorCode::LeaderNotAvailable)),
        }
    }

    /// Hands `take` the messages of one slice in `offset..end`, until it answers that it has enough.
    pub(super) fn each(
        &mut self,
        slice: SliceId,
        offset: u64,
        end: u64,
        mut take: impl FnMut(&BorrowedMessage<'_>) -> bool,
    ) -> Result<(), LogError> {
        if self.at != Some((slice, offset)) {
            self.assign(std::iter::once((slice, offset)))?;
        }
        let (mut next, mut until) = (offset, Instant::now() + TO_COME);
        let (mut enough, mut doubted) = (false, false);
        // Whatever ends this early leaves a place that nobody goes on from.
        self.at = None;
        while next < end && !enough {
            let Some((of, message)) = self.poll(POLL)? else {
                if Instant::now() < until {
                    continue;
                }
                let (brokers, waited) = (&self.options.brokers, TO_COME.as_secs());
                return Err(LogError::Store(format!("Kafka at {brokers}: offset {next} of slice {slice} did not come within {waited} s")));
            };
            let found = message.offset().unsigned_abs();
            if of != slice || found < next {
                continue;
            }
            if found > next {
                // What an earlier assignment had fetched might have been left over: that is asked once more, and no oftener.
                if doubted {
                    return Err(missing(slice, next, found));
                }
                doubted = true;
                drop(message);
                self.assign(std::iter::once((slice, next)))?;
                continue;
            }
            next += 1;
            enough = take(&message);
            until = Instant::now() + TO_COME;
        }
        if next == end {
            // Nothing is left to fetch ahead: the next assignment would wait until the broker has given up waiting for more.
            return self.consumer.unassign().map_err(|error| self.options.store("ending a read", &error));
        }
        self.at = Some((slice, next));
        Ok(())
    }

    /// Records of one slice in `offset..end`, at most `max`.
    pub(super) fn records(&mut self, slice: SliceId, offset: u64, end: u64, max: usize) -> Result<Vec<Placed>, LogError> {
        let mut placed = Vec::new();
        self.each(slice, offset, end, |message| {
            placed.push(message::placed(slice, message));
            placed.len() >= max
        })?;
        Ok(placed)
    }
}

/// Offsets of a partition have no gaps as long as nobody writes in transactions or deletes. A reader that passed one over
/// might have missed records, and a writer that went on from there would acknowledge what nobody else takes for valid.
pub(super) fn missing(slice: SliceId, next: u64, found: u64) -> LogError {
    LogError::Store(format!(
        "slice {slice} goes on at offset {found} where {next} should stand: something was deleted, or written in a transaction"
    ))
}

impl Drop for Reader {
    fn drop(&mut self) {
        // Closing waits for what is assigned to be given back.
        drop(self.consumer.unassign());
    }
}

/// Readers that are not reading.
#[derive(Default)]
pub(super) struct Idle(Mutex<Vec<Reader>>);

impl Idle {
    /// Works with a reader, one that would go on at `at` if there is one.
    pub(super) fn with<T>(
        &self,
        at: Option<(SliceId, u64)>,
        new: impl FnOnce() -> Result<Reader, LogError>,
        work: impl FnOnce(&mut Reader) -> Result<T, LogError>,
    ) -> Result<T, LogError> {
        let mut readers = self.0.lock();
        let found = readers.iter().position(|reader| at.is_some() && reader.at == at).or_else(|| readers.len().checked_sub(1));
        let found = found.map(|found| readers.remove(found));
        drop(readers);
        let mut reader = found.map_or_else(new, Ok)?;
        // One that failed is not kept: nobody knows what it would read next.
        let answer = work(&mut reader)?;
        let mut readers = self.0.lock();
        if readers.len() < KEPT {
            readers.push(reader);
        }
        Ok(answer)
    }
}
