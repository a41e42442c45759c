//! A partner's figures are held against the tiers (F30).

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::{Partner, PartnerEvent, TierInputs, guard, tier};
use crate::{
    command::{Address, CommandPayload, Origin},
    facts::Facts,
    rejection::Rejection,
    stream::StreamName,
    values::{InvalidAccount, PartnerId, Period, TierName, Timestamp},
};

/// Holds a partner's figures against the tiers, once a period.
///
/// A policy reads the figures at a vector of positions and sends both. A higher tier is awarded at once. A tier whose
/// figures are no longer earned is kept for the rules' days of grace; an evaluation after that awards the earned one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EvaluateTier {
    /// The partner.
    pub partner_id: PartnerId,
    /// The period, such as `2027-Q1`: evaluated once.
    pub period: Period,
    /// The figures over the rules' window.
    pub inputs: TierInputs,
    /// The positions, `slice:pseq`, at which they were read.
    pub as_of: Vec<String>,
}

impl CommandPayload for EvaluateTier {
    const NAME: &'static str = "EvaluateTier";
    const SUMMARY: &'static str = "Holds a partner's figures against the tiers, once a period.";
    const EXAMPLE: &'static str = r#"{"partner_id":"p-nordwind","period":"2027-Q1","inputs":{"revenue":{"amount":"120000.00","currency":"USD"},"active_certifications":2,"net_new_logos":1},"as_of":["5:1041","17:993"]}"#;
    const ORIGIN: Origin = Origin::System;
    const DECIDED_BY: &'static [&'static str] = &["reporting_currency", "tiers", "tier_policy.grace_days"];
    type Stream = Partner;

    fn address(&self) -> Result<Address, InvalidAccount> {
        Ok(Address::Stream(StreamName::partner(&self.partner_id)))
    }

    fn builds_on(&self, state: &Partner) -> Option<Timestamp> {
        state.registered_at()
    }

    fn decide(&self, state: &Partner, facts: &Facts) -> Result<Vec<PartnerEvent>, Rejection> {
        guard::in_program(state, &self.partner_id)?;
        let rules = &facts.rules.rules;
        let period = self.period.to_string();
        if state.was_evaluated_for(&period) {
            return Err(Rejection::TierEvaluated { period });
        }
        let (expected, given) = (rules.reporting_currency, self.inputs.revenue.currency());
        if expected != given {
            return Err(Rejection::WrongCurrency { expected, given });
        }
        let Some(earned) = tier::earned_tier(rules, &self.inputs) else {
            return Err(Rejection::InvalidRules { reason: "they have no tiers".to_owned() });
        };
        let evaluated = PartnerEvent::TierEvaluated { period, inputs: self.inputs.clone(), earned: earned.name.clone() };
        Ok(std::iter::once(evaluated).chain(consequence(state, &earned.name, facts)).collect())
    }
}

