//! A request is turned down (F67).

use serde::{Deserialize, Serialize};

use super::{Fund, FundEvent, RequestPhase, guard::request_in};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    stream::StreamName,
    values::{BudgetId, InvalidAccount, RequestId, Text, Timestamp},
};

/// Turns a request down, also one that waits for the partner's answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RejectFundRequest {
    /// The request.
    pub request_id: RequestId,
    /// The budget; where absent, the one that the request is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_id: Option<BudgetId>,
    /// Why.
    pub reason: Text,
}

impl CommandPayload for RejectFundRequest {
    const NAME: &'static str = "RejectFundRequest";
    const SUMMARY: &'static str = "Turns a request for funds down.";
    const EXAMPLE: &'static str = r#"{"request_id":"rq-7","reason":"No activities abroad this year"}"#;
    type Stream = Fund;

    fn address(&self) -> Result<Address, InvalidAccount> {
        Ok(self.budget_id.as_ref().map_or_else(|| Address::Request(self.request_id.clone()), |id| Address::Stream(StreamName::fund(id))))
    }

    fn builds_on(&self, state: &Fund) -> Option<Timestamp> {
        state.request(&self.request_id).map(|request| request.since)
    }

    fn decide(&self, state: &Fund, _facts: &Facts) -> Result<Vec<FundEvent>, Rejection> {
        request_in(state, &self.request_id, |phase| match phase {
            RequestPhase::InReview | RequestPhase::ActionRequired => true,
            RequestPhase::Draft | RequestPhase::Approved(_) | RequestPhase::Closed(_) | RequestPhase::Rejected | RequestPhase::Canceled => {
                false
            }
        })?;
        Ok(vec![FundEvent::FundRequestRejected { request_id: self.request_id.clone(), reason: self.reason.clone() }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fund::scenario::{check_phases, command};
    use serde_json::json;

    #[test]
    fn what_is_submitted_can_be_rejected() {
        let command: RejectFundRequest = command(json!({ "request_id": "rq-1", "reason": "no" }));
        let event = FundEvent::FundRequestRejected { request_id: command.request_id.clone(), reason: command.reason.clone() };
        check_phases(&command, &[event], &["in_review", "action_required"]);
    }
}
