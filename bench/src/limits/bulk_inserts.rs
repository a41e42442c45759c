//! SQLite at its best with a row a record: many rows a commit.

use std::time::Instant;

use anyhow::Result;

use super::{Sample, table::RecordTable};

const PAGE_BYTES: u32 = 4_096;
const ROWS_A_COMMIT: usize = 5_000;

/// Rows a second.
pub(super) fn rate(sample: &Sample) -> Result<f64> {
    let mut table = RecordTable::create(&sample.folder, "bulk", PAGE_BYTES)?;
    let (start, mut rows) = (Instant::now(), 0_u64);
    while start.elapsed() < sample.time {
        for commit in sample.records.chunks(ROWS_A_COMMIT) {
            table.insert_all(commit)?;
            rows += commit.len() as u64;
            if start.elapsed() >= sample.time {
                break;
            }
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    table.remove()?;
    Ok(rows as f64 / seconds)
}
