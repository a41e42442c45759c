//! A partner claims what it spent, with proof of execution (F67).

use serde::{Deserialize, Serialize};

use super::{
    Fund, FundEvent, Grant, Proof, Request, RequestPhase,
    guard::{in_currency, moment, settling_partner},
    proof::bounded,
};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    stream::StreamName,
    values::{Amount, BudgetId, ClaimId, InvalidAccount, PartnerId, RequestId, Timestamp},
};

/// Claims money spent under an approved request; the amount is held from now on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimMDF {
    /// The claim, as the partner names it; unique in its budget.
    pub claim_id: ClaimId,
    /// Under which approved request.
    pub request_id: RequestId,
    /// The budget; where absent, the one that the request is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_id: Option<BudgetId>,
    /// How much was spent, at most what is left of the request.
    pub amount: Amount,
    /// What proves that the activity took place: at least one document, at most 100.
    #[serde(deserialize_with = "bounded")]
    pub proof: Vec<Proof>,
}

impl CommandPayload for ClaimMDF {
    const NAME: &'static str = "ClaimMDF";
    const SUMMARY: &'static str = "Claims money spent under an approved request, with proof.";
    const EXAMPLE: &'static str = r#"{"claim_id":"cl-3","request_id":"rq-7","amount":{"amount":"9800.00","currency":"USD"},"proof":[{"kind":"invoice","uri":"https://files.example/invoice-7.pdf","sha256":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}]}"#;
    const DECIDED_BY: &'static [&'static str] = &["mdf.eligible_tiers"];
    const RELIES_ON_A_PARTNER: bool = true;
    type Stream = Fund;

    fn address(&self) -> Result<Address, InvalidAccount> {
        Ok(self.budget_id.as_ref().map_or_else(|| Address::Request(self.request_id.clone()), |id| Address::Stream(StreamName::fund(id))))
    }

    fn introduces(&self) -> Option<Address> {
        Some(Address::Claim(self.claim_id.clone()))
    }

    fn relies_on(&self, state: &Fund) -> Option<PartnerId> {
        state.request(&self.request_id).map(|request| request.partner_id.clone())
    }

    fn builds_on(&self, state: &Fund) -> Option<Timestamp> {
        state.request(&self.request_id).map(|request| request.since)
    }

    fn decide(&self, state: &Fund, facts: &Facts) -> Result<Vec<FundEvent>, Rejection> {
        let request = state.known_request(&self.request_id)?;
        if state.claim(&self.claim_id).is_some() {
            return Err(Rejection::ClaimExists { claim_id: self.claim_id.clone() });
        }
        let grant = open_grant(request, &self.request_id, facts)?;
        settling_partner(facts, &request.partner_id)?;
        if self.proof.is_empty() {
            return Err(Rejection::ProofMissing {});
        }
        in_currency(self.amount, grant.amount.currency())?;
        if self.amount.money() > grant.available() {
            return Err(Rejection::RequestExceeded { available: grant.available(), requested: self.amount.money() });
        }
        Ok(vec![FundEvent::ClaimSubmitted {
            claim_id: self.claim_id.clone(),
            request_id: self.request_id.clone(),
            partner_id: request.partner_id.clone(),
            amount: self.amount,
            proof: self.proof.clone(),
        }])
    }
}

