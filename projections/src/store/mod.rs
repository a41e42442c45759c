//! Where the rows and the cursors of a generation are kept: in SQLite, or in PostgreSQL.

mod load;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod sqlite;

use pledger_ledger::{chain::ChainHead, slices::SliceId};

use crate::{row::UnreadableRow, shard::Shard};

/// The database's content is not what SQLite writes.
const SQLITE_CORRUPT: u16 = 11;
/// The file is none of SQLite's.
const SQLITE_NOTADB: u16 = 26;

/// What goes wrong with the read models' database.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database failed.
    #[error("the read models' database failed")]
    Database(#[from] sqlx::Error),
    /// The database does not answer.
    #[error("the read models' database did not answer within {0} s")]
    Late(u64),
    /// What is in use is not taken away.
    #[error("generation {0} of the read models is in use")]
    InUse(u64),
    /// The file system failed.
    #[error("the read models' directory cannot be used")]
    Files(#[from] std::io::Error),
    /// What is stored cannot be read.
    #[error("the read models cannot be read")]
    Unreadable(#[from] UnreadableRow),
    /// A cursor is not where this writer left it. Nothing was written, and nothing more can be.
    #[error("somebody else writes these read models too: slice {slice} is not where this process left it")]
    TakenOver {
        /// The first slice that was moved.
        slice: SliceId,
    },
}

impl StoreError {
    /// Whether SQLite says that the file is damaged: no other try reads it, and the ledger makes it anew.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        let Self::Database(sqlx::Error::Database(error)) = self else { return false };
        // The low byte of an extended code is the code; PostgreSQL's have five characters.
        let code = error.code().filter(|code| code.len() < 5).and_then(|code| code.parse::<u16>().ok());
        code.is_some_and(|code| matches!(code & 0xff, SQLITE_CORRUPT | SQLITE_NOTADB))
    }
}

/// The cursor of a slice.
pub type Cursor = (SliceId, ChainHead);

/// Makes the JSON of chunks of a table, by the table's number, as they stood when the write began: each chunk once.
pub type MakeChunks<'a> = dyn Fn(usize, &[u32]) -> Vec<Vec<u8>> + 'a;

/// What a shard has to write: its changed rows, and the cursors that they stand on.
pub struct Changes<'a> {
    /// The shard's number.
    pub shard: usize,
    /// Where its slices stand.
    pub cursors: Vec<Cursor>,
    /// Of each of its tables, in `Shard::tables`' order, the chunks with changed rows.
    pub tables: Vec<(&'static str, Vec<u32>)>,
    /// The tables whose rows of this shard are to be taken away first, by the same numbers: rows were taken out of them, and
    /// all that are left are among the chunks.
    pub emptied: Vec<usize>,
    /// Whether rows may have changed by decisions before the cursors that were written last: what was left out is folded late.
    pub is_late: bool,
    /// Makes them.
    pub make: &'a MakeChunks<'a>,
}

/// The database of one generation, open to be read and written by one engine.
pub trait Store: Send {
    /// What the generation was made by.
    ///
    /// # Errors
    /// `StoreError`; also where there is no generation.
    fn fingerprint(&mut self) -> Result<String, StoreError>;

    /// Reads cursors and the named tables (all where none is named), at one moment, into the shards: a row goes to the
    /// shard of its slice, slice modulo the number of shards.
    ///
    /// # Errors
    /// `StoreError`.
    fn load(&mut self, shards: &mut [Shard], names: Option<&[&str]>) -> Result<(), StoreError>;

    /// Readies the database to be written by these shards, which hold all its rows.
    ///
    /// # Errors
    /// `StoreError`.
    fn take_over(&mut self, shards: &mut [Shard]) -> Result<(), StoreError>;

    /// Writes rows and cursors, in one transaction.
    ///
    /// # Errors
    /// `StoreError`; nothing was written then, unless the answer to the commit was lost. The same rows as they stand later
    /// may be written again in either case.
    fn write(&mut self, changes: &Changes<'_>) -> Result<(), StoreError>;
}

/// An error with its causes, but for those that it tells itself.
#[must_use]
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cause_is_told_twice() {
        // It says itself what the system said.
        let closed = sqlx::Error::Io(std::io::Error::other("the connection was closed"));
        assert_eq!(
            causes(&StoreError::Database(closed)),
            "the read models' database failed: error communicating with database: the connection was closed"
        );
        let unreadable = StoreError::Files(std::io::Error::other("no space left"));
        assert_eq!(causes(&unreadable), "the read models' directory cannot be used: no space left");
    }
}
