//! Durable commands over HTTP, one a request, at 64 connections.

use std::time::Duration;

use anyhow::Result;

use crate::{
    Bench,
    load::{self, FULL_SPEED, Load, Manner, Prepared},
    progress,
    report::{Limit, Row, median},
    running::{Running, Served},
    workload::Lane,
};

const CONNECTIONS: usize = 64;
/// The latency that 99 of 100 commands keep at half the load, in milliseconds.
const P99_MS: f64 = 20.0;
/// Rounds of everything, a second or so each: what the machine does at the moment is shared by what is compared, and the
/// middle one counts.
const ROUNDS: usize = 15;

/// What came of one round.
struct Round {
    full: Load,
    nothing: Load,
    halved: Load,
}

pub(crate) fn measure(bench: &mut Bench) -> Result<()> {
    let requests = if bench.quick { 2_000 } else { 15_000 };
    let seconds = if bench.quick { 0.2 } else { 1.0 };
    let folder = bench.folder("one-a-request");
    let running = Running::create(&folder)?;
    let mut lanes = Lane::all(CONNECTIONS as u64, 0, running.today);
    let served = Served::start(running, &folder)?;
    let mut commands = |count: usize| -> Result<Vec<Vec<Prepared>>> {
        lanes.iter_mut().map(|lane| lane.take(count / CONNECTIONS).map(|sent| load::command(&sent)).collect()).collect()
    };

    progress("HTTP: warming up");
    load::send(served.address, commands(requests)?, FULL_SPEED)?;
    let mut rounds = Vec::with_capacity(ROUNDS);
    for round in 1..=ROUNDS {
        let full = load::send(served.address, commands(requests)?, FULL_SPEED)?;
        let nothing = load::send(served.address, nothing(requests)?, FULL_SPEED)?;
        let half = full.per_second() / 2.0;
        let pace = Duration::from_secs_f64(CONNECTIONS as f64 / half);
        let manner = Manner { pace: Some(pace), keep_answers: false };
        let halved = load::send(served.address, commands((half * seconds) as usize)?, manner)?;
        progress(&format!(
            "HTTP, round {round} of {ROUNDS}: one command a request {:.0}/s, p99 {:.1} ms; at half that load {:.1} ms; a route that does nothing {:.0}/s",
            full.per_second(),
            full.latency_ms(0.99),
            halved.latency_ms(0.99),
            nothing.per_second()
        ));
        rounds.push(Round { full, nothing, halved });
    }
    served.stop()?;

    let nothing = Limit::new("requests/s to a route that does nothing", middle(&rounds, |round| round.nothing.per_second()));
    let alternatives = vec![(5.0, bench.sample()?.single_row()?), (0.3, nothing)];
    let full = |share| middle(&rounds, |round| round.full.latency_ms(share));
    let halved = |share| middle(&rounds, |round| round.halved.latency_ms(share));
    let per_second = middle(&rounds, |round| round.full.per_second());
    bench.rows.extend([
        Row::at_least("HTTP, a command a request, 64 connections", per_second, "commands/s", alternatives),
        Row::told("  at full load: p50", full(0.5), "ms"),
        Row::told("  at full load: p99", full(0.99), "ms"),
        Row::told("  at half that load", middle(&rounds, |round| round.halved.per_second()), "commands/s"),
        Row::told("  at half that load: p50", halved(0.5), "ms"),
        Row::below("  at half that load: p99", halved(0.99), "ms", P99_MS),
    ]);
    Ok(())
}

/// The median of the rounds.
fn middle(rounds: &[Round], figure: impl Fn(&Round) -> f64) -> f64 {
    median(rounds.iter().map(figure))
}

fn nothing(requests: usize) -> Result<Vec<Vec<Prepared>>> {
    (0..CONNECTIONS).map(|_| (0..requests / CONNECTIONS).map(|_| load::question("/healthz")).collect()).collect()
}
