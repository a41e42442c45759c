//! A partner gives an approved deal up (F41).

use serde::{Deserialize, Serialize};

use super::{Account, AccountEvent, DealPhase, deal_address};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    values::{AccountRef, DealId, InvalidAccount, Text, Timestamp},
};

/// Gives an approved deal up, which ends its protection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WithdrawDeal {
    /// The deal.
    pub deal_id: DealId,
    /// Its account; looked up by the deal where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountRef>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text>,
}

impl CommandPayload for WithdrawDeal {
    const NAME: &'static str = "WithdrawDeal";
    const SUMMARY: &'static str = "Gives an approved deal up and ends its protection.";
    const EXAMPLE: &'static str = r#"{"deal_id":"d-1001","account":"acme.com","reason":"The customer cancelled the project."}"#;
    type Stream = Account;

    fn address(&self) -> Result<Address, InvalidAccount> {
        deal_address(self.account.as_ref(), &self.deal_id)
    }

    fn builds_on(&self, state: &Account) -> Option<Timestamp> {
        state.registered_at(&self.deal_id)
    }

    fn decide(&self, state: &Account, _facts: &Facts) -> Result<Vec<AccountEvent>, Rejection> {
        state.known_while(&self.deal_id, |phase| phase == DealPhase::Approved)?;
        Ok(vec![AccountEvent::DealWithdrawn { deal_id: self.deal_id.clone(), reason: self.reason.clone() }])
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::{Story, d1, with, wrong_phase};
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_is_approved() {
        let payload = with(d1(), json!({}));
        assert_eq!(Story::approved().then("WithdrawDeal", &payload).d1().phase(), DealPhase::Withdrawn);
        for (story, refusal) in [
            (Story::new(), Rejection::DealUnknown { deal_id: "d-1".parse().expect("an id") }),
            (Story::registered(), wrong_phase("in_review")),
            (Story::approved().then("WithdrawDeal", &d1()), wrong_phase("withdrawn")),
        ] {
            assert_eq!(story.refusal("WithdrawDeal", &payload), refusal);
        }
    }
}
