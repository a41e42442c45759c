//! From the start of the process until it serves and decides, from a snapshot; and that no unfit snapshot is taken.

use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use pledger_consumers::processor::{FileSnapshots, KeyLimits, Processor};
use pledger_ledger::{
    log::Log,
    sqlite::{Mode, SqliteLog},
};
use serde::{Deserialize, Serialize};

use super::processor::in_turn;
use crate::{
    Bench,
    child::{self, Task},
    load::{self, FULL_SPEED},
    progress,
    report::{Row, number},
    running::{Running, SNAPSHOTS, Served},
    workload::Lane,
};

/// The longest that a start may take, in seconds.
const SECONDS: f64 = 3.0;
/// Commands in the ledgers that exchange their snapshots.
const SMALL: usize = 5_000;
/// How long read models may take to be there.
const CATCH_UP: Duration = Duration::from_secs(3_600);

/// What the process says, in seconds.
#[derive(Serialize, Deserialize)]
pub(crate) struct Started {
    /// The writing half: log, keys, the processor's state.
    writer: f64,
    /// The read models and the listening server.
    served: f64,
    /// Until a command was decided.
    decided: f64,
}

pub(crate) fn measure(bench: &mut Bench, length: u64) -> Result<()> {
    let folder = bench.grown(length)?;
    // Read models and snapshots are there when a server stops; so one has to have run.
    progress("start-up: a server runs and stops");
    let served = Served::start(Running::open(&folder)?, &folder)?;
    if !served.engine.wait_until_caught_up(CATCH_UP, |_| {}) {
        bail!("the read models were not there in time");
    }
    served.stop()?;
    progress("start-up from a snapshot");
    let start = Instant::now();
    let started: Started = child::run(Task::StartUp, &folder)?;
    let whole = start.elapsed().as_secs_f64();
    let decisions = number(bench.growing()?.decisions() as f64);
    bench.rows.extend([
        Row::below(format!("start-up with {decisions} decisions, from a snapshot"), started.served, "s", SECONDS),
        Row::told("  of this, the writing half", started.writer, "s"),
        Row::told("  until a command was decided", started.decided, "s"),
        Row::told("  the whole process, closing included", whole, "s"),
    ]);
    unfit_snapshots(bench)
}

/// Starts serving in `folder`, and has one command decided.
pub(crate) fn child(folder: &Path) -> Result<Started> {
    let start = Instant::now();
    let since = || start.elapsed().as_secs_f64();
    let running = Running::open(folder)?;
    let writer = since();
    // A lane that no ledger has got to, so that the command is new.
    let mut lanes = Lane::all(1, 1 << 40 | u64::from(std::process::id()), running.today);
    let server = Served::start(running, folder)?;
    load::send(server.address, vec![vec![load::question("/healthz")?]], FULL_SPEED)?;
    let served = since();
    let first = in_turn(&mut lanes, 1).pop().context("a lane has no end")?;
    load::send(server.address, vec![vec![load::command(&first)?]], FULL_SPEED)?;
    let decided = since();
    server.stop()?;
    Ok(Started { writer, served, decided })
}

/// Restores a small ledger from its own snapshots, from none, from another ledger's and from damaged ones.
fn unfit_snapshots(bench: &mut Bench) -> Result<()> {
    progress("start-up: snapshots that do not fit");
    let (ours, theirs) = (bench.folder("small"), bench.folder("other"));
    for folder in [&ours, &theirs] {
        let running = Running::create(folder)?;
        running.run(&in_turn(&mut Lane::all(64, 0, running.today), SMALL))?;
        running.stop();
    }
    let (own, other) = (ours.join(SNAPSHOTS), theirs.join(SNAPSHOTS));
    let damaged = ours.join("damaged");
    fs::create_dir_all(&damaged)?;
    for file in fs::read_dir(&own)? {
        let file = file?;
        let mut bytes = fs::read(file.path())?;
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(damaged.join(file.file_name()), bytes)?;
    }
    let log: Arc<dyn Log> = Arc::new(SqliteLog::open(&ours, Mode::Read)?);
    let expected = ends(&*log)?;
    for (name, folder) in [("its own", &own), ("another ledger's", &other), ("damaged", &damaged)] {
        let snapshots = FileSnapshots::new(folder.clone())?;
        let processor = Processor::restore(Arc::clone(&log), &snapshots, KeyLimits::default(), "bench".into())?;
        let stands_at: Vec<u64> = log.slices().all().map(|slice| processor.settled(slice)).collect();
        bench.rows.push(Row::holds(format!("  with {name} snapshots, the state is the ledger's"), stands_at == expected));
    }
    Ok(())
}

fn ends(log: &dyn Log) -> Result<Vec<u64>> {
    Ok(log.slices().all().map(|slice| log.end(slice)).collect::<Result<_, _>>()?)
}
