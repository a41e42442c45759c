//! Protection of a deal from before the ledger is granted on moving day (F42).

use serde::{Deserialize, Serialize};

use super::{Account, AccountEvent, DealPhase, deal_address, standing::protected_partner};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    values::{AccountRef, DealId, InvalidAccount, PartnerId, Timestamp},
};

/// Protects an open deal from before the ledger until a given time, as its old system did. Decided under the rules and the
/// protections of today: of two partners the one who comes first has it. A deal that was registered here is protected by its approval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenProtection {
    /// The deal.
    pub deal_id: DealId,
    /// Its account; looked up by the deal where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountRef>,
    /// Until when.
    pub protected_until: Timestamp,
}

impl CommandPayload for OpenProtection {
    const NAME: &'static str = "OpenProtection";
    const SUMMARY: &'static str = "Protects an open deal from before the ledger until a given time.";
    const EXAMPLE: &'static str = r#"{"deal_id":"d-1001","account":"acme.com","protected_until":"2027-03-31"}"#;
    const DECIDED_BY: &'static [&'static str] = &["deal_registration.protection_days", "deal_registration.protection_scope"];
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
        let deal = state.known_while(&self.deal_id, DealPhase::is_open)?;
        if !deal.historical {
            return Err(Rejection::DealNotHistorical { deal_id: self.deal_id.clone() });
        }
        if facts.historical {
            return Err(Rejection::OpeningNotHistory {});
        }
        protected_partner(facts, &deal.partner_id)?;
        if state.is_unmatched() {
            return Err(Rejection::AccountRequired {});
        }
        if facts.rules.rules.deal_registration.protection_days == 0 {
            return Err(Rejection::NoProtectionByRules {});
        }
        if self.protected_until <= facts.now {
            return Err(Rejection::EndsBeforeItBegins { begins_at: facts.now, expires_at: self.protected_until });
        }
        state.unprotected(facts, Some(&deal.product), Some(&deal.partner_id))?;
        if let Some((beside, protected_until)) = state.protected_beside(facts, &self.deal_id, deal, &deal.product) {
            return Err(Rejection::AlreadyProtected { deal_id: beside.clone(), protected_until });
        }
        Ok(vec![AccountEvent::ProtectionOpened { deal_id: self.deal_id.clone(), protected_until: self.protected_until }])
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::{Story, d1, deal, time, with, wrong_phase};
    use super::*;
    use serde_json::json;

    fn moved(id: &str, partner: &str) -> Story {
        Story::new().import(true).dated("2026-02-01").then("RegisterDeal", &deal(id, partner)).import(false)
    }

    #[test]
    fn what_was_protected_before_the_ledger_is_again() {
        let until = |date: &str| with(d1(), json!({"protected_until": date}));
        let second = || moved("d-1", "p-1").import(true).then("RegisterDeal", &deal("d-2", "p-2")).import(false);
        let taken = second().then("OpenProtection", &json!({"deal_id": "d-2", "protected_until": "2026-11-01"}));
        let protected = Rejection::AccountProtected {
            holder: "p-2".parse().expect("an id"),
            deal_id: "d-2".parse().expect("an id"),
            product: "GTX Pro".into(),
            protected_until: time("2026-11-01"),
            contender: Some("p-1".parse().expect("an id")),
        };
        let own = moved("d-1", "p-1").import(true).then("RegisterDeal", &deal("d-2", "p-1")).import(false);
        let own = own.then("OpenProtection", &json!({"deal_id": "d-2", "protected_until": "2026-11-01"}));
        let beside = Rejection::AlreadyProtected { deal_id: "d-2".parse().expect("an id"), protected_until: time("2026-11-01") };
        let unmatched = Story::new().import(true).then("RegisterDeal", &with(deal("d-1", "p-1"), json!({"account": null}))).import(false);
        let over = Rejection::EndsBeforeItBegins { begins_at: time("2026-10-01"), expires_at: time("2026-10-01") };
        for (story, payload, refusal) in [
            (second(), until("2026-11-01"), None),
            (taken, until("2026-12-01"), Some(protected)),
            (own, until("2026-12-01"), Some(beside)),
            (moved("d-1", "p-1"), until("2026-10-01"), Some(over)),
            (moved("d-1", "p-1").rules(|rules| rules.protection_days = 0), until("2026-11-01"), Some(Rejection::NoProtectionByRules {})),
            (unmatched, until("2026-11-01"), Some(Rejection::AccountRequired {})),
            (Story::registered(), until("2026-11-01"), Some(Rejection::DealNotHistorical { deal_id: "d-1".parse().expect("an id") })),
            (moved("d-1", "p-1").then("CancelDeal", &d1()), until("2026-11-01"), Some(wrong_phase("canceled"))),
            (moved("d-1", "p-1").import(true), until("2026-11-01"), Some(Rejection::OpeningNotHistory {})),
        ] {
            assert_eq!(story.decide("OpenProtection", &payload).err(), refusal, "{payload}");
        }
    }

    #[test]
    fn opened_protection_is_in_force_before_and_after_a_historical_approval() {
        let opened = moved("d-1", "p-1").then("OpenProtection", &with(d1(), json!({"protected_until": "2026-11-01"})));
        let approved = opened.import(true).then("ApproveDeal", &d1()).api();
        let held = approved.account.protection_in_force(time("2026-10-31"), None).map(|(id, _)| id.as_str());
        assert_eq!(held, Some("d-1"));
        assert_eq!(approved.refusal("RegisterDeal", &deal("d-2", "p-2")).code(), "AccountProtected");
        assert_eq!(approved.at("2026-11-01").decide("RegisterDeal", &deal("d-2", "p-2")).err(), None);
    }
}
