//! The time to claim is over: what no claim holds goes back to the allocation (F67).

use serde::{Deserialize, Serialize};

use super::{Fund, FundEvent, RequestPhase};
use crate::{
    command::{Address, CommandPayload, Origin},
    facts::Facts,
    rejection::Rejection,
    stream::StreamName,
    values::{BudgetId, InvalidAccount, RequestId, Timestamp},
};

/// Closes a request's claim window once it is due. Claims made before keep what they hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CloseClaimWindow {
    /// The request.
    pub request_id: RequestId,
    /// The budget; where absent, the one that the request is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_id: Option<BudgetId>,
}

impl CommandPayload for CloseClaimWindow {
    const NAME: &'static str = "CloseClaimWindow";
    const SUMMARY: &'static str = "Closes a request's claim window and releases what no claim holds.";
    const EXAMPLE: &'static str = r#"{"request_id":"rq-7","budget_id":"mdf-2027"}"#;
    const ORIGIN: Origin = Origin::System;
    type Stream = Fund;

    fn address(&self) -> Result<Address, InvalidAccount> {
        Ok(self.budget_id.as_ref().map_or_else(|| Address::Request(self.request_id.clone()), |id| Address::Stream(StreamName::fund(id))))
    }

    fn builds_on(&self, state: &Fund) -> Option<Timestamp> {
        state.request(&self.request_id).map(|request| request.since)
    }

    fn decide(&self, state: &Fund, facts: &Facts) -> Result<Vec<FundEvent>, Rejection> {
        let request = state.known_request(&self.request_id)?;
        match &request.phase {
            RequestPhase::Approved(grant) if facts.now < grant.claim_until => Err(Rejection::NotDue { due: grant.claim_until }),
            RequestPhase::Approved(grant) => Ok(vec![FundEvent::ClaimWindowClosed {
                request_id: self.request_id.clone(),
                released: grant.available(),
                closed_at: grant.claim_until,
            }]),
            RequestPhase::Draft
            | RequestPhase::InReview
            | RequestPhase::ActionRequired
            | RequestPhase::Closed(_)
            | RequestPhase::Rejected
            | RequestPhase::Canceled => {
                Err(Rejection::WrongRequestPhase { request_id: self.request_id.clone(), phase: request.phase.to_string() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fund::scenario::{after, allocation_id, check_phases_at, claim_until, closed, command, facts_at, given, usd};
    use serde_json::json;

    fn close() -> CloseClaimWindow {
        command(json!({ "request_id": "rq-1" }))
    }

    #[test]
    fn only_open_windows_are_closed() {
        check_phases_at(&facts_at("2027-06-01"), &close(), &[closed("300.00")], &["approved"]);
    }

    #[test]
    fn a_window_is_closed_when_it_is_due() {
        let early = claim_until().plus_micros(-1).to_string();
        let refusal = Rejection::NotDue { due: claim_until() };
        assert_eq!(close().decide(&given("approved"), &facts_at(&early)), Err(refusal));
        assert_eq!(close().decide(&given("approved"), &facts_at(&claim_until().to_string())), Ok(vec![closed("300.00")]));
    }

    #[test]
    fn open_claims_keep_what_they_hold() {
        for (before, released) in
            [("claim_submitted", "100.00"), ("claim_approved", "100.00"), ("claim_paid", "100.00"), ("claim_rejected", "300.00")]
        {
            let event = closed(released);
            assert_eq!(close().decide(&given(before), &facts_at("2027-06-01")), Ok(vec![event.clone()]), "{before}");
            let left = after(before, &[event]).allocation(&allocation_id()).expect("allocated").available();
            assert_eq!(left.minor(), 30_000 + usd(released).minor(), "{before}");
        }
    }

    #[test]
    fn the_deadline_is_armed_while_the_window_is_open() {
        let ids = |state: &Fund| state.deadlines().map(|deadline| deadline.id).collect::<Vec<_>>();
        assert_eq!(ids(&given("in_review")), Vec::<String>::new());
        assert_eq!(ids(&given("approved")), [format!("CloseClaimWindow:rq-1:{}", claim_until())]);
        assert_eq!(ids(&given("closed")), Vec::<String>::new());
        let payload =
            given("approved").deadlines().next().expect("a deadline").payload_in(&StreamName::parse("fund/b-1").expect("a stream"));
        assert_eq!(command::<CloseClaimWindow>(payload).budget_id, BudgetId::parse("b-1").ok());
    }
}
