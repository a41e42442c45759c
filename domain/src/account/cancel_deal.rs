//! A partner takes a registration back before a decision (F41).

use serde::{Deserialize, Serialize};

use super::{Account, AccountEvent, DealPhase, deal_address};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    values::{AccountRef, DealId, InvalidAccount, Timestamp},
};

/// Takes back a registration that nobody decided on yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelDeal {
    /// The deal.
    pub deal_id: DealId,
    /// Its account; looked up by the deal where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountRef>,
}

impl CommandPayload for CancelDeal {
    const NAME: &'static str = "CancelDeal";
    const SUMMARY: &'static str = "Takes a registration back before a decision.";
    const EXAMPLE: &'static str = r#"{"deal_id":"d-1001","account":"acme.com"}"#;
    type Stream = Account;

    fn address(&self) -> Result<Address, InvalidAccount> {
        deal_address(self.account.as_ref(), &self.deal_id)
    }

    fn builds_on(&self, state: &Account) -> Option<Timestamp> {
        state.registered_at(&self.deal_id)
    }

    fn decide(&self, state: &Account, _facts: &Facts) -> Result<Vec<AccountEvent>, Rejection> {
        state.known_while(&self.deal_id, DealPhase::is_undecided)?;
        Ok(vec![AccountEvent::DealCanceled { deal_id: self.deal_id.clone() }])
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::{Story, d1, with, wrong_phase};
    use super::*;
    use serde_json::json;

    #[test]
    fn only_before_a_decision() {
        let payload = with(d1(), json!({}));
        for story in [Story::registered(), Story::registered().then("RequestDealInformation", &with(d1(), json!({"question": "Who?"})))] {
            assert_eq!(story.then("CancelDeal", &payload).d1().phase(), DealPhase::Canceled);
        }
        for (story, refusal) in [
            (Story::new(), Rejection::DealUnknown { deal_id: "d-1".parse().expect("an id") }),
            (Story::approved(), wrong_phase("approved")),
            (Story::registered().then("CancelDeal", &d1()), wrong_phase("canceled")),
        ] {
            assert_eq!(story.refusal("CancelDeal", &payload), refusal);
        }
    }
}
