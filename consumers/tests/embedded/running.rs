//! A ledger in a folder with its processor.

use std::{future::Future, path::Path, pin::Pin, sync::Arc};

use pledger_consumers::{
    chores::EmbeddedChores,
    embedded::{EmbeddedProcessor, EmbeddedSink},
    processor::{FileSnapshots, KeyLimits, Processor},
};
use pledger_domain::{facts::Channel, rules::Rules};
use pledger_ledger::{
    commands::{Answer, CommandEnvelope, CommandSink, Decided},
    edge::{Clock, Edge, Incoming, Refused, SystemClock, SystemRandomness, waves},
    keys::MemoryKeyStore,
    log::{Log, LogError},
    record::{FORMAT, LedgerCreated},
    slices::Slices,
    sqlite::{Mode, SqliteLog},
};
use serde_json::{Value, json};

/// A running ledger in a folder.
pub(crate) struct Running {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) edge: Edge,
    processor: Option<EmbeddedProcessor>,
}

impl Running {
    pub(crate) fn start(dir: &Path) -> Self {
        Self::open(dir).expect("restored")
    }

    /// Starts on what is in the folder; an empty one gets a new ledger.
    pub(crate) fn open(dir: &Path) -> Result<Self, LogError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let log = if dir.join("ledger.db").exists() {
            SqliteLog::open(dir, Mode::Write)?
        } else {
            let created = LedgerCreated {
                v: FORMAT,
                ledger_id: "test".into(),
                slices: Slices::new(16).expect("sixteen slices"),
                created_at: clock.now(),
                generated: None,
            };
            SqliteLog::create(dir, created)?
        };
        let log: Arc<dyn Log> = Arc::new(log);
        let snapshots = Arc::new(FileSnapshots::new(dir.join("snapshots")).expect("a folder"));
        let processor = Processor::restore(Arc::clone(&log), &*snapshots, KeyLimits::default(), "test".into())?;
        let edge = Edge {
            slices: log.slices(),
            keys: Arc::new(MemoryKeyStore::default()),
            directory: processor.directory(),
            clock: Arc::clone(&clock),
            randomness: Arc::new(SystemRandomness),
        };
        let chores = Box::new(EmbeddedChores::new(edge.clone(), snapshots, &processor));
        let processor = EmbeddedProcessor::start(processor, move || clock.now(), chores).expect("a thread");
        Ok(Self { log, edge, processor: Some(processor) })
    }

    pub(crate) fn sink(&self) -> EmbeddedSink {
        self.processor.as_ref().expect("it runs").sink()
    }

    /// What an HTTP request hands to the edge: `change` sets what is optional.
    pub(crate) fn prepare(
        &self,
        (name, payload, key): (&str, Value, &str),
        change: impl FnOnce(&mut Incoming<'_>),
    ) -> Result<CommandEnvelope, Refused> {
        let payload = payload.to_string();
        let after = self.sink().reference_positions();
        let mut incoming =
            Incoming { key: Some(key), after, ..Incoming::new(name, payload.as_bytes(), Arc::from("anonymous"), Channel::Api) };
        change(&mut incoming);
        self.edge.prepare(incoming)
    }

    /// Hands commands over, to be waited for later.
    pub(crate) fn submission(&self, commands: Vec<CommandEnvelope>) -> Pin<Box<dyn Future<Output = Vec<Decided>> + Send>> {
        self.sink().submit(commands)
    }

    pub(crate) fn submit(&self, commands: Vec<CommandEnvelope>) -> Vec<Decided> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(self.submission(commands))
    }

    /// Everything at once, each with the facts that were there before.
    pub(crate) fn send(&self, items: &[(&str, Value, &str)]) -> Vec<Decided> {
        let prepared = items.iter().map(|(name, payload, key)| self.prepare((name, payload.clone(), key), |_| {}).expect("a command"));
        self.submit(prepared.collect())
    }

    /// A batch as the API takes it: cut into waves, each with the facts that the waves before it brought about.
    pub(crate) fn send_batch(&self, items: &[(&str, Value, &str)]) -> Vec<Decided> {
        let payloads: Vec<String> = items.iter().map(|(_, payload, _)| payload.to_string()).collect();
        let incoming = items.iter().zip(&payloads).map(|((name, _, key), payload)| Incoming {
            key: Some(key),
            ..Incoming::new(name, payload.as_bytes(), Arc::from("anonymous"), Channel::Api)
        });
        let prepared: Vec<_> = self.edge.prepare_batch(incoming.collect()).into_iter().map(|item| item.expect("a command")).collect();
        let mut answers = Vec::new();
        for wave in waves(&prepared) {
            let after = self.sink().reference_positions();
            let wave = prepared[wave].iter().cloned().map(|envelope| CommandEnvelope { after: after.clone(), ..envelope });
            answers.extend(self.submit(wave.collect()));
        }
        answers
    }

    pub(crate) fn one(&self, name: &str, payload: Value, key: &str) -> Decided {
        self.send(&[(name, payload, key)]).remove(0)
    }

    pub(crate) fn refuse_writes(&self, reason: &str) {
        self.sink().refuse_writes(reason.to_owned());
    }

    pub(crate) fn halted(&self) -> Option<Arc<str>> {
        self.sink().halted()
    }

    pub(crate) fn stop(mut self) {
        self.processor.take().expect("it runs").stop();
    }
}

pub(crate) fn register(partner: &str) -> Value {
    json!({"partner_id": partner, "name": "Nordwind GmbH", "roles": ["reseller"]})
}

pub(crate) fn publish() -> Value {
    json!({"program": Rules::DEFAULT, "effective_from": "2020-01-01"})
}

pub(crate) fn accepted(decided: Decided) -> Answer {
    let answer = decided.expect("decided");
    assert!(answer.outcome.is_ok(), "refused: {:?}", answer.outcome);
    answer
}

/// Rules, and two active partners.
pub(crate) fn with_partners(running: &Running) {
    accepted(running.one("PublishRules", publish(), "rules"));
    for partner in ["p-1", "p-2"] {
        for (name, payload) in [
            ("RegisterPartner", register(partner)),
            ("SignAgreement", json!({"partner_id": partner})),
            ("ActivatePartner", json!({"partner_id": partner})),
        ] {
            accepted(running.one(name, payload, &format!("{name}-{partner}")));
        }
    }
}

/// The registration of a deal on `domain`.
pub(crate) fn deal(id: &str, partner: &str, domain: &str) -> Value {
    json!({
        "deal_id": id, "partner_id": partner, "account": {"name": "Acme", "domain": domain}, "product": "GTX Pro",
        "amount": {"amount": "1000.00", "currency": "USD"},
    })
}
