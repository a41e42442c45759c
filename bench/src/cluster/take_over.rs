//! A slice of many decisions, taken over from a writer that is gone.

use std::time::{Duration, Instant};

use anyhow::Result;
use pledger_ledger::slices::Slices;

use super::{Broker, deciding::fill, pace::Pace, together::Together};
use crate::{Bench, measures::processor::in_turn, progress, report::Row, workload::Lane};

/// Lanes of the workload.
const LANES: u64 = 256;
/// How long deciding may take once all commands were sent.
const TO_DECIDE: Duration = Duration::from_secs(300);
/// Seconds that a take-over may take, from when the slice is given to when a command was decided in it.
const BOUND_S: f64 = 5.0;

pub(super) fn measure(bench: &mut Bench, broker: &Broker) -> Result<()> {
    let total = if bench.quick { 20_000 } else { 1_000_000 };
    // One slice beside that of the program and the partners.
    let slices = Slices::new(2)?;
    let mut together = Together::create(broker, "take-over", slices)?;
    let mut lanes = Lane::all(LANES, 0, together.today);
    let status = together.status()?;
    let before = status.acknowledged();
    fill(&together, &mut lanes, total)?;
    Pace::watch(Instant::now(), before + total as u64, TO_DECIDE, || status.acknowledged())?;
    progress(&format!("Kafka: {total} decisions in one slice"));
    together.kill();
    let start = Instant::now();
    together.begin()?;
    let restored = start.elapsed().as_secs_f64();
    together.run(&in_turn(&mut lanes, 1))?;
    let all = start.elapsed().as_secs_f64();
    bench.rows.extend([
        Row::below(format!("Kafka: take-over of a slice with {total} decisions, until one more is decided"), all, "s", BOUND_S),
        Row::told("  until its state was restored", restored, "s"),
    ]);
    Ok(())
}
