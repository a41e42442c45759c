//! What policies read, over the read models of this process.

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use pledger_consumers::policies::{PolicyView, Reading, Retiring, Unevaluated, Unread};
use pledger_domain::values::{Period, Timestamp};
use pledger_projections::{engine::Engine, partners::retiring, query::Rows, tiers::unevaluated};

/// How long a reading waits for the ledger's end; then the policies look again later.
const READ_WAIT: Duration = Duration::from_secs(1);

/// The read models as policies see them.
pub(crate) struct EngineView(pub(crate) Arc<Engine>);

impl EngineView {
    fn read<T>(&self, read: impl FnOnce(&Rows<'_>) -> Vec<T>) -> Result<Reading<T>, Unread> {
        let reading = self.0.read_at_end(READ_WAIT, read)?.ok_or(Unread::Behind)?;
        Ok(Reading { found: reading.found, as_of: reading.position })
    }
}

impl PolicyView for EngineView {
    fn retiring(&self, now: Timestamp) -> Result<Reading<Retiring>, Unread> {
        self.read(|rows| {
            let found = retiring(rows, now).into_iter();
            found.map(|r| Retiring { partner_id: r.partner_id, started: r.started, open: r.open, blocked_by: r.blocked_by }).collect()
        })
    }

    fn unevaluated(&self, period: Period, now: Timestamp) -> Result<Reading<Unevaluated>, Unread> {
        self.read(|rows| {
            let found = unevaluated(rows, period, now).into_iter();
            found.map(|due| Unevaluated { partner_id: due.partner_id, inputs: due.inputs }).collect()
        })
    }
}
