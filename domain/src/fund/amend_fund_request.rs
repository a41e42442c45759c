//! A draft, or a request sent back for information, is changed and submitted again (F67).

use serde::{Deserialize, Serialize};

use super::{
    Fund, FundEvent, RequestPhase,
    guard::{eligible_partner, in_currency, in_period, request_in},
};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    stream::StreamName,
    values::{Amount, BudgetId, CampaignId, InvalidAccount, PartnerId, RequestId, Text, Timestamp},
};

/// Changes a request that was recalled or sent back, and puts it up for decision again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AmendFundRequest {
    /// The request.
    pub request_id: RequestId,
    /// The budget; where absent, the one that the request is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_id: Option<BudgetId>,
    /// The revision that is changed, as last seen: 1 as the request was made, one more with each amendment.
    pub revision: u32,
    /// What for.
    pub activity: Text,
    /// How much, in the budget's currency. More than is left may be asked for: the reviewer approves what there is.
    pub amount: Amount,
    /// The campaign that it pays for: its pipeline is the return.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign_id: Option<CampaignId>,
    /// What it is to bring.
    pub goal: Text,
}

impl CommandPayload for AmendFundRequest {
    const NAME: &'static str = "AmendFundRequest";
    const SUMMARY: &'static str = "Changes a recalled or returned request and submits it again.";
    const EXAMPLE: &'static str = r#"{"request_id":"rq-7","revision":1,"activity":"Booth at the spring fair","amount":{"amount":"9000.00","currency":"USD"},"campaign_id":"spring-fair","goal":"30 qualified leads"}"#;
    const DECIDED_BY: &'static [&'static str] = &["mdf.eligible_tiers"];
    const RELIES_ON_A_PARTNER: bool = true;
    type Stream = Fund;

    fn address(&self) -> Result<Address, InvalidAccount> {
        Ok(self.budget_id.as_ref().map_or_else(|| Address::Request(self.request_id.clone()), |id| Address::Stream(StreamName::fund(id))))
    }

    fn relies_on(&self, state: &Fund) -> Option<PartnerId> {
        state.request(&self.request_id).map(|request| request.partner_id.clone())
    }

    fn builds_on(&self, state: &Fund) -> Option<Timestamp> {
        state.request(&self.request_id).map(|request| request.since)
    }

    fn decide(&self, state: &Fund, facts: &Facts) -> Result<Vec<FundEvent>, Rejection> {
        let request = request_in(state, &self.request_id, |phase| match phase {
            RequestPhase::Draft | RequestPhase::ActionRequired => true,
            RequestPhase::InReview
            | RequestPhase::Approved(_)
            | RequestPhase::Closed(_)
            | RequestPhase::Rejected
            | RequestPhase::Canceled => false,
        })?;
        if self.revision != request.revision {
            return Err(Rejection::StaleRevision { expected: self.revision, actual: request.revision });
        }
        eligible_partner(facts, &request.partner_id)?;
        in_period(state, facts)?;
        in_currency(self.amount, request.amount.currency())?;
        Ok(vec![FundEvent::FundRequestAmended {
            request_id: self.request_id.clone(),
            revision: request.revision.saturating_add(1),
            activity: self.activity.clone(),
            amount: self.amount,
            campaign_id: self.campaign_id.clone(),
            goal: self.goal.clone(),
        }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fund::scenario::{after, at, check_eligibility, check_phases, command, eur, facts, facts_at, given, usd};
    use serde_json::json;

    fn amend(revision: u32, amount: Amount) -> AmendFundRequest {
        command(json!({ "request_id": "rq-1", "revision": revision, "activity": "Webinar", "amount": amount, "goal": "9 leads" }))
    }

    fn amended(revision: u32, amount: &str) -> FundEvent {
        let AmendFundRequest { request_id, activity, campaign_id, goal, .. } = amend(revision, usd(amount));
        FundEvent::FundRequestAmended { request_id, revision, activity, amount: usd(amount), campaign_id, goal }
    }

    #[test]
    fn only_drafts_and_returned_requests_are_amended() {
        check_phases(&amend(1, usd("300.00")), &[amended(2, "300.00")], &["draft", "action_required"]);
    }

    #[test]
    fn an_amendment_is_of_the_last_revision() {
        let again = after("draft", &[amended(2, "300.00"), FundEvent::FundRequestRecalled { request_id: amend(1, usd("1")).request_id }]);
        for (revision, expected) in [
            (1, Err(Rejection::StaleRevision { expected: 1, actual: 2 })),
            (2, Ok(vec![amended(3, "200.00")])),
            (3, Err(Rejection::StaleRevision { expected: 3, actual: 2 })),
        ] {
            assert_eq!(amend(revision, usd("200.00")).decide(&again, &facts()), expected, "{revision}");
        }
    }

    #[test]
    fn what_is_asked_anew_is_held_to_the_same_rules() {
        let wrong = Rejection::WrongCurrency { expected: crate::values::Currency::USD, given: eur("1.00").currency() };
        let outside = Rejection::OutsideBudgetPeriod { starts_on: at("2026-01-01"), ends_on: at("2027-01-01") };
        for (facts, amount, refusal) in
            [(facts(), usd("0"), Rejection::NothingAsked {}), (facts(), eur("1.00"), wrong), (facts_at("2027-01-01"), usd("1.00"), outside)]
        {
            assert_eq!(amend(1, amount).decide(&given("draft"), &facts), Err(refusal), "{amount}");
        }
        check_eligibility(&amend(1, usd("1.00")), "draft", false);
    }
}
