//! What others may know of a processor's thread.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;
use pledger_ledger::slices::SliceId;

/// What a processor does, as of its last look.
#[derive(Debug, Default)]
pub struct ProcessorStatus {
    pub(super) halted: OnceLock<Arc<str>>,
    pub(super) troubles: Mutex<BTreeMap<SliceId, String>>,
    pub(super) owned: AtomicUsize,
    pub(super) taken: AtomicU64,
    pub(super) passed_over: AtomicU64,
    pub(super) acknowledged: AtomicU64,
    pub(super) lost_terms: AtomicU64,
    pub(super) failed: AtomicU64,
}

impl ProcessorStatus {
    /// Why nothing is decided here until pledger is started again.
    #[must_use]
    pub fn halted(&self) -> Option<Arc<str>> {
        self.halted.get().cloned()
    }

    pub(super) fn halt(&self, reason: &str) {
        self.halted.get_or_init(|| reason.into());
    }

    /// What keeps this processor from deciding, in one sentence; the first slice is named where there are several.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        if let Some(reason) = self.halted.get() {
            return Some(reason.to_string());
        }
        let troubles = self.troubles.lock();
        let (slice, reason) = troubles.first_key_value()?;
        Some(format!("{} slices wait; slice {slice}: {reason}", troubles.len()))
    }

    /// How many slices are written here.
    #[must_use]
    pub fn owned(&self) -> usize {
        self.owned.load(Ordering::Relaxed)
    }

    /// How many messages were taken from the commands topic, some of them more than once.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// How many messages held no command.
    #[must_use]
    pub fn passed_over(&self) -> u64 {
        self.passed_over.load(Ordering::Relaxed)
    }

    /// How many decisions failed here, by a fault of the program.
    #[must_use]
    pub fn failed_decisions(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// How many decisions were reported as durable to whoever made them here. What became durable of a term that was lost is
    /// not among them.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// How often the terms of this processor were lost and the ledger was read again.
    #[must_use]
    pub fn lost_terms(&self) -> u64 {
        self.lost_terms.load(Ordering::Relaxed)
    }
}
