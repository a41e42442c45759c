//! Sends commands through the commands topic, and waits for their records.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use pledger_ledger::{
    commands::{CommandEnvelope, CommandSink, Decided, Undecided},
    commands_topic::CommandSender,
    slices::{Position, SliceId, Slices},
};
use tokio::{sync::oneshot, time::Instant};

use super::{follower::Followed, waiting::Waiting};
use crate::processor::{KeyUse, ScopedKey};

/// What a sink takes.
#[derive(Clone, Copy, Debug)]
pub struct SinkLimits {
    /// The most commands that may wait; more are refused as `Overloaded`.
    pub waiting: usize,
    /// How long a decision may take; nobody here knows what became of the command afterwards.
    pub patience: Duration,
}

impl Default for SinkLimits {
    fn default() -> Self {
        Self { waiting: 50_000, patience: Duration::from_secs(10) }
    }
}

/// The way of commands to whoever decides them, and back.
#[derive(Clone)]
pub struct ClusterSink {
    followed: Arc<Followed>,
    sender: Arc<dyn CommandSender>,
    slices: Slices,
    limits: SinkLimits,
}

/// What became of a command when it was handed over.
enum HandedOver {
    /// No decision comes of it.
    No(Undecided),
    /// It was decided here before.
    Known(Position),
    /// Its record is waited for.
    Sent(oneshot::Receiver<Decided>),
}

/// Counts those who wait, and stops counting when they are gone.
struct Counted(Arc<Followed>, usize);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(self.1, Ordering::Relaxed);
    }
}

impl ClusterSink {
    /// A sink that sends by `sender` and waits for what is followed.
    #[must_use]
    pub fn new(followed: Arc<Followed>, sender: Arc<dyn CommandSender>, slices: Slices, limits: SinkLimits) -> Self {
        Self { followed, sender, slices, limits }
    }

    fn hand_over(&self, envelope: &CommandEnvelope) -> HandedOver {
        let slice = self.slices.of(&envelope.stream);
        let key = ScopedKey::new(&envelope.sender, &envelope.stream, &envelope.key);
        let (reply, decided) = oneshot::channel();
        let number = self.followed.number();
        let waiting = Waiting { number, input: envelope.input, received_at: envelope.received_at, reply };
        if let Some(KeyUse { pseq, input }) = self.followed.find_or_wait(slice, key, waiting) {
            let first = Position { slice, pseq };
            return if input == envelope.input { HandedOver::Known(first) } else { HandedOver::No(Undecided::KeyReused { first }) };
        }
        let followed = Arc::clone(&self.followed);
        let undelivered = Box::new(move |undecided| followed.refuse(slice, key, number, undecided));
        match self.sender.send(envelope, undelivered) {
            Ok(()) => HandedOver::Sent(decided),
            Err(undecided) => {
                drop(self.followed.keys.lock().remove(key, number));
                self.followed.not_sent(slice, number);
                HandedOver::No(undecided)
            }
        }
    }

    /// Why commands are sent in vain, where they are: nothing was recorded in a slice for longer than anybody waits.
    #[must_use]
    pub fn undecided(&self) -> Option<String> {
        let silent = self.silent_slices();
        let first = silent.first()?;
        let which = match silent.len() {
            1 => format!("slice {first}"),
            count => format!("{count} slices, the first of them {first},"),
        };
        let silence = self.silence().as_secs_f64();
        Some(format!("commands are not decided in {which} for {silence:.0} s at least: does a process run there with the role processor?"))
    }

    /// The slices in which that is so.
    #[must_use]
    pub fn silent_slices(&self) -> Vec<SliceId> {
        self.followed.silent(self.silence())
    }

    fn silence(&self) -> Duration {
        self.limits.patience + self.limits.patience / 2
    }

    /// Why no command is taken, where none is.
    fn refusal(&self, count: usize) -> Option<Undecided> {
        if let Some(trouble) = self.followed.trouble() {
            return Some(Undecided::Unavailable(trouble));
        }
        let before = self.followed.waiting.fetch_add(count, Ordering::Relaxed);
        if before + count > self.limits.waiting {
            self.followed.waiting.fetch_sub(count, Ordering::Relaxed);
            return Some(Undecided::Overloaded);
        }
        None
    }
}

impl CommandSink for ClusterSink {
    fn submit(&self, commands: Vec<CommandEnvelope>) -> Pin<Box<dyn Future<Output = Vec<Decided>> + Send>> {
        let count = commands.len();
        if let Some(refusal) = self.refusal(count) {
            return Box::pin(std::future::ready(vec![Err(refusal); count]));
        }
        let counted = Counted(Arc::clone(&self.followed), count);
        // In order, and before anybody waits.
        let handed_over: Vec<HandedOver> = commands.iter().map(|envelope| self.hand_over(envelope)).collect();
        let (followed, patience) = (Arc::clone(&self.followed), self.limits.patience);
        Box::pin(async move {
            let until = Instant::now() + patience;
            let mut answers = Vec::with_capacity(count);
            for one in handed_over {
                answers.push(match one {
                    HandedOver::No(undecided) => Err(undecided),
                    HandedOver::Known(position) => again(&followed, position).await,
                    HandedOver::Sent(decided) => wait(decided, until, patience).await,
                });
            }
            drop(counted);
            answers
        })
    }

    fn reference_positions(&self) -> Vec<Position> {
        self.followed.reference_positions()
    }

    fn halted(&self) -> Option<Arc<str>> {
        self.followed.halted()
    }

    fn queued(&self) -> usize {
        self.followed.waiting.load(Ordering::Relaxed)
    }

    fn more(&self) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
        let mut records = self.followed.records();
        Some(Box::pin(async move {
            // It ends with the process only.
            let _ = records.changed().await;
        }))
    }
}

async fn wait(decided: oneshot::Receiver<Decided>, until: Instant, patience: Duration) -> Decided {
    match tokio::time::timeout_at(until, decided).await {
        Ok(Ok(decided)) => decided,
        Ok(Err(_)) => Err(Undecided::Unknown("pledger stopped".into())),
        Err(_) => Err(Undecided::Unknown(format!("no decision came within {} s", patience.as_secs()))),
    }
}

/// Reads a decision again, away from the threads that serve.
async fn again(followed: &Arc<Followed>, position: Position) -> Decided {
    let followed = Arc::clone(followed);
    let read = tokio::task::spawn_blocking(move || followed.answer_again(position)).await;
    read.unwrap_or_else(|error| Err(Undecided::Unavailable(error.to_string())))
}
