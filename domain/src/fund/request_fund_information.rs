//! The reviewer of a request asks for more (F67).

use serde::{Deserialize, Serialize};

use super::{Fund, FundEvent, RequestPhase, guard::request_in};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    stream::StreamName,
    values::{BudgetId, InvalidAccount, RequestId, Text, Timestamp},
};

/// Sends a request back with a question; the partner answers by amending or canceling it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestFundInformation {
    /// The request.
    pub request_id: RequestId,
    /// The budget; where absent, the one that the request is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_id: Option<BudgetId>,
    /// What is missing.
    pub question: Text,
}

impl CommandPayload for RequestFundInformation {
    const NAME: &'static str = "RequestFundInformation";
    const SUMMARY: &'static str = "Sends a request back to the partner with a question.";
    const EXAMPLE: &'static str = r#"{"request_id":"rq-7","question":"Which leads are expected from whom?"}"#;
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
        Ok(vec![FundEvent::FundRequestInformationRequested { request_id: self.request_id.clone(), question: self.question.clone() }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fund::scenario::{check_phases, command};
    use serde_json::json;

    #[test]
    fn only_what_is_in_review_is_sent_back() {
        let command: RequestFundInformation = command(json!({ "request_id": "rq-1", "question": "How many leads?" }));
        let event =
            FundEvent::FundRequestInformationRequested { request_id: command.request_id.clone(), question: command.question.clone() };
        check_phases(&command, &[event], &["in_review"]);
    }
}
