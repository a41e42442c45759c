//! Topics of their own for each test, a ledger in a folder, and ingest between them.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use pledger_consumers::ingest::{Ingest, IngestDesk, IngestStatus};
use pledger_domain::values::Timestamp;
use pledger_ledger::{
    kafka::{KafkaInbox, KafkaLetters, KafkaLog, KafkaOptions},
    log::UpTo,
    record::{Body, FORMAT, LedgerCreated, Outcome},
    slices::Slices,
};
use serde_json::json;

use crate::{clients::Clients, running::Running, starting::start};

/// Long enough for a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// How long events wait for unknown ids here.
pub(crate) const PARKED_FOR: Duration = Duration::from_secs(2);
/// The slices of every ledger here.
pub(crate) const SLICES: u16 = 16;

/// Topics with a prefix that nobody else has; they are deleted in the end.
pub(crate) struct Home {
    pub(crate) clients: Clients,
    pub(crate) options: KafkaOptions,
    pub(crate) dir: tempfile::TempDir,
}

/// A decision, as far as tests look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) stream: String,
    pub(crate) key: String,
    pub(crate) sender: String,
    pub(crate) accepted: bool,
    pub(crate) effective_at: Timestamp,
    pub(crate) payload: serde_json::Value,
}

impl Home {
    pub(crate) fn new(clients: Clients) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_millis();
        let prefix = format!("services-{now}-{}-{count}.", std::process::id());
        let options = options(&clients.brokers, &prefix);
        let slices = Slices::new(SLICES).expect("sixteen slices");
        let created_at = Timestamp::parse("2026-01-01").expect("a date");
        let created = LedgerCreated { v: FORMAT, ledger_id: "test".into(), slices, created_at, generated: None };
        KafkaLog::create(options.clone(), created).expect("topics");
        Self { clients, options, dir: tempfile::tempdir().expect("a directory") }
    }

    pub(crate) fn topic(&self, name: &str) -> String {
        format!("{}{name}", self.options.prefix)
    }

    pub(crate) fn letters(&self) -> KafkaLetters {
        KafkaLetters::open(self.options.clone()).expect("the topic of dead letters")
    }

    /// A ledger with rules and two active partners, and ingest.
    pub(crate) fn start(&self) -> Office {
        let running = start(self.dir.path());
        running.with_partners();
        self.ingest_into(running)
    }

    /// Ingest into a ledger that is there.
    pub(crate) fn go_on(&self) -> Office {
        self.ingest_into(start(self.dir.path()))
    }

    fn ingest_into(&self, running: Running) -> Office {
        let (ingest, status) = ingest(&running, &self.options);
        Office { running, status, ingest }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.clients.delete(&self.options.prefix);
    }
}

/// How the topics are reached. A member that was killed is given up after 6 s, which is as soon as brokers allow.
pub(crate) fn options(brokers: &str, prefix: &str) -> KafkaOptions {
    let properties = [("session.timeout.ms".to_owned(), "6000".to_owned())].into();
    KafkaOptions { prefix: prefix.to_owned(), replicas: 1, properties, ..KafkaOptions::new(brokers) }
}

pub(crate) fn ingest(running: &Running, options: &KafkaOptions) -> (Ingest, Arc<IngestStatus>) {
    let status = Arc::new(IngestStatus::default());
    let letters = Arc::new(KafkaLetters::open(options.clone()).expect("the topic of dead letters"));
    let (edge, sink) = (running.edge.clone(), Arc::clone(&running.sink));
    let desk = IngestDesk { edge, sink, letters, status: Arc::clone(&status), parked_for: PARKED_FOR };
    let options = options.clone();
    let ingest = Ingest::start(desk, move || Ok(Box::new(KafkaInbox::join(options.clone())?))).expect("a thread");
    (ingest, status)
}

/// A ledger, and ingest into it.
pub(crate) struct Office {
    pub(crate) running: Running,
    pub(crate) status: Arc<IngestStatus>,
    ingest: Ingest,
}

impl Office {
    /// Waits until it is so.
    pub(crate) fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !is_so(self) {
            assert!(Instant::now() < until, "{what}: {:?}", self.status);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until so many commands were decided here and so many letters written.
    pub(crate) fn until_done(&self, decided: u64, letters: u64) {
        self.until(&format!("{decided} decided, {letters} letters"), |office| {
            let figures = office.status.figures();
            (figures.accepted + figures.refused + figures.repeated, figures.letters) == (decided, letters)
        });
    }

    /// The decisions that came in by the inbox, slice by slice in their order.
    pub(crate) fn decisions(&self) -> Vec<Told> {
        decisions(&self.running)
    }

    pub(crate) fn stop(self) {
        self.ingest.stop();
        self.running.stop();
    }
}

pub(crate) fn decisions(running: &Running) -> Vec<Told> {
    let mut reading = UpTo::the_end(&*running.log, &[]).expect("a tail");
    let mut told = Vec::new();
    loop {
        let placed = reading.next(1000).expect("records");
        if placed.is_empty() {
            break;
        }
        for placed in placed {
            if let Body::Decision(decision) = Body::decode(&placed.record.body).expect("a body")
                && json!(decision.command.channel) == json!("ingest")
            {
                told.push(Told {
                    stream: decision.stream.as_str().to_owned(),
                    key: decision.command.id.into_owned(),
                    sender: decision.command.sender.into_owned(),
                    accepted: matches!(decision.outcome, Outcome::Accepted(_)),
                    effective_at: decision.effective_at,
                    payload: serde_json::from_str(decision.command.payload.get()).expect("JSON"),
                });
            }
        }
    }
    told
}

/// A folder's ledger with rules and two active partners.
pub(crate) fn with_ledger(dir: &Path) {
    let running = start(dir);
    running.with_partners();
    running.stop();
}
