//! Generations put in use and parked streams tried again in a cluster: by whoever keeps the read models, whoever asks for it; and the
//! others follow.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use pledger_command_api::{Elsewhere, switch};
use pledger_consumers::background::Background;
use pledger_ledger::{log::Log, postgres::PostgresOptions};
use pledger_projections::{
    engine::{Engine, Options},
    generation::{Answered, Generations, Keeper, KeeperLock, Order, OrderError, OrderNumber, Orders, PostgresGenerations, Seen, is_ready},
};
use serde_json::json;

use super::{Cluster, PostgresFlags, node::open, reading::to_serve};
use crate::{
    context::{Context, Usage},
    verbs::generations::none_in_use,
};

/// How often it looks whether something is asked, and which generation is in use.
const LOOK: Duration = Duration::from_millis(300);
/// How often a lock that is held is said to be held.
const HOLDING: Duration = Duration::from_secs(1);
/// How long the end of what is just done is waited for.
const ENDING: Duration = Duration::from_secs(10);
/// How many looks in a row have to find that another generation is in use than this process keeps: while it puts one in use
/// itself, one of them may.
const LOOKS: u32 = 3;
/// How long an engine that was opened beside the one that answers may take to the ledger's end.
const CATCHING_UP: Duration = Duration::from_secs(3_600);

/// A thread that does what is asked of whoever keeps the read models, where this process does, and that follows what is in use.
pub(crate) struct Switching {
    stopping: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Switching {
    pub(super) fn start(engine: Arc<Engine>, options: PostgresOptions) -> Result<Self> {
        let stopping = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopping);
        let orders = Orders::of(options.clone())?;
        let turn = Turn { engine, generations: PostgresGenerations::of(options), orders, seen: Seen::default(), retry_at: None, astray: 0 };
        let thread = thread::Builder::new().name("switching".into()).spawn(move || turn.run(&stop))?;
        Ok(Self { stopping, thread })
    }

