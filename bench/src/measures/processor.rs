//! Durable decisions a second through the processor, without HTTP: commands are prepared before the clock starts.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::{
    Bench,
    limits::SINGLE_ROW,
    progress,
    report::{Limit, Row, median},
    running::{Pipe, Running, check},
    threads::cpu_seconds,
    workload::{Lane, Sent},
};

/// Commands that are prepared at once, to bound memory.
const CHUNK: usize = 100_000;
/// Commands of a submission: of so many lanes one each.
const LANES: u64 = 256;
/// Submissions under way.
const UNDER_WAY: usize = 24;
/// How the names of the threads begin that decide, and that commit.
const THREADS: [&str; 2] = ["processor", "ledger-commit"];
/// What a decision may cost the thread that decides, in microseconds.
const DECIDE_US: f64 = 8.0;

pub(crate) fn measure(bench: &mut Bench) -> Result<()> {
    let total = if bench.quick { 40_000 } else { 500_000 };
    // Made before anything is measured.
    bench.sample()?;
    let running = Running::create(&bench.folder("processor"))?;
    let mut lanes = Lane::all(LANES, 0, running.today);
    let (mut prepared_in, mut decided) = (Duration::ZERO, 0);
    let (mut rates, mut single_rows) = (Vec::new(), Vec::new());
    let mut on_core = [0.0; THREADS.len()];
    while decided < total {
        let sent: Vec<Sent> = in_turn(&mut lanes, CHUNK.min(total - decided));
        let start = Instant::now();
        let envelopes = running.prepare(&sent)?;
        prepared_in += start.elapsed();
        let mut batches = Vec::new();
        let mut envelopes = envelopes.into_iter();
        while envelopes.len() > 0 {
            batches.push(envelopes.by_ref().take(LANES as usize).collect());
        }
        let mut pipe = Pipe::new(running.sink(), UNDER_WAY)?;
        let before = THREADS.map(cpu_seconds);
        let start = Instant::now();
        for batch in batches {
            pipe.send(batch)?;
        }
        let answers = pipe.finish()?;
        let rate = sent.len() as f64 / start.elapsed().as_secs_f64();
        for ((sum, name), before) in on_core.iter_mut().zip(THREADS).zip(before) {
            *sum += cpu_seconds(name) - before;
        }
        check(&sent, &answers)?;
        decided += sent.len();
        rates.push(rate);
        single_rows.push(bench.sample()?.single_row_now()?);
        progress(&format!("processor: {decided} decisions, {rate:.0}/s"));
    }
    running.stop();
    let single_row = Limit::new(SINGLE_ROW, median(single_rows));
    let alternatives = vec![(20.0, single_row), (0.5, bench.sample()?.packed()?)];
    let [decide, commit] = on_core;
    let us = |seconds: f64| seconds * 1e6 / decided as f64;
    bench.rows.extend([
        Row::at_least("processor without HTTP, batches of 256", median(rates), "decisions/s", alternatives),
        Row::below("  the deciding thread, on its core", us(decide), "us a decision", DECIDE_US),
        Row::told("  the committing thread, on its core", us(commit), "us a decision"),
        Row::told("  the edge, before it", us(prepared_in.as_secs_f64()), "us a command"),
    ]);
    Ok(())
}

/// The next commands of all lanes, one of each in turn.
pub(crate) fn in_turn(lanes: &mut [Lane], count: usize) -> Vec<Sent> {
    let mut sent = Vec::with_capacity(count);
    while sent.len() < count {
        let left = count - sent.len();
        sent.extend(lanes.iter_mut().take(left).filter_map(Iterator::next));
    }
    sent
}
