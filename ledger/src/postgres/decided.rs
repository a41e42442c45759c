//! What is decided once for a schema: by who comes first.

use sqlx::{AssertSqlSafe, Connection as _, Decode, Encode, Executor as _, Postgres, Type};

use super::{PostgresOptions, SETUP_LOCK, Session, SessionError};

impl PostgresOptions {
    /// The one value of `table` in the schema `SCHEMA_state`: the one that is there, or else `offered`, which is there from then on.
    /// `column` is its name and its SQL type. It blocks.
    ///
    /// # Errors
    /// `SessionError`.
    pub(crate) fn decided<T>(&self, table: &str, (column, kind): (&str, &str), offered: T) -> Result<T, SessionError>
    where
        T: for<'a> Encode<'a, Postgres> + for<'a> Decode<'a, Postgres> + Type<Postgres> + Send + Unpin + 'static,
    {
        let state = format!("{}_state", self.schema());
        let make = format!(
            "CREATE SCHEMA IF NOT EXISTS {state};\n\
             CREATE TABLE IF NOT EXISTS {state}.{table} (is_the_one boolean PRIMARY KEY DEFAULT true CHECK (is_the_one), \
             {column} {kind} NOT NULL)"
        );
        let offer = format!("INSERT INTO {state}.{table} ({column}) VALUES ($1) ON CONFLICT DO NOTHING");
        let read = format!("SELECT {column} FROM {state}.{table}");
        Session::start(self.clone(), "decided", "SELECT 1")?.call(async move |connection| {
            let mut transaction = connection.begin().await?;
            transaction.execute(SETUP_LOCK).await?;
            transaction.execute(AssertSqlSafe(make)).await?;
            sqlx::query(AssertSqlSafe(offer)).bind(offered).execute(&mut *transaction).await?;
            let decided = sqlx::query_scalar(AssertSqlSafe(read)).fetch_one(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(decided)
        })
    }
}
