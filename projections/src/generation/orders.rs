//! What is asked of whoever keeps the read models, by way of their database: it may be any process, on any machine.

use std::time::{Duration, Instant};

use pledger_ledger::postgres::{PostgresOptions, Session, SessionError};
use sqlx::{AssertSqlSafe, Executor as _};

use super::{Answered, GenerationNumber, Order};
use crate::store::postgres::state_schema;

/// How often to look whether there is an answer.
const LOOK: Duration = Duration::from_millis(200);
/// How long an order may lie there before somebody takes it.
const TO_TAKE: Duration = Duration::from_secs(20);
/// How long who took it may say nothing of it.
const TO_ANSWER: Duration = Duration::from_secs(3_600);
/// The seconds after which an order that nobody waits for any more is left alone.
const FORGOTTEN_S: u32 = 10;

/// The answer to what was taken by a process that ended.
const ENDED: &str = r#"{"type":"/problems/ReadModelsUnavailable","title":"Read models unavailable","status":503,"code":"ReadModelsUnavailable","detail":"the process that was to do it ended meanwhile; whether it was done say: pledger generations list, and for parked streams pledger doctor"}"#;

/// The number of an order.
pub type OrderNumber = i64;

/// What stands for the generation where parked streams are to be tried again: generations count from 1, so that a pledger that does
/// not know such orders refuses them.
const RETRY_PARKED: i64 = 0;

/// What was seen of the read models that somebody else keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The generation in use, where there is one.
    pub in_use: Option<GenerationNumber>,
    /// The last order to try parked streams again that was done.
    pub retried: Option<OrderNumber>,
}

/// Why an order came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// The database failed.
    #[error("the read models' database failed: {0}")]
    Session(#[from] SessionError),
    /// Nobody took it.
    #[error("nobody who keeps the read models took it within {} s", TO_TAKE.as_secs())]
    NotTaken,
    /// Who took it did not answer.
    #[error("who keeps the read models took it and did not answer within {} s; see: pledger generations list, pledger doctor", TO_ANSWER.as_secs())]
    NotAnswered,
}

/// The orders to whoever keeps the read models of a schema.
pub struct Orders {
    session: Session,
    state: String,
}

/// What an order is found to be.
enum Found {
    Waiting { is_taken: bool },
    Answered(Answered),
}

impl Orders {
    /// Those of the options' schema. Nothing is asked of the database yet.
    ///
    /// # Errors
    /// `SessionError::Ended` where no thread can be started.
    pub fn of(options: PostgresOptions) -> Result<Self, SessionError> {
        let state = state_schema(&options);
        Ok(Self { session: Session::start(options, "orders", "SELECT 1")?, state })
    }

    /// Asks whoever keeps the read models, and waits for the answer.
    ///
    /// # Errors
    /// `OrderError`. What was taken may be done all the same.
    pub fn ask(&self, order: Order) -> Result<Answered, OrderError> {
        let number = self.place(order)?;
        let begun = Instant::now();
        loop {
            std::thread::sleep(LOOK);
            let waited = begun.elapsed();
            match self.look(number)? {
                Found::Answered(answered) => return Ok(answered),
                Found::Waiting { is_taken: false } if waited > TO_TAKE => {
                    self.withdraw(number)?;
                    return Err(OrderError::NotTaken);
                }
                Found::Waiting { is_taken: true } if waited > TO_ANSWER => return Err(OrderError::NotAnswered),
                Found::Waiting { .. } => {}
            }
        }
    }

    fn place(&self, order: Order) -> Result<OrderNumber, SessionError> {
        let state = self.state.clone();
        self.session.call(async move |connection| {
            let table = format!(
                "CREATE TABLE IF NOT EXISTS {state}.orders (number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, generation bigint, \
                 asked_at timestamptz NOT NULL DEFAULT now(), waited_for timestamptz NOT NULL DEFAULT now(), \
                 taken_at timestamptz, status integer, answer text);\n\
                 DELETE FROM {state}.orders WHERE asked_at < now() - interval '1 day'"
            );
            // Of two that make it at once, one finds it there.
            if connection.execute(AssertSqlSafe(table.clone())).await.is_err() {
                connection.execute(AssertSqlSafe(table)).await?;
            }
            let generation = match order {
                Order::Promote(generation) => Some(generation.cast_signed()),
                Order::RollBack => None,
                Order::RetryParked => Some(RETRY_PARKED),
            };
            let sql = format!("INSERT INTO {state}.orders (generation) VALUES ($1) RETURNING number");
            sqlx::query_scalar(AssertSqlSafe(sql)).bind(generation).fetch_one(connection).await
        })
    }

