//! The processor on one machine: a thread that takes commands from a queue, decides them in batches and answers.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use hashbrown::HashMap;
use parking_lot::RwLock;
use pledger_domain::values::Timestamp;
use pledger_ledger::{
    commands::{CommandEnvelope, CommandSink, Decided, Undecided},
    slices::Position,
};
use tokio::{runtime::Handle, sync::oneshot};

use crate::processor::{Processor, Waiter, panic_text};

/// The most commands that may wait; more are refused as `Overloaded`.
const MAX_QUEUED: usize = 50_000;
/// The most commands of one batch: the log writes them while the next ones are decided.
const MAX_BATCH: usize = 256;
/// The most batches on their way to the log: those that come while one is written are written together.
const MAX_IN_FLIGHT: usize = 64;
/// The most records in them.
const MAX_RECORDS_IN_FLIGHT: usize = 16 * MAX_BATCH;
/// How long chores may wait under load; then the thread drains what is in flight and does them.
const CHORES_EVERY: Duration = Duration::from_secs(1);
/// How often the thread looks up when nothing comes in.
const IDLE: Duration = Duration::from_millis(200);
/// How long it waits for the log's reports before it looks for new commands. Not a moment: what comes in the meantime is decided
/// together.
const SETTLE: Duration = Duration::from_millis(20);
/// How long the log may report nothing while batches are on their way; then they are given up.
const SILENCE: Duration = Duration::from_secs(60);

/// What falls due by the clock while the processor runs.
pub trait Chores: Send {
    /// Called when nothing is in flight, at least about once a second: commands that fell due by `now`.
    fn due(&mut self, processor: &mut Processor, now: Timestamp) -> Vec<CommandEnvelope>;

    /// The answer to a command that fell due.
    fn answered(&mut self, answer: &Decided);

    /// Called when nothing is in flight, at a pause and at the end: the moment to keep a snapshot.
    fn settled(&mut self, processor: &mut Processor, closing: bool);
}

/// The queue into the processor's thread.
#[derive(Clone)]
pub struct EmbeddedSink {
    queue: mpsc::Sender<Message>,
    queued: Arc<AtomicUsize>,
    references: Arc<RwLock<Vec<Position>>>,
    halted: Halted,
}

/// Why nothing is decided any more, once that is so.
type Halted = Arc<OnceLock<Arc<str>>>;

/// The processor's thread; stops when it is told to, after deciding what is queued.
pub struct EmbeddedProcessor {
    sink: EmbeddedSink,
    thread: Option<JoinHandle<()>>,
}

enum Message {
    Submit(Vec<CommandEnvelope>, Reply),
    RefuseWrites(String),
    Stop,
}

impl EmbeddedProcessor {
    /// Starts the thread. `clock` gives the time of every decision.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn start(processor: Processor, clock: impl Fn() -> Timestamp + Send + 'static, chores: Box<dyn Chores>) -> std::io::Result<Self> {
        let (queue, commands) = mpsc::channel();
        let references = Arc::new(RwLock::new(processor.reference_positions()));
        let sink = EmbeddedSink { queue, queued: Arc::default(), references: Arc::clone(&references), halted: Arc::default() };
        let (queued, halted) = (Arc::clone(&sink.queued), Arc::clone(&sink.halted));
        let driver = Driver {
            processor,
            clock,
            chores,
            commands,
            queued,
            references,
            waiting: HashMap::new(),
            next: 0,
            stopping: false,
            chores_done: Instant::now(),
            reported: Instant::now(),
            halted,
        };
        driver.tell_damage();
        let thread = std::thread::Builder::new().name("processor".into()).spawn(move || driver.run_guarded())?;
        Ok(Self { sink, thread: Some(thread) })
    }

    /// The queue into the thread.
    #[must_use]
    pub fn sink(&self) -> EmbeddedSink {
        self.sink.clone()
    }

    /// Decides what is queued, and stops.
    pub fn stop(mut self) {
        self.join();
    }

    fn join(&mut self) {
        // A thread that has ended needs no message.
        let _ = self.sink.queue.send(Message::Stop);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the processor's thread panicked");
        }
    }
}

