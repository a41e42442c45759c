//! A slice of many decisions, taken over from a writer that is gone.

use std::time::Instant;

use anyhow::Result;
use pledger_ledger::slices::Slices;

use super::{Broker, together::Together};
use crate::{Bench, measures::processor::in_turn, progress, report::Row, workload::Lane};

/// Lanes of the workload.
const LANES: u64 = 256;
/// Commands that are prepared together, to bound memory.
const CHUNK: usize = 20_000;
/// Seconds that a take-over may take, from when the slice is given to when a command was decided in it.
const BOUND_S: f64 = 5.0;

pub(super) fn measure(bench: &mut Bench, broker: &Broker) -> Result<()> {
    let total = if bench.quick { 20_000 } else { 1_000_000 };
    // One slice beside that of the program and the partners.
    let slices = Slices::new(2)?;
    let mut together = Together::create(broker, "take-over", slices)?;
    let mut lanes = Lane::all(LANES, 0, together.today);
    let mut decided = 0;
    while decided < total {
        let sent = in_turn(&mut lanes, CHUNK.min(total - decided));
        together.run(&sent)?;
        decided += sent.len();
        progress(&format!("Kafka: {decided} decisions in one slice"));
    }
    together.kill();
    let start = Instant::now();
    together.begin()?;
    let restored = start.elapsed().as_secs_f64();
    together.run(&in_turn(&mut lanes, 1))?;
    let all = start.elapsed().as_secs_f64();
    bench.rows.extend([
        Row::below(format!("Kafka: take-over of a slice with {decided} decisions, until one more is decided"), all, "s", BOUND_S),
        Row::told("  until its state was restored", restored, "s"),
    ]);
    Ok(())
}
