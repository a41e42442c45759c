//! Where a peer keeps its tables: a schema of its own for each measurement, gone afterwards.

use std::str::FromStr;

use anyhow::{Context, Result};
use sqlx::{
    Connection, Executor, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

/// A schema, and the connections that see it first.
pub(crate) struct Database {
    pub(crate) pool: PgPool,
    schema: String,
}

impl Database {
    /// A new one with this many connections.
    pub(crate) async fn create(url: &str, name: &str, connections: u32) -> Result<Self> {
        let schema = format!("peers_{}_{name}", std::process::id());
        let options = PgConnectOptions::from_str(url).context("the address of PostgreSQL")?.options([("search_path", &schema)]);
        let pool = PgPoolOptions::new().min_connections(connections).max_connections(connections).connect_with(options).await;
        let pool = pool.context("PostgreSQL cannot be reached")?;
        pool.execute(format!("CREATE SCHEMA {schema}").as_str()).await?;
        Ok(Self { pool, schema })
    }

    /// Tells the planner how large the tables are, as autovacuum does in time.
    pub(crate) async fn analyze(&self) -> Result<()> {
        self.pool.execute("ANALYZE").await?;
        Ok(())
    }

    /// How many rows a table has, and how many bytes the payload of one has on average.
    pub(crate) async fn events(&self, table: &str) -> Result<(u64, f64)> {
        let sql = format!("SELECT count(*), coalesce(avg(pg_column_size(payload)), 0)::float8 FROM {table}");
        let (events, bytes): (i64, f64) = sqlx::query_as(&sql).fetch_one(&self.pool).await?;
        Ok((events.unsigned_abs(), bytes))
    }

    /// Removes all of it.
    pub(crate) async fn remove(self) -> Result<()> {
        self.pool.execute(format!("DROP SCHEMA {} CASCADE", self.schema).as_str()).await?;
        self.pool.close().await;
        Ok(())
    }
}

/// Which PostgreSQL that is.
pub(crate) async fn version(url: &str) -> Result<String> {
    let options = PgConnectOptions::from_str(url).context("the address of PostgreSQL")?;
    let mut connection = PgConnection::connect_with(&options).await.context("PostgreSQL cannot be reached")?;
    let version = sqlx::query_scalar("SELECT current_setting('server_version')").fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(version)
}
