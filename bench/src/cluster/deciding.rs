//! Commands that lie in the topic, decided into the ledger; then all read models from that ledger.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use pledger_ledger::{
    commands::{CommandSink, Undecided},
    commands_topic::CommandSender,
};

use super::{Broker, folding, pace::Pace, together::Together};
use crate::{
    Bench,
    measures::processor::in_turn,
    progress,
    report::{Limit, Row},
    workload::Lane,
};

/// Lanes of the workload.
const LANES: u64 = 256;
/// Commands that are prepared together, to bound memory.
const CHUNK: usize = 50_000;
/// How long commands may take to be written, or decided.
const TO_ARRIVE: Duration = Duration::from_secs(120);
/// What Kafka Streams does with these decisions on such a machine, exactly_once_v2, at its best.
const KAFKA_STREAMS: f64 = 35_000.0;

pub(super) fn measure(bench: &mut Bench, broker: &Broker) -> Result<()> {
    let total = if bench.quick { 100_000 } else { 1_000_000 };
    let mut together = Together::create(broker, "deciding", broker.slices)?;
    together.kill();
    let mut lanes = Lane::all(LANES, 0, together.today);
    fill(&together, &mut lanes, total)?;
    together.unfollow();
    let before = together.ends()?;
    let start = Instant::now();
    together.begin()?;
    let begun = start.elapsed().as_secs_f64();
    let status = together.status()?;
    let pace = Pace::watch(start, total as u64, TO_ARRIVE, || status.acknowledged())?;
    let written = together.ends()? - before;
    if written < total as u64 {
        bail!("{total} decisions were acknowledged, and the ledger has {written} more records");
    }
    bench.rows.push(Row::at_least(
        "Kafka: commands topic to ledger, deciding included",
        pace.rate(),
        "decisions/s",
        vec![(3.0, Limit::new("decisions/s of Kafka Streams on such a machine (told, not measured here)", KAFKA_STREAMS))],
    ));
    bench.rows.push(Row::told("  until all slices were there", begun, "s"));
    bench.rows.extend(pace.details("decisions/s"));
    folding::measure(bench, broker, "deciding", &together.log, before + written)
}

/// Puts the next commands of these lanes into the topic.
pub(super) fn fill(together: &Together, lanes: &mut [Lane], total: usize) -> Result<()> {
    let (sender, after) = (together.commands.sender()?, together.sink.reference_positions());
    let mut written = 0;
    while written < total {
        let sent = in_turn(lanes, CHUNK.min(total - written));
        let lost = Arc::<AtomicU64>::default();
        for sent in &sent {
            send(&*sender, &sent.prepare(&together.edge, after.clone())?, &lost)?;
        }
        arrived(&lost)?;
        written += sent.len();
        progress(&format!("Kafka: {written} commands lie in the topic"));
    }
    Ok(())
}

/// Hands a command over, waiting for room.
fn send(sender: &dyn CommandSender, envelope: &pledger_ledger::commands::CommandEnvelope, lost: &Arc<AtomicU64>) -> Result<()> {
    loop {
        let count = Arc::clone(lost);
        let undelivered = Box::new(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        match sender.send(envelope, undelivered) {
            Ok(()) => return Ok(()),
            Err(Undecided::Overloaded) => thread::sleep(Duration::from_millis(1)),
            Err(other) => return Err(other.into()),
        }
    }
}

/// Waits until every command is written: what would tell of its loss is dropped then.
fn arrived(lost: &Arc<AtomicU64>) -> Result<()> {
    let start = Instant::now();
    while Arc::strong_count(lost) > 1 {
        if start.elapsed() > TO_ARRIVE {
            bail!("commands were not written in {} s", TO_ARRIVE.as_secs());
        }
        thread::sleep(Duration::from_millis(1));
    }
    match lost.load(Ordering::Relaxed) {
        0 => Ok(()),
        lost => bail!("{lost} commands were not written"),
    }
}
