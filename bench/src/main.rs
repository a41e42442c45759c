//! The benchmark: durable decisions, rebuilds, questions and starts, each against a limit measured in the same run.

mod child;
#[cfg(feature = "cluster")]
mod cluster;
mod growing;
mod limits;
mod load;
mod machine;
mod measures;
mod report;
mod running;
mod threads;
mod workload;

use std::{
    path::PathBuf,
    sync::OnceLock,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use pledger_ledger::log::Log;
use tempfile::TempDir;

use child::Task;
use growing::Growing;
use limits::Sample;
use machine::Machine;
use measures::{as_of, batches, explain, one_a_request, processor, questions, rebuild, replay, simulate, start_up};
use report::{Report, Row};
use running::Running;
use workload::Lane;

/// Answers are made on one thread and freed on another, which the system's allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Decisions of the largest ledger, where nothing else is asked for.
const DECISIONS: u64 = 5_000_000;
/// The same for `--quick`.
const QUICK_DECISIONS: u64 = 50_000;
/// The lengths at which what reads all of a ledger is measured, as far as the ledger goes.
const LENGTHS: [u64; 3] = [500_000, 1_000_000, 5_000_000];
/// The length at which a start is measured.
const START_LENGTH: u64 = 1_000_000;
/// Records that limits are measured with.
const SAMPLE: usize = 20_000;

/// The benchmark of pledger, against limits measured in the same run.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    /// A smoke test of less than a minute: small ledgers, rough figures.
    #[arg(long)]
    quick: bool,
    /// Decisions of the largest ledger [default: 5000000, or 50000 with --quick].
    #[arg(long, value_name = "N")]
    decisions: Option<u64>,
    /// Only these measurements.
    #[arg(long, value_name = "NAME")]
    only: Vec<Measurement>,
    /// Where the figures are written as JSON.
    #[arg(long, value_name = "FILE", default_value = "target/bench.json")]
    json: PathBuf,
    /// Where ledgers are made; they are removed in the end. 5,000,000 decisions take about 15 GB.
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    #[cfg(feature = "cluster")]
    #[command(flatten)]
    parts: cluster::RealParts,
    /// What this process does for another one.
    #[arg(long, hide = true, requires = "folder")]
    task: Option<Task>,
    /// Where it does that.
    #[arg(long, hide = true)]
    folder: Option<PathBuf>,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Measurement {
    /// The limits alone.
    Limits,
    /// Decisions through the processor without HTTP.
    Processor,
    /// Commands over HTTP, one a request.
    Http,
    /// Commands over HTTP, a hundred a request.
    HttpBatch,
    /// Read models from the ledger's beginning.
    Rebuild,
    /// Starts from a snapshot.
    Start,
    /// What a draft of the rules would change.
    Simulate,
    /// The decisions of an account, by a process of its own.
    Replay,
    /// A question to the past, from a checkpoint.
    AsOf,
    /// Questions while commands run.
    Questions,
    /// Why figures are what they are, over HTTP.
    Explain,
    /// The cluster engine, where there is a broker.
    #[cfg(feature = "cluster")]
    Cluster,
}

/// A run: what it may use, and what it has measured.
pub(crate) struct Bench {
    quick: bool,
    decisions: u64,
    scratch: TempDir,
    sample: Option<Sample>,
    growing: Option<Growing>,
    rows: Vec<Row>,
}

impl Bench {
    /// A folder of this name, for one measurement.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// The records that limits are measured with.
    pub(crate) fn sample(&mut self) -> Result<&mut Sample> {
        if self.sample.is_none() {
            progress("the records that limits are measured with");
            let running = Running::create(&self.folder("sample"))?;
            let mut lanes = Lane::all(256, 0, running.today);
            running.run(&processor::in_turn(&mut lanes, SAMPLE))?;
            let time = Duration::from_secs(if self.quick { 1 } else { 5 });
            let sample = Sample::of(&*running.log as &dyn Log, SAMPLE, self.folder("limits"), time)?;
            running.stop();
            self.sample = Some(sample);
        }
        self.sample.as_mut().context("the sample was just made")
    }

    /// The ledger that grows.
    pub(crate) fn growing(&mut self) -> Result<&mut Growing> {
        if self.growing.is_none() {
            self.growing = Some(Growing::create(self.folder("growing"))?);
        }
        self.growing.as_mut().context("the ledger was just made")
    }

    /// The folder of a closed ledger of at least `decisions`.
    pub(crate) fn grown(&mut self, decisions: u64) -> Result<PathBuf> {
        let growing = self.growing()?;
        growing.grow(decisions)?;
        Ok(growing.folder().to_owned())
    }

    fn measure(&mut self, only: &[Measurement]) -> Result<()> {
        let asked = |what: Measurement| only.is_empty() || only.contains(&what);
        if asked(Measurement::Limits) {
            self.limits()?;
        }
        self.writing(only, Measurement::Processor, processor::measure)?;
        self.writing(only, Measurement::Http, one_a_request::measure)?;
        self.writing(only, Measurement::HttpBatch, batches::measure)?;
        let lengths: Vec<u64> = LENGTHS.into_iter().filter(|length| *length < self.decisions).chain([self.decisions]).collect();
        let (mut rebuilds, mut simulations) = (Vec::new(), Vec::new());
        for length in lengths {
            if asked(Measurement::Rebuild) || asked(Measurement::Simulate) {
                let (cost, rows) = rebuild::measure(self, length)?;
                if asked(Measurement::Rebuild) {
                    self.rows.extend(rows);
                    rebuilds.push(cost);
                }
                // In between a rate says nothing that the ends do not.
                if asked(Measurement::Simulate) && (length == self.decisions || length == LENGTHS[0]) {
                    simulations.push(simulate::measure(self, length, cost)?);
                }
            }
            if asked(Measurement::Start) && length == self.decisions.min(START_LENGTH) {
                start_up::measure(self, length)?;
            }
            if asked(Measurement::Replay) && length == self.decisions {
                replay::measure(self, length)?;
            }
            if asked(Measurement::AsOf) && length == self.decisions {
                as_of::measure(self, length)?;
            }
            if (asked(Measurement::Questions) || asked(Measurement::Explain)) && length == self.decisions {
                let served = questions::serve(self, length)?;
                if asked(Measurement::Questions) {
                    questions::measure(self, &served)?;
                }
                if asked(Measurement::Explain) {
                    explain::measure(self, &served)?;
                }
                served.stop()?;
            }
        }
        self.rows.extend(rebuild::flatness(&rebuilds));
        self.rows.extend(simulate::flatness(&simulations));
        Ok(())
    }

    /// What takes commands begins in a process that held nothing before, as a server does.
    fn writing(&mut self, only: &[Measurement], what: Measurement, measure: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        if only == [what] {
            return measure(self);
        }
        if only.is_empty() || only.contains(&what) {
            let rows = child::measure(what, self.quick, self.scratch.path())?;
            self.rows.extend(rows);
        }
        Ok(())
    }

    fn limits(&mut self) -> Result<()> {
        let bytes = self.sample()?.mean_bytes();
        let (single, packed) = (self.sample()?.single_row()?, self.sample()?.packed()?);
        let (bulk, parsing) = (self.sample()?.bulk()?, self.sample()?.parsing());
        self.rows.push(Row::told("limit: mean record", bytes, "bytes"));
        for (name, limit) in [
            ("limit: SQLite, a row a commit", single),
            ("limit: SQLite, 64 or 256 records packed in a row a commit", packed),
            ("limit: SQLite, bulk inserts", bulk),
            ("limit: typed parsing, all cores", parsing),
        ] {
            self.rows.push(Row::told(name, limit.figure, "records/s"));
        }
        Ok(())
    }
}

/// Says on stderr what is being done.
pub(crate) fn progress(what: &str) {
    static START: OnceLock<Instant> = OnceLock::new();
    let seconds = START.get_or_init(Instant::now).elapsed().as_secs_f64();
    eprintln!("{seconds:7.1} s  {what}");
}

#[expect(clippy::print_stdout, reason = "the table is what the program is for")]
fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let (Some(task), Some(folder)) = (arguments.task, &arguments.folder) {
        return match task {
            Task::Rebuild => child::say(&rebuild::child(folder)?),
            Task::StartUp => child::say(&start_up::child(folder)?),
            Task::Simulate => child::say(&simulate::child(folder)?),
            Task::Replay => child::say(&replay::child(folder)?),
            Task::AsOf => child::say(&as_of::child(folder)?),
        };
    }
    let start = Instant::now();
    let machine = Machine::describe();
    let decisions = arguments.decisions.unwrap_or(if arguments.quick { QUICK_DECISIONS } else { DECISIONS });
    let scratch = match &arguments.scratch {
        Some(folder) => TempDir::new_in(folder)?,
        None => TempDir::new()?,
    };
    let mut bench = Bench { quick: arguments.quick, decisions, scratch, sample: None, growing: None, rows: Vec::new() };
    bench.measure(&arguments.only)?;
    #[cfg(feature = "cluster")]
    if arguments.only.is_empty() || arguments.only.contains(&Measurement::Cluster) {
        cluster::measure(&mut bench, &arguments.parts)?;
    }
    let Bench { quick, rows, .. } = bench;
    let report = Report { version: env!("CARGO_PKG_VERSION"), quick, decisions, seconds: start.elapsed().as_secs_f64(), machine, rows };
    report.write(&arguments.json)?;
    println!("{}", report.heading());
    println!("{}", report.table());
    Ok(())
}
