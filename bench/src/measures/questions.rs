//! Every view by each of its dimensions, asked over HTTP while commands run.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use pledger_consumers::embedded::EmbeddedSink;
use pledger_ledger::{commands::CommandEnvelope, edge::Edge};
use pledger_projections::query::{VIEWS, ViewSpec};
use serde_json::Value;

use super::processor::in_turn;
use crate::{
    Bench,
    load::{self, Manner},
    progress,
    report::{Row, number},
    running::{Pipe, Running, Served, check},
    workload::{Lane, Sent},
};

/// The latency that 95 of 100 questions keep, in milliseconds.
const P95_MS: f64 = 300.0;
/// Commands a second beside the questions, in batches of `BATCH`.
const COMMANDS_PER_SECOND: f64 = 2_000.0;
const BATCH: usize = 50;
/// How long read models may take to be there.
const CATCH_UP: Duration = Duration::from_secs(3_600);

/// The ledger behind HTTP, its read models at the end.
pub(crate) fn serve(bench: &mut Bench, length: u64) -> Result<Served> {
    let folder = bench.grown(length)?;
    let served = Served::start(Running::open(&folder)?, &folder)?;
    progress("questions: the read models are brought up to the ledger's end");
    if !served.engine.wait_until_caught_up(CATCH_UP, |_| {}) {
        bail!("the read models were not there in time");
    }
    Ok(served)
}

pub(crate) fn measure(bench: &mut Bench, served: &Served) -> Result<()> {
    let times = if bench.quick { 5 } else { 20 };
    let stopping = Arc::new(AtomicBool::new(false));
    let commands = Commands {
        lanes: bench.growing()?.lanes().to_vec(),
        edge: served.running.edge.clone(),
        sink: served.running.sink(),
        stopping: Arc::clone(&stopping),
    };
    let background = std::thread::Builder::new().name("commands".into()).spawn(move || commands.run())?;
    let asked = VIEWS.iter().map(|view| ask(served, view, times)).collect::<Result<Vec<_>>>();
    stopping.store(true, Ordering::Relaxed);
    let rate = background.join().map_err(|_| anyhow::anyhow!("the commands panicked"))??;
    let decisions = number(bench.growing()?.decisions() as f64);
    bench.rows.push(Row::told(format!("commands beside the questions below, at {decisions} decisions"), rate, "commands/s"));
    bench.rows.extend(asked?);
    Ok(())
}

/// The view's slowest question.
fn ask(served: &Served, view: &'static ViewSpec, times: usize) -> Result<Row> {
    let paths = paths(served, view)?;
    let mut slowest = (0.0, String::new());
    for path in &paths {
        let requests = (0..times).map(|_| load::question(path)).collect::<Result<Vec<_>>>()?;
        let p95 = load::send(served.address, vec![requests], load::FULL_SPEED)?.latency_ms(0.95);
        progress(&format!("{path}: p95 {p95:.1} ms"));
        if p95 > slowest.0 {
            slowest = (p95, path.clone());
        }
    }
    let measure = format!("{}: p95 of the slowest of {} questions, {}", view.name, paths.len(), slowest.1);
    Ok(Row::below(measure, slowest.0, "ms", P95_MS))
}

/// The list, one item, each dimension alone, each with the first, and the first filtered by each.
fn paths(served: &Served, view: &'static ViewSpec) -> Result<Vec<String>> {
    let list = format!("/v1/{}", view.name);
    let manner = Manner { pace: None, keep_answers: true };
    let answer = load::send(served.address, vec![vec![load::question(&list)?]], manner)?.answers.pop().context("no answer")?;
    let page: Value = serde_json::from_slice(&answer)?;
    let first = &page["items"][0];
    let mut paths = vec![list.clone(), format!("{list}?limit=1000")];
    if let Some(key) = view.key.and_then(|key| first[key].as_str()) {
        paths.push(format!("{list}/{}", encoded(key)));
    }
    for filter in view.filters {
        if let Some(value) = first[filter.name].as_str() {
            paths.push(format!("{list}?{}={}", filter.name, encoded(value)));
        }
    }
    for (at, dimension) in view.by.iter().enumerate() {
        paths.push(format!("{list}?by={}", dimension.name));
        if at > 0 {
            paths.push(format!("{list}?by={},{}", view.by[0].name, dimension.name));
        }
    }
    Ok(paths)
}

/// A value as it may stand in an address.
pub(super) fn encoded(value: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    value.bytes().map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// Sends commands at an even pace until it is told to stop.
struct Commands {
    lanes: Vec<Lane>,
    edge: Edge,
    sink: EmbeddedSink,
    stopping: Arc<AtomicBool>,
}

impl Commands {
    /// The rate that was kept.
    fn run(mut self) -> Result<f64> {
        let (start, mut count) = (Instant::now(), 0);
        let mut pipe = Pipe::new(self.sink.clone(), 1)?;
        while !self.stopping.load(Ordering::Relaxed) {
            let sent: Vec<Sent> = in_turn(&mut self.lanes, BATCH);
            let after = pledger_ledger::commands::CommandSink::reference_positions(&self.sink);
            let envelopes: Result<Vec<CommandEnvelope>> = sent.iter().map(|sent| sent.prepare(&self.edge, after.clone())).collect();
            pipe.send(envelopes?)?;
            check(&sent, &pipe.finish()?)?;
            count += sent.len();
            let due = start + Duration::from_secs_f64(count as f64 / COMMANDS_PER_SECOND);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        Ok(count as f64 / start.elapsed().as_secs_f64())
    }
}
