//! What an import did with every row, and why.

use std::collections::BTreeMap;

use serde::Serialize;

/// The most refusals that are named one by one.
const MAX_NAMED: usize = 100;

/// What an import did: nothing is dropped in silence.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ImportReport {
    /// Rows read, by file.
    pub rows: BTreeMap<String, u64>,
    /// Rows for which no command was made, by file.
    pub rows_without_commands: BTreeMap<String, u64>,
    /// Commands made, by name.
    pub commands: BTreeMap<String, u64>,
    /// Rows that were treated specially, by what was done.
    pub notes: BTreeMap<String, u64>,
    /// Values that were renamed, by `table.column: written -> meant`.
    pub renamed: BTreeMap<String, u64>,
    /// Empty values that were replaced, by `column: taken from`.
    pub replaced: BTreeMap<String, u64>,
    /// Columns that no command takes, by file.
    pub unused_columns: BTreeMap<String, Vec<String>>,
    /// Rows that could not be used: where and why. As many as the import was told to go on over, at most.
    pub bad_rows: Vec<String>,
    /// How many rows could not be used.
    pub bad_row_count: u64,
    /// Decisions: accepted now.
    pub accepted: u64,
    /// Decisions: the answer to an earlier run.
    pub repeated: u64,
    /// Decisions: refused, by code.
    pub refused: BTreeMap<String, u64>,
    /// The first hundred refusals: where and why.
    pub refusals: Vec<String>,
}

impl ImportReport {
    pub(crate) fn bad_row(&mut self, place: &str, reason: &str) {
        self.bad_row_count += 1;
        self.bad_rows.push(format!("{place}: {reason}"));
    }

    /// Counts a refusal.
    pub fn refuse(&mut self, place: &str, code: &str, reason: &str) {
        *self.refused.entry(code.to_owned()).or_default() += 1;
        if self.refusals.len() < MAX_NAMED {
            self.refusals.push(format!("{place}: {code}: {reason}"));
        }
    }

    pub(crate) fn count(counts: &mut BTreeMap<String, u64>, what: &str) {
        match counts.get_mut(what) {
            Some(count) => *count += 1,
            None => drop(counts.insert(what.to_owned(), 1)),
        }
    }
}
