//! A reviewer approves a registration, which protects its scope (F41, F42).

use serde::{Deserialize, Serialize};

use super::{Account, AccountEvent, DealPhase, deal_address, standing::protected_partner};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    values::{AccountRef, DealId, InvalidAccount, PartnerId, Timestamp},
};

/// Approves a registration. Where the rules grant protection, it begins at the receipt; two partners may have
/// registered before either was approved, but only one is. What another deal of the same partner protects already is
/// not protected twice. A historical approval protects nothing and never runs out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApproveDeal {
    /// The deal.
    pub deal_id: DealId,
    /// Its account; looked up by the deal where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountRef>,
}

impl CommandPayload for ApproveDeal {
    const NAME: &'static str = "ApproveDeal";
    const SUMMARY: &'static str = "Approves a registration; the rules say for how long it protects.";
    const EXAMPLE: &'static str = r#"{"deal_id":"d-1001","account":"acme.com"}"#;
    const DECIDED_BY: &'static [&'static str] =
        &["deal_registration.protection_days", "deal_registration.validity_days", "deal_registration.protection_scope"];
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
        let deal = state.known_while(&self.deal_id, |phase| phase == DealPhase::InReview)?;
        protected_partner(facts, &deal.partner_id)?;
        let rules = &facts.rules.rules.deal_registration;
        let in_days = |days: u32| (days > 0 && !facts.historical).then(|| facts.now.plus_days(i64::from(days)));
        if !facts.historical {
            state.unprotected(facts, Some(&deal.product), Some(&deal.partner_id))?;
        }
        let may_protect = !state.is_unmatched() && state.protected_beside(facts, &self.deal_id, deal, &deal.product).is_none();
        Ok(vec![AccountEvent::DealApproved {
            deal_id: self.deal_id.clone(),
            protected_until: in_days(rules.protection_days).filter(|_| may_protect),
            expires_at: in_days(rules.validity_days),
        }])
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::{Story, d1, deal, protected_against, time, with, wrong_phase};
    use super::*;
    use crate::rules::ProtectionScope;
    use serde_json::json;

    fn granted(story: &Story) -> (Option<Timestamp>, Option<Timestamp>) {
        match story.event("ApproveDeal", &d1()) {
            AccountEvent::DealApproved { protected_until, expires_at, .. } => (protected_until, expires_at),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_rules_say_what_an_approval_grants() {
        let unmatched = with(deal("d-1", "p-1"), json!({"account": null}));
        let (protection, validity) = (Some(time("2026-12-30")), Some(time("2027-03-30")));
        for (story, grant) in [
            (Story::registered(), (protection, validity)),
            // The received time counts, whatever date the reviewer gives.
            (Story::registered().dated("2026-01-01"), (protection, validity)),
            (Story::registered().rules(|rules| rules.protection_days = 0), (None, validity)),
            (Story::registered().rules(|rules| rules.validity_days = 0), (protection, None)),
            (Story::registered().import(true), (None, None)),
            (Story::new().import(true).then("RegisterDeal", &unmatched).api(), (None, validity)),
            (Story::new().import(true).then("RegisterDeal", &deal("d-1", "p-1")).api(), (protection, validity)),
        ] {
            assert_eq!(granted(&story), grant);
        }
    }

    #[test]
    fn of_two_deals_of_a_partner_one_protects() {
        let granted = |story: &Story| match story.event("ApproveDeal", &json!({"deal_id": "d-4"})) {
            AccountEvent::DealApproved { protected_until, expires_at, .. } => (protected_until, expires_at.is_some()),
            other => panic!("{other:?}"),
        };
        let second = |fields| Story::approved().then("RegisterDeal", &with(deal("d-4", "p-1"), fields));
        let other = || second(json!({"product": "GTX Basic"}));
        let by_account = |rules: &mut crate::rules::DealRegistrationRules| rules.protection_scope = ProtectionScope::Account;
        let protected = Some(time("2026-12-30"));
        for (story, protected_until) in [
            (second(json!({"product": " gtx  PRO"})), None),
            (other(), protected),
            (other().rules(by_account), None),
            (second(json!({})).then("WithdrawDeal", &d1()), protected),
            (second(json!({})).at("2026-12-30"), Some(time("2027-03-30"))),
        ] {
            assert_eq!(granted(&story), (protected_until, true));
        }
    }

    #[test]
    fn of_two_partners_one_is_approved() {
        let both = || Story::registered().then("RegisterDeal", &deal("d-2", "p-2")).then("ApproveDeal", &d1());
        let other_product = with(deal("d-3", "p-2"), json!({"product": "GTX Basic"}));
        let by_account = |rules: &mut crate::rules::DealRegistrationRules| rules.protection_scope = ProtectionScope::Account;
        let lapsed = || both().at("2026-12-30");
        for (story, deal_id, refusal) in [
            (both(), "d-2", Some(protected_against(Some("p-2")))),
            (lapsed(), "d-2", None),
            (both().then("WithdrawDeal", &d1()), "d-2", None),
            (both().import(true), "d-2", None),
            (both().then("RegisterDeal", &deal("d-4", "p-1")), "d-4", None),
            (both().then("RegisterDeal", &other_product), "d-3", None),
            (both().then("RegisterDeal", &other_product).rules(by_account), "d-3", Some(protected_against(Some("p-2")))),
        ] {
            assert_eq!(story.decide("ApproveDeal", &json!({"deal_id": deal_id})).err(), refusal, "{deal_id}");
        }
    }

    #[test]
    fn only_what_is_in_review() {
        let draft = Story::new().then("RegisterDeal", &with(deal("d-1", "p-1"), json!({"draft": true})));
        let sent_back = Story::registered().then("RequestDealInformation", &with(d1(), json!({"question": "Who?"})));
        for (story, refusal) in [
            (Story::new(), Rejection::DealUnknown { deal_id: "d-1".parse().expect("an id") }),
            (draft, wrong_phase("draft")),
            (sent_back, wrong_phase("action_required")),
            (Story::approved(), wrong_phase("approved")),
            (Story::registered().then("CancelDeal", &d1()), wrong_phase("canceled")),
        ] {
            assert_eq!(story.refusal("ApproveDeal", &d1()), refusal);
        }
    }
}
