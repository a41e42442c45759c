//! Appends batches, many of which may be in flight, and answers a report for every record.

use std::{
    collections::VecDeque,
    mem,
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender},
    },
    time::{Duration, Instant},
};

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
    slices::SliceId,
};

/// How many records may be in flight; `send` waits for room.
const MAX_RECORDS: usize = 65_536;
/// How many bytes of bodies.
const MAX_BYTES: usize = 64 << 20;
/// How many records on their way to a partition keep an idempotent producer of the library from sending more there.
const MAX_FLYING: usize = 5;
/// Bodies that are handed over for a slice at once, and the one with which there are as many: most fit into one request of the library's
/// (`batch.size`) with what is beside them, and are handed over before it waited for more (`linger.ms`).
const REQUEST_BYTES: usize = 512 << 10;
/// What headers and key add to a body, with room to spare.
const BESIDE_THE_BODY: usize = 4096;
/// Why a record was not written that was not to blame.
const EARLIER: &str = "an earlier record of the producer was not written";
/// How long `send` waits for room: longer than the library tries to write a record.
const TO_GET_ROOM: Duration = Duration::from_secs(60);

/// What was taken and not reported.
#[derive(Clone, Copy, Debug, Default)]
struct Load {
    records: usize,
    bytes: usize,
}

/// A slice's records on their way.
///
/// The library sends nothing more to a partition while `MAX_FLYING` records are on their way there, and asks itself again and again
/// whether it may, without a pause: what comes meanwhile waits here, and goes together.
#[derive(Debug, Default)]
struct Lane {
    /// How many the library has.
    flying: usize,
    waiting: VecDeque<Record>,
}

/// Takes delivery reports on the library's polling thread.
struct Deliveries {
    landed: Sender<Box<Sent>>,
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

    fn delivery(&self, result: &DeliveryResult<'_>, mut sent: Box<Sent>) {
        sent.report.outcome = match result {
            // The first record of a batch that was there already is reported at -1, and as delivered.
            Ok(message) => u64::try_from(message.offset()).map_err(|_| "the broker does not say where it lies".to_owned()),
            Err((error, _)) => Err(error.to_string()),
        };
        // A producer that was dropped reads no reports.
        drop(self.landed.send(sent));
    }
}

/// A producer: one connection of its own to every broker.
pub(super) struct KafkaProducer {
    shared: Arc<Shared>,
    client: Option<ThreadedProducer<Deliveries>>,
    lanes: Vec<Lane>,
    now: Load,
    landed: Receiver<Box<Sent>>,
    /// Reports that were not asked for yet.
    reports: Vec<Report>,
    /// Reports of what the library did not take, which follow those of what it did.
    refused: Vec<Report>,
    /// Set by the first failure: nothing more is written.
    over: bool,
    /// A failure was reported: nothing more is taken.
    told: bool,
}

impl KafkaProducer {
    pub(super) fn new(shared: Arc<Shared>) -> Result<Self, LogError> {
        let (sender, landed) = mpsc::channel();
        let options = &shared.options;
        let client = options.producer().create_with_context(Deliveries { landed: sender });
        let client = client.map_err(|error| options.store("creating a producer", &error))?;
        let lanes = shared.slices.all().map(|_| Lane::default()).collect();
        let (now, reports, refused) = (Load::default(), Vec::new(), Vec::new());
        Ok(Self { shared, client: Some(client), lanes, now, landed, reports, refused, over: false, told: false })
    }

    /// Whether the library could still write with it.
    pub(super) fn is_fit(&self) -> bool {
        self.client.as_ref().is_some_and(|client| client.client().fatal_error().is_none())
    }

