//! Of the processes that could keep the read models in PostgreSQL one does; the others answer from memory until it is gone.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::Result;
use pledger_command_api::Metrics;
use pledger_ledger::log::Log;
use pledger_projections::{
    engine::{Engine, EngineError, Options},
    generation::{Generations, Keeper, KeeperLock},
};

use super::{services::as_sample, stores::Stores};

/// How often it looks whether it is to stop, and whether what it opened is ready.
const TURN: Duration = Duration::from_millis(50);
/// How often it looks who holds the lock.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The engine of a process that keeps the read models, or would.
pub(super) struct Candidacy {
    engine: Engine,
    /// Absent where nobody else could keep them: they are in the directory.
    election: Option<Election>,
}

struct Election {
    lock: KeeperLock,
    generations: Arc<dyn Generations>,
    keeps: Arc<AtomicBool>,
}

impl Candidacy {
    /// Opens the read models where the lock is free, and answers from memory where it is not.
    pub(super) fn open(stores: &mut Stores, log: Arc<dyn Log>, metrics: &Metrics) -> Result<Self> {
        let Some(mut lock) = stores.lock.take() else {
            return Ok(Self { engine: Engine::open_in(&*stores.generations, log, Options::default())?, election: None });
        };
        let is_here = lock.look()? == Keeper::Here;
        let engine = match is_here {
            true => Engine::open_in(&*stores.generations, log, Options::shown())?,
            false => Engine::in_memory(log, Options::shown())?,
        };
        tracing::info!("{}", if is_here { KEEPS } else { WAITS });
        let keeps = Arc::new(AtomicBool::new(is_here));
        let shown = Arc::clone(&keeps);
        metrics.sampled(
            "pledger_projections_keeper",
            "Whether this process keeps the read models in PostgreSQL: one does.",
            move || as_sample(shown.load(Ordering::Acquire).into()),
        )?;
        Ok(Self { engine, election: Some(Election { lock, generations: Arc::clone(&stores.generations), keeps }) })
    }

    /// The engine, and what starts to look after it.
    pub(super) fn part(self) -> (Engine, impl FnOnce(Arc<Engine>) -> io::Result<Option<Keeping>>) {
        (self.engine, |engine| self.election.map(|election| Keeping::start(engine, election)).transpose())
    }
}

impl From<Engine> for Candidacy {
    /// No candidate: others keep the read models.
    fn from(engine: Engine) -> Self {
        Self { engine, election: None }
    }
}

const KEEPS: &str = "this process keeps the read models in PostgreSQL";
const WAITS: &str = "another process keeps the read models in PostgreSQL; this one answers from memory and stands by";

/// A thread that looks who keeps the read models.
pub(crate) struct Keeping {
    stopping: Arc<AtomicBool>,
    thread: JoinHandle<KeeperLock>,
}

impl Keeping {
    fn start(engine: Arc<Engine>, election: Election) -> io::Result<Self> {
        let stopping = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopping);
        let Election { lock, generations, keeps } = election;
        let is_here = keeps.load(Ordering::Acquire);
        let turn = Turn { engine, generations, keeps, lock, is_here, looked_at: Instant::now(), opening: Opening::None };
        let thread = thread::Builder::new().name("keeper".into()).spawn(move || turn.run(&stop))?;
        Ok(Self { stopping, thread })
    }

    /// Ends the thread. What is given back holds the lock, where this process does: it is to be dropped once everything is
    /// written.
    pub(crate) fn stop(self) -> impl Sized + use<> {
        self.stopping.store(true, Ordering::Release);
        let lock = self.thread.join();
        if lock.is_err() {
            tracing::error!("the keeper's thread panicked");
        }
        lock.ok()
    }
}

/// An engine that is opened beside the one that answers. It may take long, and the lock is looked after meanwhile.
enum Opening {
    None,
    Begun(JoinHandle<Result<Engine, EngineError>>),
    CatchingUp(Engine),
}

struct Turn {
    engine: Arc<Engine>,
    generations: Arc<dyn Generations>,
    keeps: Arc<AtomicBool>,
    lock: KeeperLock,
    /// Whether this process held the lock, or nobody did, when somebody last knew.
    is_here: bool,
    looked_at: Instant,
    opening: Opening,
}

impl Turn {
    fn run(mut self, stopping: &AtomicBool) -> KeeperLock {
        while !stopping.load(Ordering::Acquire) {
            thread::sleep(TURN);
            if self.looked_at.elapsed() >= LOOK_EVERY {
                self.look();
                self.looked_at = Instant::now();
            }
            if self.is_kept() && self.engine.is_taken_over() {
                self.let_go();
            }
            self.go_on();
            self.keeps.store(self.is_here && self.is_kept(), Ordering::Release);
        }
        self.keeps.store(false, Ordering::Release);
        // What is being opened still writes: it ends before the lock is let go.
        drop(self.opening);
        self.lock
    }

    /// Where nobody knows who holds the lock, everything stays as it is: no two writers move a cursor from the same place.
    fn look(&mut self) {
        match self.lock.look() {
            Ok(keeper) => {
                self.is_here = keeper == Keeper::Here;
                if self.is_here && !self.is_kept() && matches!(self.opening, Opening::None) {
                    self.open();
                }
                if !self.is_here {
                    self.opening = Opening::None;
                    if self.is_kept() {
                        self.let_go();
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "PostgreSQL does not say who keeps the read models"),
        }
    }

    /// Whether the engine that answers writes. It may have got there by another way: a generation was put in use.
    fn is_kept(&self) -> bool {
        self.engine.generation().is_some()
    }

    fn let_go(&mut self) {
        self.engine.let_go();
        tracing::warn!("{WAITS}");
    }

    fn open(&mut self) {
        let (engine, generations) = (Arc::clone(&self.engine), Arc::clone(&self.generations));
        let opening = move || engine.open_beside(&*generations, Options::shown());
        match thread::Builder::new().name("keeper-open".into()).spawn(opening) {
            Ok(thread) => self.opening = Opening::Begun(thread),
            Err(error) => tracing::warn!(%error, "the read models cannot be opened; it is tried again"),
        }
    }

    fn go_on(&mut self) {
        self.opening = match std::mem::replace(&mut self.opening, Opening::None) {
            Opening::Begun(thread) if thread.is_finished() => match thread.join() {
                Ok(Ok(engine)) => Opening::CatchingUp(engine),
                Ok(Err(error)) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "the read models cannot be opened; it is tried again");
                    Opening::None
                }
                Err(_) => {
                    tracing::error!("the thread that opens the read models panicked; it is tried again");
                    Opening::None
                }
            },
            // Who kept them before still wrote: it lets go when it sees that the lock is here.
            Opening::CatchingUp(engine) if engine.is_taken_over() => Opening::None,
            Opening::CatchingUp(engine) if engine.is_caught_up() => {
                self.engine.give_way_to(engine);
                tracing::info!("{KEEPS}");
                Opening::None
            }
            same @ (Opening::None | Opening::Begun(_) | Opening::CatchingUp(_)) => same,
        };
    }
}
