//! A connection to the key store's file on a thread of its own: callers may be plain threads or async tasks.

use std::{
    path::{Path, PathBuf},
    sync::mpsc::{self, Receiver, Sender},
    thread::JoinHandle,
    time::Duration,
};

use sqlx::{
    ConnectOptions, Connection as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use tokio::runtime::{Builder, Runtime};

use super::KeyStoreError;
use crate::at_rest::is_at_rest;

/// How long a statement waits for another connection's lock.
const BUSY: Duration = Duration::from_secs(5);

/// What a connection may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Write,
    Read,
}

type Job = Box<dyn FnOnce(&mut SqliteConnection, &Runtime) + Send>;

/// A handle to the thread, which ends with it.
pub(super) struct Connection {
    path: PathBuf,
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Connection {
    /// Connects to a file that exists.
    pub(super) fn open(path: &Path, access: Access) -> Result<Self, KeyStoreError> {
        let options = SqliteConnectOptions::new().filename(path).busy_timeout(BUSY).disable_statement_logging();
        let options = match access {
            Access::Write => {
                options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full).pragma("secure_delete", "ON")
            }
            Access::Read => options.read_only(true).immutable(is_at_rest(path)),
        };
        let failed = |error: &dyn std::fmt::Display| KeyStoreError::Store(format!("{}: {error}", path.display()));
        let runtime = Builder::new_current_thread().enable_time().build().map_err(|error| failed(&error))?;
        let (jobs, queue) = mpsc::channel();
        let (opened, answer) = mpsc::sync_channel(1);
        let work = move || match runtime.block_on(SqliteConnection::connect_with(&options)) {
            Ok(connection) => {
                // Whoever opens waits for this answer.
                drop(opened.send(Ok(())));
                serve(connection, &runtime, &queue);
            }
            Err(error) => drop(opened.send(Err(error))),
        };
        let thread = std::thread::Builder::new().name("keys".into()).spawn(work).map_err(|error| failed(&error))?;
        answer.recv().map_err(|_| failed(&"its thread ended"))?.map_err(|error| failed(&error))?;
        Ok(Self { path: path.to_owned(), jobs: Some(jobs), thread: Some(thread) })
    }

    /// Runs `work` on the thread, after what was asked before, and waits for its answer.
    pub(super) fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut SqliteConnection, &Runtime) -> Result<T, sqlx::Error> + Send + 'static,
    ) -> Result<T, KeyStoreError> {
        let failed = |error: &dyn std::fmt::Display| KeyStoreError::Store(format!("{}: {error}", self.path.display()));
        let (reply, answer) = mpsc::sync_channel(1);
        let job: Job = Box::new(move |connection, runtime| drop(reply.send(work(connection, runtime))));
        if let Some(jobs) = &self.jobs {
            // Where the thread is gone the reply is dropped with the job, which the next line sees.
            drop(jobs.send(job));
        }
        answer.recv().map_err(|_| failed(&"its thread ended"))?.map_err(|error| failed(&error))
    }
}

fn serve(mut connection: SqliteConnection, runtime: &Runtime, queue: &Receiver<Job>) {
    while let Ok(job) = queue.recv() {
        job(&mut connection, runtime);
    }
    if let Err(error) = runtime.block_on(connection.close()) {
        tracing::warn!(%error, "closing the key store failed; the next to open it brings its log in");
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a thread of the key store panicked");
        }
    }
}
