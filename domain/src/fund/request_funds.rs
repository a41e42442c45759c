//! A partner asks to spend allocated funds on an activity (F67).

use serde::{Deserialize, Serialize};

use super::{
    Fund, FundEvent,
    guard::{eligible_partner, in_currency, in_period},
};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    stream::StreamName,
    values::{AllocationId, Amount, BudgetId, CampaignId, InvalidAccount, PartnerId, RequestId, Text, Timestamp},
};

/// Asks to spend allocated funds on an activity; it is up for decision at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestFunds {
    /// The request, as the partner names it; unique in its budget.
    pub request_id: RequestId,
    /// Of which allocation; its partner is the one who asks.
    pub allocation_id: AllocationId,
    /// The budget; where absent, the one that the allocation is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_id: Option<BudgetId>,
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

impl CommandPayload for RequestFunds {
    const NAME: &'static str = "RequestFunds";
    const SUMMARY: &'static str = "Asks to spend allocated funds on an activity.";
    const EXAMPLE: &'static str = r#"{"request_id":"rq-7","allocation_id":"al-nordwind","activity":"Booth at the spring fair","amount":{"amount":"12000.00","currency":"USD"},"campaign_id":"spring-fair","goal":"40 qualified leads"}"#;
    const DECIDED_BY: &'static [&'static str] = &["mdf.eligible_tiers"];
    const RELIES_ON_A_PARTNER: bool = true;
    type Stream = Fund;

    fn address(&self) -> Result<Address, InvalidAccount> {
        Ok(self
            .budget_id
            .as_ref()
            .map_or_else(|| Address::Allocation(self.allocation_id.clone()), |id| Address::Stream(StreamName::fund(id))))
    }

    fn introduces(&self) -> Option<Address> {
        Some(Address::Request(self.request_id.clone()))
    }

    fn relies_on(&self, state: &Fund) -> Option<PartnerId> {
        state.allocation(&self.allocation_id).map(|allocation| allocation.partner_id.clone())
    }

    fn builds_on(&self, state: &Fund) -> Option<Timestamp> {
        state.allocation(&self.allocation_id).map(|allocation| allocation.since)
    }

    fn decide(&self, state: &Fund, facts: &Facts) -> Result<Vec<FundEvent>, Rejection> {
        let allocation = state.known_allocation(&self.allocation_id)?;
        if state.request(&self.request_id).is_some() {
            return Err(Rejection::RequestExists { request_id: self.request_id.clone() });
        }
        eligible_partner(facts, &allocation.partner_id)?;
        in_period(state, facts)?;
        in_currency(self.amount, allocation.amount.currency())?;
        Ok(vec![FundEvent::FundsRequested {
            request_id: self.request_id.clone(),
            allocation_id: self.allocation_id.clone(),
            partner_id: allocation.partner_id.clone(),
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
    use crate::fund::scenario::{at, check_eligibility, command, eur, facts, facts_at, given, history_at, requested, usd};
    use serde_json::json;

    fn request(id: &str, amount: Amount) -> RequestFunds {
        command(
            json!({ "request_id": id, "allocation_id": "al-1", "activity": "Booth", "amount": amount, "campaign_id": "fair", "goal": "40 leads" }),
        )
    }

    #[test]
    fn a_request_hangs_on_an_allocation() {
        let allocation_id = AllocationId::parse("al-1").expect("an id");
        let request_id = RequestId::parse("rq-1").expect("an id");
        let wrong = Rejection::WrongCurrency { expected: crate::values::Currency::USD, given: eur("1.00").currency() };
        for (before, amount, expected) in [
            ("allocation", usd("400.00"), Ok(vec![requested("rq-1", "400.00")])),
            ("allocation", usd("600.01"), Ok(vec![requested("rq-1", "600.01")])),
            ("budget", usd("400.00"), Err(Rejection::AllocationUnknown { allocation_id })),
            ("in_review", usd("400.00"), Err(Rejection::RequestExists { request_id })),
            ("allocation", usd("0"), Err(Rejection::NothingAsked {})),
            ("allocation", eur("1.00"), Err(wrong)),
        ] {
            assert_eq!(request("rq-1", amount).decide(&given(before), &facts()), expected, "{before} {amount}");
        }
    }

    #[test]
    fn money_is_asked_for_inside_the_period() {
        let outside = Rejection::OutsideBudgetPeriod { starts_on: at("2026-01-01"), ends_on: at("2027-01-01") };
        let history = (history_at("2026-06-01"), history_at("2025-06-01"));
        for (facts, refused) in [
            (facts_at("2025-12-31T23:59:59Z"), true),
            (facts_at("2026-01-01"), false),
            (facts_at("2026-12-31T23:59:59Z"), false),
            (facts_at("2027-01-01"), true),
            (history.0, false),
            (history.1, true),
        ] {
            let decided = request("rq-1", usd("1.00")).decide(&given("allocation"), &facts);
            assert_eq!(decided.err(), refused.then(|| outside.clone()), "{}", facts.effective_at);
        }
    }

    #[test]
    fn the_budget_is_looked_up_where_it_is_left_out() {
        let mut command = request("rq-1", usd("1.00"));
        assert_eq!(command.address(), Ok(Address::Allocation(command.allocation_id.clone())));
        let budget_id = BudgetId::parse("b-1").expect("an id");
        command.budget_id = Some(budget_id.clone());
        assert_eq!(command.address(), Ok(Address::Stream(StreamName::fund(&budget_id))));
    }

    #[test]
    fn only_an_eligible_partner_asks() {
        check_eligibility(&request("rq-1", usd("1.00")), "allocation", false);
    }
}
