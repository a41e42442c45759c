//! A connection on a thread of its own, made anew after it failed: callers may be plain threads or async tasks.

use std::{
    sync::mpsc::{self, Receiver, Sender},
    thread::JoinHandle,
    time::Duration,
};

use sqlx::{Executor as _, PgConnection};
use tokio::runtime::{Builder, Runtime};

use super::{PostgresOptions, reach::said};

/// How long one call may take.
const TO_ANSWER: Duration = Duration::from_secs(60);

/// Why a call came to nothing. It may have been done all the same where the connection was lost.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The database said no, or cannot be reached.
    #[error("{}", said(.0))]
    Database(sqlx::Error),
    /// The connection at hand had ended.
    #[error("the connection to PostgreSQL was lost: {}", said(.0))]
    Lost(sqlx::Error),
    /// It did not answer.
    #[error("PostgreSQL did not answer within {} s", TO_ANSWER.as_secs())]
    Late,
    /// The session's thread could not be started, or ended.
    #[error("the session's thread ended")]
    Ended,
}

/// What the database says is told with the error itself, and not once more as its cause.
impl From<sqlx::Error> for SessionError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

type Job = Box<dyn FnOnce(&mut Link) + Send>;

/// A handle to the thread, which ends with it.
pub struct Session {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread has.
struct Link {
    runtime: Runtime,
    options: PostgresOptions,
    begin: &'static str,
    connection: Option<PgConnection>,
    /// The connections that were made so far.
    made: u64,
}

impl Session {
    /// Starts a session; it connects with the first call, and says `begin` on every new connection.
    ///
    /// # Errors
    /// `SessionError::Ended` where no thread can be started.
    pub fn start(options: PostgresOptions, name: &str, begin: &'static str) -> Result<Self, SessionError> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|_| SessionError::Ended)?;
        let (jobs, queue) = mpsc::channel();
        let link = Link { runtime, options, begin, connection: None, made: 0 };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || link.serve(&queue));
        Ok(Self { jobs: Some(jobs), thread: Some(thread.map_err(|_| SessionError::Ended)?) })
    }

    /// Does something on the connection, after what was asked before, and waits for it.
    ///
    /// # Errors
    /// `SessionError`.
    pub fn call<T: Send + 'static>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error> + Send + 'static,
    ) -> Result<T, SessionError> {
        self.call_numbered(work).map(|(done, _)| done)
    }

    /// The same, with the number of the connection that it was done on: another number says that the one before was lost.
    ///
    /// # Errors
    /// `SessionError`.
    pub fn call_numbered<T: Send + 'static>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error> + Send + 'static,
    ) -> Result<(T, u64), SessionError> {
        let (reply, answer) = mpsc::sync_channel(1);
        let job: Job = Box::new(move |link| drop(reply.send(link.work(work).map(|done| (done, link.made)))));
        if let Some(jobs) = &self.jobs {
            // Where the thread is gone the reply is dropped with the job, which the next line sees.
            drop(jobs.send(job));
        }
        answer.recv().map_err(|_| SessionError::Ended)?
    }

    /// The same, and once more on a new connection where the one at hand had ended: the database may end it while nobody
    /// asks. What is asked may have been done the first time.
    ///
    /// # Errors
    /// `SessionError`.
    pub fn call_again<T: Send + 'static>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error> + Clone + Send + 'static,
    ) -> Result<T, SessionError> {
        self.call_again_numbered(work).map(|(done, _)| done)
    }

    /// The same, with the number of the connection that it was done on.
    ///
    /// # Errors
    /// `SessionError`.
    pub fn call_again_numbered<T: Send + 'static>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error> + Clone + Send + 'static,
    ) -> Result<(T, u64), SessionError> {
        match self.call_numbered(work.clone()) {
            Err(SessionError::Lost(error)) => {
                tracing::info!(%error, "the connection to PostgreSQL had ended; it is made anew");
                self.call_numbered(work)
            }
            done => done,
        }
    }
}

/// Whether an error is of the connection, and not of what was asked.
fn is_of_connection(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        // Ended by an administrator, by a crash, or because it was idle.
        sqlx::Error::Database(error) => matches!(error.code().as_deref(), Some("57P01" | "57P02" | "57P05")),
        _ => false,
    }
}

impl Link {
    fn serve(mut self, queue: &Receiver<Job>) {
        while let Ok(job) = queue.recv() {
            job(&mut self);
        }
    }

    fn work<T>(&mut self, work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>) -> Result<T, SessionError> {
        let Self { runtime, options, begin, connection, made } = self;
        let was_there = connection.is_some();
        let done = runtime.block_on(async {
            let work = async {
                if connection.is_none() {
                    let mut new = options.connect().await?;
                    new.execute(*begin).await?;
                    *connection = Some(new);
                    *made += 1;
                }
                work(connection.as_mut().expect("it was just made")).await
            };
            tokio::time::timeout(TO_ANSWER, work).await.map_err(|_| SessionError::Late)?.map_err(|error| {
                if was_there && is_of_connection(&error) { SessionError::Lost(error) } else { SessionError::Database(error) }
            })
        });
        if done.is_err() {
            // What state it is in is anybody's guess.
            self.connection = None;
        }
        done
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a thread of a PostgreSQL session panicked");
        }
    }
}
