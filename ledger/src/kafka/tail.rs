//! Reads on and on: a consumer on a thread of its own, and a bounded queue.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, SyncSender},
    },
    time::Duration,
};

use rdkafka::Message as _;

use super::{
    Shared, message,
    options::Pace,
    read::{Reader, missing},
};
use crate::{
    log::{LogError, Placed, Tail},
    slices::SliceId,
};

/// How many records are handed on at once, at most.
const RUN: usize = 1024;
/// How many such runs wait to be taken.
const RUNS: usize = 4;
/// How long the thread waits for a message before it looks whether it is still wanted.
const POLL: Duration = Duration::from_millis(50);

type Run = Result<Vec<Placed>, LogError>;

/// A reader of several slices. Between slices the order is that of arrival here.
pub(super) struct KafkaTail {
    runs: Receiver<Run>,
    wanted: Arc<AtomicBool>,
    /// What ended the tail, after records that were handed on first.
    failed: Option<LogError>,
}

impl KafkaTail {
    pub(super) fn new(shared: &Shared, places: &[(SliceId, u64)], pace: Pace) -> Result<Self, LogError> {
        let mut reader = Reader::follower(&shared.options, &shared.ledger, pace)?;
        let mut next = vec![0; usize::from(shared.slices.count)];
        for (slice, from) in places {
            shared.check(*slice)?;
            next[usize::from(*slice)] = *from;
        }
        reader.assign(places.iter().copied())?;
        let (sender, runs) = mpsc::sync_channel(RUNS);
        let wanted = Arc::new(AtomicBool::new(true));
        let still = Arc::clone(&wanted);
        let thread = std::thread::Builder::new().name("ledger-kafka-tail".into());
        thread
            .spawn(move || follow(&reader, &mut next, &sender, &still))
            .map_err(|error| LogError::Store(format!("no thread: {error}")))?;
        Ok(Self { runs, wanted, failed: None })
    }
}

fn follow(reader: &Reader, next: &mut [u64], runs: &SyncSender<Run>, wanted: &AtomicBool) {
    while wanted.load(Ordering::Relaxed) {
        let (placed, failed) = next_run(reader, next);
        if !placed.is_empty() && runs.send(Ok(placed)).is_err() {
            return;
        }
        if let Some(error) = failed {
            // Whoever would hear it may have gone.
            drop(runs.send(Err(error)));
            return;
        }
    }
}

/// Waits for a message, and takes those that are there already; and what went wrong after them.
fn next_run(reader: &Reader, next: &mut [u64]) -> (Vec<Placed>, Option<LogError>) {
    let mut placed = Vec::new();
    let mut wait = POLL;
    while placed.len() < RUN {
        match reader.poll(wait) {
            Ok(Some((slice, message))) => {
                let (found, next) = (message.offset().unsigned_abs(), &mut next[usize::from(slice)]);
                if found != *next {
                    return (placed, Some(missing(slice, *next, found)));
                }
                *next += 1;
                placed.push(message::placed(slice, &message));
            }
            Ok(None) => break,
            Err(error) => return (placed, Some(error)),
        }
        wait = Duration::ZERO;
    }
    (placed, None)
}

impl Tail for KafkaTail {
    fn next(&mut self, max: usize, wait: Duration) -> Result<Vec<Placed>, LogError> {
        if let Some(failed) = self.failed.take() {
            return Err(failed);
        }
        let mut placed = match self.runs.recv_timeout(wait) {
            Ok(run) => run?,
            Err(RecvTimeoutError::Timeout) => return Ok(Vec::new()),
            Err(RecvTimeoutError::Disconnected) => return Err(LogError::Store("the tail ended with an earlier error".into())),
        };
        while placed.len() < max {
            match self.runs.try_recv() {
                Ok(Ok(run)) => placed.extend(run),
                Ok(Err(error)) => {
                    self.failed = Some(error);
                    break;
                }
                Err(_) => break,
            }
        }
        Ok(placed)
    }
}

impl Drop for KafkaTail {
    fn drop(&mut self) {
        self.wanted.store(false, Ordering::Relaxed);
    }
}
