//! The key store of one machine: the SQLite file `keys.db` beside the ledger, readable by its owner only.
//!
//! What is erased is overwritten (`secure_delete`) and leaves the write-ahead log at once. Copies that somebody made of the
//! file before keep the key: they have to be destroyed with it.

use std::{
    fs::{File, OpenOptions, Permissions},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use pledger_domain::values::{PersonId, Personal, Timestamp};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::{
    Erasure, KeyStore, KeyStoreError, Minting, Opened,
    connection::{Access, Connection},
    envelope::SubjectKey,
    mint::{RowHash, StoreKey},
    vault::{Backing, Batch, Kept, Vault, key_store},
};

/// The key store's file in the data directory.
pub const KEYS_FILE: &str = "keys.db";
/// The layout of that file.
const LAYOUT: i64 = 1;
/// At most so many rows go into one statement.
const ROWS_A_STATEMENT: usize = 256;

const TABLES: [&str; 3] = [
    "CREATE TABLE IF NOT EXISTS store (id INTEGER PRIMARY KEY CHECK (id = 1), layout INTEGER NOT NULL, key BLOB NOT NULL) STRICT",
    // A tombstone has no key; a key has no tombstone.
    "CREATE TABLE IF NOT EXISTS subject (id TEXT PRIMARY KEY, key BLOB, erased_at INTEGER, reason TEXT,
        CHECK ((key IS NULL) = (erased_at IS NOT NULL))) STRICT, WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS sender_row (hash BLOB PRIMARY KEY, subject TEXT NOT NULL) STRICT, WITHOUT ROWID",
];

/// Keeps keys in a file. One process writes it: the one that holds the data directory's lock.
pub struct SqliteKeyStore(Vault<Rows>);

key_store!(SqliteKeyStore);

impl SqliteKeyStore {
    /// Makes a key store in `dir`, with a new key of its own.
    ///
    /// # Errors
    /// `KeyStoreError::Unfit` where there is one already: it is never replaced, or all that it sealed would be lost.
    pub fn create(dir: &Path, minting: Minting) -> Result<Self, KeyStoreError> {
        let path = dir.join(KEYS_FILE);
        // SQLite gives its write-ahead log the permissions of the file, so it has to have them before.
        let made = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path).and_then(|file| file.sync_all());
        made.and_then(|()| File::open(dir)?.sync_all()).map_err(|error| failed(&path, &error))?;
        let key = minting.store_key();
        let (bytes, exists) = (key.0, KeyStoreError::Unfit(format!("{} is a key store already", path.display())));
        let rows = Rows::open(&path, Access::Write)?;
        rows.writer()?.call(move |sql, runtime| runtime.block_on(initialise(sql, bytes)))?.then_some(()).ok_or(exists)?;
        Ok(Self(Vault::new(rows, minting, key)))
    }

    /// Opens the key store in `dir` to seal and to erase. New keys are random, whatever the first ones were made from.
    ///
    /// # Errors
    /// `KeyStoreError::Unfit` where there is none.
    pub fn open(dir: &Path) -> Result<Self, KeyStoreError> {
        Self::open_for(dir, Access::Write)
    }

    /// Opens the key store in `dir` to read, beside the process that writes it. It remembers no key, since that process
    /// may erase it.
    ///
    /// # Errors
    /// `KeyStoreError::Unfit` where there is none.
    pub fn open_read_only(dir: &Path) -> Result<Self, KeyStoreError> {
        Self::open_for(dir, Access::Read)
    }

    fn open_for(dir: &Path, access: Access) -> Result<Self, KeyStoreError> {
        let path = dir.join(KEYS_FILE);
        if !path.is_file() {
            return Err(KeyStoreError::Unfit(format!("there is no key store {}", path.display())));
        }
        if access == Access::Write {
            // A restored backup may have come with other permissions.
            std::fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(|error| failed(&path, &error))?;
        }
        let rows = Rows::open(&path, access)?;
        let kept = rows.reader.call(|sql, runtime| runtime.block_on(store_row(sql)));
        let unfit = |what: &str| KeyStoreError::Unfit(format!("{} {what}", path.display()));
        let key = match kept {
            Ok(Some((LAYOUT, key))) => key.try_into().map_err(|_| unfit("is damaged: its own key is cut"))?,
            Ok(Some((layout, _))) => return Err(unfit(&format!("has layout {layout}; this pledger reads {LAYOUT}"))),
            Ok(None) => return Err(unfit("is no key store: it was not created to the end")),
            Err(error) => return Err(unfit(&format!("is no key store: {error}"))),
        };
        if access == Access::Write {
            // What an erasure could not clear since somebody was reading is cleared now.
            let cleared = rows.writer()?.call(|sql, runtime| runtime.block_on(clear_log(sql)));
            if let Err(error) = cleared {
                tracing::warn!(%error, "the key store's write-ahead log was not emptied");
            }
        }
        Ok(Self(Vault::new(rows, Minting::Random, StoreKey(key))))
    }
}

