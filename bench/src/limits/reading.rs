//! Reading a ledger from its beginning to its end and parsing its records into their types, and nothing else.

use std::{hint::black_box, sync::mpsc, thread, time::Duration};

use anyhow::{Context, Result};
use pledger_domain::catalogue::Command;
use pledger_ledger::{
    log::{Log, Placed},
    record::Body,
};

/// Records that are read at once, as the fold engine reads them.
const TOGETHER: usize = 1_024;
/// Parcels that wait before a thread that parses.
const AHEAD: usize = 16;

/// Records of the ledger: read on one thread, parsed on a thread a core besides.
pub(crate) fn read_and_parse(log: &dyn Log) -> Result<u64> {
    read_and(log, |body| Ok(_ = black_box(body)))
}

/// The same, and what was asked for in each decision: what nobody does without who decides it again.
pub(crate) fn read_and_parse_commands(log: &dyn Log) -> Result<u64> {
    read_and(log, |body| {
        if let Body::Decision(decision) = black_box(body) {
            black_box(Command::parse(&decision.command.name, decision.command.payload.get().as_bytes())?);
        }
        Ok(())
    })
}

fn read_and(log: &dyn Log, then: impl Fn(Body<'_>) -> Result<()> + Copy + Send) -> Result<u64> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut tail = log.tail(&vec![0; usize::from(log.slices().count)])?;
    thread::scope(|scope| {
        let (parsers, parsing): (Vec<_>, Vec<_>) = (0..cores)
            .map(|_| {
                let (parsers, parcels) = mpsc::sync_channel::<Vec<Placed>>(AHEAD);
                (parsers, scope.spawn(move || parcels.iter().map(|parcel| parse(&parcel, then)).sum::<Result<u64>>()))
            })
            .unzip();
        for parser in parsers.iter().cycle() {
            let parcel = tail.next(TOGETHER, Duration::ZERO)?;
            if parcel.is_empty() {
                break;
            }
            parser.send(parcel).ok().context("a thread that parses ended")?;
        }
        drop(parsers);
        let parsed: Result<Vec<u64>> = parsing.into_iter().map(|thread| thread.join().expect("parsing does not panic")).collect();
        Ok(parsed?.iter().sum())
    })
}

fn parse(records: &[Placed], then: impl Fn(Body<'_>) -> Result<()>) -> Result<u64> {
    for placed in records {
        then(Body::decode(&placed.record.body)?)?;
    }
    Ok(records.len() as u64)
}
