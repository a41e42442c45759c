//! A question as of today, known at a time one month after a checkpoint, in a process of its own.

use std::{path::Path, sync::Arc, time::Instant};

use anyhow::{Context, Result, bail};
use pledger_domain::values::Timestamp;
use pledger_ledger::{
    edge::{Clock, SystemClock},
    log::Log,
    outline::Outline,
    sqlite::{Mode, SqliteLog},
};
use pledger_projections::{
    engine::{Engine, Moment, Options, checkpoint},
    generation::{DirectoryGenerations, Generations},
    query::{Query, VIEWS},
};
use serde::{Deserialize, Serialize};

use super::rebuild::TIMEOUT;
use crate::{
    Bench,
    child::{self, Task},
    machine::memory_mib,
    progress,
    report::{Row, number},
};

/// The longest that the question may take, in seconds.
const SECONDS: f64 = 3.0;
/// The history spans so many months: a checkpoint lies one of them before the end.
const MONTHS: u64 = 24;

/// What the process says.
#[derive(Serialize, Deserialize)]
pub(crate) struct Asked {
    /// Seconds to the answer, view by view, each from nothing.
    views: Vec<(String, f64)>,
    peak_mib: f64,
}

pub(crate) fn measure(bench: &mut Bench, length: u64) -> Result<()> {
    let folder = bench.grown(length)?;
    progress("as of: a checkpoint is kept");
    let start = Instant::now();
    let known_at = keep(&folder)?;
    let kept_s = start.elapsed().as_secs_f64();
    progress(&format!("as of: questions a month after {known_at}"));
    let asked: Asked = child::run(Task::AsOf, &folder)?;
    let slowest = asked.views.iter().max_by(|a, b| a.1.total_cmp(&b.1)).context("there are views")?;
    let decisions = number(bench.growing()?.decisions() as f64);
    let measure =
        format!("question to the past at {decisions} decisions, a month of 24 after a checkpoint: the slowest view, {}", slowest.0);
    bench.rows.extend([
        Row::below(measure, slowest.1, "s", SECONDS),
        Row::told("  the mean of all views", asked.views.iter().map(|(_, seconds)| seconds).sum::<f64>() / asked.views.len() as f64, "s"),
        Row::told("  the checkpoint was made in", kept_s, "s"),
        Row::told("  memory at its peak, each view asked from nothing", asked.peak_mib, "MiB"),
    ]);
    Ok(())
}

/// Keeps what was known one month before the end, as the ledger's own length tells.
fn keep(folder: &Path) -> Result<Timestamp> {
    let log: Arc<dyn Log> = Arc::new(SqliteLog::open(folder, Mode::Read)?);
    let known_at = recorded_at(&*log, MONTHS - 1)?;
    std::fs::create_dir_all(folder.join("checkpoints"))?;
    checkpoint::keep_at(&DirectoryGenerations::checkpoints_of(folder), &log, Options::default(), known_at)?;
    Ok(known_at)
}

/// When the decision was recorded with which this many months of the history were over.
fn recorded_at(log: &dyn Log, months: u64) -> Result<Timestamp> {
    let slice = log.slices().all().last().context("a ledger has slices")?;
    let offset = (log.end(slice)? * months / MONTHS).saturating_sub(1);
    let placed = log.read(slice, offset, 1)?.pop().context("the ledger holds the record")?;
    Ok(Outline::decode(&placed.record.body)?.context("the record is a decision")?.recorded_at)
}

/// Asks every view, each from nothing as a first question does.
pub(crate) fn child(folder: &Path) -> Result<Asked> {
    let log: Arc<dyn Log> = Arc::new(SqliteLog::open(folder, Mode::Read)?);
    let checkpoints = DirectoryGenerations::checkpoints_of(folder);
    let today = SystemClock::new().now();
    let moment = Moment { as_of: Some(today), known_at: Some(recorded_at(&*log, MONTHS)?) };
    let options = Options { moment, ..Options::default() };
    let mut views = Vec::new();
    for view in VIEWS {
        let start = Instant::now();
        let engine = Engine::at_moment(Some(&checkpoints as &dyn Generations), Arc::clone(&log), options, Some(view), None)?.engine;
        if !engine.wait_until_caught_up(TIMEOUT, |_| {}) {
            bail!("the past was not folded in {} s", TIMEOUT.as_secs());
        }
        let query = Query { at: Some(today), limit: Some(100), ..Query::default() };
        engine.query(view.name, &query)?;
        views.push((view.name.to_owned(), start.elapsed().as_secs_f64()));
        progress(&format!("as of: {} in {:.2} s", view.name, start.elapsed().as_secs_f64()));
    }
    Ok(Asked { views, peak_mib: memory_mib().0 })
}
