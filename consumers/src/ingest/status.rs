//! What ingest is doing.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use parking_lot::Mutex;
use pledger_ledger::commands::Answer;

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IngestFigures {
    /// Commands that were accepted.
    pub accepted: u64,
    /// Commands that were refused by a rule, which is a decision.
    pub refused: u64,
    /// Commands that had been decided before.
    pub repeated: u64,
    /// Messages that became dead letters.
    pub letters: u64,
    /// Messages that wait for an id to become known, now.
    pub parked: u64,
    /// Commands that were sent once more, since no decision came.
    pub sent_again: u64,
}

/// What ingest is doing.
#[derive(Debug, Default)]
pub struct IngestStatus {
    accepted: AtomicU64,
    refused: AtomicU64,
    repeated: AtomicU64,
    letters: AtomicU64,
    parked: AtomicU64,
    sent_again: AtomicU64,
    /// By partition; of all of them together under none.
    trouble: Mutex<BTreeMap<Option<u32>, String>>,
}

impl IngestStatus {
    /// The counts.
    #[must_use]
    pub fn figures(&self) -> IngestFigures {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        IngestFigures {
            accepted: get(&self.accepted),
            refused: get(&self.refused),
            repeated: get(&self.repeated),
            letters: get(&self.letters),
            parked: get(&self.parked),
            sent_again: get(&self.sent_again),
        }
    }

    /// What keeps it from its work, where something does.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().values().next().cloned()
    }

    pub(super) fn decided(&self, answer: &Answer) {
        let counter = match (answer.replayed, &answer.outcome) {
            (true, _) => &self.repeated,
            (false, Ok(_)) => &self.accepted,
            (false, Err(_)) => &self.refused,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn kept(&self, letters: usize) {
        self.letters.fetch_add(letters as u64, Ordering::Relaxed);
    }

    pub(super) fn again(&self) {
        self.sent_again.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn parked(&self, before: usize, now: usize) {
        // Together they never fall below nothing: each partition takes back what it added.
        self.parked.fetch_add((now as u64).wrapping_sub(before as u64), Ordering::Relaxed);
    }

    /// Says once that something does not work, and once that it does again: in one partition, or in all of them.
    pub(super) fn note(&self, partition: Option<u32>, trouble: Option<&str>) {
        let mut known = self.trouble.lock();
        match trouble {
            Some(reason) => {
                if known.insert(partition, reason.to_owned()).is_none() {
                    tracing::error!(partition, reason, "ingest cannot do its work; it tries again");
                }
            }
            None => {
                if known.remove(&partition).is_some() {
                    tracing::info!(partition, "ingest does its work again");
                }
            }
        }
    }
}
