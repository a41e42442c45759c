//! An approved claim is paid (F67).

use serde::{Deserialize, Serialize};

use super::{ClaimPhase, Fund, FundEvent, guard::business_date};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    stream::StreamName,
    values::{Amount, BudgetId, ClaimId, InvalidAccount, Timestamp},
};

/// Records the payment of an approved claim.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PayClaim {
    /// The claim.
    pub claim_id: ClaimId,
    /// The budget; where absent, the one that the claim is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_id: Option<BudgetId>,
    /// When it was paid; now where absent, no earlier than on the day of the approval, and at most 24 hours from now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid_at: Option<Timestamp>,
}

impl CommandPayload for PayClaim {
    const NAME: &'static str = "PayClaim";
    const SUMMARY: &'static str = "Records the payment of an approved claim.";
    const EXAMPLE: &'static str = r#"{"claim_id":"cl-3","paid_at":"2027-05-02"}"#;
    type Stream = Fund;

    fn address(&self) -> Result<Address, InvalidAccount> {
        Ok(self.budget_id.as_ref().map_or_else(|| Address::Claim(self.claim_id.clone()), |id| Address::Stream(StreamName::fund(id))))
    }

    fn business_time(&self) -> Option<Timestamp> {
        self.paid_at
    }

    fn builds_on(&self, state: &Fund) -> Option<Timestamp> {
        state.claim(&self.claim_id).map(|claim| claim.since)
    }

    fn decide(&self, state: &Fund, facts: &Facts) -> Result<Vec<FundEvent>, Rejection> {
        let claim = state.claim_in(&self.claim_id, &[ClaimPhase::Approved])?;
        let request = state.known_request(&claim.request_id)?;
        let approved_at = claim.since;
        let paid_at = business_date(self.paid_at, facts)?;
        if !facts.historical && paid_at.day() < approved_at.day() {
            return Err(Rejection::PaidBeforeApproved { claim_id: self.claim_id.clone(), paid_at, approved_at });
        }
        Ok(vec![FundEvent::ClaimPaid {
            claim_id: self.claim_id.clone(),
            request_id: claim.request_id.clone(),
            partner_id: request.partner_id.clone(),
            campaign_id: request.campaign_id.clone(),
            amount: Amount::new(claim.amount).expect("claims are made of amounts, which are not negative"),
            paid_at,
        }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fund::scenario::{after, at, check_claim_phases, closed, command, facts, given, history_at, request_id, usd};
    use serde_json::json;

    fn pay(paid_at: Option<&str>) -> PayClaim {
        PayClaim { paid_at: paid_at.map(at), ..command(json!({ "claim_id": "cl-1" })) }
    }

    fn paid(paid_at: Timestamp) -> FundEvent {
        FundEvent::ClaimPaid {
            claim_id: pay(None).claim_id,
            request_id: request_id(),
            partner_id: crate::values::PartnerId::parse("p-1").expect("an id"),
            campaign_id: Some(crate::values::CampaignId::parse("fair").expect("an id")),
            amount: usd("200.00"),
            paid_at,
        }
    }

    #[test]
    fn only_approved_claims_are_paid() {
        check_claim_phases(&pay(None), &[paid(facts().effective_at)], &["claim_approved"]);
    }

    #[test]
    fn a_payment_may_be_dated_back_but_not_ahead() {
        let ahead = Rejection::DateInFuture { date: at("2026-11-06T12:00:01Z"), now: facts().now };
        for (date, expected) in [
            ("2026-11-01", Ok(vec![paid(at("2026-11-01"))])),
            ("2026-01-05", Ok(vec![paid(at("2026-01-05"))])),
            ("2026-11-06T12:00:00Z", Ok(vec![paid(at("2026-11-06T12:00:00Z"))])),
            ("2026-11-06T12:00:01Z", Err(ahead)),
        ] {
            assert_eq!(pay(Some(date)).business_time(), Some(at(date)));
            assert_eq!(pay(Some(date)).decide(&given("claim_approved"), &facts()), expected, "{date}");
        }
    }

    #[test]
    fn nothing_is_paid_before_the_day_of_its_approval() {
        let early = Rejection::PaidBeforeApproved {
            claim_id: pay(None).claim_id,
            paid_at: at("2026-01-04T23:59:59Z"),
            approved_at: at("2026-01-05"),
        };
        let command = pay(Some("2026-01-04T23:59:59Z"));
        assert_eq!(command.decide(&given("claim_approved"), &facts()), Err(early));
        assert_eq!(command.decide(&given("claim_approved"), &history_at("2026-01-04")), Ok(vec![paid(at("2026-01-04T23:59:59Z"))]));
    }

    #[test]
    fn a_claim_made_in_time_is_paid_after_the_window() {
        let state = after("claim_approved", &[closed("100.00"), paid(at("2027-03-01"))]);
        let grant = state.request(&request_id()).and_then(|request| request.grant()).expect("approved");
        let figures = [grant.amount, grant.paid, grant.reserved, grant.released, grant.available()];
        assert_eq!(figures, ["300.00", "200.00", "0", "100.00", "0"].map(|figure| usd(figure).money()));
    }
}
