//! A reviewer turns a registration down (F41).

use serde::{Deserialize, Serialize};

use super::{Account, AccountEvent, DealPhase, deal_address};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    values::{AccountRef, DealId, InvalidAccount, Text, Timestamp},
};

/// Turns a registration down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RejectDeal {
    /// The deal.
    pub deal_id: DealId,
    /// Its account; looked up by the deal where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountRef>,
    /// Why; the partner reads it.
    pub reason: Text,
}

impl CommandPayload for RejectDeal {
    const NAME: &'static str = "RejectDeal";
    const SUMMARY: &'static str = "Turns a registration down, with a reason.";
    const EXAMPLE: &'static str = r#"{"deal_id":"d-1001","account":"acme.com","reason":"We are in talks with this customer ourselves."}"#;
    type Stream = Account;

    fn address(&self) -> Result<Address, InvalidAccount> {
        deal_address(self.account.as_ref(), &self.deal_id)
    }

    fn builds_on(&self, state: &Account) -> Option<Timestamp> {
        state.registered_at(&self.deal_id)
    }

    fn decide(&self, state: &Account, _facts: &Facts) -> Result<Vec<AccountEvent>, Rejection> {
        state.known_while(&self.deal_id, |phase| phase == DealPhase::InReview)?;
        Ok(vec![AccountEvent::DealRejected { deal_id: self.deal_id.clone(), reason: self.reason.clone() }])
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::{Story, d1, with, wrong_phase};
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_is_in_review() {
        let payload = with(d1(), json!({"reason": "Ours."}));
        assert_eq!(Story::registered().then("RejectDeal", &payload).d1().phase(), DealPhase::Rejected);
        for (story, refusal) in [
            (Story::new(), Rejection::DealUnknown { deal_id: "d-1".parse().expect("an id") }),
            (Story::approved(), wrong_phase("approved")),
            (Story::registered().then("RequestDealInformation", &with(d1(), json!({"question": "Who?"}))), wrong_phase("action_required")),
        ] {
            assert_eq!(story.refusal("RejectDeal", &payload), refusal);
        }
    }
}
