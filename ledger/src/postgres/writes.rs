//! Whether PostgreSQL takes writes.

use super::{PostgresOptions, Session, SessionError};

/// Why a database takes no writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadOnly {
    /// It follows another one.
    Standby,
    /// It was told so. What says it, such as `configuration file`, `database` or `user`.
    Told(String),
}

impl PostgresOptions {
    /// Why the database takes no writes, where it does not. It blocks, and writes nothing.
    ///
    /// # Errors
    /// `SessionError`.
    pub fn read_only(&self) -> Result<Option<ReadOnly>, SessionError> {
        const ASK: &str =
            "SELECT pg_is_in_recovery(), setting = 'on', source FROM pg_settings WHERE name = 'default_transaction_read_only'";
        let session = Session::start(self.clone(), "writes", "SELECT 1")?;
        let (follows, is_told, by): (bool, bool, String) =
            session.call(async move |connection| sqlx::query_as(ASK).fetch_one(connection).await)?;
        Ok(match (follows, is_told) {
            (true, _) => Some(ReadOnly::Standby),
            (false, true) => Some(ReadOnly::Told(by)),
            (false, false) => None,
        })
    }
}
