//! What was measured: medians as tables for people, every round as JSON for programs.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use comfy_table::{CellAlignment, Table, presets::ASCII_MARKDOWN};
use serde::Serialize;

/// The machine, as far as a reader has to know it; `/proc` tells, elsewhere fields stay empty.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    pub(crate) memory_gib: f64,
    /// Tasks that wanted to run when the measurement began.
    pub(crate) load_before: f64,
}

impl Machine {
    /// This one, now.
    pub(crate) fn describe() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let first = |text: &str| text.split_whitespace().find_map(|word| word.parse::<f64>().ok()).unwrap_or_default();
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: first(&read("/proc/meminfo")) / (1024.0 * 1024.0),
            load_before: first(&read("/proc/loadavg")),
        }
    }
}

/// What the database does at all in one round.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Limit {
    pub(crate) connections: u32,
    pub(crate) round: u32,
    /// Rows as large as an event, one a commit.
    pub(crate) rows_per_second: f64,
}

/// Decisions in one round.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Decisions {
    pub(crate) peer: &'static str,
    pub(crate) connections: u32,
    pub(crate) round: u32,
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    pub(crate) conflicts: u64,
    pub(crate) stale: u64,
    pub(crate) event_bytes: f64,
}

/// A read model made anew in one round.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Rebuild {
    pub(crate) peer: &'static str,
    pub(crate) round: u32,
    pub(crate) events: u64,
    pub(crate) per_second: f64,
}

/// A whole run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    /// As the server says it.
    pub(crate) postgres: String,
    pub(crate) rounds: u32,
    pub(crate) seconds_each: u64,
    /// What the stores had before.
    pub(crate) deals_before: u64,
    pub(crate) limits: Vec<Limit>,
    pub(crate) decisions: Vec<Decisions>,
    pub(crate) rebuilds: Vec<Rebuild>,
}

impl Report {
    /// Writes it as JSON.
    pub(crate) fn write(&self, file: &Path) -> Result<()> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        fs::write(file, json).with_context(|| format!("{} cannot be written", file.display()))
    }

    /// What the figures are of.
    pub(crate) fn heading(&self) -> String {
        let Self { machine: Machine { cores, memory_gib, load_before }, postgres, rounds, seconds_each, deals_before, .. } = self;
        format!(
            "{cores} cores, {memory_gib:.0} GiB, shared with PostgreSQL {postgres}; load before {load_before}; \
             medians of {rounds} rounds, {seconds_each} s each, {deals_before} deals before"
        )
    }

    /// The median round of every peer and number of connections.
    pub(crate) fn decisions(&self) -> Table {
        let mut table = table(["library", "connections", "decisions/s", "of a row a commit", "p50 ms", "p99 ms", "conflicts", "stale"]);
        for limit in medians(&self.limits, |limit| limit.connections, |limit| limit.rows_per_second) {
            let (connections, figure) = (limit.connections.to_string(), format!("{:.0}", limit.rows_per_second));
            table.add_row(["a row a commit, no library", &connections, &figure, "", "", "", "", ""]);
        }
        for row in medians(&self.decisions, |row| (row.peer, row.connections), |row| row.per_second) {
            // Out of a hundred decisions, since rounds have different numbers of them.
            let share = |tries: u64| format!("{:.0} %", 100.0 * tries as f64 / (row.accepted + row.refused) as f64);
            table.add_row([
                row.peer.to_owned(),
                row.connections.to_string(),
                format!("{:.0}", row.per_second),
                format!("{:.2}", self.share_of_limit(row)),
                format!("{:.2}", row.p50_ms),
                format!("{:.2}", row.p99_ms),
                share(row.conflicts),
                share(row.stale),
            ]);
        }
        table
    }

    /// What the decisions are of the limit of their own round.
    fn share_of_limit(&self, row: &Decisions) -> f64 {
        let same = |limit: &&Limit| (limit.connections, limit.round) == (row.connections, row.round);
        self.limits.iter().find(same).map_or(f64::NAN, |limit| row.per_second / limit.rows_per_second)
    }

    /// The median rebuild of every peer.
    pub(crate) fn rebuilds(&self) -> Table {
        let mut table = table(["library", "events", "rebuilt, events/s"]);
        for row in medians(&self.rebuilds, |row| row.peer, |row| row.per_second) {
            table.add_row([row.peer.to_owned(), row.events.to_string(), format!("{:.0}", row.per_second)]);
        }
        table
    }
}

fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN).set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Of the rows with the same key, the one in the middle; keys in the order they first come in.
fn medians<'a, T, K: PartialEq>(rows: &'a [T], key: impl Fn(&T) -> K, figure: impl Fn(&T) -> f64) -> Vec<&'a T> {
    let mut groups: Vec<(K, Vec<&'a T>)> = Vec::new();
    for row in rows {
        match groups.iter_mut().find(|(known, _)| *known == key(row)) {
            Some((_, group)) => group.push(row),
            None => groups.push((key(row), vec![row])),
        }
    }
    let mut middle = Vec::with_capacity(groups.len());
    for (_, mut group) in groups {
        group.sort_by(|a, b| figure(a).total_cmp(&figure(b)));
        middle.push(group[group.len() / 2]);
    }
    middle
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_each_group_counts() {
        let rows = [("b", 3.0), ("a", 9.0), ("b", 1.0), ("a", 7.0), ("b", 2.0), ("a", 8.0)];
        assert_eq!(medians(&rows, |row| row.0, |row| row.1), [&("b", 2.0), &("a", 8.0)]);
    }
}
