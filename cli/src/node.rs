//! The embedded engine of one data directory, put together: ledger, keys, processor, read models, HTTP routes.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, sync_channel},
    },
    thread,
};

use anyhow::{Context, Result, bail};
use pledger_consumers::{
    chores::EmbeddedChores,
    embedded::{EmbeddedProcessor, EmbeddedSink},
    processor::{FileSnapshots, KeyLimits, Processor},
};
use pledger_domain::{facts::Channel, rules::Rules, values::Timestamp};
use pledger_ledger::{
    commands::{CommandEnvelope, CommandSink, Decided},
    edge::{Clock, ContinuingClock, Edge, Incoming, Randomness, SystemClock, SystemRandomness, senders},
    keys::{KeyStore, Minting, SqliteKeyStore},
    log::{Log, LogError},
    record::{Body, FORMAT, LedgerCreated},
    slices::Slices,
    sqlite::{Mode, SqliteLog},
    verify,
};

/// The writing half of a data directory: whoever holds it is its one writer.
pub(crate) struct Node {
    pub(crate) log: Arc<SqliteLog>,
    pub(crate) edge: Edge,
    pub(crate) keys: Arc<dyn KeyStore>,
    processor: EmbeddedProcessor,
}

impl Node {
    /// Opens the ledger in `dir` to write, restoring the processor's state.
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        let log = SqliteLog::open(dir, Mode::Write).map_err(|error| explain(error, dir))?;
        let keys: Arc<dyn KeyStore> = Arc::new(SqliteKeyStore::open(dir).context("the key store cannot be opened")?);
        Self::start(dir, log, keys, present)
    }

    /// Creates a ledger in `dir` and publishes the default rules as its first version.
    pub(crate) fn create(dir: &Path, slices: Slices) -> Result<Self> {
        Self::create_at(dir, slices, &SystemClock::new(), present)
    }

    fn create_at(dir: &Path, slices: Slices, clock: &dyn Clock, present: impl FnOnce(&SqliteLog) -> Arc<dyn Clock>) -> Result<Self> {
        if dir.exists() && !dir.is_dir() {
            bail!("{} is no directory; a ledger needs one of its own", dir.display());
        }
        let created = LedgerCreated { v: FORMAT, ledger_id: random_id(), slices, created_at: clock.now(), generated: None };
        let log = SqliteLog::create(dir, created).map_err(|error| explain(error, dir))?;
        let keys: Arc<dyn KeyStore> = Arc::new(SqliteKeyStore::create(dir, Minting::Random).context("the key store cannot be created")?);
        let node = Self::start(dir, log, keys, present)?;
        node.publish_default_rules()?;
        Ok(node)
    }

    /// Opens the ledger in `dir`, or creates one where there is none, with a clock of a test.
    #[cfg(test)]
    pub(crate) fn at(dir: &Path, clock: &Arc<dyn Clock>) -> Result<Self> {
        let now = |_: &SqliteLog| Arc::clone(clock);
        if !has_ledger(dir) {
            return Self::create_at(dir, Slices::new(16)?, &**clock, now);
        }
        let log = SqliteLog::open(dir, Mode::Write).map_err(|error| explain(error, dir))?;
        Self::start(dir, log, Arc::new(SqliteKeyStore::open(dir)?), now)
    }

    /// Opens the ledger in `dir`, or creates one where there is none.
    pub(crate) fn open_or_create(dir: &Path) -> Result<Self> {
        if has_ledger(dir) {
            return Self::open(dir);
        }
        let node = Self::create(dir, Slices::default())?;
        // A mistyped directory must not pass for the ledger that was meant.
        eprintln!("There was no ledger in {}: created one, with the default rules.", dir.display());
        Ok(node)
    }

    fn start(dir: &Path, log: SqliteLog, keys: Arc<dyn KeyStore>, clock: impl FnOnce(&SqliteLog) -> Arc<dyn Clock>) -> Result<Self> {
        let log = Arc::new(log);
        let snapshots = Arc::new(FileSnapshots::new(snapshots_in(dir)).context("the snapshots' folder cannot be made")?);
        let processor = Processor::restore(Arc::clone(&log) as Arc<dyn Log>, &*snapshots, KeyLimits::default(), random_id())?;
        let clock = clock(&log);
        let edge = Edge {
            slices: log.slices(),
            keys: Arc::clone(&keys),
            directory: processor.directory(),
            clock: Arc::clone(&clock),
            randomness: Arc::new(SystemRandomness),
        };
        let chores = Box::new(EmbeddedChores::new(edge.clone(), snapshots, &processor));
        let processor = EmbeddedProcessor::start(processor, move || clock.now(), chores)?;
        Ok(Self { log, edge, keys, processor })
    }

    /// Checks the whole chain in the background; what it finds turns the ledger read-only. It is done when the receiver
    /// is told or hung up on.
    pub(crate) fn verify_behind(&self) -> Receiver<()> {
        let (log, sink) = (Arc::clone(&self.log), self.sink());
        let (done, checked) = sync_channel(1);
        let verifying = thread::Builder::new().name("verify".into()).spawn(move || {
            if let Err(broken) = verify::verify(&*log, None, &mut |_| {}) {
                tracing::error!(%broken, "the ledger is damaged; no command is taken from here on");
                sink.refuse_writes(broken.to_string());
            }
            drop(done);
        });
        if let Err(error) = verifying {
            tracing::warn!(%error, "the ledger could not be checked in the background");
        }
        checked
    }

    /// The queue into the processor.
    pub(crate) fn sink(&self) -> EmbeddedSink {
        self.processor.sink()
    }

    /// Decides what is queued, keeps snapshots, and lets go of the directory.
    pub(crate) fn stop(self) {
        self.processor.stop();
    }

    fn publish_default_rules(&self) -> Result<()> {
        told(self.submit_one(default_rules(&self.edge)?)?)
    }

    fn submit_one(&self, envelope: CommandEnvelope) -> Result<Decided> {
        let answers = runtime()?.block_on(self.sink().submit(vec![envelope]));
        answers.into_iter().next().context("the processor gave no answer")
    }
}

