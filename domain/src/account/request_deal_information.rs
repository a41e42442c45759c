//! A reviewer sends a registration back for more information (F41).

use serde::{Deserialize, Serialize};

use super::{Account, AccountEvent, DealPhase, deal_address};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    values::{AccountRef, DealId, InvalidAccount, Text, Timestamp},
};

/// Sends a registration back: the partner may change it and submit it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestDealInformation {
    /// The deal.
    pub deal_id: DealId,
    /// Its account; looked up by the deal where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountRef>,
    /// What is missing.
    pub question: Text,
}

impl CommandPayload for RequestDealInformation {
    const NAME: &'static str = "RequestDealInformation";
    const SUMMARY: &'static str = "Sends a registration back to the partner with a question.";
    const EXAMPLE: &'static str = r#"{"deal_id":"d-1001","account":"acme.com","question":"Who is the customer's sponsor?"}"#;
    type Stream = Account;

    fn address(&self) -> Result<Address, InvalidAccount> {
        deal_address(self.account.as_ref(), &self.deal_id)
    }

    fn builds_on(&self, state: &Account) -> Option<Timestamp> {
        state.registered_at(&self.deal_id)
    }

    fn decide(&self, state: &Account, _facts: &Facts) -> Result<Vec<AccountEvent>, Rejection> {
        state.known_while(&self.deal_id, |phase| phase == DealPhase::InReview)?;
        Ok(vec![AccountEvent::DealInformationRequested { deal_id: self.deal_id.clone(), question: self.question.clone() }])
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::{Story, d1, with, wrong_phase};
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_is_in_review() {
        let payload = with(d1(), json!({"question": "Who?"}));
        assert_eq!(Story::registered().then("RequestDealInformation", &payload).d1().phase(), DealPhase::ActionRequired);
        for (story, refusal) in [
            (Story::new(), Rejection::DealUnknown { deal_id: "d-1".parse().expect("an id") }),
            (Story::approved(), wrong_phase("approved")),
            (Story::registered().then("RequestDealInformation", &with(d1(), json!({"question": "Who?"}))), wrong_phase("action_required")),
        ] {
            assert_eq!(story.refusal("RequestDealInformation", &payload), refusal);
        }
    }
}
