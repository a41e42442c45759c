//! The two topics that a cluster works on, on any engine.

use std::sync::Arc;

use pledger_ledger::{
    commands_topic::{CommandReader, CommandSender},
    log::Log,
    record::{FORMAT, LedgerCreated},
    slices::{SliceId, Slices},
};

/// The ledger and the commands topic.
pub(crate) trait Topics: Send + Sync {
    fn log(&self) -> Arc<dyn Log>;
    fn reader(&self) -> Box<dyn CommandReader>;
    fn sender(&self) -> Arc<dyn CommandSender>;
    /// Writes to the commands topic what no sender of ours would.
    fn write_foreign(&self, slice: SliceId, message: &[u8]);
}

/// What the ledgers of these tests are.
pub(crate) fn created(slices: u16) -> LedgerCreated {
    let created_at = serde_json::from_value("2026-01-01T00:00:00Z".into()).expect("a time");
    LedgerCreated { v: FORMAT, ledger_id: "test".into(), slices: Slices::new(slices).expect("slices"), created_at, generated: None }
}
