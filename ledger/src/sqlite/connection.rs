//! Connections on threads of their own: callers may be plain threads or workers of any async runtime.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender, SyncSender},
    },
    thread::JoinHandle,
    time::Duration,
};

use parking_lot::Mutex;
use sqlx::{
    ConnectOptions, Connection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use tokio::runtime::{Builder, Runtime};

use crate::log::LogError;

/// Segments are large rows: large pages keep their overflow chains short.
pub(super) const PAGE_BYTES: u32 = 16_384;
/// How many rows a reader copies ahead: each is a segment.
const ROWS_AHEAD: usize = 8;
/// How long a statement waits for another connection's lock.
const BUSY: Duration = Duration::from_secs(10);

/// What a connection may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Create,
    Write,
    Read,
}

/// A connection and the runtime it is driven by; stays on one thread.
pub(super) struct Link {
    runtime: Runtime,
    connection: Option<SqliteConnection>,
    file: PathBuf,
}

impl Link {
    /// Connects.
    ///
    /// # Errors
    /// `LogError::Store` naming the file.
    pub(super) fn open(file: &Path, access: Access) -> Result<Self, LogError> {
        let options = SqliteConnectOptions::new().filename(file).busy_timeout(BUSY).disable_statement_logging();
        let options = match access {
            Access::Create | Access::Write => options
                .create_if_missing(access == Access::Create)
                .page_size(PAGE_BYTES)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full),
            Access::Read => options.read_only(true).row_buffer_size(ROWS_AHEAD),
        };
        let store = |error: &dyn std::fmt::Display| LogError::Store(format!("{}: {error}", file.display()));
        let runtime = Builder::new_current_thread().enable_time().build().map_err(|error| store(&error))?;
        let connection = runtime.block_on(SqliteConnection::connect_with(&options)).map_err(|error| store(&error))?;
        Ok(Self { runtime, connection: Some(connection), file: file.to_owned() })
    }

    /// Names the file in an error that does not.
    pub(super) fn named(&self, error: LogError) -> LogError {
        let file = self.file.display();
        match error {
            LogError::Damaged { position, reason } => LogError::Damaged { position, reason: format!("{file}: {reason}") },
            LogError::Store(reason) => LogError::Store(format!("{file}: {reason}")),
            LogError::Locked(_) | LogError::Unfit(_) => error,
        }
    }

    /// Runs statements.
    ///
    /// # Errors
    /// `LogError::Store` naming the file.
    pub(super) fn run<T>(&mut self, work: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, sqlx::Error>) -> Result<T, LogError> {
        let connection = self.connection.as_mut().expect("a connection is taken out by drop only");
        self.runtime.block_on(work(connection)).map_err(|error| LogError::Store(format!("{}: {error}", self.file.display())))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            // The last connection to close brings the write-ahead log into the file. A failure loses nothing: the next
            // one to open it does the same.
            let closed = self.runtime.block_on(connection.close());
            if let Err(error) = closed {
                tracing::warn!(file = %self.file.display(), %error, "closing the ledger's file failed");
            }
        }
    }
}

type Job = Box<dyn FnOnce(&mut Link) + Send>;

/// Threads with a reading connection each.
#[derive(Debug)]
pub(super) struct Readers {
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    /// Starts `count` of them.
    ///
    /// # Errors
    /// `LogError::Store` where a connection cannot be had.
    pub(super) fn start(file: &Path, count: usize) -> Result<Self, LogError> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        let mut readers = Self { jobs: Some(jobs), threads: Vec::new() };
        for n in 0..count {
            let (file, queue) = (file.to_owned(), Arc::clone(&queue));
            let (opened, open) = mpsc::sync_channel(1);
            let work = move || match Link::open(&file, Access::Read) {
                Ok(link) => {
                    answer(&opened, Ok(()));
                    serve(link, &queue);
                }
                Err(error) => answer(&opened, Err(error)),
            };
            readers.threads.push(spawn(&format!("ledger-read-{n}"), work)?);
            open.recv().map_err(|_| gone())??;
        }
        Ok(readers)
    }

    /// Hands work to a reader; the answer comes over the channel.
    pub(super) fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Link) -> Result<T, LogError> + Send + 'static,
    ) -> Receiver<Result<T, LogError>> {
        let (reply, answered) = mpsc::sync_channel(1);
        let job: Job = Box::new(move |link| answer(&reply, work(link)));
        if let Some(jobs) = &self.jobs {
            // Where no thread is left the reply's channel closes, which the caller sees.
            drop(jobs.send(job));
        }
        answered
    }

    /// The same, waiting for the answer.
    ///
    /// # Errors
    /// That of the work.
    pub(super) fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Link) -> Result<T, LogError> + Send + 'static,
    ) -> Result<T, LogError> {
        self.ask(work).recv().map_err(|_| gone())?
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.jobs = None;
        self.threads.drain(..).for_each(join);
    }
}

fn serve(mut link: Link, queue: &Mutex<Receiver<Job>>) {
    loop {
        let job = queue.lock().recv();
        let Ok(job) = job else { return };
        job(&mut link);
    }
}

fn answer<T>(to: &SyncSender<T>, value: T) {
    // Whoever asked may have gone.
    drop(to.send(value));
}

/// What a caller is told when the thread that should answer is no more.
pub(super) fn gone() -> LogError {
    LogError::Store("a thread of the ledger's engine ended early".into())
}

/// Starts a thread of the engine.
///
/// # Errors
/// `LogError::Store` where the system gives no thread.
pub(super) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, LogError> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).map_err(|error| LogError::Store(format!("no thread: {error}")))
}

/// Does work on a thread of its own and waits for it: a worker of an async runtime may not drive another one.
///
/// # Errors
/// That of the work.
pub(super) fn aside<T: Send + 'static>(work: impl FnOnce() -> Result<T, LogError> + Send + 'static) -> Result<T, LogError> {
    let (reply, answered) = mpsc::sync_channel(1);
    let thread = spawn("ledger-open", move || answer(&reply, work()))?;
    let answer = answered.recv().map_err(|_| gone())?;
    join(thread);
    answer
}

/// Waits for a thread of the engine to end.
pub(super) fn join(thread: JoinHandle<()>) {
    // The last handle may be dropped on the engine's own thread, which cannot wait for itself.
    if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
        tracing::error!("a thread of the ledger's engine panicked");
    }
}
