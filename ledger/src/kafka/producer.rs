//! Appends batches, many of which may be in flight, and answers a report for every record.

use std::{
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender},
    },
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};
use rdkafka::{
    ClientContext, Statistics,
    config::RDKafkaLogLevel,
    error::KafkaError,
    message::{DeliveryResult, Message},
    producer::{BaseRecord, Producer as _, ProducerContext, PurgeConfig, ThreadedProducer},
};

use super::{MAX_RECORD_BYTES, Shared, client, message};
use crate::{
    log::{LogError, Producer, Report},
    record::Record,
};

/// How many records may be in flight; `send` waits for room.
const MAX_RECORDS: usize = 65_536;
/// How many bytes of bodies.
const MAX_BYTES: usize = 64 << 20;
/// What headers and key add to a body, with room to spare.
const BESIDE_THE_BODY: usize = 4096;
/// How long `send` waits for room: longer than a record may be on its way.
const TO_GET_ROOM: Duration = Duration::from_secs(60);

/// What was handed over and not reported.
#[derive(Debug, Default)]
struct Flight {
    now: Mutex<Load>,
    landed: Condvar,
}

#[derive(Clone, Copy, Debug, Default)]
struct Load {
    records: usize,
    bytes: usize,
}

/// Takes delivery reports on the library's polling thread.
struct Deliveries {
    flight: Arc<Flight>,
    reports: Sender<Report>,
}

/// What is known of a record until it is reported.
struct Sent {
    /// Its outcome is filled in.
    report: Report,
    bytes: usize,
}

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
    type DeliveryOpaque = Box<Sent>;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: Box<Sent>) {
        let Sent { mut report, bytes } = *sent;
        report.outcome = match result {
            // The first record of a batch that was there already is reported at -1, and as delivered.
            Ok(message) => u64::try_from(message.offset()).map_err(|_| "the broker does not say where it lies".to_owned()),
            Err((error, _)) => Err(error.to_string()),
        };
        // A producer that was dropped reads no reports.
        drop(self.reports.send(report));
        let mut now = self.flight.now.lock();
        now.records -= 1;
        now.bytes -= bytes;
        self.flight.landed.notify_one();
    }
}

/// A producer: one connection of its own to every broker.
pub(super) struct KafkaProducer {
    shared: Arc<Shared>,
    client: Option<ThreadedProducer<Deliveries>>,
    flight: Arc<Flight>,
    reports: Receiver<Report>,
    /// Reports of what the library did not take, which follow those of what it did.
    refused: Vec<Report>,
    /// Set by the first failure: nothing more is taken.
    over: bool,
}

impl KafkaProducer {
    pub(super) fn new(shared: Arc<Shared>) -> Result<Self, LogError> {
        let (sender, reports) = mpsc::channel();
        let flight = Arc::new(Flight::default());
        let deliveries = Deliveries { flight: Arc::clone(&flight), reports: sender };
        let options = &shared.options;
        let client = options.producer().create_with_context(deliveries).map_err(|error| options.store("creating a producer", &error))?;
        Ok(Self { shared, client: Some(client), flight, reports, refused: Vec::new(), over: false })
    }

    /// # Errors
    /// `LogError::Store` for what could never be written.
    fn check(&self, batch: &[Record]) -> Result<(), LogError> {
        let refuse = |reason: String| Err(LogError::Store(reason));
        if self.over {
            return refuse("an earlier batch of the producer failed".into());
        }
        let slices = self.shared.slices.count;
        if let Some(record) = batch.iter().find(|record| record.header.slice >= slices) {
            return refuse(format!("the ledger has no slice {}", record.header.slice));
        }
        let largest = batch.iter().map(|record| record.body.len()).max().unwrap_or(0);
        if largest + BESIDE_THE_BODY > MAX_RECORD_BYTES {
            return refuse(format!("a record of {largest} bytes is more than a message of the ledger's topic may hold"));
        }
        Ok(())
    }

