//! The thread that reads the inbox and hands its messages on.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use pledger_ledger::{inbox::Inbox, log::LogError};

use super::{IngestDesk, lanes::Lanes};
use crate::background::{Background, Stopping};

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
    _thread: Background,
}

impl Ingest {
    /// Starts the thread. `open` joins the group that reads the inbox; it is called again after an error.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn start(desk: IngestDesk, open: impl Fn() -> Result<Box<dyn Inbox>, LogError> + Send + 'static) -> std::io::Result<Self> {
        let desk = Arc::new(desk);
        let thread = Background::start("ingest", move |stopping| Reader { desk, stopping }.run(open))?;
        Ok(Self { _thread: thread })
    }

    /// Waits for the decisions that are on their way, and leaves the group.
    pub fn stop(self) {
        drop(self);
    }
}

struct Reader {
    desk: Arc<IngestDesk>,
    stopping: Stopping,
}

impl Reader {
    fn run(&self, open: impl Fn() -> Result<Box<dyn Inbox>, LogError>) {
        while !self.stopping.is_set() {
            if let Err(error) = open().and_then(|inbox| self.follow(inbox)) {
                self.desk.status.note(None, Some(&error.to_string()));
                std::thread::park_timeout(REOPEN_AFTER);
            }
        }
    }

    /// Reads until it is told to stop.
    fn follow(&self, mut inbox: Box<dyn Inbox>) -> Result<(), LogError> {
        let mut lanes = Lanes::new(Arc::clone(&self.desk));
        let (mut looked, mut committed) = (Instant::now(), Instant::now());
        self.desk.status.note(None, None);
        while !self.stopping.is_set() {
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
