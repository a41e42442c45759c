//! The parts of one data directory behind its HTTP routes, and the file by which a server is found.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result};
use axum::Router;
#[cfg(feature = "kafka")]
use pledger_command_api::Elsewhere;
use pledger_command_api::{Api, ApiState, Metrics, Principal, Principals, Probe, Rights, router};
use pledger_consumers::policies::{Policies, PolicyStatus};
use pledger_ledger::{
    commands::{CommandEnvelope, CommandSink, Decided, Undecided},
    edge::{Edge, SystemRandomness},
    evidence::LedgerKey,
    keys::{KeyStore, SqliteKeyStore},
    log::{Log, LogError},
    slices::Position,
    sqlite::{Mode, SqliteLog},
};
use pledger_projections::{
    engine::{Engine, EngineError, Options},
    generation::{DirectoryGenerations, Generations},
};
use serde::{Deserialize, Serialize};

#[cfg(feature = "kafka")]
use crate::cluster::{Keeping, Switching};
use crate::{
    analyst::{LedgerAnalyst, OpenKey},
    ledger::Ledger,
    node::{Node, explain, present, random_id},
    policies::EngineView,
    room,
};

/// The file in the data directory that says where the server is.
const ANNOUNCEMENT: &str = "serve.json";

/// Says where a server is, and lets the verbs of the same user in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Announcement {
    pub(crate) url: String,
    pub(crate) pid: u32,
    /// The bearer token of the command line: whoever may read this file may import history.
    pub(crate) token: String,
}

impl Announcement {
    fn file(data_dir: &Path) -> PathBuf {
        data_dir.join(ANNOUNCEMENT)
    }

    pub(crate) fn find(data_dir: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(Self::file(data_dir)).ok()?).ok()
    }

    /// Whether some process still writes to the data directory.
    pub(crate) fn holds_lock(&self, data_dir: &Path) -> bool {
        match SqliteLog::open(data_dir, Mode::Write) {
            Err(LogError::Locked(_)) => true,
            Ok(_)
            | Err(LogError::Store(_) | LogError::Damaged { .. } | LogError::ReadOnly(_) | LogError::Unfit(_) | LogError::Absent(_)) => {
                false
            }
        }
    }

    /// Writes the file, readable by this user only.
    pub(crate) fn write(&self, data_dir: &Path) -> Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file: File = options.open(Self::file(data_dir)).context("serve.json cannot be written")?;
        file.write_all(&serde_json::to_vec(self)?)?;
        Ok(())
    }

    pub(crate) fn remove(data_dir: &Path) {
        if let Err(error) = std::fs::remove_file(Self::file(data_dir)) {
            tracing::debug!(%error, "serve.json was not there");
        }
    }
}

/// Everything behind the routes of one data directory.
pub(crate) struct Assembly {
    state: ApiState,
    engine: Arc<Engine>,
    /// Absent where another process writes.
    node: Option<Node>,
    /// What policies send their commands by; absent where none are to be started.
    acting: Option<(Edge, Arc<dyn CommandSink>)>,
    policy_status: Arc<PolicyStatus>,
    /// Absent until they are started.
    policies: Option<Policies>,
    /// Absent where no other process could keep the read models.
    #[cfg(feature = "kafka")]
    keeping: Option<Keeping>,
    /// Absent where nobody shares the read models.
    #[cfg(feature = "kafka")]
    switching: Option<Switching>,
    token: String,
}

impl Assembly {
    /// Opens the data directory to write, creating a ledger where there is none. A damaged ledger is opened to answer
    /// questions only, and says so.
    pub(crate) fn open(data_dir: &Path) -> Result<Self> {
        match Node::open_or_create(data_dir) {
            Ok(node) => Self::around(node, data_dir),
            Err(error) => Self::in_spite_of(error, data_dir),
        }
    }

