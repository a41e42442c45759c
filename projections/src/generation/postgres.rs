//! Generations in PostgreSQL: a schema each, and views that show the one in use.

use pledger_ledger::postgres::{PostgresOptions, SETUP_LOCK};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tokio::runtime::Builder;

use super::{Access, GenerationNumber, Generations, Hold, Holder, Note, fingerprint};
use crate::store::{
    Store, StoreError,
    postgres::{PostgresStore, create_tables, schema_of, state_schema, views, within},
};

/// The first number of the lock of whoever fills a generation; the second is that of the schema.
const FILLING: i32 = 7_346_524;

/// What the database knows a process as that fills a generation, before its number.
const REBUILD: &str = "pledger rebuild, process ";

/// Holds a lock of the database.
struct Locked {
    _connection: PgConnection,
    _runtime: tokio::runtime::Runtime,
}

impl Hold for Locked {}

/// The generations of one schema of a PostgreSQL database.
///
/// Beside the schema, which only has views, there is `<schema>_state` with what generations there are, and
/// `<schema>_g<number>` with the tables of each.
#[derive(Clone, Debug)]
pub struct PostgresGenerations {
    options: PostgresOptions,
}

impl PostgresGenerations {
    /// Those of the options' schema.
    #[must_use]
    pub const fn of(options: PostgresOptions) -> Self {
        Self { options }
    }

    /// The role that may read the views, and nothing else.
    fn reader(&self) -> String {
        format!("{}_read", self.options.schema())
    }

    /// Does something in a transaction of its own, alone.
    fn transact<T>(&self, work: impl AsyncFnOnce(&mut PgConnection, &str) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(within(async {
            let mut connection = self.options.connect().await?;
            let mut transaction = connection.begin().await?;
            transaction.execute(SETUP_LOCK).await?;
            let done = work(&mut transaction, &state_schema(&self.options)).await?;
            transaction.commit().await?;
            Ok::<_, StoreError>(done)
        }))
    }

    /// Makes the schemas and the role, where they are missing.
    async fn prepare(&self, connection: &mut PgConnection, state: &str) -> Result<(), StoreError> {
        let (schema, reader) = (self.options.schema(), self.reader());
        let sql = format!(
            "CREATE SCHEMA IF NOT EXISTS {state};\n\
             CREATE TABLE IF NOT EXISTS {state}.generations (number bigint PRIMARY KEY, schema text NOT NULL UNIQUE, \
             fingerprint text NOT NULL, made_at timestamptz NOT NULL DEFAULT now(), in_use boolean NOT NULL DEFAULT false, note text);\n\
             CREATE SCHEMA IF NOT EXISTS {schema};\n\
             COMMENT ON SCHEMA {schema} IS 'The read models of pledger: views to read, made anew by pledger.';\n\
             DO $$ BEGIN \
               IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{reader}') THEN CREATE ROLE {reader} NOLOGIN; END IF; \
             EXCEPTION WHEN insufficient_privilege OR duplicate_object THEN NULL; END $$;"
        );
        connection.execute(AssertSqlSafe(sql)).await?;
        Ok(())
    }

    /// Lets the reader read the views, where that role is there.
    async fn grant(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
        let (schema, reader) = (self.options.schema(), self.reader());
        let there = sqlx::query_scalar("SELECT count(*) FROM pg_roles WHERE rolname = $1").bind(&reader);
        let there: i64 = there.fetch_one(&mut *connection).await?;
        if there == 0 {
            tracing::warn!(role = reader, "there is no role to read the views with, and this user may not create one");
            return Ok(());
        }
        let sql = format!("GRANT USAGE ON SCHEMA {schema} TO {reader};\nGRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {reader};");
        connection.execute(AssertSqlSafe(sql)).await?;
        Ok(())
    }

    async fn is_prepared(connection: &mut PgConnection, state: &str) -> Result<bool, StoreError> {
        let table = format!("{state}.generations");
        Ok(sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(table).fetch_one(connection).await?)
    }
}

impl Generations for PostgresGenerations {
    fn all(&self) -> Result<Vec<GenerationNumber>, StoreError> {
        self.transact(async |connection, state| {
            if !Self::is_prepared(connection, state).await? {
                return Ok(Vec::new());
            }
            let sql = format!("SELECT number FROM {state}.generations ORDER BY number");
            let numbers: Vec<i64> = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(connection).await?;
            Ok(numbers.into_iter().map(i64::cast_unsigned).collect())
        })
    }

    fn current(&self) -> Result<Option<GenerationNumber>, StoreError> {
        self.transact(async |connection, state| {
            if !Self::is_prepared(connection, state).await? {
                return Ok(None);
            }
            let sql = format!("SELECT number FROM {state}.generations WHERE in_use");
            let number: Option<i64> = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_optional(connection).await?;
            Ok(number.map(i64::cast_unsigned))
        })
    }