    /// How an order stands; says that somebody waits for it.
    fn look(&self, number: OrderNumber) -> Result<Found, SessionError> {
        let state = self.state.clone();
        self.session.call(async move |connection| {
            let sql = format!(
                "UPDATE {state}.orders SET waited_for = now() WHERE number = $1 RETURNING taken_at IS NOT NULL, status, coalesce(answer, '')"
            );
            let query = sqlx::query_as(AssertSqlSafe(sql)).bind(number);
            let (is_taken, status, body): (bool, Option<i32>, String) = query.fetch_one(connection).await?;
            let status = status.and_then(|status| u16::try_from(status).ok());
            Ok(status.map_or(Found::Waiting { is_taken }, |status| Found::Answered(Answered { status, body })))
        })
    }

    fn withdraw(&self, number: OrderNumber) -> Result<(), SessionError> {
        let state = self.state.clone();
        self.session.call(async move |connection| {
            let sql = format!("DELETE FROM {state}.orders WHERE number = $1 AND taken_at IS NULL");
            sqlx::query(AssertSqlSafe(sql)).bind(number).execute(connection).await.map(drop)
        })
    }

    /// Takes the first order that somebody still waits for, does it, and answers; whether there was one. To be called by whoever
    /// keeps the read models, and by nobody else.
    ///
    /// # Errors
    /// `SessionError`; what was done is done all the same.
    pub fn take(&self, work: impl FnOnce(Order) -> Answered) -> Result<bool, SessionError> {
        let Some((number, order)) = self.next()? else { return Ok(false) };
        let Answered { status, body } = work(order);
        let state = self.state.clone();
        self.session.call(async move |connection| {
            let sql = format!("UPDATE {state}.orders SET status = $2, answer = $3 WHERE number = $1");
            sqlx::query(AssertSqlSafe(sql)).bind(number).bind(i32::from(status)).bind(body).execute(connection).await
        })?;
        Ok(true)
    }

    fn next(&self) -> Result<Option<(OrderNumber, Order)>, SessionError> {
        let state = self.state.clone();
        self.session.call(async move |connection| {
            let there = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(format!("{state}.orders"));
            if !there.fetch_one(&mut *connection).await? {
                return Ok(None);
            }
            // Whoever keeps the read models does one at a time, in this order: what was taken and not answered was taken by one that
            // ended. It is not done again, since it may be done.
            let sql = format!("UPDATE {state}.orders SET status = 503, answer = $1 WHERE status IS NULL AND taken_at IS NOT NULL");
            sqlx::query(AssertSqlSafe(sql)).bind(ENDED).execute(&mut *connection).await?;
            let sql = format!(
                "UPDATE {state}.orders SET taken_at = now() WHERE number = (SELECT min(number) FROM {state}.orders \
                 WHERE taken_at IS NULL AND waited_for > now() - interval '{FORGOTTEN_S} seconds') RETURNING number, generation"
            );
            let found: Option<(OrderNumber, Option<i64>)> = sqlx::query_as(AssertSqlSafe(sql)).fetch_optional(connection).await?;
            let order = |generation| match generation {
                None => Order::RollBack,
                Some(RETRY_PARKED) => Order::RetryParked,
                Some(generation) => Order::Promote(generation.cast_unsigned()),
            };
            Ok(found.map(|(number, generation)| (number, order(generation))))
        })
    }

    /// What is in use, and what was done: asked often, and so without a connection of its own each time.
    ///
    /// # Errors
    /// `SessionError`.
    pub fn seen(&self) -> Result<Seen, SessionError> {
        let state = self.state.clone();
        self.session.call(async move |connection| {
            let there = sqlx::query_as("SELECT to_regclass($1) IS NOT NULL, to_regclass($2) IS NOT NULL");
            let there = there.bind(format!("{state}.generations")).bind(format!("{state}.orders"));
            let (generations, orders): (bool, bool) = there.fetch_one(&mut *connection).await?;
            let in_use = if generations { format!("(SELECT number FROM {state}.generations WHERE in_use)") } else { "NULL".into() };
            let done = format!("(SELECT max(number) FROM {state}.orders WHERE generation = {RETRY_PARKED} AND status < 300)");
            let sql = format!("SELECT {in_use}::bigint, {}::bigint", if orders { done.as_str() } else { "NULL" });
            let (in_use, retried): (Option<i64>, _) = sqlx::query_as(AssertSqlSafe(sql)).fetch_one(connection).await?;
            Ok(Seen { in_use: in_use.map(i64::cast_unsigned), retried })
        })
    }
}
