//! Passes over the ledger: the reference streams one after the other, all others side by side.

use std::{
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use pledger_ledger::{
    log::{Log, LogError, Placed, UpTo},
    slices::SliceId,
};

use super::Replay;

/// How many records are read at once.
const READ_RECORDS: usize = 4_096;
/// Batches that may wait for a thread.
const INBOX_BATCHES: usize = 4;
/// The most threads: one reader feeds no more.
const MAX_THREADS: usize = 8;

/// Reads slices from their beginnings to the ends that they had when it all began.
pub(super) struct Pass<'a> {
    pub(super) log: &'a dyn Log,
    pub(super) ends: &'a [u64],
    /// Records looked at so far.
    pub(super) seen: u64,
    pub(super) tell: &'a mut dyn FnMut(u64),
}

impl Pass<'_> {
    /// Decides again what is in reference streams, on this thread.
    pub(super) fn alone(&mut self, slices: &[SliceId], replay: &mut Replay) -> Result<(), LogError> {
        let mut records = UpTo::ends_of(self.log, slices, self.ends.to_vec())?;
        loop {
            let placed = records.next(READ_RECORDS)?;
            if placed.is_empty() {
                break;
            }
            replay.look_at(&placed);
            self.tell(placed.len());
        }
        replay.end();
        Ok(())
    }

    /// Decides again what relies on reference streams and on nothing else: slices apart from each other, a thread for some.
    pub(super) fn side_by_side(&mut self, slices: &[SliceId], replay: &mut Replay) -> Result<(), LogError> {
        let threads = thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
        let ended = thread::scope(|scope| {
            let begin = |_| {
                let (inbox, batches) = sync_channel(INBOX_BATCHES);
                let replay = replay.beside();
                (inbox, scope.spawn(move || decide(replay, &batches)))
            };
            let (inboxes, deciding): (Vec<_>, Vec<_>) = (0..threads).map(begin).unzip();
            let read = self.feed(slices, &inboxes);
            drop(inboxes);
            let ended: Vec<Replay> =
                deciding.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect();
            read.map(|()| ended)
        })?;
        ended.into_iter().for_each(|one| replay.absorb(one));
        Ok(())
    }

    /// Hands the records of each slice to its thread, in their order.
    fn feed(&mut self, slices: &[SliceId], inboxes: &[SyncSender<Vec<Placed>>]) -> Result<(), LogError> {
        let mut records = UpTo::ends_of(self.log, slices, self.ends.to_vec())?;
        loop {
            let placed = records.next(READ_RECORDS)?;
            if placed.is_empty() {
                return Ok(());
            }
            let (many, mut batches) = (placed.len(), vec![Vec::new(); inboxes.len()]);
            for one in placed {
                batches[usize::from(one.record.header.slice) % inboxes.len()].push(one);
            }
            for (inbox, batch) in inboxes.iter().zip(batches) {
                if inbox.send(batch).is_err() {
                    // The thread met what it cannot read, and says so when it is joined.
                    return Ok(());
                }
            }
            self.tell(many);
        }
    }

    fn tell(&mut self, more: usize) {
        self.seen += more as u64;
        (self.tell)(self.seen);
    }
}

/// Decides again whatever comes, until nothing more does.
fn decide(mut replay: Replay, batches: &Receiver<Vec<Placed>>) -> Replay {
    for batch in batches {
        replay.look_at(&batch);
    }
    replay.end();
    replay
}
