//! The ledger on one machine: a SQLite file, one row a group commit.
//!
//! `segment` holds the framed records of all slices exactly as hashed; `segment_index` is derived from it and rebuilt
//! where it is missing. One process writes, under a lock; any number read beside it.

mod checkpoint;
mod commit;
mod connection;
mod fetch;
mod index;
mod lock;
mod segment;
mod state;
mod tail;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use pledger_domain::stream::StreamName;
use rusqlite::OptionalExtension;

use self::{
    commit::{Commits, SqliteProducer},
    connection::{Access, Link, Readers},
    fetch::Located,
    state::State,
    tail::SqliteTail,
};
use crate::{
    log::{Log, LogError, Placed, Producer, Tail},
    record::{Body, Hash, LedgerCreated, Record},
    slices::{MAX_SLICES, Position, SliceId, Slices},
};

/// The ledger's file in its directory.
pub const LEDGER_FILE: &str = "ledger.db";
/// The layout of that file.
const LAYOUT: i64 = 1;
/// How many threads read.
const READERS: usize = 2;

const TABLES: [&str; 3] = [
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE segment (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL)",
    "CREATE TABLE segment_index (id INTEGER PRIMARY KEY, entries BLOB NOT NULL)",
];

/// What a log is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// To write and read: takes the directory's lock.
    Write,
    /// To read only, beside a writer or without one.
    Read,
}

/// A ledger in a SQLite file. Clones are one log; the lock is given back when the last of them, its tails and its
/// producers are dropped.
#[derive(Clone, Debug)]
pub struct SqliteLog {
    shared: Arc<Shared>,
    created: Arc<LedgerCreated>,
}

/// The engine: dropped from top to bottom. The writing connection closes after the reading ones, so that it can bring
/// the write-ahead log into the file, and the lock goes last.
#[derive(Debug)]
struct Shared {
    readers: Readers,
    commits: Option<Commits>,
    state: Arc<State>,
    lock: Option<lock::Lock>,
}

impl SqliteLog {
    /// Creates a ledger in `dir`, which is made where it does not exist, and opens it to write.
    ///
    /// # Errors
    /// `LogError::Unfit` where there is one already, `LogError::Locked`, `LogError::Store`.
    pub fn create(dir: &Path, created: LedgerCreated) -> Result<Self, LogError> {
        std::fs::create_dir_all(dir).map_err(|error| LogError::Store(format!("{}: {error}", dir.display())))?;
        let lock = lock::lock(dir)?;
        let file = dir.join(LEDGER_FILE);
        if file.exists() && has_tables(&mut Link::open(&file, Access::Write)?)? {
            return Err(LogError::Unfit(format!("{} holds a ledger already", file.display())));
        }
        let body = Body::LedgerCreated(created).encode().map_err(|error| LogError::Unfit(error.to_string()))?;
        commit::create(&file, &Record::chain(0, 0, 0, Hash::default(), body))?;
        Self::start(file, Mode::Write, Some(lock))
    }

    /// Opens the ledger in `dir`.
    ///
    /// # Errors
    /// `LogError::Locked` naming the process that writes to it, `LogError::Absent` where there is none, `LogError::Unfit` where there is one of a later
    /// pledger, `LogError::Damaged` and `LogError::Store` where its file cannot be read.
    pub fn open(dir: &Path, mode: Mode) -> Result<Self, LogError> {
        let file = dir.join(LEDGER_FILE);
        match file.try_exists() {
            Ok(true) => {}
            Ok(false) => return Err(LogError::Absent(format!("there is no ledger in {}", dir.display()))),
            Err(error) => return Err(LogError::Store(format!("{}: {error}", file.display()))),
        }
        let lock = if mode == Mode::Write { Some(lock::lock(dir)?) } else { None };
        Self::start(file, mode, lock)
    }

    fn start(file: PathBuf, mode: Mode, lock: Option<lock::Lock>) -> Result<Self, LogError> {
        let mut link = Link::open(&file, if mode == Mode::Write { Access::Write } else { Access::Read })?;
        check_layout(&mut link, &file)?;
        let created = read_created(&mut link, &file)?;
        let state = Arc::new(State::new(file, created.slices));
        state.refresh(&mut link, mode == Mode::Write)?;
        let readers = Readers::start(&state.file, READERS)?;
        let commits = if mode == Mode::Write { Some(Commits::start(link, Arc::clone(&state))?) } else { None };
        Ok(Self { shared: Arc::new(Shared { readers, commits, state, lock }), created: Arc::new(created) })
    }

    /// What the ledger is: its first record.
    #[must_use]
    pub fn created(&self) -> &LedgerCreated {
        &self.created
    }

    /// The file it is kept in.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.shared.state.file
    }
}

impl Shared {
    const fn is_writer(&self) -> bool {
        self.lock.is_some()
    }