    /// Ends the thread, after what it is just doing; what takes long is left to end with the process.
    pub(crate) fn stop(self) {
        self.stopping.store(true, Ordering::Release);
        let until = Instant::now() + ENDING;
        while !self.thread.is_finished() {
            if Instant::now() > until {
                tracing::warn!("a generation is just being put in use; it is not waited for");
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        if self.thread.join().is_err() {
            tracing::error!("the thread that switches generations panicked");
        }
    }
}

struct Turn {
    engine: Arc<Engine>,
    generations: PostgresGenerations,
    orders: Orders,
    /// What the last look found.
    seen: Seen,
    /// How many records are taken in when parked streams are to be tried again.
    retry_at: Option<u64>,
    /// The looks in a row that found another one in use than this process keeps.
    astray: u32,
}

impl Turn {
    fn run(mut self, stopping: &AtomicBool) {
        while !stopping.load(Ordering::Acquire) {
            thread::sleep(LOOK);
            if let Err(error) = self.look(stopping) {
                tracing::warn!("what is asked of the read models' keeper cannot be seen: {error:#}");
                // The database is away: it is not asked in vain all the time.
                thread::sleep(HOLDING);
            }
        }
    }

    fn look(&mut self, stopping: &AtomicBool) -> Result<()> {
        if self.engine.generation().is_some() {
            self.orders.take(|order| switch(&self.engine, &self.generations, order))?;
        }
        let seen = self.orders.seen()?;
        self.retry_after(seen.retried)?;
        let Some(current) = seen.in_use else { return Ok(()) };
        let kept = self.engine.generation();
        self.astray = if kept.is_some_and(|kept| kept != current) { self.astray + 1 } else { 0 };
        match kept {
            Some(_) if self.astray < LOOKS => {}
            // Whoever kept them before put another one in use just before it lost the lock.
            Some(_) => self.take_place(self.engine.open_beside(&self.generations, Options::shown())?, stopping),
            None if self.seen.in_use == seen.in_use => {}
            None => {
                let version = self.generations.note(current)?.rules_version;
                if version != self.engine.rules_version()
                    && let Some(other) = self.engine.read_beside(&self.generations, current, Options::shown())?
                {
                    self.take_place(other, stopping);
                }
            }
        }
        self.seen.in_use = seen.in_use;
        Ok(())
    }

    /// Tries parked streams again where whoever keeps the read models did, once everything is taken in that the ledger had by then: it may
    /// be what they waited for.
    fn retry_after(&mut self, retried: Option<OrderNumber>) -> Result<()> {
        if retried != self.seen.retried {
            let behind = self.engine.lag()?;
            self.retry_at = Some(self.engine.status().taken_in + behind);
            self.seen.retried = retried;
        }
        if self.retry_at.is_some_and(|at| self.engine.status().taken_in >= at) {
            self.engine.retry_parked()?;
            self.retry_at = None;
        }
        Ok(())
    }

    /// Lets another engine answer, once it has the ledger's end.
    fn take_place(&self, other: Engine, stopping: &AtomicBool) {
        let until = Instant::now() + CATCHING_UP;
        while !other.is_caught_up() {
            if stopping.load(Ordering::Acquire) || Instant::now() > until {
                return;
            }
            thread::sleep(LOOK);
        }
        self.engine.give_way_to(other);
    }
}

/// Whoever keeps the read models, as a process that does not asks it.
pub(super) struct OtherKeeper(pub(super) PostgresOptions);

impl Elsewhere for OtherKeeper {
    fn ask(&self, order: Order) -> Result<Answered, String> {
        let orders = Orders::of(self.0.clone()).map_err(|error| error.to_string())?;
        orders.ask(order).map_err(|error| error.to_string())
    }
}

/// Has a generation put in use: by whoever keeps the read models, or here where nobody does.
pub(crate) fn order(cluster: &Cluster, postgres: &PostgresFlags, order: Order, context: &Context) -> Result<Answered> {
    let Some(options) = postgres.options(context)? else {
        let where_else = "without --postgres the read models are in the directory of the one process that serves: name it with --data-dir, \
                          and no --kafka";
        return Err(Usage(where_else.into()).into());
    };
    let mut lock = KeeperLock::of(options.clone())?;
    if lock.look()? == Keeper::Here {
        return holding(lock, || here(cluster, options, order))?;
    }
    match Orders::of(options.clone())?.ask(order) {
        Ok(answered) => Ok(answered),
        // It may just have ended.
        Err(OrderError::NotTaken) if lock.look()? == Keeper::Here => holding(lock, || here(cluster, options, order))?,
        Err(error) => Err(error.into()),
    }
}

/// Does it in this process, which keeps the read models meanwhile.
fn here(cluster: &Cluster, options: PostgresOptions, order: Order) -> Result<Answered> {
    let (log, generations) = (open(cluster)?, PostgresGenerations::of(options.clone()));
    options.check_owner(&log.created().ledger_id)?;
    let log: Arc<dyn Log> = Arc::new(log);
    if generations.current()?.is_none() {
        return first(&generations, order, &to_serve(cluster, Some(&options)));
    }
    let engine = Engine::open_in(&generations, log, Options::shown())?;
    let answered = switch(&engine, &generations, order);
    engine
        .stop_written()
        .map_err(anyhow::Error::msg)
        .context("what was folded is not all written; it is folded again by the next server")?;
    Ok(answered)
}

/// Puts the first generation in use: there is none that it could be compared with.
fn first(generations: &PostgresGenerations, order: Order, to_serve: &str) -> Result<Answered> {
    match order {
        Order::Promote(generation) if is_ready(generations, generation) => {
            generations.promote(generation)?;
            Ok(Answered { status: 200, body: json!({"generation": generation}).to_string() })
        }
        Order::Promote(_) | Order::RollBack | Order::RetryParked => bail!(none_in_use(generations, to_serve)),
    }
}

/// Does some work while the lock is said to be held about once a second: who is silent for long loses it.
fn holding<T>(mut lock: KeeperLock, work: impl FnOnce() -> T) -> io::Result<T> {
    let _holding = Background::start("keeper", move |stopping| {
        while !stopping.is_set() {
            if let Err(error) = lock.look() {
                tracing::warn!(%error, "PostgreSQL does not say who keeps the read models");
            }
            thread::park_timeout(HOLDING);
        }
    })?;
    Ok(work())
}
