//! The fold engine: one reader, a worker a shard, one writer; every record decoded once for all read models.

pub mod checkpoint;
#[cfg(test)]
mod checkpoint_tests;
mod decode;
mod filling;
mod gate;
mod keeping;
mod loading;
mod moment;
#[cfg(test)]
mod order;
mod progress;
mod promotion;
#[cfg(test)]
mod promotion_tests;
mod reader;
mod reading;
mod running;
mod shared;
mod stored;
mod supposed;
#[cfg(test)]
mod tests;
mod unpark;
#[cfg(test)]
mod unpark_tests;
mod worker;
mod writer;

use std::{
    io,
    path::Path,
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use parking_lot::{Mutex, RwLock};
use pledger_ledger::{
    chain::ChainHead,
    log::{Log, LogError},
    slices::Position,
};

pub use checkpoint::AtMoment;
pub(crate) use decode::stream_of;
pub use filling::{Begun, Far, FillError, Purpose, fill};
pub use moment::{Beginning, Moment};
pub use progress::{WaitError, position_map};
pub use promotion::{Comparison, PromoteError, TableComparison, compare};
pub use reading::Reading;
pub use stored::Stored;
pub use supposed::{PaidOtherwise, Supposed, published};
pub use unpark::{Retried, RetryOutcome};

use crate::{
    digest::{TableDigest, digests},
    generation::{self, Access, DirectoryGenerations, GenerationNumber, Generations, Note},
    query::{Page, Query, QueryError, answer},
    shard::Shard,
    store::{Store, StoreError},
    table::Places,
};
use loading::{empty_shards, load};
use running::Running;
use shared::Shared;

/// The most workers: more gain nothing, since one reader feeds them.
const MAX_WORKERS: usize = 8;

/// How an engine works. None of it changes what it makes, but for the moment.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Workers, and shards of every table.
    pub workers: usize,
    /// Records that are read at once.
    pub read_records: usize,
    /// How long changed rows wait to be written once the ledger's end was reached.
    pub flush_every: Duration,
    /// The most records between two writes before the ledger's end was first reached.
    pub rebuild_flush_records: u64,
    /// How long a slice waits for a version of the rules that its decision names and the ledger's end does not have.
    pub rules_wait: Duration,
    /// What of the ledger counts.
    pub moment: Moment,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            workers: thread::available_parallelism().map_or(1, usize::from).min(MAX_WORKERS),
            read_records: 1024,
            flush_every: Duration::from_millis(500),
            rebuild_flush_records: 1_000_000,
            rules_wait: Duration::from_secs(5),
            moment: Moment::default(),
        }
    }
}

