//! A plain table of records, with the settings that make a commit durable.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sqlx::{
    ConnectOptions, Connection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use tokio::runtime::Runtime;

/// A new database with one table, removed in the end.
pub(super) struct RecordTable {
    pub(super) runtime: Runtime,
    pub(super) connection: SqliteConnection,
    file: PathBuf,
}

impl RecordTable {
    pub(super) fn create(folder: &Path, name: &str, page_bytes: u32) -> Result<Self> {
        let file = folder.join(format!("{name}.db"));
        let options = SqliteConnectOptions::new()
            .filename(&file)
            .create_if_missing(true)
            .page_size(page_bytes)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .disable_statement_logging();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let mut connection = runtime.block_on(SqliteConnection::connect_with(&options)).context("a database for a limit")?;
        runtime.block_on(sqlx::query("CREATE TABLE record (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL)").execute(&mut connection))?;
        Ok(Self { runtime, connection, file })
    }

    pub(super) fn remove(self) -> Result<()> {
        self.runtime.block_on(self.connection.close())?;
        std::fs::remove_file(&self.file)?;
        Ok(())
    }
}