    /// Answers questions from a damaged ledger; gives any other error back.
    fn in_spite_of(error: anyhow::Error, data_dir: &Path) -> Result<Self> {
        let Some(damaged @ LogError::Damaged { .. }) = error.downcast_ref() else { return Err(error) };
        tracing::error!("{damaged}; questions are answered, and no command is taken");
        // To write, so that no other process does; that may fail for the same damage.
        let log = SqliteLog::open(data_dir, Mode::Write).or_else(|_| SqliteLog::open(data_dir, Mode::Read));
        let log = log.map_err(|error| explain(error, data_dir))?;
        let edge = reading_edge(&log, data_dir)?;
        let log: Arc<dyn Log> = Arc::new(log);
        // Read models are not made from a damaged ledger to stay; those that were made from a sound one are worth more.
        let engine = match stored(data_dir, &log) {
            Ok(Some(engine)) => engine,
            Ok(None) => Engine::in_memory(Arc::clone(&log), Options::default())?,
            Err(error) => {
                tracing::warn!(%error, "the stored read models cannot be gone on with; they are made in memory");
                Engine::in_memory(Arc::clone(&log), Options::default())?
            }
        };
        let sink = Arc::new(NoWriter { reason: damaged.to_string().into(), damaged: true });
        Self::answering(edge, sink, log, engine, data_dir)
    }

    /// Answers questions and says which generations there are; nothing is written.
    fn answering(edge: Edge, sink: Arc<dyn CommandSink>, log: Arc<dyn Log>, engine: Engine, data_dir: &Path) -> Result<Self> {
        let mut assembly = Self::of_parts(edge, sink, log, engine, new_metrics()?, Vec::new(), None)?;
        assembly.api().tell_generations(Arc::new(DirectoryGenerations::of(data_dir)));
        Ok(assembly)
    }

    /// Puts the read models and the routes around an open ledger.
    pub(crate) fn around(node: Node, data_dir: &Path) -> Result<Self> {
        let engine = Engine::open(data_dir, Arc::clone(&node.log) as Arc<dyn Log>, Options::default())?;
        let sink = Arc::new(node.sink());
        let (edge, log) = (node.edge.clone(), Arc::clone(&node.log) as Arc<dyn Log>);
        let ledger = Ledger { log: Arc::clone(&log), created: node.log.created().clone() };
        let acting = Some((edge.clone(), Arc::new(node.sink()) as Arc<dyn CommandSink>));
        let written_to = data_dir.to_owned();
        let probes = vec![Probe::new("disk", move || room::enough(&written_to))];
        let mut assembly = Self::of_parts(edge, sink, log, engine, new_metrics()?, probes, acting)?;
        assembly.node = Some(node);
        assembly.keep_generations(Arc::new(DirectoryGenerations::of(data_dir)), data_dir);
        let key_dir = data_dir.to_owned();
        assembly.analyse(ledger, Box::new(move || LedgerKey::open_or_create(&key_dir)));
        Ok(assembly)
    }

    /// Answers what takes the whole ledger, signed with the key where it is evidence.
    pub(crate) fn analyse(&mut self, ledger: Ledger, key: OpenKey) {
        self.api().analyse_by(Arc::new(LedgerAnalyst::of(ledger, key)));
    }

    /// Puts other generations in use when it is asked to, and answers questions to the past from what the directory has of it.
    pub(crate) fn keep_generations(&mut self, generations: Arc<dyn Generations>, data_dir: &Path) {
        self.api().keep_generations(generations);
        self.keep_checkpoints(data_dir);
    }

    /// Says of the topics of a cluster that their names begin with this.
    #[cfg(feature = "kafka")]
    pub(crate) fn name_topics(&mut self, prefix: &str) {
        self.api().name_topics(prefix);
    }

    /// Asks another process for it, while that one keeps the read models.
    #[cfg(feature = "kafka")]
    pub(crate) fn ask_elsewhere(&mut self, elsewhere: Arc<dyn Elsewhere>) {
        self.api().ask_elsewhere(elsewhere);
    }

    /// Starts what follows the generation in use.
    #[cfg(feature = "kafka")]
    pub(crate) fn follow_generations(&mut self, start: impl FnOnce(Arc<Engine>) -> Result<Switching>) -> Result<()> {
        self.switching = Some(start(Arc::clone(&self.engine)).context("the generation in use cannot be followed")?);
        Ok(())
    }

