//! A deal goes to another partner (F01, F48).

use serde::{Deserialize, Serialize};

use super::{Account, AccountEvent, DealPhase, deal_address, standing::registering_partner};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    values::{AccountRef, DealId, InvalidAccount, PartnerId, Timestamp},
};

/// Gives an open deal or a draft to another partner. Its protection goes with it. Where another deal of the former partner
/// protects the same scope too, as under rules that have widened scopes since, that one keeps it and this deal's ends now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReassignDeal {
    /// The deal.
    pub deal_id: DealId,
    /// Its account; looked up by the deal where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountRef>,
    /// Whose it is from now on.
    pub partner_id: PartnerId,
}

impl CommandPayload for ReassignDeal {
    const NAME: &'static str = "ReassignDeal";
    const SUMMARY: &'static str = "Gives an open deal to another partner, with its protection.";
    const EXAMPLE: &'static str = r#"{"deal_id":"d-1001","account":"acme.com","partner_id":"p-suedlicht"}"#;
    const DECIDED_BY: &'static [&'static str] = &["deal_registration.prerequisite_courses", "deal_registration.protection_scope"];
    const RELIES_ON_A_PARTNER: bool = true;
    type Stream = Account;

    fn address(&self) -> Result<Address, InvalidAccount> {
        deal_address(self.account.as_ref(), &self.deal_id)
    }

    fn relies_on(&self, _state: &Account) -> Option<PartnerId> {
        Some(self.partner_id.clone())
    }

    fn builds_on(&self, state: &Account) -> Option<Timestamp> {
        state.registered_at(&self.deal_id)
    }

    fn decide(&self, state: &Account, facts: &Facts) -> Result<Vec<AccountEvent>, Rejection> {
        let deal = state.known_while(&self.deal_id, |phase| phase.is_open() || phase == DealPhase::Draft)?;
        if deal.partner_id == self.partner_id {
            return Err(Rejection::SamePartner { deal_id: self.deal_id.clone(), partner_id: self.partner_id.clone() });
        }
        let is_protected = deal.protects_at(facts.now);
        // History hands on no protection that is in force: who gets it has to be in good standing today.
        let standing = Facts { historical: facts.historical && !is_protected, ..facts.clone() };
        registering_partner(&standing, &self.partner_id)?;
        let (deal_id, from, to) = (self.deal_id.clone(), deal.partner_id.clone(), self.partner_id.clone());
        let mut events = vec![AccountEvent::DealReassigned { deal_id, from, to }];
        if is_protected && state.protected_beside(facts, &self.deal_id, deal, &deal.product).is_some() {
            events.push(AccountEvent::ProtectionOpened { deal_id: self.deal_id.clone(), protected_until: facts.now });
        }
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::{Story, d1, deal, time, with, wrong_phase};
    use super::*;
    use crate::{partner::PartnerEvent, rules::ProtectionScope};
    use serde_json::json;

    #[test]
    fn to_another_partner_in_good_standing() {
        let to = |partner: &str| with(d1(), json!({"partner_id": partner}));
        let id = |text: &str| text.parse().expect("an id");
        let retiring = [PartnerEvent::RetirementStarted { reason: None }];
        let since = time("2026-10-01");
        for (story, payload, refusal) in [
            (Story::registered(), to("p-2"), None),
            (Story::registered().partner("p-1", &retiring), to("p-2"), None),
            (Story::registered().partner("p-2", &retiring), to("p-2"), Some(Rejection::PartnerRetiring { partner_id: id("p-2"), since })),
            (Story::registered().import(true).partner("p-2", &retiring), to("p-2"), None),
            (
                Story::approved().import(true).partner("p-2", &retiring),
                to("p-2"),
                Some(Rejection::PartnerRetiring { partner_id: id("p-2"), since }),
            ),
            (Story::registered(), to("p-9"), Some(Rejection::PartnerUnknown { partner_id: id("p-9") })),
            (
                Story::registered(),
                to("p-1"),
                Some(Rejection::SamePartner { deal_id: "d-1".parse().expect("an id"), partner_id: id("p-1") }),
            ),
            (Story::registered().then("CancelDeal", &d1()), to("p-2"), Some(wrong_phase("canceled"))),
        ] {
            assert_eq!(story.decide("ReassignDeal", &payload).err(), refusal, "{payload}");
        }
    }

    #[test]
    fn protection_has_one_holder_before_and_after() {
        let to = |deal: &str| json!({"deal_id": deal, "partner_id": "p-2"});
        let holder = |story: &Story| {
            story.account.protection_in_force(time("2026-10-02"), None).map(|(id, deal)| (id.to_string(), deal.partner_id().to_string()))
        };
        let alone = Story::approved().then("ReassignDeal", &to("d-1"));
        assert_eq!(holder(&alone), Some(("d-1".into(), "p-2".into())));

        let other = with(deal("d-2", "p-1"), json!({"product": "Other"}));
        let two = Story::approved().then("RegisterDeal", &other).then("ApproveDeal", &json!({"deal_id": "d-2"}));
        let two = two.rules(|rules| rules.protection_scope = ProtectionScope::Account);
        let one_moved = two.then("ReassignDeal", &to("d-1"));
        assert_eq!(holder(&one_moved), Some(("d-2".into(), "p-1".into())));
        assert_eq!(one_moved.d1().protected_until(), Some(time("2026-10-01")));
        let both_moved = one_moved.then("ReassignDeal", &to("d-2"));
        assert_eq!(holder(&both_moved), Some(("d-2".into(), "p-2".into())));
    }
}
