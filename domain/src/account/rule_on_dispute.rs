//! A dispute is ruled, for a winner or as a split (F48).

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{Account, AccountEvent, Share, deal_address};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    values::{AccountRef, DealId, DisputeId, InvalidAccount, PartnerId, Text, Timestamp},
};

/// Rules on an open dispute between its parties: names one winner, or shares that add up to exactly 1. The ruling moves no deal and no
/// protection; ReassignDeal does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleOnDispute {
    /// The dispute.
    pub dispute_id: DisputeId,
    /// The deal in dispute.
    pub deal_id: DealId,
    /// Its account; looked up by the deal where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountRef>,
    /// Who has the whole deal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub winner: Option<PartnerId>,
    /// Who has which part; shares of the same partner are added up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shares: Vec<Share>,
    /// Why.
    pub reason: Text,
}

impl RuleOnDispute {
    /// One share a partner. A winner beside shares adds up to more than 1, and neither to 0: both are refused.
    fn whole_shares(&self) -> Result<Vec<Share>, Rejection> {
        let winner = self.winner.iter().map(|partner| (partner, Decimal::ONE));
        let mut parts = BTreeMap::<&PartnerId, Decimal>::new();
        for (partner, share) in winner.chain(self.shares.iter().map(|share| (&share.partner_id, share.share))) {
            if share <= Decimal::ZERO || share > Decimal::ONE {
                return Err(Rejection::ShareOutOfRange { partner_id: partner.clone(), share: share.normalize().to_string() });
            }
            let part = parts.entry(partner).or_default();
            // Each is at most 1, and a payload holds far fewer than a Decimal can count.
            *part = part.checked_add(share).unwrap_or(Decimal::MAX);
        }
        let sum: Decimal = parts.values().fold(Decimal::ZERO, |sum, part| sum.checked_add(*part).unwrap_or(Decimal::MAX));
        if sum != Decimal::ONE {
            return Err(Rejection::SharesNotWhole { sum: sum.normalize().to_string() });
        }
        Ok(parts.into_iter().map(|(partner, share)| Share { partner_id: partner.clone(), share: share.normalize() }).collect())
    }
}

impl CommandPayload for RuleOnDispute {
    const NAME: &'static str = "RuleOnDispute";
    const SUMMARY: &'static str = "Rules on a dispute: one winner, or a split.";
    const EXAMPLE: &'static str = r#"{"dispute_id":"dis-1","deal_id":"d-1001","account":"acme.com","shares":[{"partner_id":"p-nordwind","share":"0.6"},{"partner_id":"p-suedlicht","share":"0.4"}],"reason":"Both worked on the proof of concept."}"#;
    type Stream = Account;

    fn address(&self) -> Result<Address, InvalidAccount> {
        deal_address(self.account.as_ref(), &self.deal_id)
    }

    fn builds_on(&self, state: &Account) -> Option<Timestamp> {
        state.registered_at(&self.deal_id)
    }

