//! All read models from a ledger in Kafka, against reading and parsing the same messages.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use pledger_ledger::{
    kafka::KafkaLog,
    log::{Log, UpTo},
};
use pledger_projections::engine::{Engine, Options};

use super::{Broker, pace::Pace, raw};
use crate::{
    Bench, progress,
    report::{Limit, Row},
};

/// The longest that it may take.
const TIMEOUT: Duration = Duration::from_secs(600);
/// What Kafka Streams rebuilds its one view with on such a machine, at its best.
const KAFKA_STREAMS: f64 = 112_000.0;

/// `records` is what the ledger's topic holds at least.
pub(super) fn measure(bench: &mut Bench, broker: &Broker, name: &str, log: &KafkaLog, records: u64) -> Result<()> {
    progress("Kafka: reading and parsing what the ledger holds");
    let topic = format!("{}ledger", broker.options(name).prefix);
    let raw = raw::consume_rate(&broker.brokers, &topic, log.slices().count, records)?;
    let read = Instant::now();
    let mut up_to = UpTo::the_end(log, &[])?;
    while !up_to.next(4_096)?.is_empty() {}
    let tail = records as f64 / read.elapsed().as_secs_f64();
    let generations = broker.generations(name)?;
    let into = if generations.is_some() { "PostgreSQL" } else { "memory" };
    progress(&format!("Kafka: all read models, into {into}"));
    let (start, log) = (Instant::now(), Arc::new(log.clone()) as Arc<dyn Log>);
    let engine = match &generations {
        Some(generations) => Engine::open_in(generations, log, Options::default())?,
        None => Engine::in_memory(log, Options::default())?,
    };
    let pace = Pace::watch(start, records, TIMEOUT, || engine.status().taken_in)?;
    if !engine.wait_until_caught_up(TIMEOUT, |_| {}) {
        bail!("the read models were not made in {} s", TIMEOUT.as_secs());
    }
    let status = engine.status();
    engine.stop();
    let rate = records as f64 / start.elapsed().as_secs_f64();
    if status.parked > 0 || status.trouble.is_some() {
        bail!("the read models were not made whole: {status:?}");
    }
    bench.rows.extend([
        Row::at_least(
            format!("Kafka: all read models made anew, into {into}"),
            rate,
            "decisions/s",
            vec![(0.5, Limit::new("messages/s read and parsed without a ledger", raw))],
        ),
        Row::at_least(
            "  beside one view in Kafka Streams",
            rate,
            "decisions/s",
            vec![(1.0, Limit::new("events/s of Kafka Streams on such a machine (told, not measured here)", KAFKA_STREAMS))],
        ),
        Row::told("  until the last one was folded", pace.all, "s"),
        Row::told("  and until it was written", start.elapsed().as_secs_f64(), "s"),
        Row::told("  the ledger read without folding", tail, "records/s"),
    ]);
    bench.rows.extend(pace.details("decisions/s"));
    Ok(())
}
