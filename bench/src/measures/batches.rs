//! Durable commands over HTTP, a hundred a request.

use anyhow::{Result, bail};
use serde::Deserialize;

use crate::{
    Bench,
    limits::SINGLE_ROW,
    load::{self, Manner, Prepared},
    progress,
    report::{Limit, Row, median},
    running::{Running, Served},
    workload::{Lane, Sent},
};

/// As many as of commands one a request.
const CONNECTIONS: usize = 64;
const BATCH: usize = 100;
/// Rounds, each with a look at the limit: the middle one counts.
const ROUNDS: usize = 5;

#[derive(Deserialize)]
struct Answers {
    items: Vec<Answer>,
}

#[derive(Deserialize)]
struct Answer {
    status: u16,
}

pub(crate) fn measure(bench: &mut Bench) -> Result<()> {
    let batches = if bench.quick { 400 } else { 5_000 };
    // Made before anything is measured.
    bench.sample()?;
    let folder = bench.folder("batches");
    let running = Running::create(&folder)?;
    let mut lanes = Lane::all(CONNECTIONS as u64, 0, running.today);
    let served = Served::start(running, &folder)?;
    let mut send = |batches: usize| -> Result<load::Load> {
        let mut rivals = 0;
        let requests: Result<Vec<Vec<Prepared>>> = lanes
            .iter_mut()
            .map(|lane| {
                let each = (0..batches / CONNECTIONS).map(|_| {
                    let sent: Vec<Sent> = lane.take(BATCH).collect();
                    rivals += sent.iter().filter(|sent| sent.is_rival).count();
                    load::batch(&sent)
                });
                each.collect()
            })
            .collect();
        let load = load::send(served.address, requests?, Manner { pace: None, keep_answers: true })?;
        check(&load, rivals)?;
        Ok(load)
    };
    progress("HTTP: batches of 100");
    send(batches / 10)?;
    let (mut loads, mut single_rows) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let load = send(batches / ROUNDS)?;
        single_rows.push(bench.sample()?.single_row_now()?);
        progress(&format!("HTTP, round {round} of {ROUNDS}: batches of 100 {:.0}/s", load.per_second() * BATCH as f64));
        loads.push(load);
    }
    served.stop()?;
    let middle = |figure: &dyn Fn(&load::Load) -> f64| median(loads.iter().map(figure));
    let alternatives = vec![(15.0, Limit::new(SINGLE_ROW, median(single_rows)))];
    bench.rows.extend([
        Row::at_least("HTTP, batches of 100", middle(&|load| load.per_second() * BATCH as f64), "commands/s", alternatives),
        Row::told("  a batch: p50", middle(&|load| load.latency_ms(0.5)), "ms"),
        Row::told("  a batch: p99", middle(&|load| load.latency_ms(0.99)), "ms"),
    ]);
    Ok(())
}

/// Whether the rivals were refused and nothing else.
fn check(load: &load::Load, rivals: usize) -> Result<()> {
    let (mut accepted, mut refused) = (0, 0);
    for body in &load.answers {
        let Answers { items } = serde_json::from_slice(body)?;
        accepted += items.iter().filter(|item| item.status == 200).count();
        refused += items.iter().filter(|item| item.status == 409).count();
    }
    if refused != rivals || accepted + refused != load.requests * BATCH {
        bail!("{accepted} commands were accepted and {refused} refused, where {rivals} rivals should be");
    }
    Ok(())
}
