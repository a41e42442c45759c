//! SQLite at its best with a row a record: many rows a statement, many statements a commit.

use std::time::Instant;

use anyhow::Result;
use pledger_ledger::record::Record;
use sqlx::{Connection, QueryBuilder, Sqlite, SqliteConnection};

use super::{Sample, table::RecordTable};

const PAGE_BYTES: u32 = 4_096;
const ROWS_A_STATEMENT: usize = 250;
const STATEMENTS_A_COMMIT: usize = 20;

/// Rows a second.
pub(super) fn rate(sample: &Sample) -> Result<f64> {
    let mut table = RecordTable::create(&sample.folder, "bulk", PAGE_BYTES)?;
    let (start, mut rows) = (Instant::now(), 0_u64);
    while start.elapsed() < sample.time {
        for commit in sample.records.chunks(ROWS_A_STATEMENT * STATEMENTS_A_COMMIT) {
            table.runtime.block_on(insert(&mut table.connection, commit))?;
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

async fn insert(connection: &mut SqliteConnection, records: &[Record]) -> Result<()> {
    let mut transaction = connection.begin().await?;
    for records in records.chunks(ROWS_A_STATEMENT) {
        let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO record (bytes) ");
        query.push_values(records, |mut row, record| {
            row.push_bind(&record.body[..]);
        });
        query.build().execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(())
}
