//! `read.db`: the rows and the cursors of one generation, in SQLite.

use std::{path::Path, time::Duration};

use futures_util::TryStreamExt;
use pledger_ledger::{
    chain::ChainHead,
    record::Hash,
    slices::{Position, SliceId},
};
use sqlx::{
    AssertSqlSafe, Connection, Executor, Row as _, Sqlite, SqliteConnection,
    query::Query as Statement,
    sqlite::{SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous},
};
use tokio::runtime::{Builder, Runtime};

use crate::{
    cell::{Cell, CellKind},
    row::UnreadableRow,
    shard::Shard,
    table::{AnyTable, STAND_COLUMNS},
};

/// SQLite takes this many values in a statement.
const MAX_BINDS: usize = 32_766;
/// Rows in one statement: more gain nothing and hold more memory.
const MAX_ROWS: usize = 400;
/// Between the columns of a joined row, and for null: no text of a row holds control characters but line breaks.
const BETWEEN: char = '\u{1f}';
const NULL: char = '\u{1e}';
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

    /// Makes the tables that are missing.
    ///
    /// # Errors
    /// `StoreError`.
    pub fn create(&mut self, fingerprint: &str) -> Result<(), StoreError> {
        let mut sql = String::from(
            "CREATE TABLE IF NOT EXISTS cursors (slice INTEGER PRIMARY KEY, next_pseq INTEGER NOT NULL, next_offset INTEGER NOT NULL, term INTEGER NOT NULL, hash BLOB NOT NULL);\n\
             CREATE TABLE IF NOT EXISTS generation (fingerprint TEXT NOT NULL);\n",
        );
        for table in Shard::default().tables() {
            sql.push_str(&create_table(table));
        }
        self.runtime.block_on(async {
            self.connection.execute(AssertSqlSafe(sql)).await?;
            let insert = "INSERT INTO generation (fingerprint) SELECT ? WHERE NOT EXISTS (SELECT 1 FROM generation)";
            sqlx::query(insert).bind(fingerprint).execute(&mut self.connection).await?;
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
            drop(tables);
            shards.iter_mut().for_each(Shard::loaded);
            Ok(())
        })
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
    /// Writes rows of a table: their cells, row after row.
    ///
    /// # Errors
    /// `StoreError`.
    pub fn rows(&mut self, table: &TableShape, cells: Vec<Cell>) -> Result<(), StoreError> {
        let width = table.columns.len();
        let most = (MAX_BINDS / width).min(MAX_ROWS);
        let mut cells = cells.into_iter();
        self.runtime.block_on(async {
            while cells.len() > 0 {
                let rows = (cells.len() / width).min(most);
                // Few different sizes, so that prepared statements are used again.
                let rows = if rows == most { rows } else { 1 << rows.ilog2() };
                let mut insert = sqlx::query(AssertSqlSafe(table.insert(rows)));
                for cell in cells.by_ref().take(rows * width) {
                    insert = bind(insert, cell);
                }
                insert.execute(&mut *self.transaction).await?;
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

/// A table's name and columns: what its statements are made from.
#[derive(Clone, Debug)]
pub struct TableShape {
    name: &'static str,
    columns: Vec<&'static str>,
    keys: usize,
}

impl TableShape {
    /// The shape of a table.
    #[must_use]
    pub fn of(table: &dyn AnyTable) -> Self {
        Self { name: table.name(), columns: table.columns().iter().map(|column| column.name).collect(), keys: table.key_columns() }
    }

    fn insert(&self, rows: usize) -> String {
        let row = format!("({})", vec!["?"; self.columns.len()].join(","));
        let values = vec![row.as_str(); rows].join(",");
        let columns = self.columns.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(",");
        let keys = self.columns[..self.keys].iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(",");
        let set = self.columns[self.keys..].iter().map(|name| format!("\"{name}\"=excluded.\"{name}\"")).collect::<Vec<_>>().join(",");
        format!("INSERT INTO \"{}\" ({columns}) VALUES {values} ON CONFLICT ({keys}) DO UPDATE SET {set}", self.name)
    }
}

fn create_table(table: &dyn AnyTable) -> String {
    let kind = |kind| match kind {
        CellKind::Integer => "INTEGER",
        CellKind::Text => "TEXT",
    };
    let columns = table.columns();
    let defined: Vec<_> = columns
        .iter()
        .map(|column| format!("\"{}\" {}{}", column.name, kind(column.kind), if column.nullable { "" } else { " NOT NULL" }))
        .collect();
    let keys: Vec<_> = columns[..table.key_columns()].iter().map(|column| format!("\"{}\"", column.name)).collect();
    format!(
        "CREATE TABLE IF NOT EXISTS \"{}\" ({}, PRIMARY KEY ({})) STRICT, WITHOUT ROWID;\n",
        table.name(),
        defined.join(", "),
        keys.join(", ")
    )
}

fn bind(statement: Statement<'_, Sqlite, SqliteArguments>, cell: Cell) -> Statement<'_, Sqlite, SqliteArguments> {
    match cell {
        Cell::Null => statement.bind(None::<i64>),
        Cell::Integer(number) => statement.bind(number),
        Cell::Name(text) => statement.bind(text),
        Cell::Place(place) => statement.bind(place.to_string()),
        Cell::Text(text) => statement.bind(text.into_string()),
    }
}

/// Reads the `at`th table of every shard.
///
/// SQLite joins the columns of a row into one text, since every value that is handed over costs more than a row does.
async fn load_table(connection: &mut SqliteConnection, shards: &mut [Vec<&mut dyn AnyTable>], at: usize) -> Result<(), StoreError> {
    let (name, columns) = (shards[0][at].name(), shards[0][at].columns());
    let joined = columns.iter().map(|column| format!("ifnull(\"{}\", char({}))", column.name, u32::from(NULL))).collect::<Vec<_>>();
    let sql = format!("SELECT concat_ws(char({}), {}) FROM \"{name}\"", u32::from(BETWEEN), joined.join(", "));
    let (place, many) = (columns.len() - STAND_COLUMNS.len(), shards.len());
    let mut rows = sqlx::query(AssertSqlSafe(sql)).fetch(connection);
    while let Some(row) = rows.try_next().await? {
        let text: &str = row.try_get(0)?;
        let position = text.split(BETWEEN).nth(place).and_then(|text| text.parse::<Position>().ok());
        let slice = position.map_or(0, |position| position.slice);
        let mut cells = text.split(BETWEEN).zip(&columns).map(|(text, column)| read_cell(text, column.kind));
        shards[slice as usize % many][at].load(&mut cells)?;
    }
    Ok(())
}

fn read_cell(text: &str, kind: CellKind) -> Cell {
    if text.len() == NULL.len_utf8() && text.starts_with(NULL) {
        return Cell::Null;
    }
    match kind {
        // A text where a number belongs is refused by the field.
        CellKind::Integer => text.parse().map_or_else(|_| Cell::Text(text.into()), Cell::Integer),
        CellKind::Text => Cell::Text(text.into()),
    }
}

fn read_cursor(row: &SqliteRow) -> Result<Cursor, StoreError> {
    let wrong = |column| UnreadableRow { table: "cursors", column };
    let hash: &[u8] = row.try_get("hash")?;
    let hash = Hash(hash.try_into().map_err(|_| wrong("hash"))?);
    let number = |column| row.try_get::<i64, _>(column).map(i64::cast_unsigned);
    let slice = SliceId::try_from(number("slice")?).map_err(|_| wrong("slice"))?;
    Ok((slice, ChainHead { next_pseq: number("next_pseq")?, next_offset: number("next_offset")?, term: number("term")?, hash }))
}
