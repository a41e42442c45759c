//! A plain table of records, with the settings that make a commit durable.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use pledger_ledger::record::Record;
use rusqlite::Connection;

/// A new database with one table, removed in the end.
pub(super) struct RecordTable {
    connection: Connection,
    file: PathBuf,
}

impl RecordTable {
    pub(super) fn create(folder: &Path, name: &str, page_bytes: u32) -> Result<Self> {
        let file = folder.join(format!("{name}.db"));
        let connection = Connection::open(&file).context("a database for a limit")?;
        connection.pragma_update(None, "page_size", page_bytes)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.execute("CREATE TABLE record (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL)", [])?;
        Ok(Self { connection, file })
    }

    /// One row, in a commit of its own where no transaction is open.
    pub(super) fn insert(&self, bytes: &[u8]) -> Result<()> {
        self.connection.prepare_cached("INSERT INTO record (bytes) VALUES (?)")?.execute([bytes])?;
        Ok(())
    }

    /// Many rows in one commit.
    pub(super) fn insert_all(&mut self, records: &[Record]) -> Result<()> {
        let transaction = self.connection.transaction()?;
        let mut insert = transaction.prepare_cached("INSERT INTO record (bytes) VALUES (?)")?;
        for record in records {
            insert.execute([&record.body[..]])?;
        }
        drop(insert);
        transaction.commit()?;
        Ok(())
    }

    pub(super) fn remove(self) -> Result<()> {
        self.connection.close().map_err(|(_, error)| error)?;
        std::fs::remove_file(&self.file)?;
        Ok(())
    }
}
