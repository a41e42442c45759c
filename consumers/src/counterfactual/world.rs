//! One set of rules and what becomes of every stream under it.

use std::sync::Arc;

use pledger_domain::{
    rejection::Rejection,
    rules::RuleSet,
    stream::{StreamKind, StreamName},
    values::{PartnerId, Timestamp},
};
use pledger_ledger::{
    record::{Decision, Outcome},
    slices::Position,
};

use super::history::{Partners, Programs};
use crate::processor::{Asked, Standing, Streams, rules_before_any};

/// A draft of the rules, as if it had been in force.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The rules.
    pub rules: Arc<RuleSet>,
    /// From when they decide in place of those that were in force; always, where absent.
    pub from: Option<Timestamp>,
}

/// What was recorded of a decision beside what was asked.
pub(super) struct Recorded<'a> {
    pub(super) stream: &'a StreamName,
    /// The stream's version after it.
    pub(super) version: u64,
    pub(super) rules: u32,
    pub(super) relied_on: &'a [(StreamName, u64)],
}

/// A recorded command, to be decided again.
pub(super) struct Request<'a> {
    pub(super) position: Position,
    pub(super) decision: &'a Decision<'a>,
    pub(super) asked: Asked<'a>,
    pub(super) recorded: Recorded<'a>,
}

/// A decision as it was recorded, to be taken in so.
pub(super) struct Taken<'a> {
    pub(super) stream: &'a StreamName,
    /// The stream's version after it.
    pub(super) version: u64,
    pub(super) outcome: &'a Outcome<'a>,
    pub(super) recorded_at: Timestamp,
    pub(super) effective_at: Timestamp,
}

impl<'a> Taken<'a> {
    pub(super) const fn of(decision: &'a Decision<'a>) -> Self {
        let Decision { stream, version, outcome, recorded_at, effective_at, .. } = decision;
        Self { stream, version: *version, outcome, recorded_at: *recorded_at, effective_at: *effective_at }
    }
}

/// A command decided again.
pub(super) struct Again {
    pub(super) outcome: Outcome<'static>,
    pub(super) effective_at: Timestamp,
    /// The stream's version after it.
    pub(super) version: u64,
    /// The version of the rules that were in force, whether or not a draft decided in their place.
    pub(super) in_force: u32,
    /// Whether it relies on a partner that the recorded decision did not rely on, and so named no version of.
    pub(super) unrecorded_fact: bool,
}

/// What becomes of every stream under one set of rules: those that were in force, or a draft.
#[derive(Default)]
pub(super) struct World {
    pub(super) draft: Option<Draft>,
    /// The streams of the slices at hand.
    pub(super) streams: Streams,
    /// Shared by those who decide what relies on them, once all of them are known.
    pub(super) partners: Arc<Partners>,
}

impl World {
    pub(super) fn under(draft: Draft) -> Self {
        Self { draft: Some(draft), ..Self::default() }
    }

    /// The same rules and partners, and no streams.
    pub(super) fn beside(&self) -> Self {
        Self { draft: self.draft.clone(), streams: Streams::default(), partners: Arc::clone(&self.partners) }
    }

    /// What would be decided in one of `streams`, by the facts of then. Nothing is taken in yet.
    pub(super) fn decide(&self, streams: &Streams, asked: &Asked<'_>, recorded: &Recorded<'_>, programs: &Programs) -> Again {
        let Standing { version, relies_on, builds_on } = streams.standing(recorded.stream, asked.command);
        let effective_at = asked.effective_at(builds_on);
        let rules_at = asked.rules_at(effective_at);
        let rules = self.rules(asked, recorded, rules_at, programs);
        let named = |id: &PartnerId| {
            let stream = StreamName::partner(id);
            recorded.relied_on.iter().find(|(fact, _)| *fact == stream).map(|(_, version)| *version)
        };
        let unrecorded_fact = relies_on.as_ref().is_some_and(|id| named(id).is_none());
        let partner = relies_on.and_then(|id| match named(&id) {
            Some(version) => self.partners.at_version(&id, version, asked.recorded_at),
            None => self.partners.known_at(&id, asked.recorded_at),
        });
        let in_force = rules.as_ref().map_or(0, |(_, version)| *version);
        let decided = match (rules, asked.too_far_ahead()) {
            (None, _) => Err(Rejection::NoRulesInForce { at: rules_at }),
            (Some(_), Some(refusal)) => Err(refusal),
            (Some((rules, _)), None) => streams.would(recorded.stream, asked.command, &asked.facts(effective_at, rules, partner)),
        };
        let version = version + u64::from(decided.is_ok());
        let outcome = decided.map_or_else(Outcome::Rejected, Outcome::Accepted);
        Again { outcome, effective_at, version, in_force, unrecorded_fact }
    }

    /// The rules that decide: those that the decision's version of the program had in force, or the draft in their place.
    /// The version of those in force is told beside them.
    fn rules(&self, asked: &Asked<'_>, recorded: &Recorded<'_>, rules_at: Timestamp, programs: &Programs) -> Option<(Arc<RuleSet>, u32)> {
        if recorded.stream.kind() == StreamKind::Program {
            // What is published does not depend on what is in force.
            let rules = programs.rules(recorded.rules).map(Arc::clone).or_else(|| rules_before_any(asked.command))?;
            let version = rules.version;
            return Some((rules, version));
        }
        let program = StreamName::program();
        let version = recorded.relied_on.iter().find(|(fact, _)| *fact == program).map_or(0, |(_, version)| *version);
        let in_force = programs.in_force_at(version, rules_at)?;
        let draft = self.draft.as_ref().filter(|draft| draft.from.is_none_or(|from| from <= rules_at));
        Some((Arc::clone(draft.map_or(in_force, |draft| &draft.rules)), in_force.version))
    }

    /// Takes in what was decided again.
    pub(super) fn take_in(&self, stream: &StreamName, again: &Again) {
        if let Outcome::Accepted(events) = &again.outcome {
            self.streams.evolve(stream, again.version, events, again.effective_at);
        }
    }

    /// Takes in what was recorded.
    pub(super) fn keep(&mut self, taken: &Taken<'_>) {
        if let Outcome::Accepted(events) = taken.outcome {
            self.streams.evolve(taken.stream, taken.version, events, taken.effective_at);
            self.note(taken.stream, taken.version, taken.recorded_at);
        }
    }

    /// Notes what a partner is now, for those who rely on it. `recorded` is the version that the recorded stream stands at,
    /// `at` when that was recorded. Of any other stream there is nothing to note.
    pub(super) fn note(&mut self, stream: &StreamName, recorded: u64, at: Timestamp) {
        if stream.kind() == StreamKind::Partner {
            let Self { streams, partners, .. } = self;
            streams.partner.read(stream, |partner| Arc::make_mut(partners).note(stream, recorded, at, partner));
        }
    }

    /// The draft's rules.
    pub(super) fn draft(&self) -> Option<&RuleSet> {
        self.draft.as_ref().map(|draft| &*draft.rules)
    }
}
