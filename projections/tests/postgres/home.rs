//! Schemas of their own for each test.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use pledger_ledger::postgres::PostgresOptions;
use pledger_projections::{
    digest::TableDigest,
    engine::{Engine, Options, Stored},
    generation::PostgresGenerations,
    table::Places,
};
use sqlx::{AssertSqlSafe, Executor as _, PgConnection, Row as _, postgres::PgRow};
use tokio::runtime::{Builder, Runtime};

use crate::given::Ledger;

pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A schema that nobody else has; it is dropped in the end, with all that stands beside it.
pub(crate) struct InPostgres {
    pub(crate) options: PostgresOptions,
    pub(crate) url: String,
    runtime: Runtime,
}

impl InPostgres {
    pub(crate) fn new(url: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_millis();
        let schema = format!("test_{now}_{}_{count}", std::process::id());
        Self {
            options: Self::options_of(url, &schema),
            url: url.to_owned(),
            runtime: Builder::new_current_thread().enable_all().build().expect("a runtime"),
        }
    }

    pub(crate) fn options_of(url: &str, schema: &str) -> PostgresOptions {
        PostgresOptions::parse(url).expect("a URL").with_schema(schema).expect("a schema")
    }

    /// The same server, another database.
    pub(crate) fn in_database(&self, database: &str) -> Self {
        let server = self.url.split_once('?').map_or(self.url.as_str(), |(server, _)| server);
        Self::new(&format!("{}/{database}", server.rsplit_once('/').expect("a database").0))
    }

    pub(crate) fn generations(&self) -> PostgresGenerations {
        PostgresGenerations::of(self.options.clone())
    }

    pub(crate) fn open(&self, ledger: &Ledger, options: Options) -> Engine {
        Engine::open_in(&self.generations(), Arc::new(ledger.clone()), options).expect("it starts")
    }

    /// An engine that has taken everything in.
    pub(crate) fn caught_up(&self, ledger: &Ledger, options: Options) -> Engine {
        let engine = self.open(ledger, options);
        assert!(engine.wait_until_caught_up(LONG, |_| {}), "{:?}", engine.status());
        engine
    }

    pub(crate) fn stored(&self) -> Stored {
        Stored::open_all_in(&self.generations()).expect("read").expect("there is one")
    }

    pub(crate) fn stored_digests(&self) -> Vec<TableDigest> {
        self.stored().digests(Places::Covered)
    }

    /// What SQL says, each value as a text; the schema's name stands for `{}`.
    pub(crate) fn sql(&self, sql: &str) -> Result<Vec<Vec<String>>, String> {
        let sql = sql.replace("{}", self.options.schema());
        let rows: Result<Vec<PgRow>, sqlx::Error> = self.runtime.block_on(async {
            let mut connection: PgConnection = self.options.connect().await?;
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
            let mut connection = self.options.connect().await?;
            let schema = self.options.schema();
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
            eprintln!("{} was not dropped: {error}", self.options.schema());
        }
    }
}

pub(crate) fn options(workers: usize) -> Options {
    Options { workers, rules_wait: Duration::ZERO, ..Options::default() }
}

/// The digests of a fold in memory.
pub(crate) fn digests(ledger: &Ledger) -> Vec<TableDigest> {
    let engine = Engine::in_memory(Arc::new(ledger.clone()), options(1)).expect("it starts");
    assert!(engine.wait_until_caught_up(LONG, |_| {}));
    engine.digests(Places::Covered)
}
