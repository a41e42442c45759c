//! `read.db`: the rows and the cursors of one generation, in SQLite.

#[cfg(test)]
mod tests;

use std::{
    future::{Future, poll_fn},
    mem,
    path::Path,
    slice,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use pledger_ledger::{at_rest::is_at_rest, chain::ChainHead, record::Hash, slices::SliceId};
use sqlx::{
    AssertSqlSafe, Connection, Executor, Row as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous},
};
use tokio::runtime::{Builder, Runtime};

use super::{
    Changes, Cursor, Store, StoreError,
    load::{Inboxes, Part, Rows, fill},
};
use crate::{
    generation::fingerprint,
    row::UnreadableRow,
    shard::Shard,
    sql::{Dialect, joined::JOINED},
    table::{AnyTable, CHUNK_ROWS},
};

/// Chunks in one statement.
const STATEMENT_CHUNKS: usize = 32;
/// Bits of a chunk's id that number it in its shard.
const CHUNK_BITS: u32 = 32;
/// Large pages keep the overflow chains of chunks short.
const PAGE_BYTES: u32 = 16_384;
/// Pages in the write-ahead log before they are brought into the file: 32 MB.
const WAL_PAGES: &str = "2048";
/// How long a statement waits for another process that writes.
const BUSY: Duration = Duration::from_secs(5);
/// Kilobytes of the database's pages that are kept in memory.
const CACHE_KB: &str = "-32768";

/// A connection to `read.db`.
pub struct SqliteStore {
    runtime: Runtime,
    options: SqliteConnectOptions,
    connection: SqliteConnection,
    /// A write failed: nobody knows whether its transaction is over.
    is_doubtful: bool,
}

impl SqliteStore {
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
            .page_size(PAGE_BYTES)
            .pragma("wal_autocheckpoint", WAL_PAGES)
            .pragma("cache_size", CACHE_KB);
        Self::connect(options)
    }

    /// Opens the file for reading.
    ///
    /// # Errors
    /// `StoreError`.
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        Self::connect(SqliteConnectOptions::new().filename(path).read_only(true).immutable(is_at_rest(path)))
    }

    fn connect(options: SqliteConnectOptions) -> Result<Self, StoreError> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let options = options.busy_timeout(BUSY).statement_cache_capacity(64);
        let connection = runtime.block_on(SqliteConnection::connect_with(&options))?;
        Ok(Self { runtime, options, connection, is_doubtful: false })
    }

    /// Goes on with another connection; what the one before left open is rolled back with it.
    ///
    /// Where the disk is full SQLite ends a transaction by itself, or does not, and sqlx goes on to count it: what is
    /// written next would lie inside a transaction that nobody commits, and be told as written.
    fn reconnect(&mut self) -> Result<(), StoreError> {
        let another = self.runtime.block_on(SqliteConnection::connect_with(&self.options))?;
        // It failed before, and what it says of its end changes nothing.
        drop(self.runtime.block_on(mem::replace(&mut self.connection, another).close()));
        self.is_doubtful = false;
        Ok(())
    }

    /// Copies the database as it stands into a new file.
    ///
    /// # Errors
    /// `StoreError`.
    pub fn copy_to(&mut self, path: &Path) -> Result<(), StoreError> {
        let path = path.to_str().ok_or_else(|| std::io::Error::other("the path is no UTF-8"))?;
        self.runtime.block_on(sqlx::query("VACUUM INTO ?").bind(path).execute(&mut self.connection))?;
        Ok(())
    }

    /// Makes the tables of an empty generation.
    ///
    /// # Errors
    /// `StoreError`.
    pub fn create(&mut self) -> Result<(), StoreError> {
        let mut sql = String::from(
            "BEGIN;\n\
             CREATE TABLE cursors (slice INTEGER PRIMARY KEY, next_pseq INTEGER NOT NULL, next_offset INTEGER NOT NULL, term INTEGER NOT NULL, hash BLOB NOT NULL);\n\
             CREATE TABLE generation (fingerprint TEXT NOT NULL, shards INTEGER);\n",
        );
        for table in Shard::default().tables() {
            sql.push_str(&create_table(table));
        }
        for view in JOINED {
            sql.push_str(&format!("CREATE VIEW \"{}\" AS {};\n", view.name, (view.query)(Dialect::Sqlite)));
        }
        sql.push_str(&format!("INSERT INTO generation (fingerprint) VALUES ('{}');\nCOMMIT;", fingerprint()));
        self.runtime.block_on(async {
            self.connection.execute(AssertSqlSafe(sql)).await?;
            Ok(())
        })
    }
}

impl Store for SqliteStore {
    fn fingerprint(&mut self) -> Result<String, StoreError> {
        let query = sqlx::query_scalar("SELECT fingerprint FROM generation");
        Ok(self.runtime.block_on(query.fetch_one(&mut self.connection))?)
    }