impl Drop for EmbeddedProcessor {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.join();
        }
    }
}

impl EmbeddedSink {
    /// Refuses commands from here on: the ledger was found damaged.
    pub fn refuse_writes(&self, reason: String) {
        let _ = self.queue.send(Message::RefuseWrites(reason));
    }
}

impl CommandSink for EmbeddedSink {
    fn submit(&self, commands: Vec<CommandEnvelope>) -> Pin<Box<dyn Future<Output = Vec<Decided>> + Send>> {
        let count = commands.len();
        let all = move |undecided: Undecided| vec![Err(undecided); count];
        if self.queued.fetch_add(count, Ordering::Relaxed) + count > MAX_QUEUED {
            self.queued.fetch_sub(count, Ordering::Relaxed);
            return Box::pin(std::future::ready(all(Undecided::Overloaded)));
        }
        let (sender, answers) = oneshot::channel();
        let reply = Reply { sender, runtime: Handle::try_current().ok() };
        if self.queue.send(Message::Submit(commands, reply)).is_err() {
            self.queued.fetch_sub(count, Ordering::Relaxed);
            let reason = self.halted().map_or_else(|| "the processor has stopped".to_owned(), |reason| reason.to_string());
            return Box::pin(std::future::ready(all(Undecided::Unavailable(reason))));
        }
        Box::pin(async move { answers.await.unwrap_or_else(|_| all(Undecided::Unknown("pledger stopped".into()))) })
    }

    fn reference_positions(&self) -> Vec<Position> {
        self.references.read().clone()
    }

    fn halted(&self) -> Option<Arc<str>> {
        self.halted.get().cloned()
    }

    fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }
}

/// A submission whose answers are not complete.
struct Submission {
    answers: Vec<Option<Decided>>,
    missing: usize,
    reply: Reply,
}

/// The way back to who submitted.
struct Reply {
    sender: oneshot::Sender<Vec<Decided>>,
    /// Where the answer is waited for, when that is known.
    runtime: Option<Handle>,
}

/// A reply and what it says.
type Due = (Reply, Vec<Decided>);

impl Reply {
    fn send((reply, answers): Due) {
        // A client that went away has its decision all the same.
        drop(reply.sender.send(answers));
    }

    /// Sends replies that came due together. To wake the workers of a runtime from outside of it costs a system call for
    /// nearly each; so they go over as one task, which wakes who waits from the inside.
    fn send_all(due: Vec<Due>) {
        let Some(runtime) = due.first().and_then(|(reply, _)| reply.runtime.clone()) else {
            return due.into_iter().for_each(Self::send);
        };
        let there = |(reply, _): &Due| reply.runtime.as_ref().is_some_and(|other| other.id() == runtime.id());
        let (together, others): (Vec<_>, Vec<_>) = due.into_iter().partition(there);
        others.into_iter().for_each(Self::send);
        runtime.spawn(async move { together.into_iter().for_each(Self::send) });
    }
}

struct Driver<C> {
    processor: Processor,
    clock: C,
    chores: Box<dyn Chores>,
    commands: mpsc::Receiver<Message>,
    queued: Arc<AtomicUsize>,
    references: Arc<RwLock<Vec<Position>>>,
    waiting: HashMap<u64, Submission>,
    next: u64,
    stopping: bool,
    chores_done: Instant,
    /// When the log last reported anything, or nothing was on its way.
    reported: Instant,
    halted: Halted,
}