/// What becomes of the awarded tier, if anything. A tier that the rules no longer know ranks below all of theirs.
fn consequence(state: &Partner, earned: &TierName, facts: &Facts) -> Option<PartnerEvent> {
    let rules = &facts.rules.rules;
    let Some(awarded) = state.tier() else {
        return Some(PartnerEvent::TierPromoted { from: None, to: earned.clone() });
    };
    match tier::rank(rules, earned).cmp(&tier::rank(rules, awarded)) {
        Ordering::Greater => Some(PartnerEvent::TierPromoted { from: Some(awarded.clone()), to: earned.clone() }),
        Ordering::Equal => state.grace_until().map(|_| PartnerEvent::TierGraceEnded { tier: awarded.clone() }),
        Ordering::Less => {
            let now = facts.effective_at;
            let until = state.grace_until().unwrap_or_else(|| now.plus_days(i64::from(rules.tier_policy.grace_days)));
            if until <= now {
                Some(PartnerEvent::TierDemoted { from: awarded.clone(), to: earned.clone() })
            } else if state.grace_until().is_none() {
                Some(PartnerEvent::TierGraceStarted { tier: awarded.clone(), earned: earned.clone(), until })
            } else {
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::partner::scenario::{active_and, at, check_open_to_all_in_program, command, facts};
    use crate::values::{Currency, Money};
    use std::sync::Arc;

    fn evaluate(revenue: &str) -> EvaluateTier {
        command(json!({
            "partner_id": "p-1",
            "period": "2026-Q4",
            "inputs": {"revenue": {"amount": revenue, "currency": "USD"}, "active_certifications": 9, "net_new_logos": 9},
            "as_of": ["5:41"],
        }))
    }

    fn named(name: &str) -> TierName {
        TierName::parse(name).expect(name)
    }

    fn evaluated(revenue: &str, earned: &str) -> PartnerEvent {
        let inputs = evaluate(revenue).inputs;
        PartnerEvent::TierEvaluated { period: "2026-Q4".into(), inputs, earned: named(earned) }
    }

    fn promoted(from: Option<&str>, to: &str) -> PartnerEvent {
        PartnerEvent::TierPromoted { from: from.map(named), to: named(to) }
    }

    fn grace(of: &str, earned: &str, until: &str) -> PartnerEvent {
        PartnerEvent::TierGraceStarted { tier: named(of), earned: named(earned), until: at(until) }
    }

    #[test]
    fn any_partner_in_the_program_is_evaluated() {
        check_open_to_all_in_program(&evaluate("0.00"), &[evaluated("0.00", "registered"), promoted(None, "registered")]);
    }

    #[test]
    fn promotion_is_immediate_and_demotion_waits_for_the_grace_to_run_out() {
        let gold = promoted(Some("silver"), "gold");
        let graced = |until: &str| vec![gold.clone(), grace("gold", "silver", until)];
        let demoted = |to: &str| PartnerEvent::TierDemoted { from: named("gold"), to: named(to) };
        for (history, revenue, earned, consequence) in [
            (vec![], "500000.00", "gold", Some(promoted(None, "gold"))),
            (vec![promoted(None, "registered")], "500000.00", "gold", Some(promoted(Some("registered"), "gold"))),
            (vec![gold.clone()], "500000.00", "gold", None),
            (vec![gold.clone()], "100000.00", "silver", Some(grace("gold", "silver", "2027-02-03T12:00:00Z"))),
            (graced("2026-11-06"), "0.00", "registered", None),
            (graced("2026-11-05T12:00:00Z"), "100000.00", "silver", Some(demoted("silver"))),
            (graced("2026-10-01"), "0.00", "registered", Some(demoted("registered"))),
            (graced("2026-10-01"), "500000.00", "gold", Some(PartnerEvent::TierGraceEnded { tier: named("gold") })),
            (
                vec![promoted(None, "silver"), grace("silver", "registered", "2026-12-01")],
                "500000.00",
                "gold",
                Some(promoted(Some("silver"), "gold")),
            ),
            (vec![promoted(None, "platinum")], "100000.00", "silver", Some(promoted(Some("platinum"), "silver"))),
        ] {
            let expected = [vec![evaluated(revenue, earned)], Vec::from_iter(consequence)].concat();
            assert_eq!(evaluate(revenue).decide(&active_and(&history), &facts()), Ok(expected), "{history:?} {revenue}");
        }
    }

    #[test]
    fn without_days_of_grace_demotion_is_immediate() {
        let mut facts = facts();
        Arc::make_mut(&mut facts.rules).rules.tier_policy.grace_days = 0;
        let demoted = PartnerEvent::TierDemoted { from: named("gold"), to: named("silver") };
        let expected = Ok(vec![evaluated("100000.00", "silver"), demoted]);
        assert_eq!(evaluate("100000.00").decide(&active_and(&[promoted(None, "gold")]), &facts), expected);
    }

    #[test]
    fn a_change_of_tier_ends_the_grace_of_the_old_one() {
        let history = [promoted(None, "gold"), grace("gold", "silver", "2026-10-01")];
        for change in [promoted(Some("gold"), "platinum"), PartnerEvent::TierDemoted { from: named("gold"), to: named("silver") }] {
            assert_eq!(active_and(&history).grace_until(), Some(at("2026-10-01")));
            assert_eq!(active_and(&[&history[..], &[change]].concat()).grace_until(), None);
        }
    }

    #[test]
    fn a_period_is_evaluated_once_and_in_the_reporting_currency() {
        let mut in_euro = evaluate("1.00");
        let euro = Currency::parse("EUR").expect("a currency");
        in_euro.inputs.revenue = Money::from_minor(100, euro);
        let mut none = facts();
        Arc::make_mut(&mut none.rules).rules.tiers.clear();
        let again = Rejection::TierEvaluated { period: "2026-Q4".into() };
        let wrong = Rejection::WrongCurrency { expected: Currency::USD, given: euro };
        let no_tiers = Rejection::InvalidRules { reason: "they have no tiers".into() };
        for (history, command, facts, refusal) in [
            (vec![evaluated("0.00", "registered")], evaluate("500000.00"), facts(), again),
            (vec![], in_euro, facts(), wrong),
            (vec![], evaluate("1.00"), none, no_tiers),
        ] {
            assert_eq!(command.decide(&active_and(&history), &facts), Err(refusal));
        }
    }
}