    fn load(&mut self, shards: &mut [Shard], names: Option<&[&str]>) -> Result<(), StoreError> {
        let (runtime, many) = (&self.runtime, shards.len());
        let mut transaction = runtime.block_on(self.connection.begin())?;
        let cursors = runtime.block_on(read_cursors(&mut transaction))?;
        for (slice, head) in cursors {
            shards[slice as usize % many].heads.push((slice, head));
        }
        fill(shards, names, |inboxes| runtime.block_on(read_chunks(&mut transaction, names, inboxes)))
    }

    /// Where the database was written by another number of shards, everything is taken out, to be written again shard by
    /// shard, each with its cursors.
    fn take_over(&mut self, shards: &mut [Shard]) -> Result<(), StoreError> {
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

    fn write(&mut self, changes: &Changes<'_>) -> Result<(), StoreError> {
        if self.is_doubtful {
            self.reconnect()?;
        }
        let written = self.runtime.block_on(async {
            let mut transaction = self.connection.begin().await?;
            for (at, (table, chunks)) in changes.tables.iter().enumerate() {
                if changes.emptied.contains(&at) {
                    let sql = format!("DELETE FROM \"{table}_chunks\" WHERE id >= ? AND id < ?");
                    let ids = [chunk_id(changes.shard, 0), chunk_id(changes.shard + 1, 0)];
                    sqlx::query(AssertSqlSafe(sql)).bind(ids[0]).bind(ids[1]).execute(&mut *transaction).await?;
                }
                write_chunks(&mut transaction, table, changes.shard, chunks, |chunks| (changes.make)(at, chunks)).await?;
            }
            write_cursors(&mut transaction, &changes.cursors).await?;
            Ok(transaction.commit().await?)
        });
        self.is_doubtful = written.is_err();
        written
    }
}

/// Writes chunks of a table, made by `make` a few at a time: while one statement is executed, the chunks of the next one
/// are made.
async fn write_chunks(
    connection: &mut SqliteConnection,
    table: &str,
    shard: usize,
    chunks: &[u32],
    make: impl Fn(&[u32]) -> Vec<Vec<u8>>,
) -> Result<(), StoreError> {
    let text = |(chunk, json): (&u32, Vec<u8>)| (chunk_id(shard, *chunk), String::from_utf8(json).expect("JSON is UTF-8"));
    let mut made = chunks.chunks(STATEMENT_CHUNKS).flat_map(|chunks| {
        let texts: Vec<_> = chunks.iter().zip(make(chunks)).map(text).collect();
        // Statements of two sizes only, so that they are prepared once.
        if texts.len() == STATEMENT_CHUNKS { vec![texts] } else { texts.into_iter().map(|text| vec![text]).collect() }
    });
    let mut next = made.next();
    while let Some(chunks) = next {
        let mut insert = sqlx::query(AssertSqlSafe(insert(table, chunks.len())));
        for (id, text) in chunks {
            insert = insert.bind(id).bind(text);
        }
        let mut executed = Box::pin(insert.execute(&mut *connection));
        // Polled once, the statement is on its way to SQLite's thread.
        let early = poll_fn(|context| Poll::Ready(executed.as_mut().poll(context))).await;
        next = made.next();
        match early {
            Poll::Ready(done) => done?,
            Poll::Pending => executed.await?,
        };
    }
    Ok(())
}

async fn write_cursors(connection: &mut SqliteConnection, cursors: &[Cursor]) -> Result<(), StoreError> {
    let sql = "INSERT INTO cursors (slice, next_pseq, next_offset, term, hash) VALUES (?, ?, ?, ?, ?) \
               ON CONFLICT (slice) DO UPDATE SET next_pseq = excluded.next_pseq, next_offset = excluded.next_offset, \
               term = excluded.term, hash = excluded.hash";
    for (slice, head) in cursors {
        let query = sqlx::query(sql).bind(i64::from(*slice)).bind(head.next_pseq.cast_signed());
        let query = query.bind(head.next_offset.cast_signed()).bind(head.term.cast_signed());
        query.bind(head.hash.0.to_vec()).execute(&mut *connection).await?;
    }
    Ok(())
}

fn insert(table: &str, chunks: usize) -> String {
    let values = vec!["(?,?)"; chunks].join(",");
    format!("INSERT INTO \"{table}_chunks\" (id, rows) VALUES {values} ON CONFLICT (id) DO UPDATE SET rows = excluded.rows")
}

/// How many chunks are read at once: a message to another thread costs as much as a chunk.
const READ_CHUNKS: usize = 32;

/// Chunks of one shard follow each other.
fn chunk_id(shard: usize, chunk: u32) -> i64 {
    i64::try_from(shard).expect("there are few shards") << CHUNK_BITS | i64::from(chunk)
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

/// Reads the named tables, many chunks at a time, for the shards that have rows in each: in turns, so that all are filled
/// at once.
async fn read_chunks(connection: &mut SqliteConnection, names: Option<&[&str]>, inboxes: &Inboxes) -> Result<(), StoreError> {
    let written_by: Option<i64> = sqlx::query_scalar("SELECT shards FROM generation").fetch_one(&mut *connection).await?;
    let as_before = written_by.is_some_and(|shards| usize::try_from(shards) == Ok(inboxes.len()));
    for (at, table) in Shard::default().tables().iter().enumerate() {
        let name = table.name();
        if names.is_some_and(|names| !names.contains(&name)) {
            continue;
        }
        let runs = if as_before {
            let of = |(shard, inbox)| ChunkRun { from: chunk_id(shard, 0), to: chunk_id(shard + 1, 0), inboxes: slice::from_ref(inbox) };
            inboxes.iter().enumerate().map(of).collect()
        } else {
            vec![ChunkRun { from: 0, to: i64::MAX, inboxes }]
        };
        if as_before {
            make_room(connection, name, at, &runs).await?;
        }
        if !read_table(connection, name, at, runs).await? {
            return Ok(());
        }
    }
    Ok(())
}

/// Chunks that are still to be read, and who takes their rows.
struct ChunkRun<'a> {
    from: i64,
    to: i64,
    inboxes: &'a Inboxes,
}

impl ChunkRun<'_> {
    /// Hands rows on; false where somebody met a row that it cannot read, and says so when it is joined.
    fn send(&self, table: usize, rows: impl Fn() -> Rows) -> bool {
        self.inboxes.iter().all(|inbox| inbox.send(Part { table, rows: rows() }).is_ok())
    }
}

