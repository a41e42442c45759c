//! All read models from the ledger's beginning, in a process of its own, so that its memory is that of the rebuild.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use pledger_domain::{program::Program, stream::Stream};
use pledger_ledger::{
    log::Log,
    outline::Outline,
    record::{Events, Outcome, Record},
    sqlite::{Mode, SqliteLog},
};
use pledger_projections::{
    engine::{Engine, Options},
    shard::{At, Fold, Shard},
    table::AnyTable,
};
use serde::{Deserialize, Serialize};

use crate::{
    Bench,
    child::{self, Task},
    limits::{parse_rate, read_and_parse, records},
    machine::memory_mib,
    progress,
    report::{Limit, Row, number},
    threads::process_cpu_seconds,
};

/// Records that parsing is measured with.
const PARSED: usize = 100_000;
/// How long parsing is measured, before the rebuild and after it: machines do not stay as fast as they are.
const PARSE_TIME: Duration = Duration::from_millis(1_500);
/// The longest that a rebuild may take.
pub(super) const TIMEOUT: Duration = Duration::from_secs(3_600);
/// A cost is flat where the longest ledger's is at most so many times the shortest's.
pub(super) const FLAT: f64 = 1.25;

/// What the process says.
#[derive(Serialize, Deserialize)]
pub(crate) struct Rebuilt {
    decisions: u64,
    seconds: f64,
    /// What all cores together spent.
    cpu_seconds: f64,
    peak_mib: f64,
    after_mib: f64,
    parsed_per_second: f64,
    /// Records of the whole ledger read and parsed.
    read_per_second: f64,
    /// The processor time of one record that is only parsed, in microseconds.
    parse_cpu_us: f64,
    /// To how many read models a decision is applied.
    applications: f64,
}

/// How often the read models are rebuilt, since machines have neighbours; besides a first time that is not counted, since memory
/// that no process had for a while is slow to be had.
const RUNS: usize = 3;

impl Rebuilt {
    fn rate(&self) -> f64 {
        self.decisions as f64 / self.seconds
    }

    fn of_parsing(&self) -> f64 {
        self.rate() / self.parsed_per_second
    }

    fn of_reading(&self) -> f64 {
        self.rate() / self.read_per_second
    }
}

/// Answers the cost of a decision, in microseconds: of the run that has the median ratio.
pub(crate) fn measure(bench: &mut Bench, length: u64) -> Result<(f64, Vec<Row>)> {
    let folder = bench.grown(length)?;
    progress(&format!("rebuilding the read models of {length} decisions"));
    child::run::<Rebuilt>(Task::Rebuild, &folder)?;
    let runs: Result<Vec<Rebuilt>> = (0..RUNS).map(|_| child::run(Task::Rebuild, &folder)).collect();
    let mut runs = runs?;
    runs.sort_by(|one, other| one.of_reading().total_cmp(&other.of_reading()));
    let read = Row::at_least(
        "  that of them with the median share of reading and parsing",
        runs[RUNS / 2].rate(),
        "decisions/s",
        vec![(0.5, Limit::new("records/s read and parsed", runs[RUNS / 2].read_per_second))],
    );
    runs.sort_by(|one, other| one.of_parsing().total_cmp(&other.of_parsing()));
    let (least, most) = (runs[0].of_parsing(), runs[RUNS - 1].of_parsing());
    let rebuilt = &runs[RUNS / 2];
    let rate = rebuilt.rate();
    let parsing = Limit::new("records/s parsed on all cores", rebuilt.parsed_per_second);
    let name = format!("rebuild of all read models, {} decisions: the median of {RUNS}", number(rebuilt.decisions as f64));
    let rows = vec![
        Row::at_least(name, rate, "decisions/s", vec![(0.5, parsing)]),
        Row::told("  the least of them", least, "times parsing"),
        Row::told("  the most of them", most, "times parsing"),
        read,
        Row::told("  event applications: an event and a read model whose rows it changes", rate * rebuilt.applications, "/s"),
        Row::told("  of these, a decision has", rebuilt.applications, "on average"),
        Row::told("  cost", 1e6 / rate, "us a decision"),
        Row::told("  processor time", rebuilt.cpu_seconds * 1e6 / rebuilt.decisions as f64, "us a decision"),
        Row::told("  of parsing alone", rebuilt.parse_cpu_us, "us a record"),
        Row::told("  memory at its peak", rebuilt.peak_mib, "MiB"),
        Row::told("  memory afterwards", rebuilt.after_mib, "MiB"),
    ];
    Ok((1e6 / rate, rows))
}

