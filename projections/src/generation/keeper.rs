//! Who keeps the read models of a schema, of several processes that could: whoever holds a lock of the database.

use std::{io, time::Duration};

use pledger_ledger::postgres::PostgresOptions;
use sqlx::{Executor as _, PgConnection};
use tokio::runtime::{Builder, Runtime};

use crate::store::StoreError;

/// The first number of the lock; the second is that of the schema.
const KEEPING: i32 = 7_346_525;
/// How long the database may take to answer: it does nothing for it.
const TO_ANSWER: Duration = Duration::from_secs(5);
/// A keeper that was stopped, or is behind a line that was cut, says nothing. PostgreSQL ends its session then, and others may
/// have the lock. Said with every look, so that the time counts from the first look after the lock was taken.
const ALIVE: &str = "SET idle_session_timeout = '10s'";
/// A machine that is gone is noticed by the network's own means.
const REACHABLE: &str = "SET tcp_keepalives_idle = 3; SET tcp_keepalives_interval = 1; SET tcp_keepalives_count = 3";

/// Who holds the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// This process.
    Here,
    /// Another one.
    Elsewhere,
}

/// The lock of whoever keeps the read models of a schema, on a connection of its own. It is let go with that connection.
pub struct KeeperLock {
    runtime: Runtime,
    options: PostgresOptions,
    connection: Option<PgConnection>,
    is_held: bool,
}

impl KeeperLock {
    /// The lock of the options' schema. Nothing is asked of the database yet.
    ///
    /// # Errors
    /// Where there cannot be another runtime.
    pub fn of(options: PostgresOptions) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Self { runtime, options, connection: None, is_held: false })
    }

    /// Sees whether the lock is still held here, and tries to take it where it is not. To be called about once a second.
    ///
    /// # Errors
    /// `StoreError`: nobody knows who holds it.
    pub fn look(&mut self) -> Result<Keeper, StoreError> {
        let Self { runtime, options, connection, is_held } = self;
        runtime.block_on(async {
            if let Some(known) = connection
                && answered(known.execute(ALIVE)).await.is_err()
            {
                (*connection, *is_held) = (None, false);
            }
            if *is_held {
                return Ok(Keeper::Here);
            }
            let asked = ask(connection, options).await;
            *is_held = *asked.as_ref().unwrap_or(&false);
            if asked.is_err() {
                // What state the connection is in is anybody's guess.
                *connection = None;
            }
            asked.map(|is_here| if is_here { Keeper::Here } else { Keeper::Elsewhere })
        })
    }
}

async fn ask(connection: &mut Option<PgConnection>, options: &PostgresOptions) -> Result<bool, StoreError> {
    if connection.is_none() {
        let mut new = options.connect().await?;
        answered(new.execute(REACHABLE)).await?;
        *connection = Some(new);
    }
    let connection = connection.as_mut().expect("it was just made");
    let take = sqlx::query_scalar("SELECT pg_try_advisory_lock($1, hashtext($2))").bind(KEEPING).bind(options.schema());
    answered(take.fetch_one(connection)).await
}

async fn answered<T>(step: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, StoreError> {
    match tokio::time::timeout(TO_ANSWER, step).await {
        Ok(done) => done.map_err(Into::into),
        Err(_) => Err(StoreError::Late(TO_ANSWER.as_secs())),
    }
}
