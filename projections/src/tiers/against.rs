//! One partner beside the tiers: its figures, what they earn, and which tier follows.

use std::{ops::RangeInclusive, sync::Arc};

use pledger_domain::{
    partner::TierInputs,
    rules::RuleSet,
    values::{TierName, Timestamp},
};

use super::{
    standing::{in_force_at, last_day_of, window},
    view::facts,
};
use crate::{query::Rows, symbol::Symbol};

/// A partner, held against the rules that govern at one time.
pub(crate) struct Against {
    /// The time.
    pub(crate) at: Timestamp,
    /// The rules.
    pub(crate) rules: Arc<RuleSet>,
    /// The partner.
    pub(crate) partner: Symbol,
    /// Its figures.
    pub(crate) inputs: TierInputs,
    /// The tier that it was awarded.
    pub(crate) awarded: Option<&'static str>,
    /// The tier that its figures earn.
    pub(crate) earned: Option<TierName>,
    /// The tier above the higher of both.
    pub(crate) next: Option<TierName>,
}

impl Against {
    /// The reading that the view gives of a partner at `at`, or where that is absent on the last day; none where it is unknown.
    pub(crate) fn read(rows: &Rows<'_>, at: Option<Timestamp>, partner: &str) -> Option<Self> {
        let at = at.unwrap_or_else(|| last_day_of(rows));
        let rules = in_force_at(rows, at);
        let facts = facts(rows, at, &rules);
        let fact = facts.iter().find(|fact| fact.partner.name() == partner)?;
        let (awarded, earned) = (fact.row.tier.map(Symbol::name), fact.earned.map(|tier| tier.name.clone()));
        let next = fact.next(&rules).map(|(tier, _)| tier.name.clone());
        Some(Self { at, partner: fact.partner, inputs: fact.inputs.clone(), awarded, earned, next, rules: Arc::clone(&rules) })
    }

    /// The days on which revenue and net-new logos count.
    pub(crate) fn window(&self) -> RangeInclusive<i64> {
        window(self.at, self.rules.rules.tier_policy.window_days)
    }
}
