//! The rows and the cursors of one generation, in PostgreSQL: a table row a row, in a schema of the generation's own.
//!
//! Every row names the last decision that changed it. So of the chunks that changed, only rows that were changed after the
//! cursor that was last written are sent.

mod cursors;
mod rows;
pub mod views;

use std::{collections::BTreeMap, future::Future, time::Duration};

use pledger_ledger::{chain::ChainHead, postgres::PostgresOptions, slices::SliceId};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tokio::runtime::{Builder, Runtime};

use super::{Changes, Store, StoreError, load::fill};
use crate::{generation::GenerationNumber, shard::Shard, table::AnyTable};

/// The longest that one step may take: a server that is gone without a word does not answer at all.
const STEP: Duration = Duration::from_secs(330);

/// The heads of slices.
type Heads = BTreeMap<SliceId, ChainHead>;

/// A generation in PostgreSQL, with a connection that is made anew after it failed.
pub struct PostgresStore {
    runtime: Runtime,
    options: PostgresOptions,
    schema: String,
    connection: Option<PgConnection>,
    /// Where the cursors were left; none where they were not read yet.
    left: Option<Heads>,
    /// Where they may be, since the answer to a commit was lost.
    doubt: Heads,
}

/// The schema of a generation.
pub(crate) fn schema_of(options: &PostgresOptions, generation: GenerationNumber) -> String {
    format!("{}_g{generation}", options.schema())
}

/// The schema of what is nobody's to read: which generations there are.
pub(crate) fn state_schema(options: &PostgresOptions) -> String {
    format!("{}_state", options.schema())
}

/// Waits for an answer, but not for ever.
pub(crate) async fn within<T, E: Into<StoreError>>(step: impl Future<Output = Result<T, E>>) -> Result<T, StoreError> {
    match tokio::time::timeout(STEP, step).await {
        Ok(done) => done.map_err(Into::into),
        Err(_) => Err(StoreError::Late(STEP.as_secs())),
    }
}

/// The statements that make the tables of an empty generation.
pub(crate) fn create_tables(schema: &str) -> String {
    let mut sql = format!(
        "CREATE SCHEMA {schema};\n\
         CREATE TABLE {schema}.cursors (slice integer PRIMARY KEY, next_pseq bigint NOT NULL, next_offset bigint NOT NULL, \
         term bigint NOT NULL, hash bytea NOT NULL);\n"
    );
    for table in Shard::default().tables() {
        sql.push_str(&create_table(schema, table));
    }
    sql
}

fn create_table(schema: &str, table: &dyn AnyTable) -> String {
    let columns = table.columns();
    let column = |column: &crate::ColumnSpec| {
        let (kind, null) = (if column.kind.is_number() { "bigint" } else { "text" }, if column.nullable { "" } else { " NOT NULL" });
        format!("\"{}\" {kind}{null}", column.name)
    };
    let key: Vec<_> = columns[..table.key_columns()].iter().map(|column| format!("\"{}\"", column.name)).collect();
    let all: Vec<_> = columns.iter().map(column).collect();
    format!("CREATE TABLE {schema}.\"{}\" ({}, PRIMARY KEY ({}));\n", table.name(), all.join(", "), key.join(", "))
}

impl PostgresStore {
    /// Connects to a generation.
    ///
    /// # Errors
    /// `StoreError`.
    pub fn open(options: &PostgresOptions, generation: GenerationNumber) -> Result<Self, StoreError> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let connection = runtime.block_on(options.connect())?;
        let (options, schema) = (options.clone(), schema_of(options, generation));
        Ok(Self { runtime, options, schema, connection: Some(connection), left: None, doubt: Heads::new() })
    }

    async fn write_now(
        connection: &mut PgConnection,
        schema: &str,
        left: &Heads,
        doubt: &mut Heads,
        changes: &Changes<'_>,
    ) -> Result<Heads, StoreError> {
        // What is folded late moves no cursor: each is held all the same to where it was left.
        let is_moved = |slice: &SliceId, head: &ChainHead| changes.is_late || left.get(slice) != Some(head);
        let moved: Heads = changes.cursors.iter().filter(|(slice, head)| is_moved(slice, head)).copied().collect();
        let mut transaction = within(connection.begin()).await?;
        cursors::move_on(&mut transaction, schema, left, &moved).await?;
        for (at, table) in Shard::default().tables().into_iter().enumerate() {
            if changes.emptied.contains(&at) {
                rows::empty(&mut transaction, schema, table, &changes.cursors).await?;
            }
            // What was left out and is folded late stands before the cursors, where nothing else is new.
            let left = if changes.is_late { &Heads::new() } else { left };
            rows::write(&mut transaction, schema, table, left, &changes.tables[at].1, |chunks| (changes.make)(at, chunks)).await?;
        }
        doubt.extend(&moved);
        within(transaction.commit()).await?;
        Ok(moved)
    }
}

impl Store for PostgresStore {
    fn fingerprint(&mut self) -> Result<String, StoreError> {
        let Self { runtime, connection, schema, options, .. } = self;
        let sql = format!("SELECT fingerprint FROM {}.generations WHERE schema = $1", state_schema(options));
        runtime.block_on(async {
            let connection = connected(connection, options).await?;
            within(sqlx::query_scalar(AssertSqlSafe(sql)).bind(schema.as_str()).fetch_one(connection)).await
        })
    }

    fn load(&mut self, shards: &mut [Shard], names: Option<&[&str]>) -> Result<(), StoreError> {
        let Self { runtime, connection, schema, options, left, .. } = self;
        let connection = runtime.block_on(connected(connection, options))?;
        runtime.block_on(within(connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")))?;
        let heads = runtime.block_on(cursors::read(connection, schema))?;
        let many = shards.len();
        for (slice, head) in &heads {
            shards[usize::from(*slice) % many].heads.push((*slice, *head));
        }
        fill(shards, names, |inboxes| runtime.block_on(rows::read(connection, schema, names, inboxes)))?;
        runtime.block_on(within(connection.execute("COMMIT")))?;
        *left = Some(heads);
        Ok(())
    }

    /// Rows lie anywhere, whatever shards wrote them: nothing is to be done.
    fn take_over(&mut self, _: &mut [Shard]) -> Result<(), StoreError> {
        Ok(())
    }

    fn write(&mut self, changes: &Changes<'_>) -> Result<(), StoreError> {
        let Self { runtime, connection, schema, options, left, doubt } = self;
        let written = runtime.block_on(async {
            if connection.is_none() || left.is_none() {
                let connection = connected(connection, options).await?;
                let found = within(cursors::read(connection, schema)).await?;
                cursors::reconcile(left, doubt, found)?;
            }
            let known = left.get_or_insert_default();
            Self::write_now(connected(connection, options).await?, schema, known, doubt, changes).await
        });
        match written {
            Ok(moved) => {
                for slice in moved.keys() {
                    doubt.remove(slice);
                }
                left.get_or_insert_default().extend(moved);
                Ok(())
            }
            Err(error) => {
                // What state the connection is in is anybody's guess.
                *connection = None;
                Err(error)
            }
        }
    }
}

async fn connected<'a>(connection: &'a mut Option<PgConnection>, options: &PostgresOptions) -> Result<&'a mut PgConnection, StoreError> {
    if connection.is_none() {
        *connection = Some(options.connect().await?);
    }
    Ok(connection.as_mut().expect("it was just made"))
}
