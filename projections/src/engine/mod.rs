//! The fold engine: one reader, a worker a shard, one writer; every record decoded once for all read models.

pub mod checkpoint;
#[cfg(test)]
mod checkpoint_tests;
mod decode;
mod gate;
mod keeping;
mod moment;
#[cfg(test)]
mod order;
mod progress;
mod promotion;
#[cfg(test)]
mod promotion_tests;
mod reader;
mod reading;
mod supposed;
#[cfg(test)]
mod tests;
mod unpark;
#[cfg(test)]
mod unpark_tests;
mod worker;
mod writer;

use std::{
    io, mem,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
use pledger_domain::{program::Program, rules::RuleSet, stream::Stream};
use pledger_ledger::{
    chain::ChainHead,
    log::{Log, LogError},
    outline::Outline,
    record::{Events, Outcome},
    slices::{Position, SliceId},
};

pub use moment::{Beginning, Moment};
pub use progress::{WaitError, position_map};
pub use promotion::{Comparison, PromoteError, TableComparison, compare};
pub use reading::Reading;
pub use supposed::Supposed;
pub use unpark::{Retried, RetryOutcome};

use crate::{
    digest::{TableDigest, digests},
    generation::{self, Access, DirectoryGenerations, GenerationNumber, Generations, Note, fingerprint},
    query::{Page, Query, QueryError, Rows, ViewSpec, answer},
    shard::Shard,
    store::{Store, StoreError},
    table::Places,
};
use moment::Admission;
use progress::Progress;

/// The most workers: more gain nothing, since one reader feeds them.
const MAX_WORKERS: usize = 8;
/// Batches that may wait for a worker.
const INBOX_BATCHES: usize = 4;

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
            read_records: 4096,
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

/// What the threads share.
struct Shared {
    log: Arc<dyn Log>,
    options: Options,
    shards: Vec<RwLock<Shard>>,
    program: RwLock<Arc<Program>>,
    progress: Progress,
    /// How many records lay before the places where the reader began.
    begun_at: u64,
    /// Records handed to workers, and records that these are done with.
    routed: AtomicU64,
    done: AtomicU64,
    /// Records that workers hold back until rules come.
    held: AtomicU64,
    /// Whether the slice of the stream `program` is one of those that wait.
    program_waits: AtomicBool,
    void: AtomicU64,
    /// Whether rows changed that no record counts for.
    is_unwritten: AtomicBool,
    admission: Admission,
    /// What is folded and answered under in place of the rules as published.
    supposed: Option<Supposed>,
    /// Whether the reader's last look found nothing new.
    at_end: AtomicBool,
    /// How far the reader may go.
    gate: gate::Gate,
    caught_up: AtomicBool,
    stopping: AtomicBool,
    /// Whether nothing is written any more, since somebody else keeps the generation.
    let_go: AtomicBool,
    /// Whether somebody else moved a cursor.
    taken_over: AtomicBool,
    /// Whether the reader and the workers ended, so that nothing changes any more.
    drained: AtomicBool,
    reader_trouble: Mutex<Option<String>>,
    writer_trouble: Mutex<Option<String>>,
}

impl Shared {
    /// All rows, held still.
    fn rows(&self) -> Rows<'_> {
        // Always in the order of the shards, so that no two questions and the workers can wait for each other.
        Rows::new(self.shards.iter().map(|shard| Box::new(settled(shard)) as Box<_>).collect()).supposing(self.supposed.as_ref())
    }

    /// Makes rules known to every worker before anything that was decided under them is folded; whether there were any.
    fn publish(&self, decision: &Outline<'_>) -> bool {
        let Outcome::Accepted(Events::Program(events)) = &decision.outcome else { return false };
        let mut program = self.program.write();
        for event in events.iter() {
            Arc::make_mut(&mut program).evolve(event, decision.effective_at);
        }
        true
    }

    /// The rules that a decision is folded under, where it counts at all.
    fn admitted(&self, decision: &Outline<'_>, slice: SliceId, named: Option<Arc<RuleSet>>) -> Option<Option<Arc<RuleSet>>> {
        let supposed = || self.supposed.as_ref().and_then(|supposed| supposed.governing(decision.effective_at));
        self.admission.admits(decision, slice).then(|| supposed().map(Arc::clone).or(named))
    }

    fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Whether every record that was read is taken in or held back, and there are no more for now.
    fn is_stuck(&self) -> bool {
        let taken = self.done.load(Ordering::Acquire) + self.held.load(Ordering::Acquire);
        self.at_end.load(Ordering::Acquire) && taken == self.routed.load(Ordering::Acquire)
    }

    /// Says that the ledger's end was reached, where every record that was read is taken in and there are no more for now.
    fn look_for_the_end(&self) {
        if self.at_end.load(Ordering::Acquire) && self.done.load(Ordering::Acquire) == self.routed.load(Ordering::Acquire) {
            self.caught_up.store(true, Ordering::Release);
        }
    }
}