    /// Answers questions to the past from the checkpoints in the directory.
    pub(crate) fn keep_checkpoints(&mut self, data_dir: &Path) {
        self.api().keep_checkpoints(Arc::new(DirectoryGenerations::checkpoints_of(data_dir)));
    }

    fn api(&mut self) -> &mut Api {
        Arc::get_mut(&mut self.state).expect("nobody shares it yet")
    }

    /// Opens the data directory to read, beside a writer that serves no HTTP or without one, or where nothing may be written.
    pub(crate) fn open_to_read(data_dir: &Path) -> Result<Self> {
        match Node::open(data_dir) {
            Ok(node) => Self::around(node, data_dir),
            Err(error) => match error.downcast_ref() {
                Some(LogError::Locked(_)) => Self::beside(data_dir, "another process writes to this data directory"),
                Some(LogError::ReadOnly(reason)) => Self::beside(data_dir, reason),
                _ => Self::in_spite_of(error, data_dir),
            },
        }
    }

    /// Reads and writes nothing: the read models are folded in memory, and no command is taken, for this reason.
    fn beside(data_dir: &Path, reason: &str) -> Result<Self> {
        let log = SqliteLog::open(data_dir, Mode::Read).map_err(|error| explain(error, data_dir))?;
        let edge = reading_edge(&log, data_dir)?;
        let log: Arc<dyn Log> = Arc::new(log);
        let engine = Engine::in_memory(Arc::clone(&log), Options::default())?;
        let sink = Arc::new(NoWriter { reason: reason.into(), damaged: false });
        Self::answering(edge, sink, log, engine, data_dir)
    }

    /// Puts the routes around parts that are there. `acting` is what policies would send by.
    pub(crate) fn of_parts(
        edge: Edge,
        sink: Arc<dyn CommandSink>,
        log: Arc<dyn Log>,
        engine: Engine,
        metrics: Metrics,
        probes: Vec<Probe>,
        acting: Option<(Edge, Arc<dyn CommandSink>)>,
    ) -> Result<Self> {
        let engine = Arc::new(engine);
        metrics.watch(&sink, &engine)?;
        let token = random_id();
        let operator = Principal {
            name: Arc::from("command-line"),
            rights: Rights { import: true, backdate: true, erase: true, operate: true, persons: true },
        };
        let policy_status = Arc::new(PolicyStatus::default());
        count_policies(&metrics, &policy_status)?;
        let (folding, policing) = (Arc::clone(&engine), Arc::clone(&policy_status));
        let behind = Probe::new("projections", move || {
            let status = folding.status();
            let is_there = if status.caught_up { Ok(()) } else { Err("the read models are on their way to the ledger's end".to_owned()) };
            status.trouble.map_or(is_there, Err)
        });
        let idle = Probe::new("policies", move || policing.trouble().map_or(Ok(()), Err));
        let api = Api::new(edge, sink, log, Arc::clone(&engine), metrics)
            .with_principals(Principals::default().with_token(&token, operator)?)
            .with_probe(behind)
            .with_probe(idle);
        let api = probes.into_iter().fold(api, Api::with_probe);
        Ok(Self {
            state: Arc::new(api),
            engine,
            node: None,
            acting,
            policy_status,
            policies: None,
            #[cfg(feature = "kafka")]
            keeping: None,
            #[cfg(feature = "kafka")]
            switching: None,
            token,
        })
    }

    /// Starts what looks who keeps the read models.
    #[cfg(feature = "kafka")]
    pub(crate) fn keep(&mut self, start: impl FnOnce(Arc<Engine>) -> std::io::Result<Option<Keeping>>) -> Result<()> {
        self.keeping = start(Arc::clone(&self.engine)).context("who keeps the read models cannot be looked after")?;
        Ok(())
    }

    /// Starts the policies, where this process writes. Only a server does: a verb that does one thing does no other.
    pub(crate) fn start_policies(&mut self, look_every: Duration) -> Result<()> {
        if let Some((edge, sink)) = self.acting.take() {
            let (view, status) = (EngineView(Arc::clone(&self.engine)), Arc::clone(&self.policy_status));
            let policies = Policies::start(view, edge, sink, status, look_every);
            self.policies = Some(policies.context("the policies cannot be started")?);
        }
        Ok(())
    }

