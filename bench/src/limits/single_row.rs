//! SQLite as most would use it: a row a record, a commit a row.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Sample, table::RecordTable};

/// SQLite's own page size, which nobody changes.
const PAGE_BYTES: u32 = 4_096;

/// Commits a second, during `time`.
pub(super) fn rate(sample: &Sample, time: Duration) -> Result<f64> {
    let table = RecordTable::create(&sample.folder, "single-row", PAGE_BYTES)?;
    let (start, mut rows) = (Instant::now(), 0_u64);
    for record in sample.records.iter().cycle() {
        table.insert(&record.body)?;
        rows += 1;
        if rows.is_multiple_of(64) && start.elapsed() >= time {
            break;
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    table.remove()?;
    Ok(rows as f64 / seconds)
}
