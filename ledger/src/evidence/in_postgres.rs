//! The signing key of a cluster, in its database: every process signs with the same.

use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
use zeroize::Zeroizing;

use super::{EvidenceError, LedgerKey};
use crate::postgres::{PostgresOptions, SETUP_LOCK, Session};

impl LedgerKey {
    /// The key in the database; a new one where there is none yet.
    ///
    /// # Errors
    /// `EvidenceError::Key`.
    pub fn open_or_create_in(options: &PostgresOptions) -> Result<Self, EvidenceError> {
        let failed = |reason: String| EvidenceError::Key { path: format!("in {options}"), reason };
        let mut new = Zeroizing::new([0_u8; 32]);
        getrandom::fill(&mut *new).map_err(|error| failed(error.to_string()))?;
        let (schema, offered) = (format!("{}_state", options.schema()), new.to_vec());
        let session = Session::start(options.clone(), "signing", "SELECT 1").map_err(|error| failed(error.to_string()))?;
        let kept: Result<Vec<u8>, _> = session.call(async move |connection| {
            let mut transaction = connection.begin().await?;
            transaction.execute(SETUP_LOCK).await?;
            let sql = format!(
                "CREATE SCHEMA IF NOT EXISTS {schema};\n\
                 CREATE TABLE IF NOT EXISTS {schema}.signing_key (is_the_one boolean PRIMARY KEY DEFAULT true CHECK (is_the_one), \
                 seed bytea NOT NULL)"
            );
            transaction.execute(AssertSqlSafe(sql)).await?;
            let sql = format!("INSERT INTO {schema}.signing_key (seed) VALUES ($1) ON CONFLICT DO NOTHING");
            sqlx::query(AssertSqlSafe(sql)).bind(offered).execute(&mut *transaction).await?;
            let sql = format!("SELECT seed FROM {schema}.signing_key");
            let seed = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(seed)
        });
        let kept = Zeroizing::new(kept.map_err(|error| failed(error.to_string()))?);
        let seed: &[u8; 32] = kept.as_slice().try_into().map_err(|_| failed("it is cut".to_owned()))?;
        Ok(Self::of_seed(seed))
    }
}
