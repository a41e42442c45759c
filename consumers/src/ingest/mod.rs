//! Ingest: what services send to the inbox becomes commands, and what cannot become one becomes a dead letter.
//!
//! A partition of the inbox is worked on by one thread, in its order; partitions go on side by side. Of a stream one command
//! is on its way at a time, so that one that has to be sent again is overtaken by none. A partition's place moves past a
//! message only when that was decided, or is a dead letter: killed at any time, ingest sends again what it had not seen
//! decided, under the same keys, and the ledger gives the answers that it gave before.

mod buffer;
mod lane;
mod lanes;
mod round;
mod runner;
mod status;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use pledger_ledger::{commands::CommandSink, edge::Edge, inbox::DeadLetters};

pub use runner::Ingest;
pub use status::{IngestFigures, IngestStatus};

/// How long an id that nobody knows may take to become known, where nothing else is asked for.
pub const PARKED_FOR: Duration = Duration::from_secs(60);

/// What ingest works with.
pub struct IngestDesk {
    /// Where commands are prepared.
    pub edge: Edge,
    /// Where they are sent.
    pub sink: Arc<dyn CommandSink>,
    /// Where what became no command is kept.
    pub letters: Arc<dyn DeadLetters>,
    /// What is told of it.
    pub status: Arc<IngestStatus>,
    /// How long an event waits for an id that is not known yet, before it becomes a dead letter.
    pub parked_for: Duration,
}
