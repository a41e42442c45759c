//! Which ledger a schema is of: two would take each other's read models and keys for their own.

use sqlx::AssertSqlSafe;

use super::{PostgresOptions, Session, SessionError};

/// Why a schema is not for a ledger.
#[derive(Debug, thiserror::Error)]
pub enum OwnerError {
    /// It is another one's.
    #[error(
        "{database}, belongs to the ledger {owner}, and this is {ledger_id}; name another one by --postgres-schema, \
         or drop the schemas {schema}* where that ledger and the persons in it are gone for good"
    )]
    Another {
        /// Which schema.
        schema: String,
        /// Where it is.
        database: String,
        /// Whose it is.
        owner: String,
        /// Who asks for it.
        ledger_id: String,
    },
    /// The database did not say.
    #[error("PostgreSQL at {database}: {reason}")]
    Session {
        /// Where it is, and the schema.
        database: String,
        /// What it said.
        reason: SessionError,
    },
}

impl PostgresOptions {
    /// Says that the schema is this ledger's, where it is nobody's yet. It blocks.
    ///
    /// # Errors
    /// `OwnerError`.
    pub fn claim(&self, ledger_id: &str) -> Result<(), OwnerError> {
        let owner = self.decided("owner", ("ledger_id", "text"), ledger_id.to_owned()).map_err(|reason| self.unasked(reason))?;
        self.is_for(ledger_id, owner)
    }

    /// Whether the schema is this ledger's, or nobody's yet. It blocks, and writes nothing.
    ///
    /// # Errors
    /// `OwnerError`.
    pub fn check_owner(&self, ledger_id: &str) -> Result<(), OwnerError> {
        let table = format!("{}_state.owner", self.schema());
        let session = Session::start(self.clone(), "owner", "SELECT 1").map_err(|reason| self.unasked(reason))?;
        let owner: Result<Option<String>, SessionError> = session.call(async move |connection| {
            let is_there: bool = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(&table).fetch_one(&mut *connection).await?;
            if !is_there {
                return Ok(None);
            }
            sqlx::query_scalar(AssertSqlSafe(format!("SELECT ledger_id FROM {table}"))).fetch_optional(connection).await
        });
        owner.map_err(|reason| self.unasked(reason))?.map_or(Ok(()), |owner| self.is_for(ledger_id, owner))
    }

    fn unasked(&self, reason: SessionError) -> OwnerError {
        OwnerError::Session { database: self.to_string(), reason }
    }

    fn is_for(&self, ledger_id: &str, owner: String) -> Result<(), OwnerError> {
        if owner == ledger_id {
            return Ok(());
        }
        let (schema, database, ledger_id) = (self.schema().to_owned(), self.to_string(), ledger_id.to_owned());
        Err(OwnerError::Another { schema, database, owner, ledger_id })
    }
}
