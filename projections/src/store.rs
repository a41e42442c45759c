//! `read.db`: the rows and the cursors of one generation, in SQLite.

use std::{
    future::{Future, poll_fn},
    path::Path,
    task::Poll,
    time::Duration,
};

use futures_util::TryStreamExt;
use pledger_ledger::{
    chain::ChainHead,
    record::Hash,
    slices::{Position, SliceId},
};
use sqlx::{
    AssertSqlSafe, Connection, Executor, Row as _, Sqlite, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous},
};
use tokio::runtime::{Builder, Runtime};

use crate::{
    cell::{Cell, Field},
    row::UnreadableRow,
    shard::Shard,
    table::{AnyTable, STAND_COLUMNS},
};

/// Chunks in one statement.
const STATEMENT_CHUNKS: usize = 32;
/// How long a statement waits for another process that writes.
const BUSY: Duration = Duration::from_secs(5);
/// Kilobytes of the database's pages that are kept in memory.
const CACHE_KB: &str = "-32768";

/// What goes wrong with `read.db`.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite failed.
    #[error("the read models' database failed")]
    Sqlite(#[from] sqlx::Error),
    /// The file system failed.
    #[error("the read models' directory cannot be used")]
    Files(#[from] std::io::Error),
    /// What is stored cannot be read.
    #[error("the read models cannot be read")]
    Unreadable(#[from] UnreadableRow),
}

/// The cursor of a slice.
pub type Cursor = (SliceId, ChainHead);

/// A connection to `read.db`.
pub struct Store {
    runtime: Runtime,
    connection: SqliteConnection,
}

impl Store {
    /// Opens the file for writing; makes it where there is none.
    ///
    /// # Errors
    /// `StoreError`.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // What a power cut takes away is folded again from the ledger: cursor and rows go together.
            .synchronous(SqliteSynchronous::Normal)
            .pragma("wal_autocheckpoint", "8192")
            .pragma("cache_size", CACHE_KB);
        Self::connect(options)
    }

    /// Opens the file for reading.
    ///
    /// # Errors
    /// `StoreError`.
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        Self::connect(SqliteConnectOptions::new().filename(path).read_only(true))
    }

    fn connect(options: SqliteConnectOptions) -> Result<Self, StoreError> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let options = options.busy_timeout(BUSY).statement_cache_capacity(64);
        let connection = runtime.block_on(SqliteConnection::connect_with(&options))?;
        Ok(Self { runtime, connection })
    }

    /// Makes the tables of an empty generation.
    ///
    /// # Errors
    /// `StoreError`.
    pub fn create(&mut self, fingerprint: &str) -> Result<(), StoreError> {
        let mut sql = String::from(
            "BEGIN;\n\
             CREATE TABLE cursors (slice INTEGER PRIMARY KEY, next_pseq INTEGER NOT NULL, next_offset INTEGER NOT NULL, term INTEGER NOT NULL, hash BLOB NOT NULL);\n\
             CREATE TABLE generation (fingerprint TEXT NOT NULL, shards INTEGER);\n",
        );
        for table in Shard::default().tables() {
            sql.push_str(&create_table(table));
        }
        sql.push_str(&format!("INSERT INTO generation (fingerprint) VALUES ('{fingerprint}');\nCOMMIT;"));
        self.runtime.block_on(async {
            self.connection.execute(AssertSqlSafe(sql)).await?;
            Ok(())
        })
    }

    /// What the generation was made by.
    ///
    /// # Errors
    /// `StoreError`; also where the file is no generation.
    pub fn fingerprint(&mut self) -> Result<String, StoreError> {
        let query = sqlx::query_scalar("SELECT fingerprint FROM generation");
        Ok(self.runtime.block_on(query.fetch_one(&mut self.connection))?)
    }

    /// Reads cursors and the named tables (all where none is named), at one moment, into the shards: a row goes to the
    /// shard of its slice, slice modulo the number of shards.
    ///
    /// # Errors
    /// `StoreError`.
    pub fn load(&mut self, shards: &mut [Shard], names: Option<&[&str]>) -> Result<(), StoreError> {
        self.runtime.block_on(async {
            let mut transaction = self.connection.begin().await?;
            let many = shards.len();
            for row in sqlx::query("SELECT slice, next_pseq, next_offset, term, hash FROM cursors").fetch_all(&mut *transaction).await? {
                let (slice, head) = read_cursor(&row)?;
                shards[slice as usize % many].heads.push((slice, head));
            }
            let mut tables: Vec<_> = shards.iter_mut().map(Shard::tables_mut).collect();
            for at in 0..tables[0].len() {
                let name = tables[0][at].name();
                if names.is_none_or(|names| names.contains(&name)) {
                    load_table(&mut transaction, &mut tables, at).await?;
                }
            }
            shards.iter_mut().for_each(Shard::loaded);
            Ok(())
        })
    }

    /// Readies the database to be written by these shards, which hold all its rows: where it was written by another
    /// number of shards, everything is taken out, to be written again shard by shard, each with its cursors.
    ///
    /// # Errors
    /// `StoreError`.
    pub fn take_over(&mut self, shards: &mut [Shard]) -> Result<(), StoreError> {
        let many = i64::try_from(shards.len()).expect("there are few shards");
        let query = sqlx::query_scalar("SELECT shards FROM generation");
        let before: Option<i64> = self.runtime.block_on(query.fetch_one(&mut self.connection))?;
        if before == Some(many) {
            return Ok(());
        }
        let mut sql = format!("BEGIN;\nUPDATE generation SET shards = {many};\nDELETE FROM cursors;\n");
        for table in Shard::default().tables() {
            sql.push_str(&format!("DELETE FROM \"{}_chunks\";\n", table.name()));
        }
        sql.push_str("COMMIT;");
        self.runtime.block_on(async { self.connection.execute(AssertSqlSafe(sql)).await })?;
        shards.iter_mut().flat_map(Shard::tables_mut).for_each(|table| table.change_all());
        Ok(())
    }

    /// Begins a transaction, hands its writer to `write` and commits.
    ///
    /// # Errors
    /// `StoreError`; nothing was written then.
    pub fn transact<T>(&mut self, write: impl FnOnce(&mut Batch<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let transaction = self.runtime.block_on(self.connection.begin())?;
        let mut batch = Batch { runtime: &self.runtime, transaction };
        let done = write(&mut batch)?;
        let Batch { runtime, transaction } = batch;
        runtime.block_on(transaction.commit())?;
        Ok(done)
    }
}

