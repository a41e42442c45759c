//! A partner changes a draft, or a registration that was sent back for information (F41).

use serde::{Deserialize, Serialize};

use super::{
    Account, AccountEvent, DealPhase, business_date::close_still_expected, deal_address, required_fields::all_given, routing,
    standing::registering_partner,
};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    rules::RequiredField,
    values::{AccountRef, Amount, DealId, InvalidAccount, Label, PartnerId, Timestamp},
};

/// Changes what was registered; what is left out stays. `submit` puts it up for decision, with a new promised time, and
/// is held to what a new registration would be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateDeal {
    /// The deal.
    pub deal_id: DealId,
    /// Its account; looked up by the deal where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountRef>,
    /// What is sold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<Label>,
    /// The expected value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Amount>,
    /// The sales region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Label>,
    /// When the partner expects to close.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_close: Option<Timestamp>,
    /// Put it up for decision.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub submit: bool,
}

impl CommandPayload for UpdateDeal {
    const NAME: &'static str = "UpdateDeal";
    const SUMMARY: &'static str = "Changes a draft, or a deal sent back for information, and may submit it.";
    const EXAMPLE: &'static str = r#"{"deal_id":"d-1001","account":"acme.com","expected_close":"2027-06-30","submit":true}"#;
    const DECIDED_BY: &'static [&'static str] = &[
        "deal_registration.required_fields",
        "deal_registration.prerequisite_courses",
        "deal_registration.protection_scope",
        "deal_registration.approval_sla_hours",
    ];
    const RELIES_ON_A_PARTNER: bool = true;
    type Stream = Account;

    fn address(&self) -> Result<Address, InvalidAccount> {
        deal_address(self.account.as_ref(), &self.deal_id)
    }

    fn relies_on(&self, state: &Account) -> Option<PartnerId> {
        state.deal(&self.deal_id).filter(|_| self.submit).map(|deal| deal.partner_id().clone())
    }

    fn builds_on(&self, state: &Account) -> Option<Timestamp> {
        state.registered_at(&self.deal_id)
    }

    fn decide(&self, state: &Account, facts: &Facts) -> Result<Vec<AccountEvent>, Rejection> {
        let deal = state.known_while(&self.deal_id, DealPhase::is_editable)?;
        let product = self.product.as_ref().unwrap_or(&deal.product);
        let region = self.region.as_ref().or(deal.region.as_ref());
        let expected_close = self.expected_close.or(deal.expected_close);
        close_still_expected(self.expected_close, facts)?;
        if self.submit {
            registering_partner(facts, &deal.partner_id)?;
            all_given(facts, |field| match field {
                RequiredField::Region => region.is_some(),
                RequiredField::ExpectedClose => expected_close.is_some(),
                RequiredField::Contact => deal.has_contact,
            })?;
            close_still_expected(expected_close, facts)?;
        }
        // A deal that is protected already takes its protection along to another product, unless its partner protects that.
        if (self.submit && !facts.historical) || deal.protects_at(facts.now) {
            state.unprotected(facts, Some(product), Some(&deal.partner_id))?;
        }
        let mut events = vec![AccountEvent::DealUpdated {
            deal_id: self.deal_id.clone(),
            product: product.clone(),
            amount: self.amount.unwrap_or(deal.amount),
            region: region.cloned(),
            expected_close,
            submitted: self.submit,
            sla_due: routing::sla_due(facts).filter(|_| self.submit),
        }];
        if deal.protects_at(facts.now) && state.protected_beside(facts, &self.deal_id, deal, product).is_some() {
            events.push(AccountEvent::ProtectionOpened { deal_id: self.deal_id.clone(), protected_until: facts.now });
        }
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::{Story, d1, deal, time, with, wrong_phase};
    use super::*;
    use serde_json::json;

    fn draft() -> Story {
        Story::new().then("RegisterDeal", &with(deal("d-1", "p-1"), json!({"draft": true, "region": "EMEA"})))
    }

    fn sent_back() -> Story {
        Story::registered().then("RequestDealInformation", &with(d1(), json!({"question": "Who?"}))).at("2026-10-10")
    }

    /// A deal from before the ledger, in review.
    fn moved() -> Story {
        Story::new().import(true).then("RegisterDeal", &deal("d-1", "p-1")).api()
    }

    #[test]
    fn what_is_left_out_stays() {
        let change = with(d1(), json!({"product": "GTX Basic", "expected_close": "2026-11-01"}));
        let expected = AccountEvent::DealUpdated {
            deal_id: "d-1".parse().expect("an id"),
            product: Label::parse("GTX Basic").expect("a label"),
            amount: draft().d1().amount(),
            region: Some(Label::parse("EMEA").expect("a label")),
            expected_close: Some(time("2026-11-01")),
            submitted: false,
            sla_due: None,
        };
        assert_eq!(draft().event("UpdateDeal", &change), expected);
        assert_eq!(draft().then("UpdateDeal", &change).d1().phase(), DealPhase::Draft);
    }

    #[test]
    fn a_submission_is_promised_a_decision_anew() {
        for story in [draft(), sent_back()] {
            let due = story.at("2026-10-10").then("UpdateDeal", &with(d1(), json!({"submit": true})));
            assert_eq!((due.d1().phase(), due.d1().sla_due()), (DealPhase::InReview, Some(time("2026-10-12"))));
        }
    }

    #[test]
    fn a_protection_that_is_carried_to_what_the_partner_protects_ends() {
        for (product, until) in [("Third", "2026-11-01"), ("Other", "2026-10-01")] {
            let carried = moved()
                .then("OpenProtection", &with(d1(), json!({"protected_until": "2026-11-01"})))
                .then("RequestDealInformation", &with(d1(), json!({"question": "Who?"})))
                .then("RegisterDeal", &with(deal("d-2", "p-1"), json!({"product": "Other"})))
                .then("ApproveDeal", &json!({"deal_id": "d-2"}))
                .then("UpdateDeal", &with(d1(), json!({"product": product})));
            assert_eq!(carried.d1().protected_until(), Some(time(until)));
        }
    }

    #[test]
    fn a_submission_is_held_to_what_a_registration_is() {
        let rival =
            |story: Story| story.at("2026-10-01").then("RegisterDeal", &deal("d-2", "p-2")).then("ApproveDeal", &json!({"deal_id": "d-2"}));
        let protected = Rejection::AccountProtected {
            holder: "p-2".parse().expect("an id"),
            deal_id: "d-2".parse().expect("an id"),
            product: "GTX Pro".into(),
            protected_until: time("2026-12-30"),
            contender: Some("p-1".parse().expect("an id")),
        };
        let submit = || with(d1(), json!({"submit": true}));
        let region = |rules: &mut crate::rules::DealRegistrationRules| rules.required_fields = vec![RequiredField::ExpectedClose];
        let carried = moved()
            .then("OpenProtection", &with(d1(), json!({"protected_until": "2026-11-01"})))
            .then("RequestDealInformation", &with(d1(), json!({"question": "Who?"})))
            .then("RegisterDeal", &with(deal("d-2", "p-2"), json!({"product": "Other"})))
            .then("ApproveDeal", &json!({"deal_id": "d-2"}));
        let taken = Rejection::AccountProtected {
            holder: "p-2".parse().expect("an id"),
            deal_id: "d-2".parse().expect("an id"),
            product: "Other".into(),
            protected_until: time("2026-12-30"),
            contender: Some("p-1".parse().expect("an id")),
        };
        let required = Rejection::RequiredByRules { field: "expected_close".into() };
        let retiring = [crate::partner::PartnerEvent::RetirementStarted { reason: None }];
        let leaving = Rejection::PartnerRetiring { partner_id: "p-1".parse().expect("an id"), since: time("2026-10-01") };
        let past = Rejection::ExpectedCloseInPast { expected_close: time("2026-09-01"), now: time("2026-10-01") };
        for (story, payload, refusal) in [
            (rival(draft()), submit(), Some(protected)),
            (rival(draft()), with(submit(), json!({"product": "Other"})), None),
            (rival(draft()), d1(), None),
            (carried, with(d1(), json!({"product": "Other"})), Some(taken)),
            (draft().rules(region), submit(), Some(required)),
            (draft().rules(region), with(submit(), json!({"expected_close": "2026-11-01"})), None),
            (draft().partner("p-1", &retiring), submit(), Some(leaving)),
            (draft().partner("p-1", &retiring), d1(), None),
            (draft(), with(d1(), json!({"expected_close": "2026-09-01"})), Some(past)),
            (Story::registered(), submit(), Some(wrong_phase("in_review"))),
            (Story::approved(), d1(), Some(wrong_phase("approved"))),
            (Story::new(), d1(), Some(Rejection::DealUnknown { deal_id: "d-1".parse().expect("an id") })),
        ] {
            assert_eq!(story.decide("UpdateDeal", &payload).err(), refusal, "{payload}");
        }
    }
}
