//! Holds what somebody was told against the ledger, read by the chain rule alone.

use std::collections::BTreeMap;

use pledger_domain::stream::StreamName;
use pledger_ledger::{
    chain::{ChainHead, Verdict},
    commands::{Answer, Decided, Undecided},
    log::Log,
    record::{Body, Decision, Outcome, Record},
    slices::Position,
};

use crate::asks::Ask;

/// A page of a slice.
const PAGE: usize = 512;

/// What somebody was told who asked.
pub(crate) struct Told<'a> {
    pub(crate) ask: &'a Ask,
    pub(crate) stream: &'a StreamName,
    pub(crate) input: u128,
    pub(crate) decided: &'a Decided,
}

impl Told<'_> {
    /// The ledger says the same.
    pub(crate) fn holds(&self, decisions: &BTreeMap<Position, Decision<'_>>) -> Result<(), String> {
        let held = match self.decided {
            Ok(answer) => {
                decisions.get(&answer.position).ok_or("its decision is not in the ledger".into()).and_then(|d| self.stands(answer, d))
            }
            Err(Undecided::KeyReused { first }) => match decisions.get(first) {
                None => Err("the first use of its key is not in the ledger".into()),
                Some(decision) if self.used_key(decision) && !self.is_asked_in(decision) => Ok(()),
                Some(_) => Err("its key was not used for anything else".into()),
            },
            Err(Undecided::Unknown(_) | Undecided::Unavailable(_) | Undecided::Overloaded) => Ok(()),
        };
        held.map_err(|why: String| format!("{} under {}: {why}", self.ask.name, self.ask.key))
    }

    fn stands(&self, answer: &Answer, decision: &Decision<'_>) -> Result<(), String> {
        let same = match (&answer.outcome, &decision.outcome) {
            (Ok(events), Outcome::Accepted(recorded)) => serde_json::to_string(recorded).is_ok_and(|recorded| recorded == events.get()),
            (Err(rejection), Outcome::Rejected(recorded)) => rejection == recorded,
            (Ok(_), Outcome::Rejected(_)) | (Err(_), Outcome::Accepted(_)) => false,
        };
        let recorded = (decision.version, decision.rules, decision.recorded_at, decision.effective_at);
        if !same || recorded != (answer.version, answer.rules, answer.recorded_at, answer.effective_at) {
            return Err(format!("{:?} was told, {:?} is recorded", answer.outcome, decision.outcome));
        }
        if decision.stream != *self.stream || !self.is_asked_in(decision) {
            return Err("another command is recorded there".into());
        }
        if self.used_key(decision) { Ok(()) } else { Err("it was answered from another's decision".into()) }
    }

    fn used_key(&self, decision: &Decision<'_>) -> bool {
        decision.command.id == self.ask.key && decision.command.sender == self.ask.sender
    }

    fn is_asked_in(&self, decision: &Decision<'_>) -> bool {
        decision.command.input == format!("{:032x}", self.input)
    }
}

/// What of the ledger is valid.
pub(crate) fn valid_records(log: &dyn Log) -> Vec<Record> {
    let mut valid = Vec::new();
    for slice in log.slices().all() {
        let (mut head, mut offset) = (ChainHead::default(), 0);
        loop {
            let placed = log.read(slice, offset, PAGE).expect("it can be read");
            let Some(last) = placed.last() else { break };
            offset = last.offset + 1;
            let records = placed.into_iter().filter(|placed| head.accept(placed.offset, &placed.record) == Verdict::Valid);
            valid.extend(records.map(|placed| placed.record));
        }
    }
    valid
}

/// The decisions among the records.
pub(crate) fn decisions(records: &[Record]) -> Result<BTreeMap<Position, Decision<'_>>, String> {
    let mut decisions = BTreeMap::new();
    for record in records {
        if let Body::Decision(decision) = Body::decode(&record.body).map_err(|error| error.to_string())? {
            decisions.insert(record.position(), *decision);
        }
    }
    Ok(decisions)
}
