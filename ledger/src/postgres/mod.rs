//! PostgreSQL, which keeps the read models, the snapshots and the keys of a cluster.

mod options;
mod session;

pub use options::{DEFAULT_SCHEMA, PostgresOptions, PostgresOptionsError};
pub use session::{Session, SessionError};
