//! Durable commands over HTTP, one a request, at 64 connections.

use std::time::Duration;

use anyhow::Result;

use crate::{
    Bench,
    load::{self, FULL_SPEED, Manner, Prepared},
    progress,
    report::{Limit, Row},
    running::{Running, Served},
    workload::Lane,
};

const CONNECTIONS: usize = 64;
/// The latency that 99 of 100 commands keep at half the load, in milliseconds.
const P99_MS: f64 = 20.0;
/// How far the warming-up goes, as a part of the requests.
const WARM_UP: usize = 10;

pub(crate) fn measure(bench: &mut Bench) -> Result<()> {
    let requests = if bench.quick { 20_000 } else { 200_000 };
    let seconds = if bench.quick { 2 } else { 10 };
    let folder = bench.folder("one-a-request");
    let running = Running::create(&folder)?;
    let mut lanes = Lane::all(CONNECTIONS as u64, 0, running.today);
    let served = Served::start(running, &folder)?;
    let mut commands = |count: usize| -> Result<Vec<Vec<Prepared>>> {
        lanes.iter_mut().map(|lane| lane.take(count / CONNECTIONS).map(|sent| load::command(&sent)).collect()).collect()
    };

    progress("HTTP: warming up");
    load::send(served.address, commands(requests / WARM_UP)?, FULL_SPEED)?;
    progress("HTTP: one command a request, 64 connections");
    let full = load::send(served.address, commands(requests)?, FULL_SPEED)?;
    progress(&format!("HTTP: {:.0}/s; a route that does nothing", full.per_second()));
    let nothing = load::send(served.address, nothing(requests)?, FULL_SPEED)?;
    let half = full.per_second() / 2.0;
    let pace = Duration::from_secs_f64(CONNECTIONS as f64 / half);
    progress(&format!("HTTP: {half:.0}/s for {seconds} s"));
    let manner = Manner { pace: Some(pace), keep_answers: false };
    let halved = load::send(served.address, commands((half * f64::from(seconds)) as usize)?, manner)?;
    served.stop()?;

    let alternatives =
        vec![(5.0, bench.sample()?.single_row()?), (0.3, Limit::new("requests/s to a route that does nothing", nothing.per_second()))];
    let told = |name: &str, load: &load::Load, share| Row::told(format!("  {name}"), load.latency_ms(share), "ms");
    bench.rows.extend([
        Row::at_least("HTTP, a command a request, 64 connections", full.per_second(), "commands/s", alternatives),
        told("at full load: p50", &full, 0.5),
        told("at full load: p99", &full, 0.99),
        Row::told("  at half that load", halved.per_second(), "commands/s"),
        told("at half that load: p50", &halved, 0.5),
        Row::below("  at half that load: p99", halved.latency_ms(0.99), "ms", P99_MS),
    ]);
    Ok(())
}

fn nothing(requests: usize) -> Result<Vec<Vec<Prepared>>> {
    (0..CONNECTIONS).map(|_| (0..requests / CONNECTIONS).map(|_| load::question("/healthz")).collect()).collect()
}
