//! Connections. Each stays on one thread; those that read have a thread of their own.

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
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::{at_rest, log::LogError};

/// Segments are large rows: large pages keep their overflow chains short.
pub(super) const PAGE_BYTES: u32 = 16_384;
/// How long a statement waits for another connection's lock.
const BUSY: Duration = Duration::from_secs(10);

/// What a connection may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Create,
    Write,
    Read,
}

/// A connection that names its file in what goes wrong.
pub(super) struct Link {
    connection: Option<Connection>,
    file: PathBuf,
}

impl Link {
    /// Connects.
    ///
    /// # Errors
    /// `LogError::Store` naming the file.
    pub(super) fn open(file: &Path, access: Access) -> Result<Self, LogError> {
        let connection = connect(file, access).map_err(|error| store(file, &error))?;
        Ok(Self { connection: Some(connection), file: file.to_owned() })
    }

    /// Names the file in an error that does not.
    pub(super) fn named(&self, error: LogError) -> LogError {
        let file = self.file.display();
        match error {
            LogError::Damaged { position, reason } => LogError::Damaged { position, reason: format!("{file}: {reason}") },
            LogError::Store(reason) => LogError::Store(format!("{file}: {reason}")),
            LogError::Locked(_) | LogError::ReadOnly(_) | LogError::Unfit(_) | LogError::Absent(_) => error,
        }
    }

    /// Runs statements.
    ///
    /// # Errors
    /// `LogError::Store` naming the file.
    pub(super) fn run<T>(&mut self, work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>) -> Result<T, LogError> {
        let connection = self.connection.as_mut().expect("a connection is taken out by drop only");
        work(connection).map_err(|error| store(&self.file, &error))
    }
}

fn connect(file: &Path, access: Access) -> rusqlite::Result<Connection> {
    let flags = match access {
        Access::Create => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
        Access::Write => OpenFlags::SQLITE_OPEN_READ_WRITE,
        Access::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
    } | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = match at_rest::uri(file).filter(|_| access == Access::Read) {
        Some(uri) => Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)?,
        None => Connection::open_with_flags(file, flags)?,
    };
    connection.busy_timeout(BUSY)?;
    if access != Access::Read {
        // In this order: the size of a file's pages is settled by what is written first.
        connection.pragma_update(None, "page_size", PAGE_BYTES)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
    }
    Ok(connection)
}

fn store(file: &Path, error: &rusqlite::Error) -> LogError {
    let what_to_do = match error.sqlite_error_code() {
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen) if at_rest::has_a_log(file) => {
            "; what was written last stands beside it, and is read where it may be written: copy the whole directory to such a place"
        }
        _ => "",
    };
    LogError::Store(format!("{}: {error}{what_to_do}", file.display()))
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take()
            // The last connection to close brings the write-ahead log into the file. A failure loses nothing: the next
            // one to open it does the same.
            && let Err((_, error)) = connection.close()
        {
            tracing::warn!(file = %self.file.display(), %error, "closing the ledger's file failed");
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

/// Waits for a thread of the engine to end.
pub(super) fn join(thread: JoinHandle<()>) {
    // The last handle may be dropped on the engine's own thread, which cannot wait for itself.
    if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
        tracing::error!("a thread of the ledger's engine panicked");
    }
}