    /// Beside another process's writer: takes in what it wrote since.
    fn refresh(&self) -> Result<(), LogError> {
        if self.is_writer() {
            return Ok(());
        }
        let state = Arc::clone(&self.state);
        self.readers.call(move |link| state.refresh(link, false))
    }
}

impl Log for SqliteLog {
    fn slices(&self) -> Slices {
        self.shared.state.slices
    }

    fn end(&self, slice: SliceId) -> Result<u64, LogError> {
        self.shared.refresh()?;
        Ok(self.shared.state.index.read().end(slice))
    }

    fn is_found_by_its_stream(&self, placed: &Placed) -> bool {
        let index = self.shared.state.index.read();
        let known = usize::try_from(placed.offset).ok().and_then(|at| index.streams(placed.record.header.slice).get(at).copied());
        known == Some(segment::stream_hash(&placed.record.body))
    }

    /// A lock keeps other writers out.
    fn may_hold_void(&self) -> bool {
        false
    }

    /// Good for single records and for the end of a slice. To read all of a ledger use `tail`: a segment holds records
    /// of many slices, and reading slice by slice reads it again for each.
    fn read(&self, slice: SliceId, offset: u64, max: usize) -> Result<Vec<Placed>, LogError> {
        self.shared.refresh()?;
        let places: Vec<Located> = {
            let index = self.shared.state.index.read();
            let located = |offset| Some(Located { slice, offset, place: index.place(slice, offset)? });
            (offset..index.end(slice)).take(max).filter_map(located).collect()
        };
        self.shared.fetch(&places)
    }

    fn read_stream(&self, stream: &StreamName, offset: u64, max: usize) -> Result<Vec<Placed>, LogError> {
        Ok(self.read_streams(std::slice::from_ref(stream), offset, max)?.into_iter().map(|(_, placed)| placed).collect())
    }

    fn read_streams(&self, streams: &[StreamName], offset: u64, max: usize) -> Result<Vec<(usize, Placed)>, LogError> {
        self.shared.refresh()?;
        self.shared.read_streams(streams, offset, max)
    }

    fn counts(&self, streams: &[StreamName]) -> Result<Option<Vec<usize>>, LogError> {
        self.shared.refresh()?;
        Ok(Some(self.shared.counts(streams)))
    }

    fn tail(&self, from: &[u64]) -> Result<Box<dyn Tail>, LogError> {
        self.shared.refresh()?;
        Ok(Box::new(SqliteTail::new(Arc::clone(&self.shared), from)))
    }

    fn tail_of(&self, places: &[(SliceId, u64)]) -> Result<Box<dyn Tail>, LogError> {
        self.shared.refresh()?;
        Ok(Box::new(SqliteTail::of(Arc::clone(&self.shared), places)))
    }

    fn producer(&self) -> Result<Box<dyn Producer>, LogError> {
        if !self.shared.is_writer() {
            return Err(LogError::Locked(format!("the ledger {} was opened to read only", self.file().display())));
        }
        Ok(Box::new(SqliteProducer::new(Arc::clone(&self.shared))))
    }
}

fn has_tables(link: &mut Link) -> Result<bool, LogError> {
    let tables = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN ('meta', 'segment', 'segment_index')";
    let count: i64 = link.run(|connection| connection.query_row(tables, [], |row| row.get(0)))?;
    Ok(count == TABLES.len() as i64)
}

fn check_layout(link: &mut Link, file: &Path) -> Result<(), LogError> {
    let unfit = |what: String| Err(LogError::Unfit(format!("{} {what}", file.display())));
    if !has_tables(link)? {
        return unfit("holds no ledger".into());
    }
    let layout = "SELECT value FROM meta WHERE key = 'layout'";
    match link.run(|connection| connection.query_row(layout, [], |row| row.get(0)).optional())? {
        Some(LAYOUT) => Ok(()),
        Some(other) => unfit(format!("has the layout {other}; this pledger knows {LAYOUT}")),
        None => unfit("does not say its layout".into()),
    }
}

fn read_created(link: &mut Link, file: &Path) -> Result<LedgerCreated, LogError> {
    let first = state::read(link, 1, MAX_SLICES)?;
    let damaged =
        |reason: &str| LogError::Damaged { position: Position { slice: 0, pseq: 0 }, reason: format!("{}: {reason}", file.display()) };
    if first.len() == 0 || !first.record(0).is_intact() {
        return Err(damaged("the first record is not what was hashed"));
    }
    let record = first.record(0);
    let body = Body::decode(&record.body).map_err(|error| damaged(&error.to_string()))?;
    let Body::LedgerCreated(created) = body else { return Err(damaged("the first record does not say what the ledger is")) };
    Slices::new(created.slices.count).map_err(|error| damaged(&error.to_string()))?;
    Ok(created)
}