/// What was approved under the request, while it may be claimed.
fn open_grant<'r>(request: &'r Request, request_id: &RequestId, facts: &Facts) -> Result<&'r Grant, Rejection> {
    match &request.phase {
        RequestPhase::Approved(grant) if moment(facts) < grant.claim_until => Ok(grant),
        RequestPhase::Approved(grant) | RequestPhase::Closed(grant) => Err(Rejection::ClaimWindowClosed { closed_at: grant.claim_until }),
        RequestPhase::Draft | RequestPhase::InReview | RequestPhase::ActionRequired | RequestPhase::Rejected | RequestPhase::Canceled => {
            Err(Rejection::WrongRequestPhase { request_id: request_id.clone(), phase: request.phase.to_string() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fund::scenario::{
        after, check_eligibility, check_phases, claim_until, closed, command, eur, facts, facts_at, given, history_at, usd,
    };
    use serde_json::json;

    fn claim(id: &str, amount: Amount) -> ClaimMDF {
        let proof = json!([{ "kind": "invoice", "uri": "s3://proofs/7.pdf" }]);
        command(json!({ "claim_id": id, "request_id": "rq-1", "amount": amount, "proof": proof }))
    }

    fn submitted(id: &str, amount: &str) -> FundEvent {
        let ClaimMDF { claim_id, request_id, amount, proof, .. } = claim(id, usd(amount));
        FundEvent::ClaimSubmitted { claim_id, request_id, partner_id: PartnerId::parse("p-1").expect("an id"), amount, proof }
    }

    #[test]
    fn only_approved_requests_are_claimed() {
        let refusal = Rejection::ClaimWindowClosed { closed_at: claim_until() };
        assert_eq!(claim("cl-1", usd("1.00")).decide(&given("closed"), &facts()), Err(refusal));
        check_phases(&claim("cl-1", usd("200.00")), &[submitted("cl-1", "200.00")], &["approved"]);
    }

    #[test]
    fn claims_stay_within_the_approved_request() {
        let exceeded = |available: &str, requested: &str| Rejection::RequestExceeded {
            available: usd(available).money(),
            requested: usd(requested).money(),
        };
        let wrong = Rejection::WrongCurrency { expected: crate::values::Currency::USD, given: eur("1.00").currency() };
        for (before, id, amount, expected) in [
            ("approved", "cl-2", usd("300.00"), Ok(vec![submitted("cl-2", "300.00")])),
            ("approved", "cl-2", usd("300.01"), Err(exceeded("300.00", "300.01"))),
            ("claim_submitted", "cl-2", usd("100.00"), Ok(vec![submitted("cl-2", "100.00")])),
            ("claim_submitted", "cl-2", usd("100.01"), Err(exceeded("100.00", "100.01"))),
            ("claim_paid", "cl-2", usd("100.01"), Err(exceeded("100.00", "100.01"))),
            ("claim_rejected", "cl-2", usd("300.00"), Ok(vec![submitted("cl-2", "300.00")])),
            ("claim_submitted", "cl-1", usd("1.00"), Err(Rejection::ClaimExists { claim_id: claim("cl-1", usd("1")).claim_id })),
            ("approved", "cl-2", usd("0"), Err(Rejection::NothingAsked {})),
            ("approved", "cl-2", eur("1.00"), Err(wrong)),
        ] {
            assert_eq!(claim(id, amount).decide(&given(before), &facts()), expected, "{before} {amount}");
        }
        let unproven = ClaimMDF { proof: vec![], ..claim("cl-2", usd("1.00")) };
        assert_eq!(unproven.decide(&given("approved"), &facts()), Err(Rejection::ProofMissing {}));
    }

    #[test]
    fn the_window_closes_to_the_microsecond() {
        let (last, over) = (claim_until().plus_micros(-1).to_string(), claim_until().to_string());
        let refusal = Rejection::ClaimWindowClosed { closed_at: claim_until() };
        for (facts, refused) in [(facts_at(&last), false), (facts_at(&over), true), (history_at(&last), false), (history_at(&over), true)] {
            let decided = claim("cl-1", usd("1.00")).decide(&given("approved"), &facts);
            assert_eq!(decided.err(), refused.then(|| refusal.clone()), "{}", facts.effective_at);
        }
        // What an open claim lets go of after the window is not claimed again.
        let state = after("claim_submitted", &[closed("100.00")]);
        assert_eq!(claim("cl-2", usd("1.00")).decide(&state, &facts()), Err(refusal));
    }

    #[test]
    fn a_payload_of_a_wrong_proof_is_none() {
        let with = |proof: serde_json::Value| json!({ "claim_id": "c", "request_id": "r", "amount": usd("1"), "proof": proof });
        for (proof, reason) in [
            (json!([{ "kind": "invoice", "uri": "" }]), "the uri has 0 characters; 1 to 2000 printable ones are accepted"),
            (json!([{ "kind": "invoice", "uri": "x", "sha256": "beef" }]), "\"beef\" is not a SHA-256 of 64 hexadecimal digits"),
            (json!(vec![json!({ "kind": "invoice", "uri": "x" }); 101]), "101 proofs are given; at most 100 are accepted"),
        ] {
            let error = serde_json::from_value::<ClaimMDF>(with(proof)).expect_err(reason);
            assert_eq!(error.to_string(), reason);
        }
    }

    #[test]
    fn only_an_eligible_partner_asks() {
        check_eligibility(&claim("cl-1", usd("1.00")), "approved", true);
    }
}
