//! A pledger that takes commands, on any engine: what an HTTP request goes through.

use std::{
    any::Any,
    future::Future,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::RwLock;
use pledger_consumers::processor::{MemorySnapshots, SnapshotStore};
use pledger_domain::{facts::Channel, rules::Rules};
use pledger_ledger::{
    commands::{Answer, CommandEnvelope, CommandSink, Decided},
    directory::Directory,
    edge::{Clock, Edge, Incoming, Refused, SystemClock, SystemRandomness},
    keys::{KeyStore, MemoryKeyStore},
    log::Log,
};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A command's name, payload and key.
pub(crate) type Item<'a> = (&'a str, Value, &'a str);

/// What outlives a restart, beside the ledger.
#[derive(Clone)]
pub(crate) struct Kept {
    pub(crate) snapshots: Arc<dyn SnapshotStore>,
    pub(crate) keys: Arc<dyn KeyStore>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Default for Kept {
    fn default() -> Self {
        let (snapshots, keys) = (Arc::<MemorySnapshots>::default(), Arc::<MemoryKeyStore>::default());
        Self { snapshots, keys, clock: Arc::new(SystemClock::new()) }
    }
}

impl Kept {
    /// The way in of a ledger.
    pub(crate) fn edge(&self, log: &dyn Log, directory: Arc<RwLock<Directory>>) -> Edge {
        let (keys, clock) = (Arc::clone(&self.keys), Arc::clone(&self.clock));
        Edge { slices: log.slices(), keys, directory, clock, randomness: Arc::new(SystemRandomness) }
    }
}

/// A way in, and what stands behind it.
pub(crate) struct Running {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) edge: Edge,
    pub(crate) sink: Arc<dyn CommandSink>,
    runtime: Runtime,
    /// What takes the commands: it ends when it is dropped.
    _parts: Box<dyn Any + Send + Sync>,
}

impl Running {
    pub(crate) fn new(log: Arc<dyn Log>, edge: Edge, sink: Arc<dyn CommandSink>, parts: impl Any + Send + Sync) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        Self { log, edge, sink, runtime, _parts: Box::new(parts) }
    }

    /// What an HTTP request hands to the edge: `change` sets what is optional.
    pub(crate) fn prepare(
        &self,
        (name, payload, key): Item<'_>,
        change: impl FnOnce(&mut Incoming<'_>),
    ) -> Result<CommandEnvelope, Refused> {
        let payload = payload.to_string();
        let after = self.sink.reference_positions();
        let mut incoming =
            Incoming { key: Some(key), after, ..Incoming::new(name, payload.as_bytes(), Arc::from("anonymous"), Channel::Api) };
        change(&mut incoming);
        self.edge.prepare(incoming)
    }

    /// The same of a command that gets past the edge, without anything optional.
    pub(crate) fn prepared(&self, item: Item<'_>) -> CommandEnvelope {
        self.prepare(item, |_| {}).expect("a command")
    }

    /// Hands commands over now, to be waited for later.
    pub(crate) fn submission(&self, commands: Vec<CommandEnvelope>) -> Pin<Box<dyn Future<Output = Vec<Decided>> + Send>> {
        self.sink.submit(commands)
    }

    /// Waits for what was handed over.
    pub(crate) fn wait(&self, submission: impl Future<Output = Vec<Decided>>) -> Vec<Decided> {
        self.runtime.block_on(submission)
    }

    pub(crate) fn submit(&self, commands: Vec<CommandEnvelope>) -> Vec<Decided> {
        self.wait(self.submission(commands))
    }

    /// Everything at once, each with the facts that were there before.
    pub(crate) fn send(&self, items: &[Item<'_>]) -> Vec<Decided> {
        self.submit(items.iter().map(|(name, payload, key)| self.prepared((name, payload.clone(), key))).collect())
    }

    pub(crate) fn one(&self, name: &str, payload: Value, key: &str) -> Decided {
        self.send(&[(name, payload, key)]).remove(0)
    }

    /// Sends one command that is accepted.
    pub(crate) fn accept(&self, name: &str, payload: Value, key: &str) -> Answer {
        accepted(self.one(name, payload, key))
    }

    /// A partner that may register deals.
    pub(crate) fn with_partner(&self, partner: &str) {
        for (name, payload) in [
            ("RegisterPartner", register(partner)),
            ("SignAgreement", json!({"partner_id": partner})),
            ("ActivatePartner", json!({"partner_id": partner})),
        ] {
            self.accept(name, payload, &format!("{name}-{partner}"));
        }
    }

    /// Rules, and two active partners.
    pub(crate) fn with_partners(&self) {
        self.accept("PublishRules", publish(), "rules");
        ["p-1", "p-2"].into_iter().for_each(|partner| self.with_partner(partner));
    }

    /// Decides what is queued, and ends.
    pub(crate) fn stop(self) {
        drop(self);
    }
}

pub(crate) fn register(partner: &str) -> Value {
    json!({"partner_id": partner, "name": "Nordwind GmbH", "roles": ["reseller"]})
}

pub(crate) fn publish() -> Value {
    json!({"program": Rules::DEFAULT, "effective_from": "2020-01-01"})
}

/// The registration of a deal on `domain`.
pub(crate) fn deal(id: &str, partner: &str, domain: &str) -> Value {
    json!({
        "deal_id": id, "partner_id": partner, "account": {"name": "Acme", "domain": domain}, "product": "GTX Pro",
        "amount": {"amount": "1000.00", "currency": "USD"},
    })
}

pub(crate) fn accepted(decided: Decided) -> Answer {
    let answer = decided.expect("decided");
    assert!(answer.outcome.is_ok(), "refused: {:?}", answer.outcome);
    answer
}

/// Waits until something is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "{what} never came about");
        std::thread::sleep(Duration::from_millis(5));
    }
}
