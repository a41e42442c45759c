//! A claim is turned down (F67).

use serde::{Deserialize, Serialize};

use super::{ClaimPhase, Fund, FundEvent};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    stream::StreamName,
    values::{BudgetId, ClaimId, InvalidAccount, Text, Timestamp},
};

/// Turns a claim down, also one that was approved and is not paid: what it held may be claimed again while the window is open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RejectClaim {
    /// The claim.
    pub claim_id: ClaimId,
    /// The budget; where absent, the one that the claim is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_id: Option<BudgetId>,
    /// Why.
    pub reason: Text,
}

impl CommandPayload for RejectClaim {
    const NAME: &'static str = "RejectClaim";
    const SUMMARY: &'static str = "Turns a claim down before it is paid.";
    const EXAMPLE: &'static str = r#"{"claim_id":"cl-3","reason":"The invoice is not in the partner's name"}"#;
    type Stream = Fund;

    fn address(&self) -> Result<Address, InvalidAccount> {
        Ok(self.budget_id.as_ref().map_or_else(|| Address::Claim(self.claim_id.clone()), |id| Address::Stream(StreamName::fund(id))))
    }

    fn builds_on(&self, state: &Fund) -> Option<Timestamp> {
        state.claim(&self.claim_id).map(|claim| claim.since)
    }

    fn decide(&self, state: &Fund, _facts: &Facts) -> Result<Vec<FundEvent>, Rejection> {
        let claim = state.claim_in(&self.claim_id, &[ClaimPhase::Submitted, ClaimPhase::Approved])?;
        Ok(vec![FundEvent::ClaimRejected {
            claim_id: self.claim_id.clone(),
            request_id: claim.request_id.clone(),
            reason: self.reason.clone(),
        }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fund::scenario::{after, allocation_id, check_claim_phases, closed, command, request_id, usd};
    use serde_json::json;

    fn reject() -> RejectClaim {
        command(json!({ "claim_id": "cl-1", "reason": "no invoice" }))
    }

    fn rejected() -> FundEvent {
        FundEvent::ClaimRejected { claim_id: reject().claim_id, request_id: request_id(), reason: reject().reason }
    }

    #[test]
    fn claims_are_rejected_until_they_are_paid() {
        check_claim_phases(&reject(), &[rejected()], &["claim_submitted", "claim_approved"]);
    }

    #[test]
    fn after_the_window_the_money_goes_back_to_the_allocation() {
        let state = after("claim_submitted", &[closed("100.00"), rejected()]);
        let grant = state.request(&request_id()).and_then(|request| request.grant()).expect("approved");
        assert_eq!((grant.released, grant.reserved), (usd("300.00").money(), usd("0").money()));
        assert_eq!(state.allocation(&allocation_id()).expect("allocated").available(), usd("600.00").money());
    }
}
