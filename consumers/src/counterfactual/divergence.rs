//! What a draft decides otherwise in one stream, and which scheduled commands of the record and of the draft are the same.

use hashbrown::{HashMap, HashSet};
use pledger_domain::{deadline::Deadline, values::Timestamp};
use pledger_ledger::{record::Outcome, slices::Position};
use serde_json::Value;

use super::otherwise::{Change, Otherwise, consequences, subjects};

/// What was decided otherwise in a stream.
#[derive(Default)]
pub(super) struct Divergence {
    /// By what it is about: the first such decision.
    pub(super) first: HashMap<String, Position>,
    /// What is there only under the draft. Nothing falls due for it: nobody had the occasion to act on it before.
    pub(super) only_here: HashSet<String>,
    /// The deadlines that were sent although the record has none such, by their ids.
    pub(super) sent: HashSet<String>,
    /// The version that the recorded stream stands at.
    pub(super) recorded_version: u64,
    /// Scheduled commands that only one side has so far, by command and by what they are about.
    unpaired: HashMap<(&'static str, Option<String>), Side>,
}

/// A scheduled command as one side has it: on record and refused under the draft, or due under the draft only.
pub(super) struct Side {
    /// When it was recorded, or would have been.
    at: Timestamp,
    /// The difference, should the other side not come by.
    told: Otherwise,
    /// What came of it on this side.
    events: Value,
}

impl Divergence {
    /// Whether a deadline is to be sent: it was not yet, and somebody could have acted before.
    pub(super) fn waits_for(&self, deadline: &Deadline) -> bool {
        let about = subjects(&deadline.payload).into_iter().next();
        !self.sent.contains(&deadline.id) && about.is_none_or(|about| !self.only_here.contains(&about))
    }

    /// Holds one side until the other comes by. What can be told now: both as one, or an older one that stays alone.
    pub(super) fn pair(&mut self, side: Side) -> Option<(Timestamp, Otherwise)> {
        let about = (side.told.command, side.told.subject.clone());
        match self.unpaired.remove(&about) {
            Some(known) if known.told.change != side.told.change => known.with(side),
            known => {
                self.unpaired.insert(about, side);
                known.map(Side::alone)
            }
        }
    }

    /// What only one side ever had.
    pub(super) fn alone(self) -> impl Iterator<Item = (Timestamp, Otherwise)> {
        self.unpaired.into_values().map(Side::alone)
    }
}

impl Side {
    pub(super) fn of(at: Timestamp, told: Otherwise, outcome: &Outcome<'_>) -> Self {
        let events = match outcome {
            Outcome::Accepted(events) => serde_json::to_value(events).unwrap_or_default(),
            Outcome::Rejected(_) => Value::Null,
        };
        Self { at, told, events }
    }

    fn alone(self) -> (Timestamp, Otherwise) {
        (self.at, self.told)
    }

    /// Both sides as one difference: the recorded decision, and what comes of it under the draft. None where both are alike.
    fn with(self, other: Self) -> Option<(Timestamp, Otherwise)> {
        let (recorded, draft) = if self.told.change == Change::FallsDue { (other, self) } else { (self, other) };
        let fields = consequences((&recorded.events, recorded.told.effective_at), (&draft.events, draft.told.effective_at));
        let told = Otherwise { change: Change::OtherTime, draft: draft.told.draft, fields, ..recorded.told };
        (!told.fields.is_empty()).then_some((recorded.at, told))
    }
}
