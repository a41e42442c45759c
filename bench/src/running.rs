//! A running ledger in a folder, put together as `pledger serve` does it.

use std::{collections::VecDeque, net::SocketAddr, path::Path, sync::Arc, thread::JoinHandle};

use anyhow::{Context, Result, bail};
use pledger_command_api::{Api, Metrics, serve};
use pledger_consumers::{
    chores::EmbeddedChores,
    embedded::{EmbeddedProcessor, EmbeddedSink},
    processor::{FileSnapshots, KeyLimits, Processor},
};
use pledger_domain::{rejection::Rejection, values::Timestamp};
use pledger_ledger::{
    commands::{CommandEnvelope, CommandSink, Decided},
    edge::{Clock, Edge, SystemClock, SystemRandomness},
    keys::{KeyStore, Minting, SqliteKeyStore},
    log::Log,
    record::{FORMAT, LedgerCreated},
    slices::Slices,
    sqlite::{Mode, SqliteLog},
};
use pledger_projections::engine::{Engine, Options};
use tokio::{net::TcpListener, sync::oneshot};

use crate::workload::{self, Sent};

/// Where snapshots are, in the folder.
pub(crate) const SNAPSHOTS: &str = "snapshots";

/// The writing half: log, edge and processor.
pub(crate) struct Running {
    pub(crate) log: Arc<SqliteLog>,
    pub(crate) edge: Edge,
    pub(crate) today: Timestamp,
    processor: EmbeddedProcessor,
}

impl Running {
    /// A new ledger, its rules published and its partners active.
    pub(crate) fn create(dir: &Path) -> Result<Self> {
        let created = LedgerCreated {
            v: FORMAT,
            ledger_id: "bench".into(),
            slices: Slices::default(),
            created_at: SystemClock::new().now(),
            generated: None,
        };
        let log = SqliteLog::create(dir, created)?;
        let running = Self::start(dir, log, Arc::new(SqliteKeyStore::create(dir, Minting::Random)?))?;
        for wave in workload::program() {
            running.run(&wave)?;
        }
        Ok(running)
    }

    /// The ledger that is there.
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        let log = SqliteLog::open(dir, Mode::Write)?;
        Self::start(dir, log, Arc::new(SqliteKeyStore::open(dir)?))
    }

    fn start(dir: &Path, log: SqliteLog, keys: Arc<dyn KeyStore>) -> Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let log = Arc::new(log);
        let snapshots = Arc::new(FileSnapshots::new(dir.join(SNAPSHOTS))?);
        let processor = Processor::restore(Arc::clone(&log) as Arc<dyn Log>, &*snapshots, KeyLimits::default(), "bench".into())?;
        let edge = Edge {
            slices: log.slices(),
            keys,
            directory: processor.directory(),
            clock: Arc::clone(&clock),
            randomness: Arc::new(SystemRandomness),
        };
        let chores = Box::new(EmbeddedChores::new(edge.clone(), snapshots, &processor));
        let today = clock.now();
        let processor = EmbeddedProcessor::start(processor, move || clock.now(), chores)?;
        Ok(Self { log, edge, today, processor })
    }

    pub(crate) fn sink(&self) -> EmbeddedSink {
        self.processor.sink()
    }

    /// Prepares commands as the API does.
    pub(crate) fn prepare(&self, sent: &[Sent]) -> Result<Vec<CommandEnvelope>> {
        let after = self.sink().reference_positions();
        sent.iter().map(|sent| sent.prepare(&self.edge, after.clone())).collect()
    }

    /// Has commands decided, and checks what was decided.
    pub(crate) fn run(&self, sent: &[Sent]) -> Result<()> {
        let envelopes = self.prepare(sent)?;
        let mut pipe = Pipe::new(self.sink(), sent.len())?;
        pipe.send(envelopes)?;
        check(sent, &pipe.finish()?)
    }

    /// Decides what is queued, and keeps snapshots.
    pub(crate) fn stop(self) {
        self.processor.stop();
    }
}