    /// Waits until there is room for so much more. A batch that is larger than all the room waits for all of it.
    fn take_room(&self, more: Load) -> Result<(), LogError> {
        let mut now = self.flight.now.lock();
        let is_full = |now: &mut Load| now.records > 0 && (now.records + more.records > MAX_RECORDS || now.bytes + more.bytes > MAX_BYTES);
        if self.flight.landed.wait_while_for(&mut now, is_full, TO_GET_ROOM).timed_out() && is_full(&mut now) {
            return Err(LogError::Store(format!("{} records wait for the broker", now.records)));
        }
        now.records += more.records;
        now.bytes += more.bytes;
        Ok(())
    }

    /// Nothing that was not written yet is written from now on, as far as that is in our hands.
    fn purge(&mut self) {
        self.over = true;
        if let Some(client) = &self.client {
            client.purge(PurgeConfig::default().queue().inflight());
        }
    }

    /// Hands one record to the library.
    fn hand_over(&self, record: &Record) -> Result<(), Report> {
        let client = self.client.as_ref().expect("taken by drop only");
        let sent = Box::new(Sent { report: report(record, Err(String::new())), bytes: record.body.len() });
        let key = message::key(record);
        let mut message = BaseRecord::with_opaque_to(&self.shared.ledger, sent)
            .partition(i32::from(record.header.slice))
            .payload(&record.body[..])
            .headers(message::headers(&record.header));
        if let Some(key) = &key {
            message = message.key(key.as_bytes());
        }
        client.send(message).map_err(|(error, message)| Report { outcome: Err(error.to_string()), ..message.delivery_opaque.report })
    }
}

fn report(record: &Record, outcome: Result<u64, String>) -> Report {
    let header = &record.header;
    Report { slice: header.slice, pseq: header.pseq, term: header.term, outcome }
}

impl Producer for KafkaProducer {
    fn send(&mut self, mut batch: Vec<Record>) -> Result<(), LogError> {
        self.check(&batch)?;
        // The library sends a request a partition, soon after the first record for it: what goes there together is handed over
        // together. Order counts within a slice only.
        batch.sort_by_key(|record| record.header.slice);
        self.take_room(Load { records: batch.len(), bytes: batch.iter().map(|record| record.body.len()).sum() })?;
        for (at, record) in batch.iter().enumerate() {
            let Err(refused) = self.hand_over(record) else { continue };
            // Part of the batch is on its way, so the answer is a report for each, and the end of the producer.
            let why = refused.outcome.clone();
            let rest = &batch[at..];
            self.refused.extend(rest.iter().map(|record| report(record, why.clone())));
            let mut now = self.flight.now.lock();
            now.records -= rest.len();
            now.bytes -= rest.iter().map(|record| record.body.len()).sum::<usize>();
            drop(now);
            self.purge();
            break;
        }
        Ok(())
    }

    fn reports(&mut self, wait: Duration) -> Vec<Report> {
        let mut reports = Vec::new();
        let until = Instant::now() + wait;
        // What was not taken is reported last, once everything before it is.
        let landed = self.flight.now.lock().records == 0;
        let first = if landed { self.reports.try_recv().ok() } else { self.reports.recv_timeout(wait).ok() };
        reports.extend(first);
        reports.extend(self.reports.try_iter());
        if reports.is_empty() && landed {
            reports.append(&mut self.refused);
        }
        if reports.is_empty() && landed {
            // Everything was reported: none can come, and a caller that asks again and again should not spin.
            std::thread::sleep(until.saturating_duration_since(Instant::now()));
        }
        if !self.over && reports.iter().any(|report| report.outcome.is_err()) {
            self.purge();
        }
        reports
    }
}

impl Drop for KafkaProducer {
    fn drop(&mut self) {
        self.purge();
        let Some(client) = self.client.take() else { return };
        // The client takes a tenth of a second to end, and whoever drops it is about to open a new term.
        let ending = std::thread::Builder::new().name("ledger-kafka-end".into()).spawn(move || drop(client));
        if let Err(error) = ending {
            tracing::warn!(%error, "a producer could not be ended on a thread of its own");
        }
    }
}
