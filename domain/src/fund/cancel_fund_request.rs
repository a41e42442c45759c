//! A partner gives a request up before a decision (F67).

use serde::{Deserialize, Serialize};

use super::{Fund, FundEvent, RequestPhase, guard::request_in};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    stream::StreamName,
    values::{BudgetId, InvalidAccount, RequestId, Timestamp},
};

/// Gives a request up before a decision, for good.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelFundRequest {
    /// The request.
    pub request_id: RequestId,
    /// The budget; where absent, the one that the request is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_id: Option<BudgetId>,
}

impl CommandPayload for CancelFundRequest {
    const NAME: &'static str = "CancelFundRequest";
    const SUMMARY: &'static str = "Gives a request up before a decision.";
    const EXAMPLE: &'static str = r#"{"request_id":"rq-7"}"#;
    type Stream = Fund;

    fn address(&self) -> Result<Address, InvalidAccount> {
        Ok(self.budget_id.as_ref().map_or_else(|| Address::Request(self.request_id.clone()), |id| Address::Stream(StreamName::fund(id))))
    }

    fn builds_on(&self, state: &Fund) -> Option<Timestamp> {
        state.request(&self.request_id).map(|request| request.since)
    }

    fn decide(&self, state: &Fund, _facts: &Facts) -> Result<Vec<FundEvent>, Rejection> {
        request_in(state, &self.request_id, |phase| match phase {
            RequestPhase::Draft | RequestPhase::InReview | RequestPhase::ActionRequired => true,
            RequestPhase::Approved(_) | RequestPhase::Closed(_) | RequestPhase::Rejected | RequestPhase::Canceled => false,
        })?;
        Ok(vec![FundEvent::FundRequestCanceled { request_id: self.request_id.clone() }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fund::scenario::{check_phases, command};
    use serde_json::json;

    #[test]
    fn what_is_not_decided_can_be_canceled() {
        let command: CancelFundRequest = command(json!({ "request_id": "rq-1" }));
        let event = FundEvent::FundRequestCanceled { request_id: command.request_id.clone() };
        check_phases(&command, &[event], &["draft", "in_review", "action_required"]);
    }
}