/// A subject, and its key or its tombstone: when and why.
#[cfg(feature = "postgres")]
type SubjectRow = (String, Option<Vec<u8>>, Option<i64>, Option<String>);

/// What a key store keeps, to be put into another one.
#[cfg(feature = "postgres")]
pub(super) struct AllRows {
    pub(super) store_key: Vec<u8>,
    pub(super) subjects: Vec<SubjectRow>,
    /// The hash of a sender's row, and its subject.
    pub(super) sender_rows: Vec<(Vec<u8>, String)>,
}

#[cfg(feature = "postgres")]
impl Drop for AllRows {
    fn drop(&mut self) {
        use zeroize::Zeroize as _;
        self.store_key.zeroize();
        self.subjects.iter_mut().filter_map(|(_, key, ..)| key.as_mut()).for_each(|key| key.zeroize());
    }
}

/// All that the key store in `dir` keeps.
#[cfg(feature = "postgres")]
pub(super) fn all_rows(dir: &Path) -> Result<AllRows, KeyStoreError> {
    let SqliteKeyStore(vault) = SqliteKeyStore::open_read_only(dir)?;
    let read = |sql: &mut SqliteConnection, runtime: &tokio::runtime::Runtime| {
        runtime.block_on(async {
            let store_key = store_row(sql).await?.map(|(_, key)| key).unwrap_or_default();
            let subjects = sqlx::query_as("SELECT id, key, erased_at, reason FROM subject").fetch_all(&mut *sql).await?;
            let sender_rows = sqlx::query_as("SELECT hash, subject FROM sender_row").fetch_all(&mut *sql).await?;
            Ok(AllRows { store_key, subjects, sender_rows })
        })
    };
    vault.backing().reader.call(read)
}

fn failed(path: &Path, error: &dyn std::fmt::Display) -> KeyStoreError {
    KeyStoreError::Store(format!("{}: {error}", path.display()))
}

/// The file's rows. Reads have a connection of their own: they never wait for a write to reach the disk.
struct Rows {
    path: PathBuf,
    reader: Connection,
    writer: Option<Connection>,
}

impl Rows {
    fn open(path: &Path, access: Access) -> Result<Self, KeyStoreError> {
        let writer = match access {
            Access::Write => Some(Connection::open(path, Access::Write)?),
            Access::Read => None,
        };
        Ok(Self { path: path.to_owned(), reader: Connection::open(path, Access::Read)?, writer })
    }

    fn writer(&self) -> Result<&Connection, KeyStoreError> {
        self.writer.as_ref().ok_or(KeyStoreError::ReadOnly)
    }
}

impl Backing for Rows {
    fn find_key(&self, subject: &PersonId) -> Result<Option<Kept>, KeyStoreError> {
        let subject = subject.to_string();
        let row: Option<(Option<Vec<u8>>,)> = self.reader.call(move |sql, runtime| {
            runtime.block_on(sqlx::query_as("SELECT key FROM subject WHERE id = ?").bind(subject).fetch_optional(sql))
        })?;
        row.map(|(key,)| match key {
            None => Ok(Kept::Erased),
            Some(key) => SubjectKey::from_bytes(key).map(Kept::Key).ok_or_else(|| failed(&self.path, &"a key is cut")),
        })
        .transpose()
    }

