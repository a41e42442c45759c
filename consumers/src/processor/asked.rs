//! A command with the times it came with: what a decision takes of it besides its payload, the same when it is made and
//! when it is made again.

use std::sync::Arc;

use pledger_domain::{
    catalogue::Command,
    facts::{Channel, Facts},
    partner::Partner,
    rejection::Rejection,
    rules::{RuleSet, Rules},
    values::Timestamp,
};

/// How far ahead of the receipt a business time may lie, in hours: a sender's calendar may be a day ahead of UTC. One
/// further ahead would keep everything that builds on it in the future.
const AHEAD_HOURS: i64 = 24;

/// What was asked, and when.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) command: &'a Command,
    pub(crate) channel: Channel,
    pub(crate) historical: bool,
    pub(crate) received_at: Timestamp,
    /// When the decision is recorded.
    pub(crate) recorded_at: Timestamp,
    /// The business time that the sender gave.
    pub(crate) given: Option<Timestamp>,
}

impl Asked<'_> {
    /// When it is true in the business: no earlier than what it builds on came to be.
    pub(crate) fn effective_at(&self, builds_on: Option<Timestamp>) -> Timestamp {
        let business = self.command.business_time().or(self.given).unwrap_or(self.recorded_at);
        builds_on.map_or(business, |begun| begun.max(business))
    }

    /// The instant whose rules decide.
    pub(crate) const fn rules_at(&self, effective_at: Timestamp) -> Timestamp {
        if self.historical { effective_at } else { self.received_at }
    }

    /// The refusal of a business time too far ahead. The payload's own dates are the domain's to judge.
    pub(crate) fn too_far_ahead(&self) -> Option<Rejection> {
        let given = self.given.filter(|_| self.command.business_time().is_none());
        let date = given.filter(|date| *date > self.received_at.plus_hours(AHEAD_HOURS))?;
        Some(Rejection::DateInFuture { date, now: self.received_at })
    }

    /// The facts of the decision.
    pub(crate) const fn facts(&self, effective_at: Timestamp, rules: Arc<RuleSet>, partner: Option<Arc<Partner>>) -> Facts {
        let Self { channel, historical, received_at, .. } = *self;
        Facts { now: received_at, effective_at, channel, historical, rules, partner }
    }
}

/// The rules that the very first publication is decided under: the embedded default, as version 0.
pub(crate) fn rules_before_any(command: &Command) -> Option<Arc<RuleSet>> {
    match command {
        Command::Program(_) => {
            let rules = Rules::parse(Rules::DEFAULT).ok()?;
            Some(Arc::new(RuleSet { version: 0, effective_from: Timestamp::from_micros(0), rules }))
        }
        Command::Partner(_) | Command::Account(_) | Command::Fund(_) | Command::Cost(_) => None,
    }
}
