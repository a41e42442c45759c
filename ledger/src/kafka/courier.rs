//! Writes messages that are no records: letters, marks, published events. Each is reported to whoever sent it.

use std::{
    sync::mpsc::{self, Sender},
    time::{Duration, Instant},
};

use bytes::Bytes;
use rdkafka::{
    ClientConfig, ClientContext, Statistics,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, Header, Message as _, OwnedHeaders},
    producer::{BaseRecord, Producer as _, ProducerContext, PurgeConfig, ThreadedProducer},
};

use super::{client, options::KafkaOptions};
use crate::{inbox::Place, log::LogError};

/// A message to be written.
pub(super) struct Parcel<'a> {
    pub(super) topic: &'a str,
    pub(super) partition: u32,
    pub(super) key: Option<&'a [u8]>,
    pub(super) headers: OwnedHeaders,
    /// Absent in a tombstone.
    pub(super) value: Option<&'a [u8]>,
}

/// What became of one.
pub(super) struct Delivered {
    /// The number that it was sent with.
    pub(super) number: u64,
    /// Where it lies, or why nobody knows.
    pub(super) outcome: Result<Place, Unwritten>,
}

/// Why a message was not written for certain.
#[derive(Debug)]
pub(super) struct Unwritten {
    pub(super) reason: String,
    /// Its topic takes none of that size, or the client does not.
    pub(super) is_too_large: bool,
}

impl From<KafkaError> for Unwritten {
    fn from(error: KafkaError) -> Self {
        Self { is_too_large: error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge), reason: error.to_string() }
    }
}

impl From<Unwritten> for LogError {
    fn from(unwritten: Unwritten) -> Self {
        Self::Store(unwritten.reason)
    }
}

/// Whom a message is reported to, and by which number.
pub(super) struct Receipt {
    pub(super) number: u64,
    pub(super) to: Sender<Delivered>,
}

/// Takes delivery reports on the library's polling thread.
struct Deliveries;

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::say(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        client::complain(&error, reason);
    }

    fn stats(&self, _: Statistics) {}
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<Receipt>;

    fn delivery(&self, result: &DeliveryResult<'_>, receipt: Box<Receipt>) {
        let outcome = match result {
            Ok(message) => match (u32::try_from(message.partition()), u64::try_from(message.offset())) {
                (Ok(partition), Ok(offset)) => Ok(Place { partition, offset }),
                // It was there already when it was sent once more.
                _ => Err(Unwritten { reason: "the broker does not say where it lies".to_owned(), is_too_large: false }),
            },
            Err((error, _)) => Err(error.clone().into()),
        };
        // Whoever sent it may have gone.
        drop(receipt.to.send(Delivered { number: receipt.number, outcome }));
    }
}

/// A producer of messages that are no records.
pub(super) struct Courier {
    client: ThreadedProducer<Deliveries>,
    brokers: String,
}

impl Courier {
    pub(super) fn new(options: &KafkaOptions, config: &ClientConfig) -> Result<Self, LogError> {
        let client = config.create_with_context(Deliveries).map_err(|error| options.store("creating a producer", &error))?;
        Ok(Self { client, brokers: options.brokers.clone() })
    }

    /// Hands a message over; its report follows.
    pub(super) fn send(&self, receipt: Receipt, parcel: Parcel<'_>) -> Result<(), Unwritten> {
        let Parcel { topic, partition, key, headers, value } = parcel;
        let no_partition = |_| Unwritten { reason: format!("no topic has a partition {partition}"), is_too_large: false };
        let partition = i32::try_from(partition).map_err(no_partition)?;
        let message = BaseRecord::with_opaque_to(topic, Box::new(receipt)).partition(partition).headers(headers);
        let message = match key {
            Some(key) => message.key(key),
            None => message,
        };
        let message = match value {
            Some(value) => message.payload(value),
            None => message,
        };
        self.client.send(message).map_err(|(error, _)| self.named(&format!("writing to {topic}"), error.into()))
    }

    /// Sends messages and waits until each is reported.
    ///
    /// # Errors
    /// Where one was not written for certain.
    pub(super) fn deliver<'a>(&self, parcels: impl Iterator<Item = Parcel<'a>>, wait: Duration) -> Result<Vec<Place>, Unwritten> {
        let (to, delivered) = mpsc::channel();
        let mut places = Vec::new();
        for (number, parcel) in (0..).zip(parcels) {
            self.send(Receipt { number, to: to.clone() }, parcel)?;
            places.push(None);
        }
        let until = Instant::now() + wait;
        for _ in 0..places.len() {
            let Ok(Delivered { number, outcome }) = delivered.recv_timeout(until.saturating_duration_since(Instant::now())) else {
                let reason = format!("Kafka at {}: messages were not written within {} s", self.brokers, wait.as_secs());
                return Err(Unwritten { reason, is_too_large: false });
            };
            let place = outcome.map_err(|unwritten| self.named("a message was not written", unwritten))?;
            let slot = usize::try_from(number).ok().and_then(|number| places.get_mut(number));
            *slot.expect("only what was sent is reported") = Some(place);
        }
        Ok(places.into_iter().flatten().collect())
    }

    fn named(&self, what: &str, unwritten: Unwritten) -> Unwritten {
        Unwritten { reason: format!("Kafka at {}: {what}: {}", self.brokers, unwritten.reason), ..unwritten }
    }
}

impl Drop for Courier {
    fn drop(&mut self) {
        self.client.purge(PurgeConfig::default().queue().inflight());
    }
}

/// Headers as the client library takes them.
pub(super) fn owned<'a>(headers: impl Iterator<Item = (&'a str, Option<&'a [u8]>)>) -> OwnedHeaders {
    headers.fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value }))
}

/// The bytes of a message's part.
pub(super) fn bytes(part: Option<&[u8]>) -> Option<Bytes> {
    part.map(Bytes::copy_from_slice)
}
