//! Commands that were sent and whose decisions are not known yet, and the keys of those that are.

use hashbrown::HashMap;
use pledger_domain::values::Timestamp;
use pledger_ledger::{
    commands::{Answer, Decided, Undecided},
    record::{Decision, Outcome},
    slices::{Position, SliceId},
};
use tokio::sync::oneshot;

use crate::processor::{KeyLimits, KeyUse, KeyWindow, ScopedKey, uses_key};

/// Somebody who waits for the decision of a command.
pub(super) struct Waiting {
    /// Tells those apart who wait for the same key.
    pub(super) number: u64,
    pub(super) input: u128,
    /// As in the command: the record of the very same command has it too.
    pub(super) received_at: Timestamp,
    pub(super) reply: oneshot::Sender<Decided>,
}

/// A decision that somebody waited for.
pub(super) type Told = (oneshot::Sender<Decided>, Decided);

/// What is known of keys, and who waits for them.
pub(super) struct Keys {
    limits: KeyLimits,
    /// Slice by slice.
    known: Vec<KeyWindow>,
    waiting: HashMap<ScopedKey, Vec<Waiting>>,
}

impl Keys {
    pub(super) fn new(slices: u16, limits: KeyLimits) -> Self {
        Self { limits, known: vec![KeyWindow::default(); usize::from(slices)], waiting: HashMap::new() }
    }

    /// What a key was used for; otherwise somebody waits for it from now on.
    pub(super) fn find_or_wait(&mut self, slice: SliceId, key: ScopedKey, waiting: Waiting) -> Option<KeyUse> {
        let known = self.known[usize::from(slice)].get(key);
        if known.is_none() {
            self.waiting.entry(key).or_default().push(waiting);
        }
        known
    }

    /// Somebody waits no longer.
    pub(super) fn remove(&mut self, key: ScopedKey, number: u64) -> Option<Waiting> {
        let all = self.waiting.get_mut(&key)?;
        let found = all.iter().position(|waiting| waiting.number == number).map(|at| all.swap_remove(at));
        if all.is_empty() {
            self.waiting.remove(&key);
        }
        found
    }

    /// Forgets those who gave up.
    pub(super) fn forget_those_gone(&mut self) {
        self.waiting.retain(|_, all| {
            all.retain(|waiting| !waiting.reply.is_closed());
            !all.is_empty()
        });
    }

    /// Takes a decision in; answers who waited for it and what they are to be told.
    ///
    /// One that uses its key up answers everybody who waits for the key. One that does not answers only whoever sent that
    /// very command: the others' commands are decided anew.
    pub(super) fn take_in(&mut self, decision: &Decision<'_>, position: Position) -> Vec<Told> {
        let command = &decision.command;
        let key = ScopedKey::new(&command.sender, &decision.stream, &command.id);
        let Ok(input) = u128::from_str_radix(&command.input, 16) else { return Vec::new() };
        let uses_key = uses_key(&decision.outcome);
        if uses_key {
            let known = &mut self.known[usize::from(position.slice)];
            known.remember(key, KeyUse { pseq: position.pseq, input }, decision, self.limits);
        }
        let Some(all) = self.waiting.get_mut(&key) else { return Vec::new() };
        let own = all.iter().position(|waiting| waiting.received_at == command.received_at && waiting.input == input);
        let mut told = Vec::new();
        if let Some(own) = own {
            told.push((all.remove(own).reply, Ok(answer(decision, position, false))));
        }
        if uses_key {
            for Waiting { input: asked, reply, .. } in all.drain(..) {
                let again =
                    if asked == input { Ok(answer(decision, position, true)) } else { Err(Undecided::KeyReused { first: position }) };
                told.push((reply, again));
            }
        }
        if all.is_empty() {
            self.waiting.remove(&key);
        }
        told
    }
}

/// The answer that a recorded decision gives.
pub(super) fn answer(decision: &Decision<'_>, position: Position, replayed: bool) -> Answer {
    Answer {
        position,
        version: decision.version,
        rules: decision.rules,
        recorded_at: decision.recorded_at,
        effective_at: decision.effective_at,
        outcome: match &decision.outcome {
            Outcome::Accepted(events) => Ok(serde_json::value::to_raw_value(events).expect("events that were just read as JSON")),
            Outcome::Rejected(rejection) => Err(rejection.clone()),
        },
        replayed,
    }
}
