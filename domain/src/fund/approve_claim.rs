//! A claim is approved for payment, in whole or in part (F67).

use serde::{Deserialize, Serialize};

use super::{ClaimPhase, Fund, FundEvent, guard::in_currency};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    stream::StreamName,
    values::{Amount, BudgetId, ClaimId, InvalidAccount, Timestamp},
};

/// Approves a claim for payment; what is not approved of it may be claimed again while the window is open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApproveClaim {
    /// The claim.
    pub claim_id: ClaimId,
    /// The budget; where absent, the one that the claim is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_id: Option<BudgetId>,
    /// How much is approved; what was claimed where absent, and never more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Amount>,
}

impl CommandPayload for ApproveClaim {
    const NAME: &'static str = "ApproveClaim";
    const SUMMARY: &'static str = "Approves a claim for payment, in whole or in part.";
    const EXAMPLE: &'static str = r#"{"claim_id":"cl-3"}"#;
    type Stream = Fund;

    fn address(&self) -> Result<Address, InvalidAccount> {
        Ok(self.budget_id.as_ref().map_or_else(|| Address::Claim(self.claim_id.clone()), |id| Address::Stream(StreamName::fund(id))))
    }

    fn builds_on(&self, state: &Fund) -> Option<Timestamp> {
        state.claim(&self.claim_id).map(|claim| claim.since)
    }

    fn decide(&self, state: &Fund, _facts: &Facts) -> Result<Vec<FundEvent>, Rejection> {
        let claim = state.claim_in(&self.claim_id, &[ClaimPhase::Submitted])?;
        let claimed = Amount::new(claim.amount).expect("claims are made of amounts, which are not negative");
        let given = self.amount.unwrap_or(claimed);
        in_currency(given, claimed.currency())?;
        if given > claimed {
            return Err(Rejection::MoreThanAsked { asked: claimed.money(), given: given.money() });
        }
        Ok(vec![FundEvent::ClaimApproved { claim_id: self.claim_id.clone(), request_id: claim.request_id.clone(), amount: given }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fund::scenario::{after, check_claim_phases, command, eur, facts, given, request_id, usd};
    use serde_json::json;

    fn approve(amount: Option<Amount>) -> ApproveClaim {
        ApproveClaim { amount, ..command(json!({ "claim_id": "cl-1" })) }
    }

    fn approved(amount: &str) -> FundEvent {
        FundEvent::ClaimApproved { claim_id: approve(None).claim_id, request_id: request_id(), amount: usd(amount) }
    }

    #[test]
    fn only_submitted_claims_are_approved() {
        check_claim_phases(&approve(None), &[approved("200.00")], &["claim_submitted"]);
    }

    #[test]
    fn no_more_is_approved_than_was_claimed() {
        let more = Rejection::MoreThanAsked { asked: usd("200.00").money(), given: usd("200.01").money() };
        let wrong = Rejection::WrongCurrency { expected: crate::values::Currency::USD, given: eur("1.00").currency() };
        for (amount, expected) in [
            (usd("150.00"), Ok(vec![approved("150.00")])),
            (usd("200.01"), Err(more)),
            (usd("0"), Err(Rejection::NothingAsked {})),
            (eur("1.00"), Err(wrong)),
        ] {
            assert_eq!(approve(Some(amount)).decide(&given("claim_submitted"), &facts()), expected, "{amount}");
        }
    }

    #[test]
    fn what_is_not_approved_may_be_claimed_again() {
        let state = after("claim_submitted", &[approved("150.00")]);
        let grant = state.request(&request_id()).and_then(|request| request.grant()).expect("approved");
        assert_eq!((grant.reserved, grant.available()), (usd("150.00").money(), usd("150.00").money()));
    }
}