    /// # Errors
    /// `LogError::Store` for what could never be written.
    fn check(&self, batch: &[Record]) -> Result<(), LogError> {
        let refuse = |reason: String| Err(LogError::Store(reason));
        if self.told {
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
    fn take_room(&mut self, more: Load) -> Result<(), LogError> {
        let until = Instant::now() + TO_GET_ROOM;
        while !self.over
            && self.now.records > 0
            && (self.now.records + more.records > MAX_RECORDS || self.now.bytes + more.bytes > MAX_BYTES)
        {
            let wait = until.saturating_duration_since(Instant::now());
            if wait.is_zero() {
                return Err(LogError::Store(format!("{} records wait for the broker", self.now.records)));
            }
            self.take_in(wait);
        }
        self.now.records += more.records;
        self.now.bytes += more.bytes;
        Ok(())
    }

    /// Takes in what was reported, the first of it within `wait`, and sends what waited for that.
    fn take_in(&mut self, wait: Duration) {
        let first = if self.now.records == 0 { None } else { self.landed.recv_timeout(wait).ok() };
        let mut next = first.or_else(|| self.landed.try_recv().ok());
        while let Some(sent) = next {
            self.now.records -= 1;
            self.now.bytes -= sent.bytes;
            let (slice, failed) = (sent.report.slice, sent.report.outcome.is_err());
            self.lanes[usize::from(slice)].flying -= 1;
            self.reports.push(sent.report);
            if failed {
                self.give_up(EARLIER);
            }
            self.send_on(slice);
            next = self.landed.try_recv().ok();
        }
    }

    /// Hands over what waits for a slice, if the library would send it: as much as goes in one request.
    fn send_on(&mut self, slice: SliceId) {
        if self.lanes[usize::from(slice)].flying >= MAX_FLYING {
            return;
        }
        let mut bytes = 0;
        while let Some(record) = self.lanes[usize::from(slice)].waiting.pop_front() {
            bytes += record.body.len();
            match self.hand_over(&record) {
                Ok(()) => self.lanes[usize::from(slice)].flying += 1,
                Err(why) => {
                    // Part of the batch is on its way, so the answer is a report for each, and the end of the producer.
                    self.lanes[usize::from(slice)].waiting.push_front(record);
                    return self.give_up(&why);
                }
            }
            if bytes >= REQUEST_BYTES {
                return;
            }
        }
    }

    /// Nothing that was not written yet is written from now on, as far as that is in our hands.
    fn give_up(&mut self, why: &str) {
        if !mem::replace(&mut self.over, true)
            && let Some(client) = &self.client
        {
            client.purge(PurgeConfig::default().queue().inflight());
        }
        for record in self.lanes.iter_mut().flat_map(|lane| lane.waiting.drain(..)) {
            self.now.records -= 1;
            self.now.bytes -= record.body.len();
            self.refused.push(report(&record, Err(why.to_owned())));
        }
    }

    /// Hands one record to the library; why it was not taken.
    fn hand_over(&self, record: &Record) -> Result<(), String> {
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
        client.send(message).map_err(|(error, _)| error.to_string())
    }
}

fn report(record: &Record, outcome: Result<u64, String>) -> Report {
    let header = &record.header;
    Report { slice: header.slice, pseq: header.pseq, term: header.term, outcome }
}

impl Producer for KafkaProducer {
    fn send(&mut self, batch: Vec<Record>) -> Result<(), LogError> {
        self.take_in(Duration::ZERO);
        self.check(&batch)?;
        self.take_room(Load { records: batch.len(), bytes: batch.iter().map(|record| record.body.len()).sum() })?;
        let mut slices: Vec<SliceId> = batch.iter().map(|record| record.header.slice).collect();
        slices.sort_unstable();
        slices.dedup();
        for record in batch {
            self.lanes[usize::from(record.header.slice)].waiting.push_back(record);
        }
        if self.over {
            self.give_up(EARLIER);
        }
        slices.into_iter().for_each(|slice| self.send_on(slice));
        Ok(())
    }

    fn go_on(&mut self) {
        self.take_in(Duration::ZERO);
    }

    fn reports(&mut self, wait: Duration) -> Vec<Report> {
        let until = Instant::now() + wait;
        self.take_in(if self.reports.is_empty() { wait } else { Duration::ZERO });
        let mut reports = mem::take(&mut self.reports);
        // What was not taken is reported last, once everything before it is.
        if reports.is_empty() && self.now.records == 0 {
            reports = mem::take(&mut self.refused);
            if reports.is_empty() {
                // Everything was reported: none can come, and a caller that asks again and again should not spin.
                std::thread::sleep(until.saturating_duration_since(Instant::now()));
            }
        }
        self.told |= reports.iter().any(|report| report.outcome.is_err());
        reports
    }
}

impl Drop for KafkaProducer {
    fn drop(&mut self) {
        self.give_up("the producer was dropped");
        let Some(client) = self.client.take() else { return };
        // The client takes a tenth of a second to end, and whoever drops it is about to open a new term.
        let ending = std::thread::Builder::new().name("ledger-kafka-end".into()).spawn(move || drop(client));
        if let Err(error) = ending {
            tracing::warn!(%error, "a producer could not be ended on a thread of its own");
        }
    }
}