    pub(crate) fn state(&self) -> ApiState {
        Arc::clone(&self.state)
    }

    pub(crate) fn router(&self) -> Router {
        router(self.state())
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    #[cfg(test)]
    pub(crate) fn policy_status(&self) -> &PolicyStatus {
        &self.policy_status
    }

    pub(crate) fn node(&self) -> Option<&Node> {
        self.node.as_ref()
    }

    /// Closes everything in order: policies send nothing more, the read models are written, what is queued is decided,
    /// snapshots are kept.
    pub(crate) fn stop(self) {
        if let Some(policies) = self.policies {
            policies.stop();
        }
        self.state.stop_filling();
        #[cfg(feature = "kafka")]
        if let Some(switching) = self.switching {
            switching.stop();
        }
        // The lock is let go when everything is written.
        #[cfg(feature = "kafka")]
        let _lock = self.keeping.map(Keeping::stop);
        drop(self.state);
        match Arc::try_unwrap(self.engine) {
            Ok(engine) => engine.stop(),
            Err(_) => tracing::warn!("a request still reads; the read models are closed behind it"),
        }
        if let Some(node) = self.node {
            node.stop();
        }
    }
}

fn new_metrics() -> Result<Metrics> {
    Ok(Metrics::new(prometheus::Registry::new())?)
}

/// Shows what the policies did.
#[expect(clippy::cast_precision_loss, reason = "a sample is a double, and counts of commands are far below 2^53")]
fn count_policies(metrics: &Metrics, status: &Arc<PolicyStatus>) -> Result<()> {
    let (looks, accepted, refused) = (Arc::clone(status), Arc::clone(status), Arc::clone(status));
    metrics.sampled("pledger_policy_looks", "How often the policies looked for something to do since the start.", move || {
        looks.looks() as f64
    })?;
    metrics.sampled("pledger_policy_commands_accepted", "Commands of policies that were accepted since the start.", move || {
        accepted.accepted() as f64
    })?;
    metrics.sampled("pledger_policy_commands_refused", "Commands of policies that were refused since the start.", move || {
        refused.refused() as f64
    })?;
    Ok(())
}

/// The read models in use, where they can be loaded and stand in this ledger; none are begun.
fn stored(data_dir: &Path, log: &Arc<dyn Log>) -> Result<Option<Engine>, EngineError> {
    let generations = DirectoryGenerations::of(data_dir);
    let Some(generation) = generations.current()? else { return Ok(None) };
    Engine::open_generation(&generations, generation, Arc::clone(log), Options::default())
}

/// What opens persons for questions; no command comes through it.
fn reading_edge(log: &SqliteLog, data_dir: &Path) -> Result<Edge> {
    let keys: Arc<dyn KeyStore> = Arc::new(SqliteKeyStore::open_read_only(data_dir)?);
    let (clock, randomness) = (present(log), Arc::new(SystemRandomness));
    Ok(Edge { slices: log.slices(), keys, directory: Arc::default(), clock, randomness })
}

/// Takes no commands: another process writes, nothing may be written, or the ledger is damaged.
pub(crate) struct NoWriter {
    reason: Arc<str>,
    /// Whether answers have to say so.
    damaged: bool,
}

#[cfg(feature = "kafka")]
impl NoWriter {
    /// Others take commands.
    pub(crate) fn beside(reason: &str) -> Self {
        Self { reason: reason.into(), damaged: false }
    }
}

impl CommandSink for NoWriter {
    fn submit(&self, commands: Vec<CommandEnvelope>) -> std::pin::Pin<Box<dyn Future<Output = Vec<Decided>> + Send>> {
        let refused = || Err(Undecided::Unavailable(self.reason.to_string()));
        let all = commands.iter().map(|_| refused()).collect();
        Box::pin(std::future::ready(all))
    }

    fn reference_positions(&self) -> Vec<Position> {
        Vec::new()
    }

    fn halted(&self) -> Option<Arc<str>> {
        self.damaged.then(|| Arc::clone(&self.reason))
    }
}
