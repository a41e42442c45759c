//! Parsing records into their types and nothing else, on every core.

use std::{
    hint::black_box,
    thread,
    time::{Duration, Instant},
};

use pledger_ledger::record::{Body, Record};

/// How many records are parsed between two looks at the time.
const BETWEEN_LOOKS: usize = 256;

/// Records a second on all cores together, measured for `time`.
pub(crate) fn parse_rate(records: &[Record], time: Duration) -> f64 {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let shares: Vec<&[Record]> = records.chunks(records.len().div_ceil(cores)).collect();
    let start = Instant::now();
    let parsed: u64 = thread::scope(|scope| {
        let parsing: Vec<_> = shares.iter().map(|share| scope.spawn(|| parse(share, start, time))).collect();
        parsing.into_iter().map(|thread| thread.join().expect("records of the ledger can be read")).sum()
    });
    parsed as f64 / start.elapsed().as_secs_f64()
}

fn parse(records: &[Record], start: Instant, time: Duration) -> u64 {
    let mut parsed = 0;
    for chunk in records.chunks(BETWEEN_LOOKS).cycle() {
        for record in chunk {
            black_box(Body::decode(&record.body)).expect("records of the ledger can be read");
        }
        parsed += chunk.len() as u64;
        if start.elapsed() >= time {
            break;
        }
    }
    parsed
}