/// A transaction that is being written.
pub struct Batch<'a> {
    runtime: &'a Runtime,
    transaction: sqlx::Transaction<'a, Sqlite>,
}

impl Batch<'_> {
    /// Writes chunks of a table, made by `make` a few at a time: while one statement is executed, the chunks of the next
    /// one are made.
    ///
    /// # Errors
    /// `StoreError`.
    pub fn chunks(&mut self, table: &str, shard: usize, chunks: &[u32], make: impl Fn(&[u32]) -> Vec<Vec<u8>>) -> Result<(), StoreError> {
        // Statements of two sizes only, so that they are prepared once.
        let (whole, rest) = chunks.as_chunks::<STATEMENT_CHUNKS>();
        let whole = whole.iter().map(|chunks| &chunks[..]);
        let mut made = whole.chain(rest.chunks(1)).map(|chunks| {
            let text = |(chunk, json): (&u32, Vec<u8>)| (chunk_id(shard, *chunk), String::from_utf8(json).expect("JSON is UTF-8"));
            chunks.iter().zip(make(chunks)).map(text).collect::<Vec<_>>()
        });
        self.runtime.block_on(async {
            let mut next = made.next();
            while let Some(chunks) = next {
                let mut insert = sqlx::query(AssertSqlSafe(insert(table, chunks.len())));
                for (id, text) in chunks {
                    insert = insert.bind(id).bind(text);
                }
                let mut executed = Box::pin(insert.execute(&mut *self.transaction));
                // Polled once, the statement is on its way to SQLite's thread.
                let early = poll_fn(|context| Poll::Ready(executed.as_mut().poll(context))).await;
                next = made.next();
                match early {
                    Poll::Ready(done) => done?,
                    Poll::Pending => executed.await?,
                };
            }
            Ok(())
        })
    }

    /// Writes cursors.
    ///
    /// # Errors
    /// `StoreError`.
    pub fn cursors(&mut self, cursors: &[Cursor]) -> Result<(), StoreError> {
        let sql = "INSERT INTO cursors (slice, next_pseq, next_offset, term, hash) VALUES (?, ?, ?, ?, ?) \
                   ON CONFLICT (slice) DO UPDATE SET next_pseq = excluded.next_pseq, next_offset = excluded.next_offset, \
                   term = excluded.term, hash = excluded.hash";
        self.runtime.block_on(async {
            for (slice, head) in cursors {
                let query = sqlx::query(sql).bind(i64::from(*slice)).bind(head.next_pseq.cast_signed());
                let query = query.bind(head.next_offset.cast_signed()).bind(head.term.cast_signed());
                query.bind(head.hash.0.to_vec()).execute(&mut *self.transaction).await?;
            }
            Ok(())
        })
    }
}