/// The command that publishes the default rules.
pub(crate) fn default_rules(edge: &Edge) -> Result<CommandEnvelope> {
    let payload = serde_json::json!({"program": Rules::DEFAULT}).to_string();
    let incoming = Incoming {
        key: Some("default-rules"),
        ..Incoming::new("PublishRules", payload.as_bytes(), Arc::from(senders::INIT), Channel::Api)
    };
    Ok(edge.prepare(incoming)?)
}

/// Whether they were published.
pub(crate) fn told(decided: Decided) -> Result<()> {
    match decided.map(|answer| answer.outcome) {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(rejection)) => bail!("the default rules were refused: {rejection}"),
        Err(undecided) => bail!("the default rules were not decided: {undecided}"),
    }
}

/// What time it is for a ledger. A generated history ends at an instant of its own, and time goes on from there.
pub(crate) fn present(log: &SqliteLog) -> Arc<dyn Clock> {
    match &log.created().generated {
        Some(generated) => Arc::new(ContinuingClock::new(generated.ends_at.max(last_recorded_at(log)))),
        None => Arc::new(SystemClock::new()),
    }
}

/// When the last record of any slice was recorded, of those that can be read.
fn last_recorded_at(log: &dyn Log) -> Timestamp {
    let last = |slice| {
        let end = log.end(slice).ok()?;
        let placed = log.read(slice, end.checked_sub(1)?, 1).ok()?.pop()?;
        match Body::decode(&placed.record.body).ok()? {
            Body::Decision(decision) => Some(decision.recorded_at),
            Body::Progress(progress) => Some(progress.recorded_at),
            Body::TermOpened(opened) => Some(opened.opened_at),
            Body::LedgerCreated(created) => Some(created.created_at),
        }
    };
    log.slices().all().filter_map(last).max().unwrap_or(Timestamp::from_micros(0))
}

/// Whether there is a ledger in `dir`, or something that cannot be looked at: opening it says what.
pub(crate) fn has_ledger(dir: &Path) -> bool {
    ledger_file(dir).try_exists().unwrap_or_else(|error| error.kind() != ErrorKind::NotADirectory)
}

/// Where the processor's state is kept.
pub(crate) fn snapshots_in(dir: &Path) -> PathBuf {
    dir.join("snapshots")
}

fn ledger_file(dir: &Path) -> PathBuf {
    dir.join("ledger.db")
}

/// A runtime for one thread: for verbs that wait for one thing.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

pub(crate) fn random_id() -> String {
    SystemRandomness.bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Says what to do about it.
pub(crate) fn explain(error: LogError, dir: &Path) -> anyhow::Error {
    match error {
        LogError::Absent(reason) => anyhow::anyhow!("{reason}\nCreate one with: pledger init --data-dir {}", dir.display()),
        other @ (LogError::Store(_) | LogError::Damaged { .. } | LogError::Locked(_) | LogError::ReadOnly(_) | LogError::Unfit(_)) => {
            other.into()
        }
    }
}
