//! What is measured of a library, whichever it is.

use std::time::Duration;

use anyhow::Result;

use crate::{
    account::{Command, DealEvent, Refusal},
    database::Database,
};

/// What a library answers a command.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Decided and committed.
    Accepted,
    Refused(Refusal),
    /// Somebody else was quicker, as the library says: to be asked again.
    Conflict,
}

/// A library over an empty store.
pub(crate) trait Peer: Clone + Send + Sync + Sized + 'static {
    /// The crates, as a user would add them.
    const NAME: &'static str;
    /// The table of its events.
    const EVENTS: &'static str;

    /// Makes its tables in the database.
    fn create(database: &Database) -> impl Future<Output = Result<Self>> + Send;

    /// Decides a command durably.
    fn decide(&self, command: Command) -> impl Future<Output = Result<Answer>> + Send;

    /// Stores events that were decided elsewhere, as many in a transaction as it is given.
    fn fill(&self, events: &[DealEvent]) -> impl Future<Output = Result<()>> + Send;

    /// Takes all events into a new read model through the library's own replay; answers how long that took.
    fn rebuild(&self, database: &Database, deals: u64) -> impl Future<Output = Result<Duration>> + Send;
}
