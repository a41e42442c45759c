//! Commands on their way to the one writer of their slice, and the answers on their way back.

use std::{future::Future, pin::Pin, sync::Arc};

use compact_str::CompactString;
use pledger_domain::{catalogue::Command, facts::Channel, rejection::Rejection, stream::StreamName, values::Timestamp};
use serde_json::value::RawValue;

use crate::{hexadecimal, slices::Position};

/// A command after the edge: read, sealed, addressed.
#[derive(Clone, Debug)]
pub struct CommandEnvelope {
    /// The stream it is decided in.
    pub stream: StreamName,
    /// The payload in its type.
    pub command: Command,
    /// The same as it is recorded.
    pub payload: Box<RawValue>,
    /// The idempotency key, within (sender, stream).
    pub key: CompactString,
    /// Who sent it: the authenticated principal, `anonymous`, `import:<mapping>`, a CloudEvent's source, a policy.
    pub sender: Arc<str>,
    /// Who the sender says acted.
    pub actor: Option<CompactString>,
    /// How it came in.
    pub channel: Channel,
    /// When it came in.
    pub received_at: Timestamp,
    /// The business time that the sender gave.
    pub effective_at: Option<Timestamp>,
    /// Whether it is decided under the rules of its business time: an import, or a sender with the right `backdate`.
    pub historical: bool,
    /// The version the stream must be at.
    pub if_match: Option<u64>,
    /// Positions in the reference slices that the sender has seen.
    pub after: Vec<Position>,
    /// What sent it.
    pub cause: Option<CompactString>,
    /// The hash of name, payload and business time; personal fields count by their subject only.
    pub input: u128,
}

impl CommandEnvelope {
    /// The input's hash as it is recorded: 32 digits.
    pub fn input_digits<'a>(&self, into: &'a mut [u8; 32]) -> &'a str {
        hexadecimal::write(&self.input.to_be_bytes(), into)
    }
}

/// What the ledger says to a command.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Where the decision stands.
    pub position: Position,
    /// The stream's version after it.
    pub version: u64,
    /// The rules that decided.
    pub rules: u32,
    /// When it was written.
    pub recorded_at: Timestamp,
    /// When it is true in the business.
    pub effective_at: Timestamp,
    /// The events as recorded, or the refusal.
    pub outcome: Result<Box<RawValue>, Rejection>,
    /// Whether this is the answer to an earlier command with the same key.
    pub replayed: bool,
}

/// Why a command got no decision.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undecided {
    /// The key was used for another input on this stream.
    #[error("the idempotency key was used at {first} for another command or payload")]
    KeyReused {
        /// The first decision under the key.
        first: Position,
    },
    /// Too many commands are waiting.
    #[error("too many commands are waiting; try again in a moment")]
    Overloaded,
    /// The ledger takes no writes for now: it is damaged, full or being closed.
    #[error("the ledger takes no commands: {0}")]
    Unavailable(String),
    /// It may or may not have been decided.
    #[error("the outcome is not known ({0}); ask again with the same idempotency key")]
    Unknown(String),
}

/// The answer to one command.
pub type Decided = Result<Answer, Undecided>;

/// Takes commands to the writer of their slice: a queue in the process, or the commands topic.
pub trait CommandSink: Send + Sync + 'static {
    /// Hands over commands, in this order; each is answered when its decision is durable.
    fn submit(&self, commands: Vec<CommandEnvelope>) -> Pin<Box<dyn Future<Output = Vec<Decided>> + Send>>;

    /// The highest acknowledged position of every reference slice that has one: what a sender here has seen.
    fn reference_positions(&self) -> Vec<Position>;

    /// Why no command is decided until pledger is started again, where that is so: the ledger is damaged, or the
    /// processor has failed. Questions are answered all the same.
    fn halted(&self) -> Option<Arc<str>> {
        None
    }

    /// Ends when more of the ledger was taken in here than now, so that an id which is unknown may be known then; nothing
    /// where the directory always knows all that was decided.
    fn more(&self) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
        None
    }

    /// How many commands wait to be decided.
    fn queued(&self) -> usize {
        0
    }
}
