//! A schema of its own for each test, and what SQL says of it.

use std::sync::atomic::{AtomicU32, Ordering};

use pledger_ledger::postgres::PostgresOptions;
use sqlx::{AssertSqlSafe, Executor as _, PgConnection, Row as _, postgres::PgRow};
use tokio::runtime::{Builder, Runtime};

/// A schema that nobody else has; it is dropped in the end, with all that stands beside it.
pub(crate) struct InPostgres {
    pub(crate) url: String,
    pub(crate) schema: String,
    runtime: Runtime,
}

impl InPostgres {
    pub(crate) fn new(url: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_millis();
        let schema = format!("test_{now}_{}_{count}", std::process::id());
        Self { url: url.to_owned(), schema, runtime: Builder::new_current_thread().enable_all().build().expect("a runtime") }
    }

    pub(crate) fn options(&self) -> PostgresOptions {
        PostgresOptions::parse(&self.url).expect("a URL").with_schema(&self.schema).expect("a schema")
    }

    /// What SQL says, each value as a text; the schema's name stands for `{}`.
    pub(crate) fn sql(&self, sql: &str) -> Result<Vec<Vec<String>>, String> {
        let sql = sql.replace("{}", &self.schema);
        let rows: Result<Vec<PgRow>, sqlx::Error> = self.runtime.block_on(async {
            let mut connection: PgConnection = self.options().connect().await?;
            sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut connection).await
        });
        let texts = |row: &PgRow| {
            (0..row.len())
                .map(|at| row.try_get_unchecked::<Option<String>, _>(at).expect("a text").unwrap_or_else(|| "null".into()))
                .collect()
        };
        rows.map(|rows| rows.iter().map(texts).collect()).map_err(|error| error.to_string())
    }

    /// Drops the schemas.
    fn drop_all(&self) -> Result<(), sqlx::Error> {
        self.runtime.block_on(async {
            let mut connection = self.options().connect().await?;
            let schema = &self.schema;
            let sql = format!("SELECT nspname::text FROM pg_namespace WHERE nspname = '{schema}' OR starts_with(nspname, '{schema}_')");
            let schemas: Vec<String> = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut connection).await?;
            for schema in schemas {
                connection.execute(AssertSqlSafe(format!("DROP SCHEMA {schema} CASCADE"))).await?;
            }
            connection.execute(AssertSqlSafe(format!("DROP ROLE IF EXISTS {schema}_read"))).await?;
            Ok(())
        })
    }
}

impl Drop for InPostgres {
    fn drop(&mut self) {
        // A test may have failed because the server was gone.
        if let Err(error) = self.drop_all() {
            eprintln!("{} was not dropped: {error}", self.schema);
        }
    }
}
