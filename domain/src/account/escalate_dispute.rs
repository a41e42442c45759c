//! A dispute goes to the executive sponsor (F08, F48).

use serde::{Deserialize, Serialize};

use super::{Account, AccountEvent, deal_address};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    values::{AccountRef, DealId, DisputeId, InvalidAccount, StaffId, Timestamp},
};

/// Hands an open dispute to a sponsor; it may be handed on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EscalateDispute {
    /// The dispute.
    pub dispute_id: DisputeId,
    /// The deal in dispute.
    pub deal_id: DealId,
    /// Its account; looked up by the deal where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountRef>,
    /// Who is to rule on it.
    pub to: StaffId,
}

impl CommandPayload for EscalateDispute {
    const NAME: &'static str = "EscalateDispute";
    const SUMMARY: &'static str = "Hands an open dispute to the executive sponsor.";
    const EXAMPLE: &'static str = r#"{"dispute_id":"dis-1","deal_id":"d-1001","account":"acme.com","to":"s-okafor"}"#;
    type Stream = Account;

    fn address(&self) -> Result<Address, InvalidAccount> {
        deal_address(self.account.as_ref(), &self.deal_id)
    }

    fn builds_on(&self, state: &Account) -> Option<Timestamp> {
        state.registered_at(&self.deal_id)
    }

    fn decide(&self, state: &Account, _facts: &Facts) -> Result<Vec<AccountEvent>, Rejection> {
        state.open_dispute(&self.dispute_id, &self.deal_id)?;
        Ok(vec![AccountEvent::DisputeEscalated { dispute_id: self.dispute_id.clone(), to: self.to.clone() }])
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::{Story, with};
    use super::*;
    use serde_json::json;

    #[test]
    fn only_an_open_dispute_over_that_deal() {
        let disputed = || {
            Story::registered()
                .then("OpenDispute", &json!({"dispute_id": "dis-1", "deal_id": "d-1", "contender": "p-2", "reason": "Ours."}))
        };
        let escalate = |fields| with(json!({"dispute_id": "dis-1", "deal_id": "d-1", "to": "s-1"}), fields);
        let ruling = json!({"dispute_id": "dis-1", "deal_id": "d-1", "winner": "p-1", "reason": "First."});
        let not_open = || Some(Rejection::DisputeNotOpen { dispute_id: "dis-1".parse().expect("an id") });
        for (story, payload, refusal) in [
            (disputed(), escalate(json!({})), None),
            (disputed().then("EscalateDispute", &escalate(json!({}))), escalate(json!({"to": "s-2"})), None),
            (disputed(), escalate(json!({"deal_id": "d-2"})), not_open()),
            (Story::registered(), escalate(json!({})), not_open()),
            (disputed().then("RuleOnDispute", &ruling), escalate(json!({})), not_open()),
        ] {
            assert_eq!(story.decide("EscalateDispute", &payload).err(), refusal, "{payload}");
        }
    }
}
