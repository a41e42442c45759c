//! `pledger simulate`: history folded once and commands decided again, in a process of its own.

use std::{path::Path, sync::Arc, time::Instant};

use anyhow::{Context, Result, bail};
use pledger_consumers::counterfactual::{Control, Draft, Found, Options as Deciding, replay};
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
    limits::read_and_parse_commands,
    machine::memory_mib,
    progress,
    report::{Limit, Row, number},
};

/// A draft: what it is called, and what it says instead of the default rules.
type Change = (&'static str, &'static [(&'static str, &'static str)]);

/// Drafts: one by whose clauses hardly any command is decided, one by whose clauses all registrations are, and one under which every
/// approval is another, so that nothing is as it was in any account.
const DRAFTS: [Change; 3] = [
    ("of tiers and attribution", &[("window_days = 180", "window_days = 30"), ("certifications = 1", "certifications = 0")]),
    ("of routing", &[("routing = []", "routing = [{ region = \"EMEA\", min_amount = \"200000\", reviewer = \"vp-emea\" }]")]),
    ("of days of protection", &[("protection_days = 90", "protection_days = 60")]),
];

/// What a table tells of each kind.
const TABLE_ROWS: usize = 20;

/// What the process says.
#[derive(Serialize, Deserialize)]
pub(crate) struct Simulations {
    of_drafts: Vec<Simulated>,
    /// Records of the ledger read and parsed with their commands, in a second.
    parsed_per_second: f64,
}

/// What the process says of one draft.
#[derive(Serialize, Deserialize)]
struct Simulated {
    /// Deciding commands again.
    decided_s: f64,
    /// Folding history, and reading it as recorded and under the draft; none where no figure rests on what the draft changes.
    folded_s: Option<f64>,
    /// Commands that were decided again.
    again: u64,
    /// Decisions that would be others.
    otherwise: u64,
    /// So far.
    peak_mib: f64,
}

/// Answers the cost of a decision under the first draft, in microseconds. `rebuilt_us` is what one costs a rebuild, in the same run.
pub(crate) fn measure(bench: &mut Bench, length: u64, rebuilt_us: f64) -> Result<f64> {
    let folder = bench.grown(length)?;
    progress(&format!("what drafts change in {length} decisions"));
    let Simulations { of_drafts, parsed_per_second } = child::run(Task::Simulate, &folder)?;
    let mut first_us = None;
    for ((name, _), simulated) in DRAFTS.iter().zip(of_drafts) {
        let taken_s = simulated.decided_s + simulated.folded_s.unwrap_or_default();
        let cost_us = taken_s * 1e6 / length as f64;
        let rebuild = Limit::new("decisions/s of a rebuild", 1e6 / rebuilt_us);
        let title = format!("simulate a draft {name}, {} decisions", number(length as f64));
        bench.rows.extend([
            Row::at_least(title, 1e6 / cost_us, "decisions/s", vec![(1.0, rebuild)]),
            Row::told("  commands decided again", simulated.again as f64, "commands"),
            Row::told("  in", simulated.decided_s, "s"),
        ]);
        bench.rows.extend(simulated.folded_s.map(|seconds| Row::told("  figures as recorded and under the draft, in", seconds, "s")));
        bench.rows.extend([
            Row::told("  decisions that would be others", simulated.otherwise as f64, "decisions"),
            Row::told("  memory at its peak, so far", simulated.peak_mib, "MiB"),
        ]);
        first_us.get_or_insert(cost_us);
    }
    // A rebuild reads no command; who decides one again reads it first.
    bench.rows.push(Row::told("records read and parsed with their commands, and nothing else", parsed_per_second, "records/s"));
    first_us.context("nothing was simulated")
}

/// Whether a decision of the longest ledger costs what one of the shortest does.
pub(crate) fn flatness(costs: &[f64]) -> Option<Row> {
    let [first, .., last] = costs else { return None };
    Some(Row::below("simulate: cost at the greatest length to that at the smallest", last / first, "times", FLAT))
}

/// Asks what would be under each draft, one after the other.
pub(crate) fn child(folder: &Path) -> Result<Simulations> {
    let log: Arc<dyn Log> = Arc::new(SqliteLog::open(folder, Mode::Read)?);
    let parsed_before = parsed_per_second(&*log)?;
    let of_drafts = DRAFTS.iter().map(|(_, changes)| simulate(&log, changes)).collect::<Result<_>>()?;
    Ok(Simulations { of_drafts, parsed_per_second: f64::midpoint(parsed_before, parsed_per_second(&*log)?) })
}

/// Machines do not stay as fast as they are: it is asked before and after.
fn parsed_per_second(log: &dyn Log) -> Result<f64> {
    let start = Instant::now();
    Ok(read_and_parse_commands(log)? as f64 / start.elapsed().as_secs_f64())
}

/// As the verb does it: history is folded where a figure rests on what the draft changes.
fn simulate(log: &Arc<dyn Log>, changes: &[(&str, &str)]) -> Result<Simulated> {
    let now = SystemClock::new().now();
    let rules = draft(changes)?;
    let start = Instant::now();
    let options = Deciding { control: Control::Differences, to: now, told: TABLE_ROWS };
    let report = replay(&**log, &[Draft { rules: Arc::clone(&rules), from: None }], options, &mut |_| {})?;
    let decided_s = start.elapsed().as_secs_f64();
    if let Some(unrepeated) = report.unrepeated.first() {
        bail!("under the rules as recorded a decision came out otherwise: {unrepeated:?}");
    }
    let otherwise = report.drafts.iter().map(Found::count).sum();
    let (decided_mib, again) = (memory_mib().0, report.decided);
    drop(report);
    let recorded = Rules::parse(Rules::DEFAULT).ok().context("the default rules")?;
    let folds = recorded.changes_to(&rules.rules).iter().any(Standing::rests_on);
    let start = Instant::now();
    let moved = if folds { figures(log, now, &rules)? as u64 } else { 0 };
    let folded_s = folds.then(|| start.elapsed().as_secs_f64());
    if moved + otherwise == 0 {
        bail!("the draft changes nothing");
    }
    let peak_mib = memory_mib().0.max(decided_mib);
    Ok(Simulated { decided_s, folded_s, again, otherwise, peak_mib })
}

/// How many tiers would be others.
fn figures(log: &Arc<dyn Log>, now: Timestamp, rules: &Arc<RuleSet>) -> Result<usize> {
    let engine = Engine::in_memory(Arc::clone(log), Options::default())?;
    if !engine.wait_until_caught_up(TIMEOUT, |_| {}) {
        bail!("history was not folded in {} s", TIMEOUT.as_secs());
    }
    let recorded = Standing::read(&engine, now)?;
    Ok(recorded.changes_to(&Standing::supposing(&engine, now, rules, Vec::new())?).tiers.len())
}

fn draft(changes: &[(&str, &str)]) -> Result<Arc<RuleSet>> {
    let mut text = Rules::DEFAULT.to_owned();
    for (was, is) in changes {
        if !text.contains(was) {
            bail!("the default rules have no {was:?}");
        }
        text = text.replacen(was, is, 1);
    }
    let rules = Rules::parse(&text).ok().context("the draft is no program")?;
    Ok(Arc::new(RuleSet { version: 2, effective_from: Timestamp::from_micros(0), rules }))
}
