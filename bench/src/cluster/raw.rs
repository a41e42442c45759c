//! What the client library does with the same messages, without a ledger.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use pledger_ledger::record::{Body, Record};
use rdkafka::{
    ClientConfig, ClientContext, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, Header, OwnedHeaders},
    producer::{BaseRecord, ProducerContext, ThreadedProducer},
};

/// How long a message may be on its way.
const TO_ARRIVE: Duration = Duration::from_secs(60);
/// Messages that go to a parsing thread together.
const TOGETHER: usize = 1_024;
/// Parcels that wait for a parsing thread.
const AHEAD: usize = 16;

/// Counts what was delivered, and does nothing else.
struct Counting {
    delivered: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
}

impl ClientContext for Counting {}

impl ProducerContext for Counting {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let counted = if result.is_ok() { &self.delivered } else { &self.failed };
        counted.fetch_add(1, Ordering::Relaxed);
    }
}

/// Messages a second that are written with the same keys, headers, bodies and compression, and `acks=all`.
pub(super) fn produce_rate(brokers: &str, topic: &str, records: &[Record]) -> Result<f64> {
    let (delivered, failed) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
    let counting = Counting { delivered: Arc::clone(&delivered), failed: Arc::clone(&failed) };
    let mut config = ClientConfig::new();
    for (name, value) in [
        ("bootstrap.servers", brokers),
        ("acks", "all"),
        ("enable.idempotence", "true"),
        ("compression.type", "lz4"),
        ("linger.ms", "5"),
        ("queue.buffering.max.messages", "200000"),
        ("queue.buffering.max.kbytes", "524288"),
        ("enable.metrics.push", "false"),
    ] {
        config.set(name, value);
    }
    let producer: ThreadedProducer<Counting> = config.create_with_context(counting)?;
    let start = Instant::now();
    for record in records {
        let key = key(record);
        loop {
            let message = BaseRecord::<str, [u8]>::to(topic).partition(i32::from(record.header.slice)).payload(&record.body[..]);
            match producer.send(message.key(&key).headers(headers(record))) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => thread::sleep(Duration::from_millis(1)),
                Err((error, _)) => return Err(error.into()),
            }
        }
    }
    while delivered.load(Ordering::Relaxed) < records.len() as u64 {
        if failed.load(Ordering::Relaxed) > 0 || start.elapsed() > TO_ARRIVE {
            bail!("{} of {} messages were delivered", delivered.load(Ordering::Relaxed), records.len());
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(records.len() as f64 / start.elapsed().as_secs_f64())
}

fn key(record: &Record) -> String {
    match Body::decode(&record.body) {
        Ok(Body::Decision(decision)) => decision.stream.to_string(),
        _ => String::new(),
    }
}

fn headers(record: &Record) -> OwnedHeaders {
    let header = &record.header;
    let fields = [
        ("pseq", header.pseq.to_string()),
        ("term", header.term.to_string()),
        ("prev", header.prev.to_string()),
        ("hash", header.hash.to_string()),
    ];
    fields.iter().fold(OwnedHeaders::new_with_capacity(4), |headers, (key, value)| headers.insert(Header { key, value: Some(value) }))
}

/// Messages a second that are read from all partitions of a topic and parsed into their types, on a thread a core
/// besides the one that reads.
pub(super) fn consume_rate(brokers: &str, topic: &str, partitions: u16, messages: u64) -> Result<f64> {
    let mut config = ClientConfig::new();
    for (name, value) in [
        ("bootstrap.servers", brokers),
        ("group.id", "bench-raw"),
        ("enable.auto.commit", "false"),
        ("auto.offset.reset", "error"),
        ("queued.max.messages.kbytes", "65536"),
        ("fetch.queue.backoff.ms", "10"),
        ("enable.metrics.push", "false"),
    ] {
        config.set(name, value);
    }
    let consumer: BaseConsumer = config.create()?;
    let mut places = TopicPartitionList::new();
    for partition in 0..partitions {
        places.add_partition_offset(topic, i32::from(partition), Offset::Beginning)?;
    }
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let start = Instant::now();
    let parsed: u64 = thread::scope(|scope| -> Result<u64> {
        let (parsers, parsing): (Vec<_>, Vec<_>) = (0..cores)
            .map(|_| {
                let (parcels, inbox) = mpsc::sync_channel::<Vec<Vec<u8>>>(AHEAD);
                (parcels, scope.spawn(move || inbox.iter().flatten().filter(|body| Body::decode(body).is_ok()).count() as u64))
            })
            .unzip();
        consumer.assign(&places)?;
        let (mut read, mut parcel) = (0, Vec::with_capacity(TOGETHER));
        while read < messages {
            let message = consumer.poll(TO_ARRIVE).context("no message came")??;
            parcel.push(message.payload().unwrap_or_default().to_vec());
            read += 1;
            if parcel.len() == TOGETHER || read == messages {
                let to: &mpsc::SyncSender<_> = &parsers[usize::try_from(read).unwrap_or(0) / TOGETHER % cores];
                to.send(std::mem::replace(&mut parcel, Vec::with_capacity(TOGETHER))).context("a parsing thread ended")?;
            }
        }
        drop(parsers);
        Ok(parsing.into_iter().map(|thread| thread.join().expect("parsing does not panic")).sum())
    })?;
    let seconds = start.elapsed().as_secs_f64();
    if parsed != messages {
        bail!("{parsed} of {messages} messages could be parsed");
    }
    consumer.unassign()?;
    Ok(messages as f64 / seconds)
}
