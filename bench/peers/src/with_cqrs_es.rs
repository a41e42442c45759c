//! `cqrs-es` with `postgres-es`: a `CqrsFramework` without snapshots, and `QueryReplay`.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use async_trait::async_trait;
use cqrs_es::{
    Aggregate, AggregateError, DomainEvent, EventEnvelope, Query,
    event_sink::EventSink,
    persist::{PersistedEventRepository, QueryReplay, SerializedEvent},
};
use postgres_es::{PostgresCqrs, PostgresEventRepository, postgres_cqrs};
use sqlx::{Executor, PgPool};

use crate::{
    account::{Account, Command, DealEvent, Refusal},
    database::Database,
    peer::{Answer, Peer},
    read_model::ReadModel,
};

/// `events` of the library's own `db/init.sql`.
const TABLES: &str = "
    CREATE TABLE events (
        aggregate_type text NOT NULL, aggregate_id text NOT NULL, sequence bigint CHECK (sequence >= 0) NOT NULL,
        event_type text NOT NULL, event_version text NOT NULL, payload json NOT NULL, metadata json NOT NULL,
        PRIMARY KEY (aggregate_type, aggregate_id, sequence)
    )";

impl DomainEvent for DealEvent {
    fn event_type(&self) -> String {
        disintegrate::Event::name(self).to_owned()
    }

    fn event_version(&self) -> String {
        "1.0".to_owned()
    }
}

impl Aggregate for Account {
    const TYPE: &'static str = "account";
    type Command = Command;
    type Event = DealEvent;
    type Error = Refusal;
    type Services = ();

    async fn handle(&mut self, command: Command, _services: &(), sink: &EventSink<Self>) -> Result<(), Refusal> {
        let event = self.decide(&command)?;
        sink.write(event, self).await;
        Ok(())
    }

    fn apply(&mut self, event: DealEvent) {
        self.evolve(event);
    }
}

/// The library over its tables.
#[derive(Clone)]
pub(crate) struct CqrsEs {
    framework: Arc<PostgresCqrs<Account>>,
    pool: PgPool,
}

impl Peer for CqrsEs {
    const NAME: &'static str = "cqrs-es + postgres-es";
    const EVENTS: &'static str = "events";

    async fn create(database: &Database) -> Result<Self> {
        let pool = database.pool.clone();
        pool.execute(TABLES).await?;
        Ok(Self { framework: Arc::new(postgres_cqrs(pool.clone(), vec![], ())), pool })
    }

    async fn decide(&self, command: Command) -> Result<Answer> {
        let account_id = command.account_id.clone();
        match self.framework.execute(&account_id, command).await {
            Ok(()) => Ok(Answer::Accepted),
            Err(AggregateError::UserError(refusal)) => Ok(Answer::Refused(refusal)),
            Err(AggregateError::AggregateConflict) => Ok(Answer::Conflict),
            Err(other) => Err(other.into()),
        }
    }

    async fn fill(&self, events: &[DealEvent]) -> Result<()> {
        let repository = PostgresEventRepository::new(self.pool.clone());
        let mut sequences: HashMap<&str, usize> = HashMap::new();
        let mut stored = Vec::with_capacity(events.len());
        for event in events {
            let sequence = sequences.entry(event.account_id()).or_default();
            *sequence += 1;
            let aggregate_id = event.account_id().to_owned();
            let envelope = EventEnvelope::<Account> { aggregate_id, sequence: *sequence, payload: event.clone(), metadata: HashMap::new() };
            stored.push(SerializedEvent::try_from(&envelope)?);
        }
        Ok(repository.persist::<Account>(&stored, None).await?)
    }

    async fn rebuild(&self, database: &Database, deals: u64) -> Result<Duration> {
        let model = ReadModel::create(database.pool.clone()).await?;
        let failure = Arc::default();
        let query = Deals { model: model.clone(), failure: Arc::clone(&failure) };
        let mut replay = QueryReplay::<_, _, Account>::new(PostgresEventRepository::new(self.pool.clone()), query);
        let seen = Arc::clone(&failure);
        replay.use_error_handler(Box::new(move |error| note(&seen, &error)));
        let start = Instant::now();
        replay.replay_all().await?;
        let took = start.elapsed();
        if let Some(failure) = failure.lock().ok().and_then(|mut failure| failure.take()) {
            bail!("{failure}");
        }
        model.check(deals).await?;
        Ok(took)
    }
}

/// The first thing that went wrong: neither a query nor the replay's handler can answer an error.
type Failure = Arc<Mutex<Option<String>>>;

fn note(failure: &Failure, error: &dyn std::error::Error) {
    if let Ok(mut failure) = failure.lock() {
        failure.get_or_insert_with(|| error.to_string());
    }
}

/// The read model as the library's `Query`.
struct Deals {
    model: ReadModel,
    failure: Failure,
}

#[async_trait]
impl Query<Account> for Deals {
    async fn dispatch(&self, _aggregate_id: &str, events: &[EventEnvelope<Account>]) {
        for event in events {
            if let Err(error) = self.model.take(&event.payload).await {
                note(&self.failure, &error);
            }
        }
    }
}
