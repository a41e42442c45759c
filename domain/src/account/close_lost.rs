//! A deal is lost (F47).

use serde::{Deserialize, Serialize};

use super::{Account, AccountEvent, DealPhase, business_date::closing_date, deal_address};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    values::{AccountRef, DealId, InvalidAccount, Text, Timestamp},
};

/// Closes an open deal as lost, which ends its protection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CloseLost {
    /// The deal.
    pub deal_id: DealId,
    /// Its account; looked up by the deal where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountRef>,
    /// Why.
    pub reason: Text,
    /// When; the command's business time where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Timestamp>,
}

impl CommandPayload for CloseLost {
    const NAME: &'static str = "CloseLost";
    const SUMMARY: &'static str = "Closes an open deal as lost, with a reason.";
    const EXAMPLE: &'static str = r#"{"deal_id":"d-1001","account":"acme.com","reason":"The customer built it in-house."}"#;
    type Stream = Account;

    fn address(&self) -> Result<Address, InvalidAccount> {
        deal_address(self.account.as_ref(), &self.deal_id)
    }

    fn business_time(&self) -> Option<Timestamp> {
        self.closed_at
    }

    fn builds_on(&self, state: &Account) -> Option<Timestamp> {
        state.registered_at(&self.deal_id)
    }

    fn decide(&self, state: &Account, facts: &Facts) -> Result<Vec<AccountEvent>, Rejection> {
        let deal = state.known_while(&self.deal_id, DealPhase::is_open)?;
        let closed_at = closing_date(&self.deal_id, deal, self.closed_at, facts)?;
        Ok(vec![AccountEvent::DealLost { deal_id: self.deal_id.clone(), reason: self.reason.clone(), closed_at }])
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::{Story, d1, deal, time, with, wrong_phase};
    use super::*;
    use serde_json::json;

    #[test]
    fn any_open_deal_may_be_lost() {
        let lost = || with(d1(), json!({"reason": "Price"}));
        let sent_back = Story::registered().then("RequestDealInformation", &with(d1(), json!({"question": "Who?"})));
        let draft = Story::new().then("RegisterDeal", &with(deal("d-1", "p-1"), json!({"draft": true})));
        let closed_at = time("2026-09-01");
        let early =
            Rejection::ClosedBeforeRegistered { deal_id: "d-1".parse().expect("an id"), closed_at, registered_at: time("2026-10-01") };
        for (story, payload, refusal) in [
            (Story::registered(), lost(), None),
            (sent_back, lost(), None),
            (Story::approved(), lost(), None),
            (draft, lost(), Some(wrong_phase("draft"))),
            (Story::approved().then("CloseLost", &lost()), lost(), Some(wrong_phase("lost"))),
            (Story::approved(), with(lost(), json!({"closed_at": "2026-09-01"})), Some(early)),
        ] {
            assert_eq!(story.decide("CloseLost", &payload).err(), refusal, "{payload}");
        }
    }
}