    fn find_row(&self, row: &RowHash) -> Result<Option<PersonId>, KeyStoreError> {
        let row = row.to_vec();
        let found: Option<(String,)> = self.reader.call(move |sql, runtime| {
            runtime.block_on(sqlx::query_as("SELECT subject FROM sender_row WHERE hash = ?").bind(row).fetch_optional(sql))
        })?;
        found.map(|(subject,)| PersonId::parse(&subject).map_err(|error| failed(&self.path, &format!("a subject {error}")))).transpose()
    }

    fn write(&self, batch: &Batch) -> Result<(), KeyStoreError> {
        let batch = batch.clone();
        self.writer()?.call(move |sql, runtime| runtime.block_on(insert(sql, &batch)))
    }

    fn erase(&self, subject: &PersonId, reason: &str, at: Timestamp) -> Result<Erasure, KeyStoreError> {
        let (subject, reason) = (subject.to_string(), reason.to_owned());
        self.writer()?.call(move |sql, runtime| {
            runtime.block_on(async {
                let erasure = bury(sql, &subject, &reason, at).await?;
                clear_log(sql).await?;
                Ok(erasure)
            })
        })
    }

    fn is_written_elsewhere(&self) -> bool {
        self.writer.is_none()
    }
}

/// Makes the tables; false where the file is a key store already.
async fn initialise(sql: &mut SqliteConnection, key: [u8; 32]) -> Result<bool, sqlx::Error> {
    let mut transaction = sqlx::Connection::begin_with(sql, "BEGIN IMMEDIATE").await?;
    for table in TABLES {
        sqlx::query(table).execute(&mut *transaction).await?;
    }
    let made = sqlx::query("INSERT INTO store (id, layout, key) VALUES (1, ?, ?) ON CONFLICT DO NOTHING")
        .bind(LAYOUT)
        .bind(key.to_vec())
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(made.rows_affected() == 1)
}

async fn store_row(sql: &mut SqliteConnection) -> Result<Option<(i64, Vec<u8>)>, sqlx::Error> {
    sqlx::query_as("SELECT layout, key FROM store").fetch_optional(sql).await
}

async fn insert(sql: &mut SqliteConnection, batch: &Batch) -> Result<(), sqlx::Error> {
    let mut transaction = sqlx::Connection::begin_with(sql, "BEGIN IMMEDIATE").await?;
    // Nothing is replaced: a subject has one key for ever, and a row one subject.
    for keys in batch.keys.chunks(ROWS_A_STATEMENT) {
        let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO subject (id, key) ");
        insert.push_values(keys, |mut row, (subject, key)| {
            row.push_bind(subject.as_str()).push_bind(&key.0[..]);
        });
        insert.build().execute(&mut *transaction).await?;
    }
    for rows in batch.rows.chunks(ROWS_A_STATEMENT) {
        let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO sender_row (hash, subject) ");
        insert.push_values(rows, |mut row, (hash, subject)| {
            row.push_bind(&hash[..]).push_bind(subject.as_str());
        });
        insert.build().execute(&mut *transaction).await?;
    }
    transaction.commit().await
}

/// Puts a tombstone in the place of a key.
async fn bury(sql: &mut SqliteConnection, subject: &str, reason: &str, at: Timestamp) -> Result<Erasure, sqlx::Error> {
    let buried = sqlx::query("UPDATE subject SET key = NULL, erased_at = ?, reason = ? WHERE id = ? AND key IS NOT NULL")
        .bind(at.micros())
        .bind(reason)
        .bind(subject)
        .execute(&mut *sql)
        .await?;
    if buried.rows_affected() == 1 {
        return Ok(Erasure::Erased);
    }
    let before: Option<(i64, Option<String>)> =
        sqlx::query_as("SELECT erased_at, reason FROM subject WHERE id = ?").bind(subject).fetch_optional(sql).await?;
    Ok(before.map_or(Erasure::UnknownSubject, |(at, reason)| Erasure::ErasedBefore {
        at: Timestamp::from_micros(at),
        reason: reason.unwrap_or_default(),
    }))
}

/// Brings the write-ahead log into the file and empties it: it may hold a key that is erased in the file.
async fn clear_log(sql: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let (busy, _, _): (i64, i64, i64) = sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(sql).await?;
    if busy == 0 {
        Ok(())
    } else {
        Err(sqlx::Error::Protocol("somebody reads the write-ahead log, which may hold an erased key; ask again".into()))
    }
}