/// Folds a ledger into read models and answers questions to them.
pub struct Engine {
    /// Another generation may take its place, in one step.
    shared: RwLock<Arc<Shared>>,
    running: Mutex<Running>,
    /// Held while another generation is put in its place.
    switching: Mutex<()>,
}

/// The threads behind one generation.
struct Running {
    shared: Arc<Shared>,
    /// The generation's number, where it is stored.
    generation: Option<GenerationNumber>,
    threads: Vec<JoinHandle<()>>,
    writer: Option<JoinHandle<()>>,
}

impl Engine {
    /// Opens the read models of a data directory and starts to follow the ledger. Where there are none, or they were
    /// made by other folds or from another ledger, they are made from the ledger's beginning.
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
            tracing::warn!(generation, "the read models in use were made by other folds; those made anew are put in use");
            let note = Note { replaced: generations.current()?, ..generations.note(generation)? };
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
        let Some(mut store) = load(generations, generation, Access::Write, &*log, &mut shards)? else { return Ok(None) };
        store.take_over(&mut shards)?;
        let supposed = supposed(&*log, generations.note(generation)?.rules_version)?;
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
        let supposed = supposed(&*log, generations.note(generation)?.rules_version)?;
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
        if load(generations, generation, Access::Read, &*log, &mut shards)?.is_none() {
            return Ok(None);
        }
        let supposed = supposed(&*log, generations.note(generation)?.rules_version)?;
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
        let slices = log.slices();
        let mut heads = vec![ChainHead::default(); usize::from(slices.count)];
        for (slice, head) in shards.iter().flat_map(|shard| &shard.heads) {
            if let Some(known) = heads.get_mut(usize::from(*slice)) {
                *known = *head;
            }
        }
        let program = shards.iter().map(|shard| shard.rules.program()).max_by_key(Program::count).unwrap_or_default();
        let shared = Arc::new(Shared {
            log,
            options,
            shards: shards.into_iter().map(RwLock::new).collect(),
            program: RwLock::new(Arc::new(program)),
            progress: Progress::new(heads.iter().map(|head| head.next_pseq).collect()),
            begun_at: heads.iter().map(|head| head.next_offset).sum(),
            routed: AtomicU64::new(0),
            done: AtomicU64::new(0),
            held: AtomicU64::new(0),
            program_waits: AtomicBool::new(false),
            void: AtomicU64::new(0),
            is_unwritten: AtomicBool::new(false),
            admission: Admission::new(options.moment, slices.count, heads.iter().map(|head| head.next_offset).sum()),
            supposed,
            at_end: AtomicBool::new(false),
            gate: gate::Gate::default(),
            caught_up: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            let_go: AtomicBool::new(false),
            taken_over: AtomicBool::new(false),
            drained: AtomicBool::new(false),
            reader_trouble: Mutex::new(None),
            writer_trouble: Mutex::new(None),
        });
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

    /// Waits until the read models stand at or after all of these.
    ///
    /// # Errors
    /// `WaitError`.
    pub fn wait_for(&self, positions: &[Position], timeout: Duration) -> Result<(), WaitError> {
        self.shared().progress.wait_for(positions, timeout)
    }

    /// The same for asynchronous code.
    ///
    /// # Errors
    /// `WaitError`.
    pub async fn reached(&self, positions: &[Position], timeout: Duration) -> Result<(), WaitError> {
        let shared = self.shared();
        shared.progress.reached(positions, timeout).await
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
        let ends: Result<Vec<u64>, _> = shared.log.slices().all().map(|slice| shared.log.end(slice)).collect();
        Ok(ends?.iter().sum::<u64>().saturating_sub(taken_in))
    }

