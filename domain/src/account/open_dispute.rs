//! A dispute over a deal is opened (F48).

use serde::{Deserialize, Serialize};

use super::{Account, AccountEvent, deal_address, standing::known_partner};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    values::{AccountRef, DealId, DisputeId, InvalidAccount, PartnerId, Text, Timestamp},
};

/// Opens a dispute over a deal, in whatever phase it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenDispute {
    /// The dispute; unique on the account.
    pub dispute_id: DisputeId,
    /// The deal in dispute.
    pub deal_id: DealId,
    /// Its account; looked up by the deal where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountRef>,
    /// Who says it is theirs.
    pub contender: PartnerId,
    /// Why.
    pub reason: Text,
}

impl CommandPayload for OpenDispute {
    const NAME: &'static str = "OpenDispute";
    const SUMMARY: &'static str = "Opens a dispute over a deal.";
    const EXAMPLE: &'static str = r#"{"dispute_id":"dis-1","deal_id":"d-1001","account":"acme.com","contender":"p-suedlicht","reason":"We introduced the customer in March."}"#;
    const RELIES_ON_A_PARTNER: bool = true;
    type Stream = Account;

    fn address(&self) -> Result<Address, InvalidAccount> {
        deal_address(self.account.as_ref(), &self.deal_id)
    }

    fn relies_on(&self, _state: &Account) -> Option<PartnerId> {
        Some(self.contender.clone())
    }

    fn builds_on(&self, state: &Account) -> Option<Timestamp> {
        state.registered_at(&self.deal_id)
    }

    fn decide(&self, state: &Account, facts: &Facts) -> Result<Vec<AccountEvent>, Rejection> {
        known_partner(facts, &self.contender)?;
        let deal = state.known(&self.deal_id)?;
        if state.has_dispute(&self.dispute_id) {
            return Err(Rejection::DisputeExists { dispute_id: self.dispute_id.clone() });
        }
        if deal.partner_id == self.contender {
            return Err(Rejection::SamePartner { deal_id: self.deal_id.clone(), partner_id: self.contender.clone() });
        }
        Ok(vec![AccountEvent::DisputeOpened {
            dispute_id: self.dispute_id.clone(),
            deal_id: self.deal_id.clone(),
            contender: self.contender.clone(),
            reason: self.reason.clone(),
        }])
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::{Story, d1, with};
    use super::*;
    use serde_json::json;

    #[test]
    fn another_known_partner_contends_a_deal_once() {
        let dispute = |fields| with(json!({"dispute_id": "dis-1", "deal_id": "d-1", "contender": "p-2", "reason": "Ours."}), fields);
        let id = |text: &str| text.parse::<PartnerId>().expect("an id");
        let deal_id = || "d-1".parse().expect("an id");
        let exists = Rejection::DisputeExists { dispute_id: "dis-1".parse().expect("an id") };
        for (story, payload, refusal) in [
            (Story::registered(), dispute(json!({})), None),
            (Story::registered().then("CancelDeal", &d1()), dispute(json!({})), None),
            (Story::registered(), dispute(json!({"contender": "p-9"})), Some(Rejection::PartnerUnknown { partner_id: id("p-9") })),
            (
                Story::registered(),
                dispute(json!({"contender": "p-1"})),
                Some(Rejection::SamePartner { deal_id: deal_id(), partner_id: id("p-1") }),
            ),
            (Story::new(), dispute(json!({})), Some(Rejection::DealUnknown { deal_id: deal_id() })),
            (Story::registered().then("OpenDispute", &dispute(json!({}))), dispute(json!({})), Some(exists)),
        ] {
            assert_eq!(story.decide("OpenDispute", &payload).err(), refusal, "{payload}");
        }
    }
}