/// Whether a decision of the longest ledger costs what one of the shortest does.
pub(crate) fn flatness(costs: &[f64]) -> Option<Row> {
    let [first, .., last] = costs else { return None };
    Some(Row::below("rebuild: cost at the greatest length to that at the smallest", last / first, "times", FLAT))
}

/// Rebuilds beside the ledger in `folder`.
pub(crate) fn child(folder: &Path) -> Result<Rebuilt> {
    let log: Arc<dyn Log> = Arc::new(SqliteLog::open(folder, Mode::Read)?);
    let parsed_before = Parsed::of(&records(&*log, PARSED)?);
    let models = tempfile::tempdir_in(folder)?;
    let (start, cpu) = (Instant::now(), process_cpu_seconds());
    let engine = Engine::open(models.path(), Arc::clone(&log), Options::default())?;
    if !engine.wait_until_caught_up(TIMEOUT, |_| {}) {
        bail!("the read models were not rebuilt in {} s", TIMEOUT.as_secs());
    }
    let (_, after_mib) = memory_mib();
    let status = engine.status();
    engine.stop();
    let (seconds, cpu_seconds) = (start.elapsed().as_secs_f64(), process_cpu_seconds() - cpu);
    let (peak_mib, _) = memory_mib();
    if status.parked > 0 || status.trouble.is_some() {
        bail!("the read models were not rebuilt whole: {status:?}");
    }
    let records = records(&*log, PARSED)?;
    let applications = applications(&records)?;
    let parsed_after = Parsed::of(&records);
    drop(records);
    let start = Instant::now();
    let read_per_second = read_and_parse(&*log)? as f64 / start.elapsed().as_secs_f64();
    let decisions = status.taken_in;
    Ok(Rebuilt {
        decisions,
        seconds,
        cpu_seconds,
        peak_mib,
        after_mib,
        parsed_per_second: f64::midpoint(parsed_before.per_second, parsed_after.per_second),
        read_per_second,
        parse_cpu_us: f64::midpoint(parsed_before.cpu_us, parsed_after.cpu_us),
        applications,
    })
}

/// What parsing alone is found to take.
struct Parsed {
    per_second: f64,
    /// The processor time of one record, in microseconds.
    cpu_us: f64,
}

impl Parsed {
    fn of(records: &[Record]) -> Self {
        let cpu = process_cpu_seconds();
        let per_second = parse_rate(records, PARSE_TIME);
        Self { per_second, cpu_us: (process_cpu_seconds() - cpu) * 1e6 / (per_second * PARSE_TIME.as_secs_f64()) }
    }
}

/// How many read models have a row that a decision changes, on average over these records: a decision is nearly always one
/// event, and counts once for each.
fn applications(records: &[Record]) -> Result<f64> {
    let mut shard = Shard::default();
    let models: [Vec<&dyn AnyTable>; 8] = [
        shard.deals.tables(),
        shard.partners.tables(),
        shard.accounts.tables(),
        shard.conflicts.tables(),
        shard.attribution.tables(),
        shard.revenue.tables(),
        shard.costs.tables(),
        shard.funds.tables(),
    ];
    let of = |name| models.iter().position(|tables| tables.iter().any(|table| table.name() == name));
    let model: Vec<Option<usize>> = shard.tables().iter().map(|table| of(table.name())).collect();
    let mut program = Program::default();
    let (mut decisions, mut applied, mut json) = (0_u64, 0_u64, Vec::new());
    for record in records {
        let Some(outline) = Outline::decode(&record.body)? else { continue };
        if let Outcome::Accepted(Events::Program(events)) = &outline.outcome {
            events.iter().for_each(|event| program.evolve(event, outline.effective_at));
        }
        let at = At::of(&outline, record.position(), program.version(outline.rules));
        shard.fold(&outline, &at);
        let mut changed = BTreeSet::new();
        for (table, model) in shard.tables_mut().into_iter().zip(&model) {
            for chunk in table.begin_write() {
                table.due_chunk(chunk, &mut json);
                changed.extend(*model);
            }
            json.clear();
        }
        decisions += 1;
        applied += changed.len() as u64;
    }
    Ok(applied as f64 / decisions.max(1) as f64)
}
