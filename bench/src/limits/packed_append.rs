//! SQLite as the ledger uses it, and nothing else: many records in one row, a commit a row.

use std::time::Instant;

use anyhow::Result;

use super::{Sample, table::RecordTable};

/// The ledger's page size.
const PAGE_BYTES: u32 = 16_384;

/// Records a second, `pack` of them a commit.
pub(super) fn rate(sample: &Sample, pack: usize) -> Result<f64> {
    let packed: Vec<Vec<u8>> =
        sample.records.chunks_exact(pack).map(|records| records.iter().flat_map(|record| record.body.iter().copied()).collect()).collect();
    let table = RecordTable::create(&sample.folder, &format!("packed-{pack}"), PAGE_BYTES)?;
    let (start, mut commits) = (Instant::now(), 0_u64);
    for bytes in packed.iter().cycle() {
        table.insert(bytes)?;
        commits += 1;
        if start.elapsed() >= sample.time {
            break;
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    table.remove()?;
    Ok((commits * pack as u64) as f64 / seconds)
}