/// Why an engine cannot start.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The ledger failed.
    #[error("the ledger cannot be read")]
    Log(#[from] LogError),
    /// A generation that was just made is not there.
    #[error("generation {0} was made and cannot be opened")]
    NoGeneration(GenerationNumber),
    /// The rules that a generation is folded under are not in the ledger.
    #[error("the ledger has no version {0} of the rules")]
    NoSuchRules(u32),
    /// The read models failed.
    #[error("the read models cannot be opened")]
    Store(#[from] StoreError),
    /// A thread could not be started.
    #[error("the fold engine's threads cannot be started")]
    Threads(#[from] io::Error),
}

/// What the engine is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Records taken in since the start.
    pub taken_in: u64,
    /// Of these, void ones.
    pub void: u64,
    /// Whether the ledger's end was reached since the start.
    pub caught_up: bool,
    /// Streams of which nothing more is folded.
    pub parked: usize,
    /// What keeps it from going on or from writing, where something does.
    pub trouble: Option<String>,
}

/// Folds a ledger into read models and answers questions to them.
pub struct Engine {
    /// Another generation may take its place, in one step.
    shared: RwLock<Arc<Shared>>,
    running: Mutex<Running>,
    /// Held while another generation is put in its place.
    switching: Mutex<()>,
}

impl Engine {
    /// Opens the read models of a data directory and starts to follow the ledger. Where there are none, or they were
    /// made by other folds or from another ledger, or are damaged, they are made from the ledger's beginning.
    ///
    /// # Errors
    /// `EngineError`.
    pub fn open(data_dir: &Path, log: Arc<dyn Log>, options: Options) -> Result<Self, EngineError> {
        Self::open_in(&DirectoryGenerations::of(data_dir), log, options)
    }

    /// The same, wherever the read models are kept.
    ///
    /// # Errors
    /// `EngineError`.
    pub fn open_in(generations: &dyn Generations, log: Arc<dyn Log>, options: Options) -> Result<Self, EngineError> {
        if let Some(generation) = generations.current()?
            && let Some(engine) = Self::open_generation(generations, generation, Arc::clone(&log), options)?
        {
            return Ok(engine);
        }
        // One that these folds have filled already, beside an older pledger that goes on with its own.
        let ready = generations.all()?.into_iter().rev().find(|generation| generation::is_ready(generations, *generation));
        if let Some(generation) = ready
            && let Some(engine) = Self::open_generation(generations, generation, Arc::clone(&log), options)?
        {
            let replaced = generations.current()?;
            match replaced {
                Some(_) => {
                    tracing::warn!(
                        generation,
                        "the read models in use are damaged, or made by other folds; those made anew are put in use"
                    );
                }
                None => tracing::info!(generation, "no read models were in use; those that were filled last are put in use"),
            }
            let note = Note { replaced, ..generations.note(generation)? };
            generations.keep_note(generation, &note)?;
            generations.promote(generation)?;
            return Ok(engine);
        }
        let generation = generations.start()?;
        Self::open_generation(generations, generation, log, options)?.ok_or(EngineError::NoGeneration(generation))
    }

    /// Opens a generation, in use or not, and goes on with it; none where it was made by other folds or from another ledger,
    /// or cannot be read.
    ///
    /// # Errors
    /// `EngineError`.
    pub fn open_generation(
        generations: &dyn Generations,
        generation: GenerationNumber,
        log: Arc<dyn Log>,
        options: Options,
    ) -> Result<Option<Self>, EngineError> {
        let mut shards = empty_shards(&options);
        let Some(mut store) = load(generations, generation, Access::Write, &*log, &mut shards, None)? else { return Ok(None) };
        store.take_over(&mut shards)?;
        let supposed = Supposed::always(&*log, generations.note(generation)?.rules_version)?;
        let engine = Self::start(log, options, shards, Some((generation, store)), supposed)?;
        // Whoever could not read a record may have been mended since.
        for retried in engine.retry_parked()? {
            tracing::warn!(stream = retried.stream, since = %retried.since, outcome = ?retried.outcome, "a parked stream was tried again");
        }
        Ok(Some(engine))
    }

    /// A fresh fold in memory, under the rules that the generation is folded under.
    ///
    /// # Errors
    /// `EngineError`.
    pub fn fresh(
        generations: &dyn Generations,
        generation: GenerationNumber,
        log: Arc<dyn Log>,
        options: Options,
    ) -> Result<Self, EngineError> {
        let supposed = Supposed::always(&*log, generations.note(generation)?.rules_version)?;
        Self::start(log, options, empty_shards(&options), None, supposed)
    }

    /// The same in memory: what is stored is read and not written, whoever else writes it.
    ///
    /// # Errors
    /// `EngineError`.
    pub fn beside(
        generations: &dyn Generations,
        generation: GenerationNumber,
        log: Arc<dyn Log>,
        options: Options,
    ) -> Result<Option<Self>, EngineError> {
        let mut shards = empty_shards(&options);
        if load(generations, generation, Access::Read, &*log, &mut shards, None)?.is_none() {
            return Ok(None);
        }
        let supposed = Supposed::always(&*log, generations.note(generation)?.rules_version)?;
        Self::start(log, options, shards, None, supposed).map(Some)
    }

    /// The same without a database: the read models live as long as the engine.
    ///
    /// # Errors
    /// `EngineError`.
    pub fn in_memory(log: Arc<dyn Log>, options: Options) -> Result<Self, EngineError> {
        Self::start(log, options, empty_shards(&options), None, None)
    }

    /// The same, as if these rules had been in force: what is folded under rules is folded under them, and tiers and returns
    /// are asked under them. What was decided stays as it was recorded.
    ///
    /// # Errors
    /// `EngineError`.
    pub fn supposing(log: Arc<dyn Log>, options: Options, supposed: Supposed) -> Result<Self, EngineError> {
        Self::start(log, options, empty_shards(&options), None, Some(supposed))
    }

    fn start(
        log: Arc<dyn Log>,
        options: Options,
        shards: Vec<Shard>,
        store: Option<(GenerationNumber, Box<dyn Store>)>,
        supposed: Option<Supposed>,
    ) -> Result<Self, EngineError> {
        let mut heads = vec![ChainHead::default(); usize::from(log.slices().count)];
        for (slice, head) in shards.iter().flat_map(|shard| &shard.heads) {
            if let Some(known) = heads.get_mut(usize::from(*slice)) {
                *known = *head;
            }
        }
        let shared = Arc::new(Shared::new(log, options, shards, &heads, supposed));
        let generation = store.as_ref().map(|(generation, _)| *generation);
        let mut running = Running { shared: Arc::clone(&shared), generation, threads: Vec::new(), writer: None };
        running.spawn(&heads, store.map(|(_, store)| store))?;
        Ok(Self { shared: RwLock::new(shared), running: Mutex::new(running), switching: Mutex::new(()) })
    }

    /// The generation that answers now.
    fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared.read())
    }

    /// The number of the generation that answers now, where it is stored.
    #[must_use]
    pub fn generation(&self) -> Option<GenerationNumber> {
        self.running.lock().generation
    }

    /// Answers a question to a view, from the rows as they stand now. It takes some milliseconds of one core: from
    /// asynchronous code, call it where blocking is allowed.
    ///
    /// # Errors
    /// `QueryError`.
    pub fn query(&self, view: &str, query: &Query) -> Result<Page, QueryError> {
        answer(&self.shared().rows(), view, query)
    }

    /// What the read models stand on: the last record of every slice that has one.
    #[must_use]
    pub fn position(&self) -> Vec<Position> {
        self.shared().progress.positions()
    }

    /// Waits until the read models stand at or after all of these, and so do those that take their place meanwhile.
    ///
    /// # Errors
    /// `WaitError`.
    pub fn wait_for(&self, positions: &[Position], timeout: Duration) -> Result<(), WaitError> {
        let until = Instant::now() + timeout;
        loop {
            let shared = self.shared();
            let reached = shared.progress.wait_for(positions, until.saturating_duration_since(Instant::now()));
            if self.still_answers(&shared) {
                return reached;
            }
        }
    }

    /// The same for asynchronous code.
    ///
    /// # Errors
    /// `WaitError`.
    pub async fn reached(&self, positions: &[Position], timeout: Duration) -> Result<(), WaitError> {
        let until = Instant::now() + timeout;
        loop {
            let shared = self.shared();
            let reached = shared.progress.reached(positions, until.saturating_duration_since(Instant::now())).await;
            if self.still_answers(&shared) {
                return reached;
            }
        }
    }

    /// Whether no other generation took its place. Both stand at one vector when one does: what this one reached before is there
    /// in the other.
    fn still_answers(&self, shared: &Arc<Shared>) -> bool {
        Arc::ptr_eq(shared, &self.shared.read())
    }

    /// What it is doing.
    #[must_use]
    pub fn status(&self) -> Status {
        let shared = self.shared();
        let unwritten = || shared.writer_trouble.lock().clone().filter(|_| !shared.let_go.load(Ordering::Acquire));
        let trouble = shared.reader_trouble.lock().clone().or_else(unwritten);
        Status {
            taken_in: shared.done.load(Ordering::Acquire),
            void: shared.void.load(Ordering::Acquire),
            caught_up: shared.caught_up.load(Ordering::Acquire),
            parked: shared.shards.iter().map(|shard| shard.read().parked.streams.len()).sum(),
            trouble,
        }
    }

    /// Where history begins, if that is after the moment that this engine folds.
    #[must_use]
    pub fn begins_later(&self) -> Option<Beginning> {
        self.shared().admission.before()
    }

    /// How many records of the ledger are not taken in yet, void ones included.
    ///
    /// # Errors
    /// `LogError`.
    pub fn lag(&self) -> Result<u64, LogError> {
        // Read before the ends, so that records that come in between are counted as not taken in.
        let shared = self.shared();
        let taken_in = shared.begun_at + shared.done.load(Ordering::Acquire);
        let ends = shared.log.ends(&shared.log.slices().all().collect::<Vec<_>>())?;
        Ok(ends.iter().sum::<u64>().saturating_sub(taken_in))
    }

    /// Waits until the ledger's end was reached once, calling `tell` about ten times a second; whether it was before
    /// `timeout`.
    pub fn wait_until_caught_up(&self, timeout: Duration, mut tell: impl FnMut(&Self)) -> bool {
        const LOOK_EVERY: Duration = Duration::from_millis(2);
        const TELL_EVERY: u32 = 50;
        let start = Instant::now();
        let mut looks = 0_u32;
        while !self.shared().caught_up.load(Ordering::Acquire) {
            if start.elapsed() >= timeout {
                return false;
            }
            thread::sleep(LOOK_EVERY);
            looks += 1;
            if looks.is_multiple_of(TELL_EVERY) {
                tell(self);
            }
        }
        true
    }

    /// The digest of every table.
    #[must_use]
    pub fn digests(&self, places: Places) -> Vec<TableDigest> {
        let shared = self.shared();
        let guards: Vec<_> = shared.shards.iter().map(|shard| shard.read()).collect();
        digests(guards.iter().map(|guard| &**guard), places)
    }

    /// Takes in what was read, writes every changed row and its cursors, and ends the threads.
    pub fn stop(self) {
        drop(self);
    }

    /// The same, and says whether everything is written.
    ///
    /// # Errors
    /// What kept it from being written, in words.
    pub fn stop_written(self) -> Result<(), String> {
        let shared = self.shared();
        drop(self);
        let trouble = shared.writer_trouble.lock().take().or_else(|| shared.reader_trouble.lock().take());
        trouble.map_or(Ok(()), Err)
    }
}
