//! `pledger simulate`: history folded once and every command decided again, in a process of its own.

use std::{path::Path, sync::Arc, time::Instant};

use anyhow::{Context, Result, bail};
use pledger_consumers::counterfactual::{Control, Draft, replay};
use pledger_domain::{
    rules::{RuleSet, Rules},
    values::Timestamp,
};
use pledger_ledger::{
    edge::{Clock, SystemClock},
    log::Log,
    sqlite::{Mode, SqliteLog},
};
use pledger_projections::{
    engine::{Engine, Options},
    what_if::Standing,
};
use serde::{Deserialize, Serialize};

use super::rebuild::{FLAT, TIMEOUT};
use crate::{
    Bench,
    child::{self, Task},
    machine::memory_mib,
    progress,
    report::{Limit, Row, number},
};

/// What the process says.
#[derive(Serialize, Deserialize)]
pub(crate) struct Simulated {
    decisions: u64,
    /// Folding history, and reading it as recorded and under the draft.
    folded_s: f64,
    /// Deciding every command again.
    decided_s: f64,
    /// Decisions that would be others.
    otherwise: usize,
    folded_mib: f64,
    peak_mib: f64,
}

/// Answers the cost of a decision, in microseconds. `rebuilt_us` is what one costs a rebuild, in the same run.
pub(crate) fn measure(bench: &mut Bench, length: u64, rebuilt_us: f64) -> Result<f64> {
    let folder = bench.grown(length)?;
    progress(&format!("what a draft changes in {length} decisions"));
    let simulated: Simulated = child::run(Task::Simulate, &folder)?;
    let each = |seconds: f64| seconds * 1e6 / simulated.decisions as f64;
    let (folded_us, decided_us) = (each(simulated.folded_s), each(simulated.decided_s));
    let rebuild = || Limit::new("decisions/s of a rebuild", 1e6 / rebuilt_us);
    let decisions = number(simulated.decisions as f64);
    bench.rows.extend([
        Row::at_least(
            format!("simulate, {decisions} decisions: figures as recorded and under a draft"),
            1e6 / folded_us,
            "decisions/s",
            vec![(1.0, rebuild())],
        ),
        Row::told("  every command decided again", 1e6 / decided_us, "decisions/s"),
        Row::told("  both, as a share of a rebuild's rate", rebuilt_us / (folded_us + decided_us), "times"),
        Row::told("  decisions that would be others", simulated.otherwise as f64, "decisions"),
        Row::told("  memory at its peak while folding", simulated.folded_mib, "MiB"),
        Row::told("  memory at its peak", simulated.peak_mib, "MiB"),
    ]);
    Ok(folded_us + decided_us)
}

/// Whether a decision of the longest ledger costs what one of the shortest does.
pub(crate) fn flatness(costs: &[f64]) -> Option<Row> {
    let [first, .., last] = costs else { return None };
    Some(Row::below("simulate: cost at the greatest length to that at the smallest", last / first, "times", FLAT))
}

/// Asks what would be with a shorter attribution window and a tier that is easier to reach. Decisions stay as they were: what
/// they cost to be made again is measured, and not what a draft changes in every one of them, all of which the answer holds.
pub(crate) fn child(folder: &Path) -> Result<Simulated> {
    let log: Arc<dyn Log> = Arc::new(SqliteLog::open(folder, Mode::Read)?);
    let now = SystemClock::new().now();
    let rules = draft()?;
    let start = Instant::now();
    let engine = Engine::in_memory(Arc::clone(&log), Options::default())?;
    if !engine.wait_until_caught_up(TIMEOUT, |_| {}) {
        bail!("history was not folded in {} s", TIMEOUT.as_secs());
    }
    let recorded = Standing::read(&engine, now)?;
    let difference = recorded.changes_to(&Standing::supposing(&engine, now, &rules, Vec::new())?);
    let decisions = engine.status().taken_in;
    drop(engine);
    let (folded_s, (folded_mib, _)) = (start.elapsed().as_secs_f64(), memory_mib());
    if difference.tiers.is_empty() {
        bail!("the draft changes no tier");
    }
    let start = Instant::now();
    let report = replay(&*log, &[Draft { rules, from: None }], Control::Differences, now, &mut |_| {})?;
    let decided_s = start.elapsed().as_secs_f64();
    if let Some(unrepeated) = report.unrepeated.first() {
        bail!("under the rules as recorded a decision came out otherwise: {unrepeated:?}");
    }
    let otherwise = report.drafts.iter().map(Vec::len).sum();
    let (peak_mib, _) = memory_mib();
    Ok(Simulated { decisions, folded_s, decided_s, otherwise, folded_mib, peak_mib })
}

fn draft() -> Result<Arc<RuleSet>> {
    let mut text = Rules::DEFAULT.to_owned();
    for (was, is) in [("window_days = 180", "window_days = 30"), ("certifications = 1", "certifications = 0")] {
        if !text.contains(was) {
            bail!("the default rules have no {was:?}");
        }
        text = text.replacen(was, is, 1);
    }
    let rules = Rules::parse(&text).ok().context("the draft is no program")?;
    Ok(Arc::new(RuleSet { version: 2, effective_from: Timestamp::from_micros(0), rules }))
}
