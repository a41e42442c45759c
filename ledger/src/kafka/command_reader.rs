//! Reads commands: a consumer on a thread of its own, which parses them too, and a bounded queue.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, SyncSender},
    },
    time::{Duration, Instant},
};

use rdkafka::{Message as _, message::BorrowedMessage};

use super::{
    options::KafkaOptions,
    read::{Bound, Reader},
};
use crate::{
    commands_topic::{CommandReader, Gone, Queued, decode},
    log::LogError,
    slices::{SliceId, Slices},
};

/// How many messages are handed on at once, at most.
const RUN: usize = 256;
/// How many such runs wait to be taken.
const RUNS: usize = 16;
/// How long the thread waits for a message before it looks whether it is still wanted.
const POLL: Duration = Duration::from_millis(50);

type Run = Result<Vec<Queued>, LogError>;

/// Reads commands of assigned slices. An assignment has a thread and a consumer of its own: what an earlier one had
/// fetched goes with it.
pub(super) struct KafkaCommandReader {
    options: Arc<KafkaOptions>,
    topic: Arc<str>,
    slices: Slices,
    /// Asks where the topic begins and ends.
    asking: Reader,
    reading: Option<Reading>,
    /// The offset after the last message that was answered, or that was found to be there.
    at: BTreeMap<SliceId, u64>,
}

struct Reading {
    runs: Receiver<Run>,
    wanted: Arc<AtomicBool>,
    /// A run that was answered in part only.
    rest: std::vec::IntoIter<Queued>,
}

impl KafkaCommandReader {
    pub(super) fn new(options: &Arc<KafkaOptions>, topic: &Arc<str>, slices: Slices) -> Result<Self, LogError> {
        let asking = Reader::new(options, topic)?;
        let (options, topic) = (Arc::clone(options), Arc::clone(topic));
        Ok(Self { options, topic, slices, asking, reading: None, at: BTreeMap::new() })
    }

    /// Which places are not there. One that reading came to is.
    fn gone(&self, places: &[(SliceId, u64)]) -> Result<Vec<Gone>, LogError> {
        let places: Vec<_> = places.iter().copied().filter(|(slice, asked)| self.at.get(slice) != Some(asked)).collect();
        let slices: Vec<SliceId> = places.iter().map(|(slice, _)| *slice).collect();
        let bounds = self.asking.bounds(&slices, Bound::Begin)?.into_iter().zip(self.asking.bounds(&slices, Bound::End)?);
        let all = places.into_iter().zip(bounds).map(|((slice, asked), (first, next))| Gone { slice, asked, first, next });
        Ok(all.filter(|place| !(place.first..=place.next).contains(&place.asked)).collect())
    }
}

impl CommandReader for KafkaCommandReader {
    fn assign(&mut self, places: &[(SliceId, u64)]) -> Result<Vec<Gone>, LogError> {
        self.reading = None;
        let gone = self.gone(places)?;
        let is_gone = |slice: &SliceId| gone.iter().any(|gone| gone.slice == *slice);
        self.at = places.iter().copied().filter(|(slice, _)| !is_gone(slice)).collect();
        if self.at.is_empty() {
            return Ok(gone);
        }
        let mut reader = Reader::of_commands(&self.options, &self.topic)?;
        reader.assign(self.at.iter().map(|(slice, next)| (*slice, *next)))?;
        let (sender, runs) = mpsc::sync_channel(RUNS);
        let wanted = Arc::new(AtomicBool::new(true));
        let follower = Follower { reader, slices: self.slices, next: self.at.clone(), wanted: Arc::clone(&wanted) };
        let thread = std::thread::Builder::new().name("commands-kafka".into());
        thread.spawn(move || follower.run(&sender)).map_err(|error| LogError::Store(format!("no thread: {error}")))?;
        self.reading = Some(Reading { runs, wanted, rest: Vec::new().into_iter() });
        Ok(gone)
    }

    fn next(&mut self, max: usize, wait: Duration) -> Result<Vec<Queued>, LogError> {
        let Some(reading) = &mut self.reading else {
            std::thread::sleep(wait);
            return Ok(Vec::new());
        };
        let mut found: Vec<Queued> = reading.rest.by_ref().take(max).collect();
        let until = Instant::now() + wait;
        while found.len() < max {
            let patience = if found.is_empty() { until.saturating_duration_since(Instant::now()) } else { Duration::ZERO };
            match reading.runs.recv_timeout(patience) {
                Ok(Ok(run)) => {
                    reading.rest = run.into_iter();
                    found.extend(reading.rest.by_ref().take(max - found.len()));
                }
                // What came before it is decided first. The thread has ended, which shows when it is asked again.
                Ok(Err(_)) | Err(RecvTimeoutError::Disconnected) if !found.is_empty() => break,
                Ok(Err(error)) => return Err(self.fail(error)),
                Err(RecvTimeoutError::Disconnected) => return Err(self.fail(LogError::Store("reading commands has ended".into()))),
                Err(RecvTimeoutError::Timeout) => break,
            }
        }
        for queued in &found {
            self.at.insert(queued.slice, queued.offset + 1);
        }
        Ok(found)
    }
}

impl KafkaCommandReader {
    /// Whatever was there, may be gone.
    fn fail(&mut self, error: LogError) -> LogError {
        self.reading = None;
        self.at.clear();
        error
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.wanted.store(false, Ordering::Relaxed);
    }
}

/// The thread of an assignment.
struct Follower {
    reader: Reader,
    slices: Slices,
    next: BTreeMap<SliceId, u64>,
    wanted: Arc<AtomicBool>,
}

impl Follower {
    fn run(mut self, runs: &SyncSender<Run>) {
        while self.wanted.load(Ordering::Relaxed) {
            let (queued, failed) = self.next_run();
            if !queued.is_empty() && runs.send(Ok(queued)).is_err() {
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
    fn next_run(&mut self) -> (Vec<Queued>, Option<LogError>) {
        let mut queued = Vec::new();
        let mut wait = POLL;
        while queued.len() < RUN {
            match self.reader.poll(wait) {
                Ok(Some((slice, message))) => {
                    let Some(next) = self.next.get_mut(&slice) else { continue };
                    queued.extend(taken(self.slices, slice, next, &message));
                }
                Ok(None) => break,
                Err(error) => return (queued, Some(error)),
            }
            wait = Duration::ZERO;
        }
        (queued, None)
    }
}

/// The message at `next` or after it: foreign transactions leave gaps here, which hide no command of ours. One before it
/// was answered already.
fn taken(slices: Slices, slice: SliceId, next: &mut u64, message: &BorrowedMessage<'_>) -> Option<Queued> {
    let offset = message.offset().unsigned_abs();
    if offset < *next {
        return None;
    }
    if offset > *next {
        tracing::warn!(slice, from = *next, to = offset, "the commands topic passes over offsets: somebody writes to it in transactions");
    }
    *next = offset + 1;
    Some(Queued { slice, offset, command: decode(slices, slice, message.payload().unwrap_or_default()).map(Box::new) })
}
