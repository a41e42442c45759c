//! Reading a ledger from its beginning to its end and parsing its records into their types, and nothing else.

use std::{hint::black_box, sync::mpsc, thread, time::Duration};

use anyhow::{Context, Result};
use pledger_ledger::{
    log::{Log, Placed},
    record::{Body, BodyError},
};

/// Records that are read at once, as the fold engine reads them.
const TOGETHER: usize = 1_024;
/// Parcels that wait before a thread that parses.
const AHEAD: usize = 16;

/// Records of the ledger: read on one thread, parsed on a thread a core besides.
pub(crate) fn read_and_parse(log: &dyn Log) -> Result<u64> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut tail = log.tail(&vec![0; usize::from(log.slices().count)])?;
    thread::scope(|scope| {
        let (parsers, parsing): (Vec<_>, Vec<_>) = (0..cores)
            .map(|_| {
                let (parsers, parcels) = mpsc::sync_channel::<Vec<Placed>>(AHEAD);
                (parsers, scope.spawn(move || parcels.iter().map(|parcel| parse(&parcel)).sum::<Result<u64, BodyError>>()))
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
        let parsed: Result<Vec<u64>, BodyError> =
            parsing.into_iter().map(|thread| thread.join().expect("parsing does not panic")).collect();
        Ok(parsed?.iter().sum())
    })
}

fn parse(records: &[Placed]) -> Result<u64, BodyError> {
    for placed in records {
        black_box(Body::decode(&placed.record.body)?);
    }
    Ok(records.len() as u64)
}
