//! Who decides on a registration, and by when (F44, F45).

use super::index::Folded;
use crate::{
    facts::Facts,
    values::{Amount, Label, Timestamp},
};

/// The reviewer of the first routing rule that matches; the default one always does.
pub(super) fn reviewer(facts: &Facts, region: Option<&Label>, amount: Amount) -> Label {
    let rules = &facts.rules.rules.deal_registration;
    let region = region.map(Folded::of);
    let matching = rules.routing.iter().find(|rule| {
        let here = rule.region.as_ref().is_none_or(|wanted| region.as_ref() == Some(&Folded::of(wanted)));
        let large = rule.min_amount.is_none_or(|least| amount.decimal() >= least);
        here && large
    });
    matching.map_or(&rules.default_reviewer, |rule| &rule.reviewer).clone()
}

/// Until when a submission received now is to be decided; history is promised nothing.
pub(super) fn sla_due(facts: &Facts) -> Option<Timestamp> {
    let hours = facts.rules.rules.deal_registration.approval_sla_hours;
    (hours > 0 && !facts.historical).then(|| facts.now.plus_hours(i64::from(hours)))
}
