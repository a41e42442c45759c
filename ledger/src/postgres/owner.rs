//! Which ledger a schema is of: two would take each other's read models and keys for their own.

use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use super::{PostgresOptions, SETUP_LOCK, Session, SessionError};

/// Why a schema is not for a ledger.
#[derive(Debug, thiserror::Error)]
pub enum OwnerError {
    /// It is another one's.
    #[error(
        "the schema {schema} of {database} belongs to the ledger {owner}, and this is {ledger_id}; name another one by --postgres-schema, \
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
    #[error("whose the schema is cannot be found out: {0}")]
    Session(#[from] SessionError),
}

impl PostgresOptions {
    /// Says that the schema is this ledger's, where it is nobody's yet. It blocks.
    ///
    /// # Errors
    /// `OwnerError`.
    pub fn claim(&self, ledger_id: &str) -> Result<(), OwnerError> {
        let (state, offered) = (format!("{}_state", self.schema()), ledger_id.to_owned());
        let owner: String = self.session()?.call(async move |connection| {
            let mut transaction = connection.begin().await?;
            transaction.execute(SETUP_LOCK).await?;
            let sql = format!(
                "CREATE SCHEMA IF NOT EXISTS {state};\n\
                 CREATE TABLE IF NOT EXISTS {state}.owner (is_the_one boolean PRIMARY KEY DEFAULT true CHECK (is_the_one), \
                 ledger_id text NOT NULL)"
            );
            transaction.execute(AssertSqlSafe(sql)).await?;
            let sql = format!("INSERT INTO {state}.owner (ledger_id) VALUES ($1) ON CONFLICT DO NOTHING");
            sqlx::query(AssertSqlSafe(sql)).bind(offered).execute(&mut *transaction).await?;
            let sql = format!("SELECT ledger_id FROM {state}.owner");
            let owner = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(owner)
        })?;
        self.is_for(ledger_id, owner)
    }

    /// Whether the schema is this ledger's, or nobody's yet. It blocks, and writes nothing.
    ///
    /// # Errors
    /// `OwnerError`.
    pub fn check_owner(&self, ledger_id: &str) -> Result<(), OwnerError> {
        let table = format!("{}_state.owner", self.schema());
        let owner: Option<String> = self.session()?.call(async move |connection| {
            let is_there: bool = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(&table).fetch_one(&mut *connection).await?;
            if !is_there {
                return Ok(None);
            }
            sqlx::query_scalar(AssertSqlSafe(format!("SELECT ledger_id FROM {table}"))).fetch_optional(connection).await
        })?;
        owner.map_or(Ok(()), |owner| self.is_for(ledger_id, owner))
    }

    fn session(&self) -> Result<Session, SessionError> {
        Session::start(self.clone(), "owner", "SELECT 1")
    }

    fn is_for(&self, ledger_id: &str, owner: String) -> Result<(), OwnerError> {
        if owner == ledger_id {
            return Ok(());
        }
        let (schema, database, ledger_id) = (self.schema().to_owned(), self.to_string(), ledger_id.to_owned());
        Err(OwnerError::Another { schema, database, owner, ledger_id })
    }
}
