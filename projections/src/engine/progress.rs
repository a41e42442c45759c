//! How far the folds are, and who waits for it.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};
use pledger_ledger::{
    chain::ChainHead,
    slices::{Position, SliceId},
};
use tokio::sync::watch;

/// Why a wait ended without its position.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WaitError {
    /// The read models are still behind.
    #[error("the read models do not stand at {0} yet; try again in a moment")]
    Behind(Position),
    /// The ledger has no such slice.
    #[error("the ledger has no slice {0}")]
    NoSuchSlice(SliceId),
}

/// The next sequence of every slice.
pub(super) struct Progress {
    next: Mutex<Vec<u64>>,
    /// Nobody is to wait for this any more: other read models took the place of these.
    over: AtomicBool,
    moved: Condvar,
    watchers: watch::Sender<()>,
}

impl Progress {
    pub(super) fn new(next: Vec<u64>) -> Self {
        Self { next: Mutex::new(next), over: AtomicBool::new(false), moved: Condvar::new(), watchers: watch::Sender::new(()) }
    }

    /// Lets those go who wait.
    pub(super) fn release(&self) {
        let next = self.next.lock();
        self.over.store(true, Ordering::Release);
        drop(next);
        self.moved.notify_all();
        self.watchers.send_replace(());
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    pub(super) fn advance(&self, heads: &[(SliceId, ChainHead)]) {
        let mut next = self.next.lock();
        for (slice, head) in heads {
            next[usize::from(*slice)] = head.next_pseq;
        }
        drop(next);
        self.moved.notify_all();
        self.watchers.send_replace(());
    }

    pub(super) fn vector(&self) -> Vec<u64> {
        self.next.lock().clone()
    }

    pub(super) fn positions(&self) -> Vec<Position> {
        position_map(&self.vector())
    }

    pub(super) fn wait_for(&self, positions: &[Position], timeout: Duration) -> Result<(), WaitError> {
        let until = Instant::now() + timeout;
        let mut next = self.next.lock();
        while let Some(missing) = missing(&next, positions)? {
            let timed_out = !self.is_over() && self.moved.wait_until(&mut next, until).timed_out();
            if self.is_over() || (timed_out && Instant::now() >= until) {
                return Err(WaitError::Behind(missing));
            }
        }
        Ok(())
    }

    pub(super) async fn reached(&self, positions: &[Position], timeout: Duration) -> Result<(), WaitError> {
        let until = tokio::time::Instant::now() + timeout;
        let mut watcher = self.watchers.subscribe();
        loop {
            let missing = missing(&self.next.lock(), positions)?;
            let Some(missing) = missing else { return Ok(()) };
            if self.is_over() || tokio::time::timeout_at(until, watcher.changed()).await.is_err() {
                return Err(WaitError::Behind(missing));
            }
        }
    }
}

fn missing(next: &[u64], positions: &[Position]) -> Result<Option<Position>, WaitError> {
    for position in positions {
        let next = next.get(usize::from(position.slice)).ok_or(WaitError::NoSuchSlice(position.slice))?;
        if position.pseq >= *next {
            return Ok(Some(*position));
        }
    }
    Ok(None)
}

/// The last position of every slice that has one, of the next sequences slice by slice.
#[must_use]
pub fn position_map(next: &[u64]) -> Vec<Position> {
    let place = |(slice, next): (usize, &u64)| {
        let slice = SliceId::try_from(slice).expect("a ledger has at most 4096 slices");
        next.checked_sub(1).map(|pseq| Position { slice, pseq })
    };
    next.iter().enumerate().filter_map(place).collect()
}
