//! A partner takes a request back to draft before a decision (F67).

use serde::{Deserialize, Serialize};

use super::{Fund, FundEvent, RequestPhase, guard::request_in};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    stream::StreamName,
    values::{BudgetId, InvalidAccount, RequestId, Timestamp},
};

/// Takes a request back to draft; an amendment submits it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecallFundRequest {
    /// The request.
    pub request_id: RequestId,
    /// The budget; where absent, the one that the request is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_id: Option<BudgetId>,
}

impl CommandPayload for RecallFundRequest {
    const NAME: &'static str = "RecallFundRequest";
    const SUMMARY: &'static str = "Takes a request back to draft before a decision.";
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
            RequestPhase::InReview => true,
            RequestPhase::Draft
            | RequestPhase::ActionRequired
            | RequestPhase::Approved(_)
            | RequestPhase::Closed(_)
            | RequestPhase::Rejected
            | RequestPhase::Canceled => false,
        })?;
        Ok(vec![FundEvent::FundRequestRecalled { request_id: self.request_id.clone() }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fund::scenario::{check_phases, command};
    use serde_json::json;

    #[test]
    fn only_what_is_in_review_is_recalled() {
        let command: RecallFundRequest = command(json!({ "request_id": "rq-1" }));
        let event = FundEvent::FundRequestRecalled { request_id: command.request_id.clone() };
        check_phases(&command, &[event], &["in_review"]);
    }
}
