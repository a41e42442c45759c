//! The thread that works on one partition.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use pledger_ledger::{
    inbox::{Message, Place},
    slices::Position,
};

use super::{
    IngestDesk,
    buffer::Buffer,
    round::{Abandoned, Round, Waiting},
};

/// How often events that wait for an id are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long the thread waits for messages where nothing waits.
const IDLE: Duration = Duration::from_secs(5);
/// From so many events that wait on, nothing more of the partition is worked on.
const MAX_WAITING: usize = 1_000;

/// A partition that is ours.
pub(super) struct Lane {
    partition: u32,
    buffer: Arc<Buffer>,
    /// Everything before this offset is done with.
    done: Arc<AtomicU64>,
    /// What was committed.
    committed: u64,
    pub(super) paused: bool,
    thread: Option<JoinHandle<()>>,
}

impl Lane {
    /// Begins with the first message that was read of it.
    pub(super) fn start(desk: &Arc<IngestDesk>, first: Place) -> std::io::Result<Self> {
        let (buffer, done) = (Arc::new(Buffer::default()), Arc::new(AtomicU64::new(first.offset)));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let worker =
            Worker { partition: first.partition, desk: Arc::clone(desk), buffer: Arc::clone(&buffer), done: Arc::clone(&done), runtime };
        let thread = std::thread::Builder::new().name(format!("ingest-{}", first.partition)).spawn(move || worker.run())?;
        Ok(Self { partition: first.partition, buffer, done, committed: first.offset, paused: false, thread: Some(thread) })
    }

    /// Takes a message in; answers whether no more are to come for now.
    pub(super) fn push(&self, message: Message) -> bool {
        self.buffer.push(message)
    }

    pub(super) fn has_room(&self) -> bool {
        self.buffer.has_room()
    }

    /// The place to commit, where it has moved.
    pub(super) fn progress(&mut self) -> Option<Place> {
        let done = self.done.load(Ordering::Acquire);
        (done > self.committed).then(|| {
            self.committed = done;
            Place { partition: self.partition, offset: done }
        })
    }

    /// Whether its thread ended unasked.
    pub(super) fn has_failed(&self) -> bool {
        self.thread.as_ref().is_some_and(JoinHandle::is_finished) && !self.buffer.is_closed()
    }

    /// Has it stop, without waiting for what is on its way.
    pub(super) fn close(&self) {
        self.buffer.close();
    }

    /// Waits for what is on its way.
    pub(super) fn join(&mut self) {
        self.close();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(partition = self.partition, "the thread of a partition of the inbox panicked");
        }
    }
}

struct Worker {
    partition: u32,
    desk: Arc<IngestDesk>,
    buffer: Arc<Buffer>,
    done: Arc<AtomicU64>,
    runtime: tokio::runtime::Runtime,
}

impl Worker {
    fn run(self) {
        let (mut waiting, mut next, mut seen) = (Vec::new(), 0, Vec::new());
        while !self.buffer.is_closed() {
            let was_waiting = waiting.len();
            let round = self.round(std::mem::take(&mut waiting), &mut next, &mut seen);
            waiting = round.unwrap_or_default();
            self.desk.status.parked(was_waiting, waiting.len());
        }
        self.desk.status.parked(waiting.len(), 0);
        self.desk.status.note(Some(self.partition), None);
    }

    /// What waited comes before what is new: nothing overtakes it once its id is known.
    fn round(&self, mut messages: Vec<Waiting>, next: &mut u64, seen: &mut Vec<Position>) -> Result<Vec<Waiting>, Abandoned> {
        let fresh = if messages.len() >= MAX_WAITING {
            self.buffer.pause(LOOK_EVERY);
            Vec::new()
        } else {
            self.buffer.take(if messages.is_empty() { IDLE } else { LOOK_EVERY })
        };
        if messages.is_empty() && fresh.is_empty() {
            return Ok(messages);
        }
        *next = fresh.last().map_or(*next, |message| message.place.offset + 1);
        messages.extend(fresh.into_iter().map(|message| Waiting { message, since: None }));
        let waiting =
            Round { partition: self.partition, desk: &self.desk, buffer: &self.buffer, runtime: &self.runtime }.run(messages, seen)?;
        self.desk.status.note(Some(self.partition), None);
        let done = waiting.first().map_or(*next, |waiting| waiting.message.place.offset);
        self.done.store(done, Ordering::Release);
        Ok(waiting)
    }
}
