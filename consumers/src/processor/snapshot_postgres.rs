//! Snapshots in PostgreSQL, where whoever takes a slice over can read them.

use std::{io, sync::Arc};

use pledger_ledger::{
    postgres::{PostgresOptions, SETUP_LOCK, Session, SessionError},
    slices::SliceId,
};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use super::SnapshotStore;

/// What is lost costs time, never truth: nobody waits for the disk.
const BEGIN: &str = "SET synchronous_commit = off";

/// Snapshots in `<schema>_state`.
pub struct PostgresSnapshots {
    session: Session,
    table: String,
}

impl PostgresSnapshots {
    /// Keeps snapshots in a table, which is made where it is missing.
    ///
    /// # Errors
    /// Where PostgreSQL cannot be reached, or the table cannot be made.
    pub fn new(options: &PostgresOptions) -> Result<Self, SessionError> {
        let session = Session::start(options.clone(), "snapshots", BEGIN)?;
        let schema = format!("{}_state", options.schema());
        let table = format!("{schema}.snapshots");
        let sql = format!(
            "CREATE SCHEMA IF NOT EXISTS {schema};\n\
             CREATE TABLE IF NOT EXISTS {table} (slice integer PRIMARY KEY, saved_at timestamptz NOT NULL, bytes bytea NOT NULL);\n\
             ALTER TABLE {table} ALTER COLUMN bytes SET STORAGE EXTERNAL;"
        );
        session.call(async move |on| {
            let mut transaction = on.begin().await?;
            transaction.execute(SETUP_LOCK).await?;
            transaction.execute(AssertSqlSafe(sql)).await?;
            transaction.commit().await
        })?;
        Ok(Self { session, table })
    }
}

impl SnapshotStore for PostgresSnapshots {
    fn load(&self, slice: SliceId) -> Option<Vec<u8>> {
        let sql = format!("SELECT bytes FROM {} WHERE slice = $1", self.table);
        let load = async move |on: &mut sqlx::PgConnection| {
            let query = sqlx::query_scalar(AssertSqlSafe(sql)).bind(i32::from(slice));
            query.fetch_optional(on).await
        };
        let loaded = self.session.call_again(load);
        loaded.inspect_err(|error| tracing::warn!(slice, %error, "a snapshot cannot be read; the slice is folded from the ledger")).ok()?
    }

    fn save(&self, slice: SliceId, bytes: &[u8]) -> io::Result<()> {
        let sql = format!(
            "INSERT INTO {} (slice, saved_at, bytes) VALUES ($1, now(), $2) \
             ON CONFLICT (slice) DO UPDATE SET saved_at = excluded.saved_at, bytes = excluded.bytes",
            self.table
        );
        let bytes: Arc<[u8]> = bytes.into();
        let save = async move |on: &mut sqlx::PgConnection| {
            sqlx::query(AssertSqlSafe(sql)).bind(i32::from(slice)).bind(&*bytes).execute(on).await.map(drop)
        };
        self.session.call_again(save).map_err(io::Error::other)
    }
}
