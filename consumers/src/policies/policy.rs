//! What a policy is.

use pledger_domain::{command::CommandPayload, rejection::Rejection, values::Timestamp};
use pledger_ledger::slices::Position;

use super::{PolicyView, Unread};

/// Something that pledger asks of itself because of what it reads.
pub(super) trait Policy: Send {
    /// Who sends its commands: the scope of their keys.
    fn sender(&self) -> &'static str;

    /// The commands that it wants decided as things stand, at most `most`. What was decided is wanted no more as soon as
    /// the read models know.
    ///
    /// # Errors
    /// `Unread`.
    fn wanted(&mut self, view: &dyn PolicyView, now: Timestamp, most: usize) -> Result<Vec<Wanted>, Unread>;

    /// Whether a refusal is an answer like any other: the policy knows by itself when to ask again.
    fn expects(&self, rejection: &Rejection) -> bool;
}

/// A command that a policy wants decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The command's name.
    pub(super) command: &'static str,
    /// Its payload, as JSON.
    pub(super) payload: String,
    /// The idempotency key, which follows from the cause.
    pub(super) key: String,
    /// What it answers to.
    pub(super) cause: String,
    /// What its figures were read at.
    pub(super) as_of: Vec<Position>,
}

impl Wanted {
    pub(super) fn new<C: CommandPayload + serde::Serialize>(command: &C, key: String, cause: String, as_of: &[Position]) -> Self {
        let payload = serde_json::to_string(command).expect("ids, figures and texts can be written as JSON");
        Self { command: C::NAME, payload, key, cause, as_of: as_of.to_vec() }
    }
}

/// A vector of positions as payloads hold it.
pub(super) fn written(positions: &[Position]) -> Vec<String> {
    positions.iter().map(Position::to_string).collect()
}
