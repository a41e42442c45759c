//! `disintegrate` with `disintegrate-postgres`: a decision maker without snapshots, and its event listener.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, bail};
use async_trait::async_trait;
use disintegrate::{
    Decision, DecisionError, EventListener, EventStore, NoSnapshot, PersistedEvent, StateMutate, StreamQuery, query, serde::json::Json,
};
use disintegrate_postgres::{
    Error, PgDecisionMaker, PgEventId, PgEventListener, PgEventListenerConfig, PgEventListenerError, PgEventStore, RetryAction,
    decision_maker,
};
use sqlx::Executor;
use tokio::sync::Notify;

use crate::{
    account::{Account, Command, DealEvent, Refusal},
    database::Database,
    peer::{Answer, Peer},
    read_model::ReadModel,
};

/// What the library's `PgEventStore::try_new` would make. That fails on PostgreSQL 15, which reads no hexadecimal
/// numbers: its `event_store_begin_epoch` has `0xFFFFFFFF`, here 4294967295. All else is as the library has it.
const TABLES: &str = include_str!("disintegrate.sql");
/// How often the listener looks for events. It is not waited for: it looks at once when it starts.
const POLL: Duration = Duration::from_millis(50);
/// A rebuild that takes longer than this many times an event is given up.
const AT_MOST_AN_EVENT: Duration = Duration::from_millis(50);

type Store = PgEventStore<DealEvent, Json<DealEvent>>;

/// A command as the library's decision, on the events of its account.
struct Decide(Command);

impl Decision for Decide {
    type Event = DealEvent;
    type StateQuery = Account;
    type Error = Refusal;

    fn state_query(&self) -> Account {
        Account::new(&self.0.account_id)
    }

    fn process(&self, account: &Account) -> Result<Vec<DealEvent>, Refusal> {
        account.decide(&self.0).map(|event| vec![event])
    }
}

impl StateMutate for Account {
    fn mutate(&mut self, event: DealEvent) {
        self.evolve(event);
    }
}

/// The library over its tables.
#[derive(Clone)]
pub(crate) struct Disintegrate {
    maker: PgDecisionMaker<DealEvent, Json<DealEvent>, NoSnapshot>,
    store: Store,
}

impl Peer for Disintegrate {
    const NAME: &'static str = "disintegrate + -postgres";
    const EVENTS: &'static str = "event";

    async fn create(database: &Database) -> Result<Self> {
        database.pool.execute(TABLES).await?;
        let store = Store::new_uninitialized(database.pool.clone(), Json::default());
        Ok(Self { maker: decision_maker(store.clone(), NoSnapshot), store })
    }

    async fn decide(&self, command: Command) -> Result<Answer> {
        match self.maker.make(Decide(command)).await {
            Ok(_) => Ok(Answer::Accepted),
            Err(DecisionError::Domain(refusal)) => Ok(Answer::Refused(refusal)),
            Err(DecisionError::EventStore(error) | DecisionError::StateStore(error)) => {
                if is_conflict(&*error) {
                    Ok(Answer::Conflict)
                } else {
                    Err(anyhow!(error))
                }
            }
        }
    }

    async fn fill(&self, events: &[DealEvent]) -> Result<()> {
        for batch in events.chunks(1_000) {
            self.store.append_without_validation(batch.to_vec()).await?;
        }
        Ok(())
    }

    async fn rebuild(&self, database: &Database, deals: u64) -> Result<Duration> {
        let model = ReadModel::create(database.pool.clone()).await?;
        let events = deals * 5;
        let done = Arc::new(Notify::new());
        let listener = Deals { query: query!(DealEvent), model: model.clone(), missing: AtomicU64::new(events), done: Arc::clone(&done) };
        // Without this the listener ends without a word.
        let retry = |error: PgEventListenerError<sqlx::Error>, _attempts: usize| {
            eprintln!("disintegrate's listener failed: {error:?}");
            RetryAction::Abort
        };
        let config = PgEventListenerConfig::poller(POLL).with_retry(retry);
        let start = Instant::now();
        let listening = PgEventListener::builder(self.store.clone()).register_listener(listener, config);
        let at_most = AT_MOST_AN_EVENT * u32::try_from(events).context("fewer deals would do")?;
        let ended = async move { done.notified().await };
        if tokio::time::timeout(at_most, listening.start_with_shutdown(ended)).await.is_err() {
            bail!("disintegrate's listener did not see {events} events within {at_most:?}");
        }
        let took = start.elapsed();
        model.check(deals).await?;
        Ok(took)
    }
}

/// Whether the library, or the database where the library hands its error on as it is, asks to try again.
fn is_conflict(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    match error.downcast_ref() {
        Some(Error::Concurrency) => true,
        Some(Error::Database(sqlx::Error::Database(error))) => error.code().as_deref() == Some("40001"),
        _ => false,
    }
}

/// The read model as the library's listener.
struct Deals {
    query: StreamQuery<PgEventId, DealEvent>,
    model: ReadModel,
    missing: AtomicU64,
    done: Arc<Notify>,
}

#[async_trait]
impl EventListener<PgEventId, DealEvent> for Deals {
    type Error = sqlx::Error;

    fn id(&self) -> &'static str {
        "deals"
    }

    fn query(&self) -> &StreamQuery<PgEventId, DealEvent> {
        &self.query
    }

    async fn handle(&self, event: PersistedEvent<PgEventId, DealEvent>) -> Result<(), sqlx::Error> {
        self.model.take(&event).await?;
        if self.missing.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.done.notify_one();
        }
        Ok(())
    }
}
