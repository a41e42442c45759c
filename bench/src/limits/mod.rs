//! What the machine can do at all, measured in the same run: each measurement is held against one of these.

mod bulk_inserts;
mod packed_append;
mod parsing;
mod reading;
mod single_row;
mod table;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use pledger_ledger::{log::Log, record::Record};

pub(crate) use {
    parsing::parse_rate,
    reading::{read_and_parse, read_and_parse_commands},
};

use crate::{progress, report::Limit};

/// What a row a commit is called.
pub(crate) const SINGLE_ROW: &str = "single-row commits/s";

/// What a disk is given to finish what was written to it.
const SETTLE: Duration = Duration::from_millis(500);

/// The records that limits are measured with.
pub(crate) struct Sample {
    records: Vec<Record>,
    folder: PathBuf,
    /// How long each limit is measured.
    time: Duration,
    single_row: Option<f64>,
    packed: Option<f64>,
}

impl Sample {
    /// At most `most` records of a ledger, decisions only.
    pub(crate) fn of(log: &dyn Log, most: usize, folder: PathBuf, time: Duration) -> Result<Self> {
        std::fs::create_dir_all(&folder)?;
        Ok(Self { records: records(log, most)?, folder, time, single_row: None, packed: None })
    }

    /// The records.
    #[cfg(feature = "cluster")]
    pub(crate) fn records(&self) -> &[Record] {
        &self.records
    }

    /// The mean length of a body, in bytes.
    pub(crate) fn mean_bytes(&self) -> f64 {
        self.records.iter().map(|record| record.body.len()).sum::<usize>() as f64 / self.records.len() as f64
    }

    /// SQLite, one record a row and a commit.
    pub(crate) fn single_row(&mut self) -> Result<Limit> {
        let rate = match self.single_row {
            Some(rate) => rate,
            None => {
                progress("limit: SQLite, one row a commit");
                single_row::rate(self, self.time)?
            }
        };
        self.single_row = Some(rate);
        Ok(Limit::new(SINGLE_ROW, rate))
    }

    /// The same for a moment. A disk that others use too is not the same for long: what is held against it takes turns with it.
    pub(crate) fn single_row_now(&self) -> Result<f64> {
        // What was measured before may still be written on.
        std::thread::sleep(SETTLE);
        single_row::rate(self, self.time / 5)
    }

    /// SQLite, one row a commit that packs 64 or 256 records: the higher rate of the two.
    pub(crate) fn packed(&mut self) -> Result<Limit> {
        let rate = match self.packed {
            Some(rate) => rate,
            None => {
                progress("limit: SQLite, packed rows");
                packed_append::rate(self, 64)?.max(packed_append::rate(self, 256)?)
            }
        };
        self.packed = Some(rate);
        Ok(Limit::new("records/s appended packed", rate))
    }

    /// SQLite, many rows a statement and a commit.
    pub(crate) fn bulk(&self) -> Result<Limit> {
        progress("limit: SQLite, bulk inserts");
        Ok(Limit::new("rows/s inserted in bulk", bulk_inserts::rate(self)?))
    }

    /// Parsing into types on all cores.
    pub(crate) fn parsing(&self) -> Limit {
        progress("limit: typed parsing");
        Limit::new("records/s parsed on all cores", parse_rate(&self.records, self.time))
    }
}

/// The first decisions of a ledger, at most `most`.
pub(crate) fn records(log: &dyn Log, most: usize) -> Result<Vec<Record>> {
    let mut tail = log.tail(&vec![0; usize::from(log.slices().count)])?;
    let mut records = Vec::with_capacity(most);
    while records.len() < most {
        let placed = tail.next(4_096, Duration::ZERO)?;
        if placed.is_empty() {
            break;
        }
        records.extend(placed.into_iter().map(|placed| placed.record).filter(|record| record.body.starts_with(b"{\"decision\"")));
    }
    records.truncate(most);
    (!records.is_empty()).then_some(records).context("the ledger holds no decisions")
}