/// Whether everything was decided as the workload says.
pub(crate) fn check(sent: &[Sent], decided: &[Decided]) -> Result<()> {
    if sent.len() != decided.len() {
        bail!("{} commands got {} answers", sent.len(), decided.len());
    }
    for (sent, decided) in sent.iter().zip(decided) {
        let outcome = &decided.as_ref().map_err(|undecided| anyhow::anyhow!("{} was not decided: {undecided}", sent.name))?.outcome;
        let as_expected = match outcome {
            Ok(_) => !sent.is_rival,
            Err(rejection) => sent.is_rival && matches!(rejection, Rejection::AccountProtected { .. }),
        };
        if !as_expected {
            bail!("{} {} was decided otherwise than expected: {outcome:?}", sent.name, sent.payload);
        }
    }
    Ok(())
}

/// Keeps several submissions on their way, as many clients together would.
pub(crate) struct Pipe {
    sink: EmbeddedSink,
    runtime: tokio::runtime::Runtime,
    waiting: VecDeque<std::pin::Pin<Box<dyn Future<Output = Vec<Decided>> + Send>>>,
    at_most: usize,
    answers: Vec<Decided>,
}

impl Pipe {
    /// At most so many submissions at a time.
    pub(crate) fn new(sink: EmbeddedSink, at_most: usize) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        Ok(Self { sink, runtime, waiting: VecDeque::new(), at_most, answers: Vec::new() })
    }

    /// Hands commands over, waiting for the oldest submission where too many are under way.
    pub(crate) fn send(&mut self, commands: Vec<CommandEnvelope>) -> Result<()> {
        if self.waiting.len() >= self.at_most {
            self.take()?;
        }
        self.waiting.push_back(self.sink.submit(commands));
        Ok(())
    }

    fn take(&mut self) -> Result<()> {
        let first = self.waiting.pop_front().context("no submission is under way")?;
        let answers = self.runtime.block_on(first);
        self.answers.extend(answers);
        Ok(())
    }

    /// Waits for all, and gives every answer so far, in order.
    pub(crate) fn finish(&mut self) -> Result<Vec<Decided>> {
        while !self.waiting.is_empty() {
            self.take()?;
        }
        Ok(std::mem::take(&mut self.answers))
    }
}

/// The whole of `pledger serve`: the writing half, read models and HTTP.
pub(crate) struct Served {
    pub(crate) running: Running,
    pub(crate) engine: Arc<Engine>,
    pub(crate) address: SocketAddr,
    server: Server,
}

impl Served {
    /// Serves a running ledger; `dir` keeps the read models.
    pub(crate) fn start(running: Running, dir: &Path) -> Result<Self> {
        let engine = Arc::new(Engine::open(dir, Arc::clone(&running.log) as Arc<dyn Log>, Options::default())?);
        let log = Arc::clone(&running.log) as Arc<dyn Log>;
        let server = Server::start(running.edge.clone(), Arc::new(running.sink()), log, &engine)?;
        Ok(Self { running, engine, address: server.address, server })
    }

    /// Ends the server and whatever stands behind it.
    pub(crate) fn stop(self) -> Result<()> {
        self.server.stop()?;
        drop(self.engine);
        self.running.stop();
        Ok(())
    }
}

/// HTTP before a ledger.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Result<()>>,
}

impl Server {
    /// Serves on a free port.
    pub(crate) fn start(edge: Edge, sink: Arc<dyn CommandSink>, log: Arc<dyn Log>, engine: &Arc<Engine>) -> Result<Self> {
        let metrics = Metrics::new(prometheus::Registry::new())?;
        let api = Arc::new(Api::new(edge, sink, log, Arc::clone(engine), metrics));
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let until = async {
            // The sender was dropped: that is the end too.
            let _ = stopped.await;
        };
        let work = move || runtime.block_on(serve(listener, api, until)).context("the server failed");
        let thread = std::thread::Builder::new().name("server".into()).spawn(work)?;
        Ok(Self { address, stop, thread })
    }

    /// Lets requests in progress end, and stops.
    pub(crate) fn stop(self) -> Result<()> {
        // A server that has failed says so below.
        let _ = self.stop.send(());
        self.thread.join().map_err(|_| anyhow::anyhow!("the server panicked"))?
    }
}