fn insert(table: &str, chunks: usize) -> String {
    let values = vec!["(?,?)"; chunks].join(",");
    format!("INSERT INTO \"{table}_chunks\" (id, rows) VALUES {values} ON CONFLICT (id) DO UPDATE SET rows = excluded.rows")
}

/// Chunks of one shard follow each other.
fn chunk_id(shard: usize, chunk: u32) -> i64 {
    i64::try_from(shard).expect("there are few shards") << 32 | i64::from(chunk)
}

/// A table keeps its rows in chunks; the view of its name shows them row by row.
fn create_table(table: &dyn AnyTable) -> String {
    let name = table.name();
    let columns = table.columns();
    let shown: Vec<_> = columns.iter().enumerate().map(|(at, column)| format!("r.value ->> {at} AS \"{}\"", column.name)).collect();
    format!(
        "CREATE TABLE \"{name}_chunks\" (id INTEGER PRIMARY KEY, rows TEXT NOT NULL) STRICT;\n\
         CREATE VIEW \"{name}\" AS SELECT {} FROM \"{name}_chunks\" AS c, json_each(c.rows) AS r;\n",
        shown.join(", ")
    )
}

/// Reads the `at`th table of every shard.
async fn load_table(connection: &mut SqliteConnection, shards: &mut [Vec<&mut dyn AnyTable>], at: usize) -> Result<(), StoreError> {
    let (name, columns) = (shards[0][at].name(), shards[0][at].columns().len());
    let (place, many) = (columns - STAND_COLUMNS.len(), shards.len());
    let sql = format!("SELECT rows FROM \"{name}_chunks\" ORDER BY id");
    let mut chunks = sqlx::query(AssertSqlSafe(sql)).fetch(connection);
    while let Some(chunk) = chunks.try_next().await? {
        let wrong = |_| UnreadableRow { table: name, column: "rows" };
        let rows: Vec<Vec<Cell>> = serde_json::from_str(chunk.try_get(0)?).map_err(wrong)?;
        for row in rows {
            let position = row.get(place).cloned().and_then(Position::from_cell);
            let slice = position.map_or(0, |position| position.slice);
            shards[slice as usize % many][at].load(&mut row.into_iter())?;
        }
    }
    Ok(())
}

fn read_cursor(row: &SqliteRow) -> Result<Cursor, StoreError> {
    let wrong = |column| UnreadableRow { table: "cursors", column };
    let hash: &[u8] = row.try_get("hash")?;
    let hash = Hash(hash.try_into().map_err(|_| wrong("hash"))?);
    let number = |column| row.try_get::<i64, _>(column).map(i64::cast_unsigned);
    let slice = SliceId::try_from(number("slice")?).map_err(|_| wrong("slice"))?;
    Ok((slice, ChainHead { next_pseq: number("next_pseq")?, next_offset: number("next_offset")?, term: number("term")?, hash }))
}
