//! Typed readings of rows, for parts of pledger that act on what they read.

use std::{
    thread,
    time::{Duration, Instant},
};

use pledger_ledger::{log::LogError, slices::Position};

use super::{Engine, Shared, Supposed};
use crate::query::{Rows, positions};

/// How often to look whether the ledger's end is reached.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// What was read, and the last record of every slice that it stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading<T> {
    /// What was read.
    pub found: T,
    /// What it stands on.
    pub position: Vec<Position>,
}

impl Engine {
    /// Reads rows as they stand now.
    pub fn read<T>(&self, read: impl FnOnce(&Rows<'_>) -> T) -> T {
        let shared = self.shared();
        let rows = shared.rows();
        read(&rows)
    }

    /// The same, answered under a draft of the rules: what was folded stays as it was folded.
    pub(crate) fn read_supposing<T>(&self, supposed: &Supposed, read: impl FnOnce(&Rows<'_>) -> T) -> T {
        let shared = self.shared();
        let rows = shared.rows().supposing(Some(supposed));
        read(&rows)
    }

    /// Reads rows once they hold every record that was in the ledger when this was called, all of them at one vector of
    /// positions; none where they did not get that far within `timeout`. Void records at the end of a slice count as
    /// missing until a valid one follows them. It blocks.
    ///
    /// # Errors
    /// `LogError`.
    pub fn read_at_end<T>(&self, timeout: Duration, read: impl FnOnce(&Rows<'_>) -> T) -> Result<Option<Reading<T>>, LogError> {
        let shared = self.shared();
        let log = &shared.log;
        let ends = log.ends(&log.slices().all().collect::<Vec<_>>())?;
        let until = Instant::now() + timeout;
        while !shared.hold(&ends) {
            if Instant::now() >= until {
                return Ok(None);
            }
            thread::sleep(LOOK_EVERY);
        }
        let rows = shared.rows();
        Ok(Some(Reading { found: read(&rows), position: positions(rows.shards()) }))
    }
}

impl Shared {
    /// Whether the rows hold every record before these offsets, slice by slice.
    fn hold(&self, ends: &[u64]) -> bool {
        let mut reached = vec![0; ends.len()];
        for shard in &self.shards {
            for (slice, head) in &shard.read().heads {
                if let Some(reached) = reached.get_mut(usize::from(*slice)) {
                    *reached = head.next_offset;
                }
            }
        }
        reached.iter().zip(ends).all(|(reached, end)| reached >= end)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        engine::Options,
        given::{Given, Ledger, registered},
    };

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn what_was_recorded_before_is_read() {
        let ledger = Ledger::with([]);
        let engine = Engine::in_memory(Arc::new(ledger.clone()), Options { workers: 3, ..Options::default() }).expect("it starts");
        let count = |rows: &Rows<'_>| rows.shards().map(|shard| shard.deals.deals.len()).sum::<usize>();
        for n in 1..=50 {
            let at = ledger.add(Given::account(&format!("acme{n}.com"), "2026-01-10", vec![registered("d-1", "p1", "GTX", "1.00")]));
            let reading = engine.read_at_end(LONG, count).expect("the ledger is read").expect("in time");
            assert_eq!(reading.found, n);
            assert!(reading.position.iter().any(|position| position.slice == at.slice && position.pseq == at.pseq));
        }
    }

    #[test]
    fn rows_that_are_behind_are_not_read() {
        let ledger = Ledger::with([]);
        let options = Options { rules_wait: LONG, ..Options::default() };
        let engine = Engine::in_memory(Arc::new(ledger.clone()), options).expect("it starts");
        // It waits for rules that the ledger does not have.
        ledger.add(Given { rules: 9, ..Given::account("acme.com", "2026-01-10", vec![registered("d-1", "p1", "GTX", "1.00")]) });
        assert_eq!(engine.read_at_end(Duration::from_millis(30), |_| ()).expect("the ledger is read"), None);
    }
}