    fn decide(&self, state: &Account, facts: &Facts) -> Result<Vec<AccountEvent>, Rejection> {
        state.open_dispute(&self.dispute_id, &self.deal_id)?;
        let shares = self.whole_shares()?;
        if !facts.historical {
            shares.iter().try_for_each(|share| state.party_to(&self.dispute_id, &share.partner_id))?;
        }
        Ok(vec![AccountEvent::DisputeRuled {
            dispute_id: self.dispute_id.clone(),
            deal_id: self.deal_id.clone(),
            shares,
            reason: self.reason.clone(),
        }])
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::{Story, with};
    use super::*;
    use serde_json::{Value, json};

    fn disputed() -> Story {
        Story::registered().then("OpenDispute", &json!({"dispute_id": "dis-1", "deal_id": "d-1", "contender": "p-2", "reason": "Ours."}))
    }

    fn ruling(fields: Value) -> Value {
        with(json!({"dispute_id": "dis-1", "deal_id": "d-1", "reason": "So."}), fields)
    }

    #[test]
    fn shares_add_up_to_exactly_one() {
        let share = |partner: &str, share: &str| json!({"partner_id": partner, "share": share});
        let whole = |sum: &str| Err(Rejection::SharesNotWhole { sum: sum.into() });
        let range = |share: &str| Err(Rejection::ShareOutOfRange { partner_id: "p-1".parse().expect("an id"), share: share.into() });
        let third = "0.3333333333333333333333333333";
        for (fields, outcome) in [
            (json!({"winner": "p-2"}), Ok(vec![("p-2", "1")])),
            (json!({"shares": [share("p-2", "0.40"), share("p-1", "0.60")]}), Ok(vec![("p-1", "0.6"), ("p-2", "0.4")])),
            (json!({"shares": [share("p-1", "0.5"), share("p-1", "0.5")]}), Ok(vec![("p-1", "1")])),
            (json!({}), whole("0")),
            (json!({"winner": "p-2", "shares": [share("p-1", "0.5")]}), whole("1.5")),
            (json!({"shares": [share("p-1", third), share("p-2", third), share("p-3", third)]}), whole("0.9999999999999999999999999999")),
            (json!({"shares": [share("p-1", "-0.5"), share("p-2", "1.5")]}), range("-0.5")),
            (json!({"shares": [share("p-2", "1"), share("p-1", "0")]}), range("0")),
            (json!({"shares": [share("p-1", "1.5")]}), range("1.5")),
        ] {
            let shares = disputed().decide("RuleOnDispute", &ruling(fields.clone())).map(|events| match &events[..] {
                [AccountEvent::DisputeRuled { shares, .. }] => shares.clone(),
                other => panic!("{other:?}"),
            });
            let expected = outcome.map(|shares| {
                let share = |(partner, share): (&str, &str)| Share {
                    partner_id: partner.parse().expect("an id"),
                    share: share.parse().expect("a number"),
                };
                shares.into_iter().map(share).collect::<Vec<_>>()
            });
            assert_eq!(shares, expected, "{fields}");
        }
    }

    #[test]
    fn only_parties_to_a_dispute_are_ruled_for() {
        let no_party = |partner: &str| {
            let (dispute_id, partner_id) = ("dis-1".parse().expect("an id"), partner.parse().expect("an id"));
            Some(Rejection::NotAParty { dispute_id, partner_id })
        };
        let reassigned = || disputed().then("ReassignDeal", &json!({"deal_id": "d-1", "partner_id": "p-3"}));
        let half = |partner: &str| json!({"partner_id": partner, "share": "0.5"});
        for (story, fields, refusal) in [
            (disputed(), json!({"winner": "p-1"}), None),
            (disputed(), json!({"winner": "p-3"}), no_party("p-3")),
            (disputed(), json!({"winner": "p-9"}), no_party("p-9")),
            (disputed(), json!({"shares": [half("p-2"), half("p-3")]}), no_party("p-3")),
            // History happened.
            (disputed().import(true), json!({"winner": "p-3"}), None),
            // Whose it was, and whose it is.
            (reassigned(), json!({"winner": "p-1"}), None),
            (reassigned(), json!({"shares": [half("p-2"), half("p-3")]}), None),
        ] {
            assert_eq!(story.decide("RuleOnDispute", &ruling(fields.clone())).err(), refusal, "{fields}");
        }
    }

    #[test]
    fn a_dispute_is_ruled_once() {
        let not_open = Rejection::DisputeNotOpen { dispute_id: "dis-1".parse().expect("an id") };
        let payload = ruling(json!({"winner": "p-2"}));
        let ruled = disputed().then("RuleOnDispute", &payload);
        assert_eq!(ruled.refusal("RuleOnDispute", &payload), not_open);
        assert_eq!(ruled.d1().partner_id().as_str(), "p-1");
        assert_eq!(Story::registered().refusal("RuleOnDispute", &payload), not_open);
    }
}
