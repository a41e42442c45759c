//! An approval is extended (F46).

use serde::{Deserialize, Serialize};

use super::{Account, AccountEvent, DealPhase, deal_address, standing::protected_partner};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    values::{AccountRef, DealId, InvalidAccount, PartnerId, Timestamp},
};

/// Extends an approved deal's protection and validity by the rules' days, each from where it ends now. Protection that
/// had lapsed cannot come back where another partner has it by now, and stays lapsed where another deal of this partner
/// protects the same scope.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtendDeal {
    /// The deal.
    pub deal_id: DealId,
    /// Its account; looked up by the deal where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountRef>,
}

impl CommandPayload for ExtendDeal {
    const NAME: &'static str = "ExtendDeal";
    const SUMMARY: &'static str = "Extends an approved deal's protection and validity by the rules' days.";
    const EXAMPLE: &'static str = r#"{"deal_id":"d-1001","account":"acme.com"}"#;
    const DECIDED_BY: &'static [&'static str] =
        &["deal_registration.max_extensions", "deal_registration.extension_days", "deal_registration.protection_scope"];
    const RELIES_ON_A_PARTNER: bool = true;
    type Stream = Account;

    fn address(&self) -> Result<Address, InvalidAccount> {
        deal_address(self.account.as_ref(), &self.deal_id)
    }

    fn relies_on(&self, state: &Account) -> Option<PartnerId> {
        state.deal(&self.deal_id).map(|deal| deal.partner_id().clone())
    }

    fn builds_on(&self, state: &Account) -> Option<Timestamp> {
        state.registered_at(&self.deal_id)
    }

    fn decide(&self, state: &Account, facts: &Facts) -> Result<Vec<AccountEvent>, Rejection> {
        let deal = state.known_while(&self.deal_id, |phase| phase == DealPhase::Approved)?;
        protected_partner(facts, &deal.partner_id)?;
        let rules = &facts.rules.rules.deal_registration;
        // History protects nothing any longer than it was.
        let protection = deal.protected_until.filter(|_| !facts.historical);
        if protection.is_none() && deal.expires_at.is_none() {
            return Err(Rejection::NeverExpires { deal_id: self.deal_id.clone() });
        }
        if deal.extensions >= rules.max_extensions {
            return Err(Rejection::NoExtensionLeft { deal_id: self.deal_id.clone(), extensions: deal.extensions });
        }
        let extended = |end: Timestamp| end.plus_days(i64::from(rules.extension_days));
        let mut protected_until = protection.map(extended).or(deal.protected_until);
        if protection.is_some() && protected_until.is_some_and(|until| until > facts.now) {
            state.unprotected(facts, Some(&deal.product), Some(&deal.partner_id))?;
            if let Some((beside, until)) = state.protected_beside(facts, &self.deal_id, deal, &deal.product) {
                if deal.expires_at.is_none() {
                    return Err(Rejection::AlreadyProtected { deal_id: beside.clone(), protected_until: until });
                }
                protected_until = deal.protected_until;
            }
        }
        let expires_at = deal.expires_at.map(extended);
        Ok(vec![AccountEvent::DealExtended { deal_id: self.deal_id.clone(), protected_until, expires_at }])
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::{Story, d1, deal, time, wrong_phase};
    use super::*;
    use serde_json::json;

    fn extended(protected_until: Option<&str>, expires_at: Option<&str>) -> AccountEvent {
        let deal_id = "d-1".parse().expect("an id");
        AccountEvent::DealExtended { deal_id, protected_until: protected_until.map(time), expires_at: expires_at.map(time) }
    }

    #[test]
    fn each_end_moves_by_the_rules_days() {
        let unprotected = Story::registered().rules(|rules| rules.protection_days = 0).then("ApproveDeal", &d1());
        let everlasting = Story::registered().rules(|rules| rules.validity_days = 0).then("ApproveDeal", &d1());
        for (story, event) in [
            (Story::approved(), extended(Some("2027-03-30"), Some("2027-06-28"))),
            (Story::approved().at("2027-02-01"), extended(Some("2027-03-30"), Some("2027-06-28"))),
            (unprotected, extended(None, Some("2027-06-28"))),
            (everlasting, extended(Some("2027-03-30"), None)),
            (Story::approved().import(true).dated("2026-10-02"), extended(Some("2026-12-30"), Some("2027-06-28"))),
        ] {
            assert_eq!(story.event("ExtendDeal", &d1()), event);
        }
    }

    #[test]
    fn what_the_partner_protects_by_another_deal_is_not_protected_twice() {
        let d2 = json!({"deal_id": "d-2"});
        let lapsed = |story: Story| story.at("2027-01-10").then("RegisterDeal", &deal("d-2", "p-1")).then("ApproveDeal", &d2);
        assert_eq!(lapsed(Story::approved()).event("ExtendDeal", &d1()), extended(Some("2026-12-30"), Some("2027-06-28")));
        let everlasting = Story::registered().rules(|rules| rules.validity_days = 0).then("ApproveDeal", &d1());
        let beside = Rejection::AlreadyProtected { deal_id: "d-2".parse().expect("an id"), protected_until: time("2027-04-10") };
        assert_eq!(lapsed(everlasting).refusal("ExtendDeal", &d1()), beside);
    }

    #[test]
    fn not_for_ever_and_not_over_another_partner() {
        let deal_id = || "d-1".parse().expect("an id");
        let again = Story::approved().then("ExtendDeal", &d1());
        let historical = Story::registered().import(true).then("ApproveDeal", &d1()).api();
        let everlasting = Story::registered().rules(|rules| rules.validity_days = 0).then("ApproveDeal", &d1()).import(true);
        let taken = Story::approved().at("2027-01-10").then("RegisterDeal", &deal("d-2", "p-2"));
        let taken = taken.then("ApproveDeal", &json!({"deal_id": "d-2"}));
        let protected = Rejection::AccountProtected {
            holder: "p-2".parse().expect("an id"),
            deal_id: "d-2".parse().expect("an id"),
            product: "GTX Pro".into(),
            protected_until: time("2027-04-10"),
            contender: Some("p-1".parse().expect("an id")),
        };
        for (story, refusal) in [
            (again, Rejection::NoExtensionLeft { deal_id: deal_id(), extensions: 1 }),
            (historical, Rejection::NeverExpires { deal_id: deal_id() }),
            (everlasting, Rejection::NeverExpires { deal_id: deal_id() }),
            (taken, protected),
            (Story::registered(), wrong_phase("in_review")),
        ] {
            assert_eq!(story.refusal("ExtendDeal", &d1()), refusal);
        }
    }
}