    /// Waits until the ledger's end was reached once, calling `tell` about ten times a second; whether it was before
    /// `timeout`.
    pub fn wait_until_caught_up(&self, timeout: Duration, mut tell: impl FnMut(&Self)) -> bool {
        const LOOK_EVERY: Duration = Duration::from_millis(2);
        const TELL_EVERY: u32 = 50;
        let start = std::time::Instant::now();
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

impl Running {
    fn spawn(&mut self, heads: &[ChainHead], store: Option<Box<dyn Store>>) -> Result<(), EngineError> {
        let mut inboxes = Vec::new();
        for number in 0..self.shared.shards.len() {
            let (inbox, batches) = mpsc::sync_channel(INBOX_BATCHES);
            inboxes.push(inbox);
            let worker = worker::Worker::new(number, Arc::clone(&self.shared), heads);
            self.threads.push(spawn(&format!("fold-{number}"), move || worker.run(&batches))?);
        }
        let reader = reader::Reader::new(Arc::clone(&self.shared), heads.iter().map(|head| head.next_offset).collect(), inboxes)?;
        self.threads.push(spawn("fold-reader", move || reader.run())?);
        if let Some(store) = store {
            let writer = writer::Writer::new(Arc::clone(&self.shared), store);
            self.writer = Some(spawn("fold-writer", move || writer.run())?);
        }
        Ok(())
    }

    /// Takes in what was read, writes it, and ends the threads.
    fn join(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        let threads = mem::take(&mut self.threads);
        self.join_all(threads);
        self.shared.drained.store(true, Ordering::Release);
        let writer = self.writer.take();
        self.join_all(writer);
    }

    fn join_all(&self, threads: impl IntoIterator<Item = JoinHandle<()>>) {
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the fold engine panicked");
                *self.shared.reader_trouble.lock() = Some("the fold engine failed; restart pledger".to_owned());
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.join();
    }
}

/// The read models of a data directory as they are stored, beside whoever writes them.
pub struct Stored {
    shards: Vec<Shard>,
}

impl Stored {
    /// Reads what a view is made from; none where no read models were ever made by these folds.
    ///
    /// # Errors
    /// `StoreError`.
    pub fn open(data_dir: &Path, view: &ViewSpec) -> Result<Option<Self>, StoreError> {
        let mut tables = view.tables.to_vec();
        tables.extend(["rules", "parked"]);
        Self::load(&DirectoryGenerations::of(data_dir), Some(&tables))
    }

    /// Reads everything.
    ///
    /// # Errors
    /// `StoreError`.
    pub fn open_all(data_dir: &Path) -> Result<Option<Self>, StoreError> {
        Self::open_all_in(&DirectoryGenerations::of(data_dir))
    }

    /// The same, wherever the read models are kept.
    ///
    /// # Errors
    /// `StoreError`.
    pub fn open_all_in(generations: &dyn Generations) -> Result<Option<Self>, StoreError> {
        Self::load(generations, None)
    }

    fn load(generations: &dyn Generations, tables: Option<&[&str]>) -> Result<Option<Self>, StoreError> {
        let Some(generation) = generations.current()? else { return Ok(None) };
        let mut store = generations.open(generation, Access::Read)?;
        if store.fingerprint()? != fingerprint() {
            return Ok(None);
        }
        let mut shards = vec![Shard::default()];
        store.load(&mut shards, tables)?;
        Ok(Some(Self { shards }))
    }

    /// Answers a question.
    ///
    /// # Errors
    /// `QueryError`.
    pub fn query(&self, view: &str, query: &Query) -> Result<Page, QueryError> {
        let shards = self.shards.iter().map(|shard| Box::new(shard) as Box<_>).collect();
        answer(&Rows::new(shards), view, query)
    }

    /// The digest of every table.
    #[must_use]
    pub fn digests(&self, places: Places) -> Vec<TableDigest> {
        digests(self.shards.iter(), places)
    }

    /// What the read models stand on.
    #[must_use]
    pub fn position(&self) -> Vec<Position> {
        crate::query::positions(self.shards.iter())
    }
}

fn empty_shards(options: &Options) -> Vec<Shard> {
    (0..options.workers.clamp(1, MAX_WORKERS)).map(|_| Shard::default()).collect()
}

/// The published rules that a generation is folded under in place of those that its decisions name.
fn supposed(log: &dyn Log, version: Option<u32>) -> Result<Option<Supposed>, EngineError> {
    let Some(version) = version else { return Ok(None) };
    let rules = supposed::published(log)?.version(version).map(Arc::clone);
    rules.map(|rules| Some(Supposed { rules, from: None })).ok_or(EngineError::NoSuchRules(version))
}

/// Loads a generation into the shards, where these folds made it from this ledger.
fn load(
    generations: &dyn Generations,
    generation: GenerationNumber,
    access: Access,
    log: &dyn Log,
    shards: &mut [Shard],
) -> Result<Option<Box<dyn Store>>, EngineError> {
    let mut store = generations.open(generation, access)?;
    // A crash may have come between making the file and its tables.
    if store.fingerprint().ok() != Some(fingerprint()) {
        return Ok(None);
    }
    if let Err(error) = store.load(shards, None) {
        tracing::warn!(%error, "the read models cannot be loaded; they are made again from the ledger");
        return Ok(None);
    }
    for (slice, head) in shards.iter().flat_map(|shard| &shard.heads) {
        if !stands_in(log, *slice, head)? {
            tracing::warn!(slice, "the read models stand on a record that the ledger does not have; they are made again");
            return Ok(None);
        }
    }
    Ok(Some(store))
}

/// Whether the last record before a stored head is the one that the head names.
fn stands_in(log: &dyn Log, slice: SliceId, head: &ChainHead) -> Result<bool, LogError> {
    if head.next_offset == 0 {
        return Ok(true);
    }
    if slice >= log.slices().count {
        return Ok(false);
    }
    let last = log.read(slice, head.next_offset - 1, 1)?;
    Ok(last.first().is_some_and(|last| last.record.header.hash == head.hash && last.record.header.pseq + 1 == head.next_pseq))
}

/// A shard to read, with nothing put off.
fn settled(shard: &RwLock<Shard>) -> RwLockReadGuard<'_, Shard> {
    let read = shard.read();
    if read.is_settled() {
        return read;
    }
    drop(read);
    let mut shard = shard.write();
    shard.settle(usize::MAX);
    RwLockWriteGuard::downgrade(shard)
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(work)
}
