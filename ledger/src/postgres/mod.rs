//! PostgreSQL, which keeps the read models, the snapshots and the keys of a cluster.

mod decided;
mod options;
mod owner;
mod reach;
mod session;
mod writes;

pub use options::{DEFAULT_SCHEMA, PostgresOptions, PostgresOptionsError};
pub use owner::OwnerError;
pub use session::{Session, SessionError};
pub use writes::ReadOnly;

/// Held in a transaction that makes schemas or tables, so that processes that start together do not meet.
pub const SETUP_LOCK: &str = "SELECT pg_advisory_xact_lock(7346523)";
