//! What happens next on a deal (F47).

use serde::{Deserialize, Serialize};

use super::{Account, AccountEvent, DealPhase, deal_address};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    values::{AccountRef, DealId, InvalidAccount, Text, Timestamp},
};

/// Says what happens next on an open deal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetNextStep {
    /// The deal.
    pub deal_id: DealId,
    /// Its account; looked up by the deal where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountRef>,
    /// What is to be done.
    pub next_step: Text,
    /// By when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
}

impl CommandPayload for SetNextStep {
    const NAME: &'static str = "SetNextStep";
    const SUMMARY: &'static str = "Says what happens next on an open deal, and by when.";
    const EXAMPLE: &'static str =
        r#"{"deal_id":"d-1001","account":"acme.com","next_step":"Demo for the steering committee","due":"2026-12-01"}"#;
    type Stream = Account;

    fn address(&self) -> Result<Address, InvalidAccount> {
        deal_address(self.account.as_ref(), &self.deal_id)
    }

    fn builds_on(&self, state: &Account) -> Option<Timestamp> {
        state.registered_at(&self.deal_id)
    }

    fn decide(&self, state: &Account, _facts: &Facts) -> Result<Vec<AccountEvent>, Rejection> {
        state.known_while(&self.deal_id, DealPhase::is_open)?;
        Ok(vec![AccountEvent::NextStepSet { deal_id: self.deal_id.clone(), next_step: self.next_step.clone(), due: self.due }])
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::{Story, d1, with, wrong_phase};
    use super::*;
    use serde_json::json;

    #[test]
    fn only_on_open_deals() {
        let payload = with(d1(), json!({"next_step": "Demo", "due": "2026-10-20"}));
        let expected = AccountEvent::NextStepSet {
            deal_id: "d-1".parse().expect("an id"),
            next_step: Text::parse("Demo").expect("a text"),
            due: Some(Timestamp::parse("2026-10-20").expect("a date")),
        };
        assert_eq!(Story::registered().event("SetNextStep", &payload), expected);
        assert_eq!(Story::registered().then("CancelDeal", &d1()).refusal("SetNextStep", &payload), wrong_phase("canceled"));
    }
}
