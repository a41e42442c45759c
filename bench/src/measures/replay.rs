//! `pledger replay --account`: a process that opens the ledger, reads one account's decisions and ends.

use std::{path::Path, time::Instant};

use anyhow::{Result, bail};
use pledger_domain::stream::StreamName;
use pledger_ledger::{
    log::read_valid,
    record::Body,
    sqlite::{Mode, SqliteLog},
};
use serde::{Deserialize, Serialize};

use crate::{
    Bench,
    child::{self, Task},
    progress,
    report::{Row, number},
};

/// The longest that the process may take, in milliseconds.
const MS: f64 = 200.0;
/// How often it is run.
const TIMES: usize = 5;
/// An account of the workload's.
const ACCOUNT: &str = "account/company-7-3.example";
/// More decisions than an account of the workload has.
const MANY: usize = 1_000;

/// What the process says.
#[derive(Serialize, Deserialize)]
pub(crate) struct Replayed {
    decisions: usize,
    opened_ms: f64,
}

pub(crate) fn measure(bench: &mut Bench, length: u64) -> Result<()> {
    let folder = bench.grown(length)?;
    progress("the decisions of an account");
    let (mut slowest, mut opened, mut decisions) = (0.0_f64, 0.0_f64, 0);
    for _ in 0..TIMES {
        let start = Instant::now();
        let replayed: Replayed = child::run(Task::Replay, &folder)?;
        slowest = slowest.max(start.elapsed().as_secs_f64() * 1e3);
        opened = opened.max(replayed.opened_ms);
        decisions = replayed.decisions;
    }
    let of = number(bench.growing()?.decisions() as f64);
    bench.rows.extend([
        Row::below(format!("replay of an account ({decisions} decisions of {of}): the slowest of {TIMES} processes"), slowest, "ms", MS),
        Row::told("  of this, opening the ledger", opened, "ms"),
    ]);
    Ok(())
}

/// Reads the decisions as the verb does.
pub(crate) fn child(folder: &Path) -> Result<Replayed> {
    let start = Instant::now();
    let log = SqliteLog::open(folder, Mode::Read)?;
    let opened_ms = start.elapsed().as_secs_f64() * 1e3;
    let mut decisions = 0;
    for placed in read_valid(&log, &StreamName::parse(ACCOUNT)?, 0, MANY)? {
        decisions += usize::from(matches!(Body::decode(&placed.record.body)?, Body::Decision(_)));
    }
    if decisions == 0 {
        bail!("{ACCOUNT} has no decisions");
    }
    Ok(Replayed { decisions, opened_ms })
}