impl<C: Fn() -> Timestamp> Driver<C> {
    /// Runs until it is told to stop. A panic ends it: what it was doing may be half done, and only the ledger knows.
    fn run_guarded(mut self) {
        let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.run())) else { return };
        let reason = format!("the processor failed ({}); start pledger again", panic_text(&*panic));
        tracing::error!("{reason}");
        self.halted.get_or_init(|| reason.into());
        // Who waits is told, when all this is dropped, that the outcome is not known.
        while let Ok(message) = self.commands.try_recv() {
            if let Message::Submit(commands, _) = message {
                self.queued.fetch_sub(commands.len(), Ordering::Relaxed);
            }
        }
    }

    /// Lets others know that the processor takes no writes.
    fn tell_damage(&self) {
        if let Some(reason) = self.processor.damage() {
            self.halted.get_or_init(|| reason.into());
        }
    }

    fn run(&mut self) {
        while !(self.stopping && self.waiting.is_empty()) {
            let draining = self.chores_done.elapsed() >= CHORES_EVERY;
            let took = if draining { 0 } else { self.take_commands() };
            self.processor.unpark((self.clock)());
            self.processor.flush();
            let in_flight = self.processor.batches_in_flight();
            let full = in_flight >= MAX_IN_FLIGHT || self.processor.records_in_flight() >= MAX_RECORDS_IN_FLIGHT;
            self.settle(if full || took == 0 { SETTLE } else { Duration::ZERO });
            self.deliver();
            self.tell_damage();
            if in_flight == 0 {
                self.run_chores();
            }
        }
        while self.processor.batches_in_flight() > 0 {
            self.settle(SETTLE);
        }
        self.deliver();
        self.chores.settled(&mut self.processor, true);
    }

    /// Takes in what the log reports, and gives up what it stays silent about.
    fn settle(&mut self, wait: Duration) {
        let in_flight = self.processor.batches_in_flight();
        self.processor.settle(wait);
        if in_flight == 0 || self.processor.batches_in_flight() != in_flight {
            self.reported = Instant::now();
        } else if self.reported.elapsed() >= SILENCE {
            self.processor.give_up("the ledger did not say whether it was written");
        }
    }

    /// Offers what is queued, at most a batch of it; waits for something where nothing is under way.
    fn take_commands(&mut self) -> usize {
        let mut next = if self.processor.batches_in_flight() > 0 {
            self.commands.try_recv().ok()
        } else {
            // Who waits for facts is looked at again soon, and so is whoever is still to be answered at the end.
            let soon = self.stopping || self.processor.has_parked();
            self.commands.recv_timeout(if soon { SETTLE } else { IDLE }).ok()
        };
        let mut taken = 0;
        while let Some(message) = next {
            match message {
                Message::Submit(commands, reply) => taken += self.offer(commands, reply),
                Message::RefuseWrites(reason) => self.processor.refuse_writes(reason),
                Message::Stop => self.stopping = true,
            }
            if taken >= MAX_BATCH {
                break;
            }
            next = self.commands.try_recv().ok();
        }
        taken
    }

    fn offer(&mut self, commands: Vec<CommandEnvelope>, reply: Reply) -> usize {
        let count = commands.len();
        self.queued.fetch_sub(count, Ordering::Relaxed);
        if count == 0 {
            let _ = reply.sender.send(Vec::new());
            return 0;
        }
        let submission = self.next;
        self.next += 1;
        self.waiting.insert(submission, Submission { answers: vec![None; count], missing: count, reply });
        let now = (self.clock)();
        for (index, envelope) in commands.into_iter().enumerate() {
            self.processor.offer(envelope, Waiter { submission, index }, now);
        }
        count
    }

    /// Hands the answers that came due to those who wait.
    fn deliver(&mut self) {
        let answers = self.processor.take_answers();
        if answers.is_empty() {
            return;
        }
        // Who is answered must find its own facts in force: the positions go first.
        *self.references.write() = self.processor.reference_positions();
        let mut complete = Vec::new();
        for (waiter, answer) in answers {
            let Some(submission) = self.waiting.get_mut(&waiter.submission) else {
                self.chores.answered(&answer);
                continue;
            };
            submission.answers[waiter.index] = Some(answer);
            submission.missing -= 1;
            if submission.missing == 0
                && let Some(done) = self.waiting.remove(&waiter.submission)
            {
                complete.push((done.reply, done.answers.into_iter().flatten().collect()));
            }
        }
        Reply::send_all(complete);
    }

    fn run_chores(&mut self) {
        self.chores_done = Instant::now();
        let now = (self.clock)();
        for envelope in self.chores.due(&mut self.processor, now) {
            self.processor.offer(envelope, Waiter { submission: u64::MAX, index: 0 }, now);
        }
        self.processor.flush();
        if self.processor.batches_in_flight() == 0 {
            self.chores.settled(&mut self.processor, false);
        }
    }
}
