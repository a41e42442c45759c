//! Commands on their way through a topic to whoever writes their slice: the same slices as the ledger's, each with
//! messages in the order of their offsets.
//!
//! Nobody commits a place in it. Where the writer of a slice goes on stands in the ledger itself, as `next_command` of the
//! last valid record, so a crash can neither lose a command nor have it decided twice.

pub mod memory;
mod stored;

use std::{sync::mpsc::SyncSender, time::Duration};

pub use self::stored::{FORMAT, NoCommand, decode, encode};
use crate::{
    commands::{CommandEnvelope, Undecided},
    log::LogError,
    slices::SliceId,
};

/// A message of the topic.
#[derive(Debug)]
pub struct Queued {
    /// Its slice.
    pub slice: SliceId,
    /// Its offset there.
    pub offset: u64,
    /// The command in it, or why there is none.
    pub command: Result<Box<CommandEnvelope>, NoCommand>,
}

/// Is told that a command was not written, as far as anybody knows.
pub type Undelivered = Box<dyn FnOnce(Undecided) + Send + Sync>;

/// Writes commands.
pub trait CommandSender: Send + Sync {
    /// Hands a command over; those of one stream are written in the order of the calls. Does not wait. `undelivered` is
    /// called where it turns out that it is not written, or that nobody knows, and dropped where it is written.
    ///
    /// # Errors
    /// `Undecided` where it was not taken; `undelivered` is not called then.
    fn send(&self, envelope: &CommandEnvelope, undelivered: Undelivered) -> Result<(), Undecided>;
}

/// A place that the topic does not have (any more).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "slice {slice} goes on at the command {asked}, and the commands topic has {first} to {next}: commands were deleted before they \
     were decided, or the topic is another one"
)]
pub struct Gone {
    /// The slice.
    pub slice: SliceId,
    /// What was asked for.
    pub asked: u64,
    /// The first offset that there is.
    pub first: u64,
    /// The one after the last.
    pub next: u64,
}

/// Reads commands of the slices that it is told to read.
pub trait CommandReader: Send {
    /// Reads these slices, each from this offset on, and no other. Nothing that an earlier assignment would have read is
    /// answered any more. Those that do not have their offset are left out and answered.
    ///
    /// # Errors
    /// `LogError::Store`; nothing is assigned then.
    fn assign(&mut self, places: &[(SliceId, u64)]) -> Result<Vec<Gone>, LogError>;

    /// The next messages, about `max` of them; empty when none came within `wait`.
    ///
    /// # Errors
    /// `LogError::Store`: nothing is read until slices are assigned again.
    fn next(&mut self, max: usize, wait: Duration) -> Result<Vec<Queued>, LogError>;
}

/// A change of the slices that a process should write.
#[derive(Debug)]
pub enum Change {
    /// These, too.
    Gained(Vec<SliceId>),
    /// No longer these. Somebody else gets them once the sender is dropped, or after a while.
    Lost(Vec<SliceId>, Option<SyncSender<()>>),
}

/// Says which slices a process should write. It is about who works, not about who may: that is for the chain to say.
pub trait Membership: Send {
    /// What changed since the last call; does not wait.
    fn changes(&mut self) -> Vec<Change>;

    /// Gives everything back, and waits until others know.
    fn leave(&mut self);
}

/// The same slices for ever: a process that is alone, or one of several that share them out by hand.
#[derive(Debug)]
pub struct Fixed(Option<Vec<SliceId>>);

impl Fixed {
    /// These slices.
    #[must_use]
    pub const fn new(slices: Vec<SliceId>) -> Self {
        Self(Some(slices))
    }
}

impl Membership for Fixed {
    fn changes(&mut self) -> Vec<Change> {
        self.0.take().map(Change::Gained).into_iter().collect()
    }

    fn leave(&mut self) {}
}