/// Says how many rows will come: the chunks of a shard are numbered without gaps.
async fn make_room(connection: &mut SqliteConnection, name: &str, at: usize, runs: &[ChunkRun<'_>]) -> Result<(), StoreError> {
    let sql = format!("SELECT max(id) FROM \"{name}_chunks\" WHERE id >= ? AND id < ?");
    for run in runs {
        let query = sqlx::query_scalar(AssertSqlSafe(sql.as_str())).bind(run.from).bind(run.to);
        let last: Option<i64> = query.fetch_one(&mut *connection).await?;
        let chunks = last.map_or(0, |last| usize::try_from(last - run.from + 1).unwrap_or_default());
        // Whoever is gone is noticed when its rows come.
        run.send(at, || Rows::Ahead(chunks * CHUNK_ROWS as usize));
    }
    Ok(())
}

/// Reads a table to the ends of all runs; false where somebody takes no more.
async fn read_table(connection: &mut SqliteConnection, name: &str, at: usize, mut runs: Vec<ChunkRun<'_>>) -> Result<bool, StoreError> {
    let sql = format!(
        "SELECT max(id), '[' || group_concat(rows, ',' ORDER BY id) || ']' \
         FROM (SELECT id, rows FROM \"{name}_chunks\" WHERE id >= ? AND id < ? ORDER BY id LIMIT {READ_CHUNKS})"
    );
    while !runs.is_empty() {
        for run in &mut runs {
            let query = sqlx::query_as(AssertSqlSafe(sql.as_str())).bind(run.from).bind(run.to);
            let (last, text): (Option<i64>, Option<String>) = query.fetch_one(&mut *connection).await?;
            let Some((last, text)) = last.zip(text) else {
                run.from = run.to;
                continue;
            };
            run.from = last + 1;
            let text: Arc<str> = text.into();
            if !run.send(at, || Rows::Json(Arc::clone(&text))) {
                return Ok(false);
            }
        }
        runs.retain(|run| run.from < run.to);
    }
    Ok(true)
}

async fn read_cursors(connection: &mut SqliteConnection) -> Result<Vec<Cursor>, StoreError> {
    let rows = sqlx::query("SELECT slice, next_pseq, next_offset, term, hash FROM cursors").fetch_all(connection).await?;
    rows.iter().map(read_cursor).collect()
}

fn read_cursor(row: &SqliteRow) -> Result<Cursor, StoreError> {
    let wrong = |column| UnreadableRow { table: "cursors", column };
    let hash: &[u8] = row.try_get("hash")?;
    let hash = Hash(hash.try_into().map_err(|_| wrong("hash"))?);
    let number = |column| row.try_get::<i64, _>(column).map(i64::cast_unsigned);
    let slice = SliceId::try_from(number("slice")?).map_err(|_| wrong("slice"))?;
    Ok((slice, ChainHead { next_pseq: number("next_pseq")?, next_offset: number("next_offset")?, term: number("term")?, hash }))
}
