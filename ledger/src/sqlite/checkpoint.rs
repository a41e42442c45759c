//! Checkpoints of the write-ahead log, beside the commits: one inside a commit keeps everybody waiting for the file's own
//! fsync, milliseconds of it.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, SyncSender},
    },
    thread::JoinHandle,
};

use super::connection::{Access, Link, join, spawn};
use crate::log::LogError;

/// How much is committed between two of them, in bytes.
const EVERY_BYTES: usize = 4 << 20;
/// After this many pages a commit sees to it itself: only where the thread beside it cannot.
const AT_LAST: u32 = 16_384;

/// The thread that copies the write-ahead log into the file.
///
/// It copies while commits go on, so some frames are always left. The commit thread copies these few when the rest is
/// done, and the log starts from its beginning again with the next commit.
#[derive(Debug)]
pub(super) struct Checkpoints {
    wake: Option<SyncSender<()>>,
    nearly: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// What was committed since the last one, in bytes.
    since: usize,
}

impl Checkpoints {
    /// Starts it, and leaves checkpoints of the connection that commits to it.
    ///
    /// # Errors
    /// `LogError::Store`.
    pub(super) fn start(file: &Path, commits: &mut Link) -> Result<Self, LogError> {
        Self::leave_to(commits)?;
        let mut link = Link::open(file, Access::Write)?;
        let (wake, woken) = mpsc::sync_channel(1);
        let nearly = Arc::new(AtomicBool::new(false));
        let done = Arc::clone(&nearly);
        let thread = spawn("ledger-checkpoint", move || {
            while woken.recv().is_ok() {
                copy(&mut link);
                done.store(true, Ordering::Release);
            }
        })?;
        Ok(Self { wake: Some(wake), nearly, thread: Some(thread), since: 0 })
    }

    /// Has a connection that commits make no checkpoint of its own, short of the last resort.
    ///
    /// # Errors
    /// `LogError::Store`.
    pub(super) fn leave_to(commits: &mut Link) -> Result<(), LogError> {
        commits.run(|connection| connection.pragma_update(None, "wal_autocheckpoint", AT_LAST))
    }

    /// After a commit of so many bytes.
    pub(super) fn committed(&mut self, bytes: usize, commits: &mut Link) {
        self.since += bytes;
        if self.since >= EVERY_BYTES
            && let Some(wake) = &self.wake
            && wake.try_send(()).is_ok()
        {
            self.since = 0;
        }
        if self.nearly.swap(false, Ordering::AcqRel) {
            copy(commits);
        }
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.wake = None;
        self.thread.take().into_iter().for_each(join);
    }
}

/// Copies what can be copied without keeping anybody waiting.
fn copy(link: &mut Link) {
    let copied = link.run(|connection| connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())));
    if let Err(error) = copied {
        tracing::warn!(%error, "the write-ahead log was not copied into the ledger's file; it grows until it is");
    }
}