    fn create(&self, note: &Note) -> Result<GenerationNumber, StoreError> {
        let json = serde_json::to_string(note).map_err(std::io::Error::other)?;
        self.transact(async |connection, state| {
            self.prepare(connection, state).await?;
            let sql = format!("SELECT coalesce(max(number), 0) + 1 FROM {state}.generations");
            let number: i64 = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *connection).await?;
            let number = number.cast_unsigned();
            let schema = schema_of(&self.options, number);
            connection.execute(AssertSqlSafe(create_tables(&schema))).await?;
            let sql = format!("INSERT INTO {state}.generations (number, schema, fingerprint, note) VALUES ($1, $2, $3, $4)");
            let insert = sqlx::query(AssertSqlSafe(sql)).bind(number.cast_signed()).bind(schema).bind(fingerprint()).bind(&json);
            insert.execute(connection).await?;
            Ok(number)
        })
    }

    fn open(&self, generation: GenerationNumber, access: Access) -> Result<Box<dyn Store>, StoreError> {
        match access {
            Access::Write | Access::Read => Ok(Box::new(PostgresStore::open(&self.options, generation)?)),
        }
    }

    fn promote(&self, generation: GenerationNumber) -> Result<(), StoreError> {
        self.transact(async |connection, state| {
            let views = views::show(self.options.schema(), &schema_of(&self.options, generation));
            // The same columns: what others made of the views stays. Other columns: all views are made anew.
            connection.execute("SAVEPOINT before").await?;
            if let Err(sqlx::Error::Database(_)) = make_all(connection, "CREATE OR REPLACE", &views).await {
                connection.execute("ROLLBACK TO before").await?;
                for (name, _) in views.iter().rev() {
                    let sql = format!("DROP VIEW IF EXISTS {}.\"{name}\"", self.options.schema());
                    connection.execute(AssertSqlSafe(sql)).await?;
                }
                make_all(connection, "CREATE", &views).await?;
            }
            self.grant(connection).await?;
            let sql = format!("UPDATE {state}.generations SET in_use = (number = $1) WHERE in_use OR number = $1");
            sqlx::query(AssertSqlSafe(sql)).bind(generation.cast_signed()).execute(connection).await?;
            Ok(())
        })
    }

    fn note(&self, generation: GenerationNumber) -> Result<Note, StoreError> {
        self.transact(async |connection, state| {
            let sql = format!("SELECT note FROM {state}.generations WHERE number = $1");
            let query = sqlx::query_scalar(AssertSqlSafe(sql)).bind(generation.cast_signed());
            let note: Option<Option<String>> = query.fetch_optional(connection).await?;
            note.flatten()
                .map_or(Ok(Note::default()), |json| serde_json::from_str(&json).map_err(|error| std::io::Error::other(error).into()))
        })
    }

    fn keep_note(&self, generation: GenerationNumber, note: &Note) -> Result<(), StoreError> {
        let json = serde_json::to_string(note).map_err(std::io::Error::other)?;
        self.transact(async |connection, state| {
            let sql = format!("UPDATE {state}.generations SET note = $2 WHERE number = $1");
            sqlx::query(AssertSqlSafe(sql)).bind(generation.cast_signed()).bind(&json).execute(connection).await?;
            Ok(())
        })
    }

    /// A lock of the database, held by a connection for as long as that lasts.
    fn hold(&self) -> Result<Result<Box<dyn Hold>, Holder>, StoreError> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let found = runtime.block_on(within(async {
            let mut connection = self.options.connect().await?;
            let take = sqlx::query_scalar("SELECT pg_try_advisory_lock($1, hashtext($2))").bind(FILLING).bind(self.options.schema());
            if take.fetch_one(&mut connection).await? {
                let name = format!("SET application_name = '{REBUILD}{}'", std::process::id());
                connection.execute(AssertSqlSafe(name)).await?;
                return Ok::<_, StoreError>(Ok(connection));
            }
            let holder = sqlx::query_as(
                "SELECT a.application_name, host(a.client_addr), \
                 to_char(a.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') FROM pg_locks AS l \
                 JOIN pg_stat_activity AS a USING (pid) WHERE l.locktype = 'advisory' AND l.classid = $1::int::oid \
                 AND l.objid = hashtext($2)::oid AND a.datname = current_database() AND l.granted",
            );
            let holder = holder.bind(FILLING).bind(self.options.schema());
            let holder: Option<(String, Option<String>, String)> = holder.fetch_optional(&mut connection).await?;
            let pid = |name: &str| name.strip_prefix(REBUILD).and_then(|pid| pid.parse().ok()).unwrap_or_default();
            let holder = holder.map(|(name, on, since)| Holder { pid: pid(&name), on, since });
            Ok(Err(holder.unwrap_or_default()))
        }))?;
        Ok(found.map(|connection| Box::new(Locked { _connection: connection, _runtime: runtime }) as Box<dyn Hold>))
    }

    fn remove(&self, generation: GenerationNumber) -> Result<(), StoreError> {
        self.transact(async |connection, state| {
            let sql = format!("DELETE FROM {state}.generations WHERE number = $1 RETURNING in_use");
            let delete = sqlx::query_scalar(AssertSqlSafe(sql)).bind(generation.cast_signed());
            if delete.fetch_optional(&mut *connection).await? == Some(true) {
                return Err(StoreError::InUse(generation));
            }
            let sql = format!("DROP SCHEMA IF EXISTS {} CASCADE", schema_of(&self.options, generation));
            connection.execute(AssertSqlSafe(sql)).await?;
            Ok(())
        })
    }
}

async fn make_all(connection: &mut PgConnection, verb: &str, views: &[(&'static str, String)]) -> Result<(), sqlx::Error> {
    for (_, view) in views {
        connection.execute(AssertSqlSafe(format!("{verb} {view}"))).await?;
    }
    Ok(())
}
