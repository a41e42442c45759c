//! The thread that reads the inbox and hands its messages on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use pledger_ledger::{inbox::Inbox, log::LogError};

use super::{IngestDesk, lanes::Lanes};

/// How long one read waits.
const POLL: Duration = Duration::from_millis(20);
/// How often partitions are looked after.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How often places are committed.
const COMMIT_EVERY: Duration = Duration::from_millis(500);
/// How long to wait before the inbox is opened anew.
const REOPEN_AFTER: Duration = Duration::from_secs(2);

/// Ingest at work; stops when it is told to, after what is on its way.
pub struct Ingest {
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ingest {
    /// Starts the thread. `open` joins the group that reads the inbox; it is called again after an error.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn start(desk: IngestDesk, open: impl Fn() -> Result<Box<dyn Inbox>, LogError> + Send + 'static) -> std::io::Result<Self> {
        let stopping = Arc::new(AtomicBool::new(false));
        let reader = Reader { desk: Arc::new(desk), stopping: Arc::clone(&stopping) };
        let thread = std::thread::Builder::new().name("ingest".into()).spawn(move || reader.run(open))?;
        Ok(Self { stopping, thread: Some(thread) })
    }

    /// Waits for the decisions that are on their way, and leaves the group.
    pub fn stop(mut self) {
        self.join();
    }

    fn join(&mut self) {
        self.stopping.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("the thread of ingest panicked");
            }
        }
    }
}

impl Drop for Ingest {
    fn drop(&mut self) {
        self.join();
    }
}

struct Reader {
    desk: Arc<IngestDesk>,
    stopping: Arc<AtomicBool>,
}

impl Reader {
    fn run(&self, open: impl Fn() -> Result<Box<dyn Inbox>, LogError>) {
        while !self.is_stopping() {
            if let Err(error) = open().and_then(|inbox| self.follow(inbox)) {
                self.desk.status.note(None, Some(&error.to_string()));
                std::thread::park_timeout(REOPEN_AFTER);
            }
        }
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Reads until it is told to stop.
    fn follow(&self, mut inbox: Box<dyn Inbox>) -> Result<(), LogError> {
        let mut lanes = Lanes::new(Arc::clone(&self.desk));
        let (mut looked, mut committed) = (Instant::now(), Instant::now());
        self.desk.status.note(None, None);
        while !self.is_stopping() {
            let message = inbox.next(POLL)?;
            inbox.lost().into_iter().for_each(|partition| lanes.lose(partition));
            if let Some(message) = message {
                lanes.push(message, &mut *inbox)?;
            }
            if looked.elapsed() >= LOOK_EVERY {
                looked = Instant::now();
                lanes.look_after(&mut *inbox)?;
            }
            if committed.elapsed() >= COMMIT_EVERY {
                committed = Instant::now();
                inbox.commit(&lanes.progress());
            }
        }
        lanes.close();
        inbox.close(&lanes.progress());
        Ok(())
    }
}
