//! A request is approved, in whole or in part (F67).

use serde::{Deserialize, Serialize};

use super::{
    Fund, FundEvent, RequestPhase,
    guard::{in_currency, moment, request_in, staying_partner},
};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    stream::StreamName,
    values::{Amount, BudgetId, InvalidAccount, PartnerId, RequestId, Timestamp},
};

/// Approves a request: its amount is held for the partner until the claim window closes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApproveFundRequest {
    /// The request.
    pub request_id: RequestId,
    /// The budget; where absent, the one that the request is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_id: Option<BudgetId>,
    /// How much is approved; what was asked for where absent, and never more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Amount>,
}

impl CommandPayload for ApproveFundRequest {
    const NAME: &'static str = "ApproveFundRequest";
    const SUMMARY: &'static str = "Approves a request for funds, in whole or in part.";
    const EXAMPLE: &'static str = r#"{"request_id":"rq-7","amount":{"amount":"10000.00","currency":"USD"}}"#;
    const DECIDED_BY: &'static [&'static str] = &["mdf.claim_window_days"];
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
            RequestPhase::InReview => true,
            RequestPhase::Draft
            | RequestPhase::ActionRequired
            | RequestPhase::Approved(_)
            | RequestPhase::Closed(_)
            | RequestPhase::Rejected
            | RequestPhase::Canceled => false,
        })?;
        staying_partner(facts, &request.partner_id)?;
        let allocation = state.known_allocation(&request.allocation_id)?;
        let asked = Amount::new(request.amount).expect("requests are made of amounts, which are not negative");
        let given = self.amount.unwrap_or(asked);
        in_currency(given, asked.currency())?;
        if given > asked {
            return Err(Rejection::MoreThanAsked { asked: asked.money(), given: given.money() });
        }
        if given.money() > allocation.available() {
            return Err(Rejection::AllocationExceeded { available: allocation.available(), requested: given.money() });
        }
        let window = i64::from(facts.rules.rules.mdf.claim_window_days);
        Ok(vec![FundEvent::FundRequestApproved {
            request_id: self.request_id.clone(),
            amount: given,
            claim_until: moment(facts).plus_days(window),
            historical: facts.historical,
        }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fund::scenario::{after, at, check_phases, check_staying, command, eur, facts, given, history_at, requested, usd};
    use serde_json::json;

    fn approve(id: &str, amount: Option<Amount>) -> ApproveFundRequest {
        ApproveFundRequest { amount, ..command(json!({ "request_id": id })) }
    }

    fn approved(amount: &str) -> FundEvent {
        let (request_id, claim_until) = (approve("rq-1", None).request_id, facts().now.plus_days(90));
        FundEvent::FundRequestApproved { request_id, amount: usd(amount), claim_until, historical: false }
    }

    #[test]
    fn nothing_is_granted_to_who_leaves() {
        check_staying(&command::<ApproveFundRequest>(json!({ "request_id": "rq-1" })), "in_review");
    }

    #[test]
    fn only_what_is_in_review_is_approved() {
        check_phases(&approve("rq-1", None), &[approved("400.00")], &["in_review"]);
    }

    #[test]
    fn no_more_is_approved_than_was_asked_for() {
        let more = Rejection::MoreThanAsked { asked: usd("400.00").money(), given: usd("400.01").money() };
        let wrong = Rejection::WrongCurrency { expected: crate::values::Currency::USD, given: eur("1.00").currency() };
        for (amount, expected) in [
            (usd("400.00"), Ok(vec![approved("400.00")])),
            (usd("0.01"), Ok(vec![approved("0.01")])),
            (usd("400.01"), Err(more)),
            (usd("0"), Err(Rejection::NothingAsked {})),
            (eur("1.00"), Err(wrong)),
        ] {
            assert_eq!(approve("rq-1", Some(amount)).decide(&given("in_review"), &facts()), expected, "{amount}");
        }
    }

    #[test]
    fn approvals_stay_within_the_allocation() {
        // 300 of 600 are approved for rq-1.
        let state = after("approved", &[requested("rq-2", "400.00")]);
        let refusal = Rejection::AllocationExceeded { available: usd("300.00").money(), requested: usd("400.00").money() };
        assert_eq!(approve("rq-2", None).decide(&state, &facts()), Err(refusal));
        assert!(approve("rq-2", Some(usd("300.00"))).decide(&state, &facts()).is_ok());
    }

    #[test]
    fn history_has_its_own_window_and_arms_no_deadline() {
        let mut state = given("in_review");
        let events = approve("rq-1", None).decide(&state, &history_at("2026-02-01")).expect("approved");
        let claim_until = at("2026-02-01").plus_days(90);
        let request_id = approve("rq-1", None).request_id;
        assert_eq!(events, [FundEvent::FundRequestApproved { request_id, amount: usd("400.00"), claim_until, historical: true }]);
        crate::stream::Stream::evolve(&mut state, &events[0], at("2026-02-01"));
        assert_eq!(state.deadlines().count(), 0);
    }
}
