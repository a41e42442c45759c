//! A part of the budget is set aside for one partner (F67).

use serde::{Deserialize, Serialize};

use super::{
    Fund, FundEvent,
    guard::{in_currency, moment, staying_partner},
};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    stream::StreamName,
    values::{AllocationId, Amount, BudgetId, InvalidAccount, PartnerId, Timestamp},
};

/// Sets a part of a budget aside for one partner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AllocateFunds {
    /// The allocation, as the vendor names it; unique in its budget.
    pub allocation_id: AllocationId,
    /// Of which budget.
    pub budget_id: BudgetId,
    /// For whom.
    pub partner_id: PartnerId,
    /// How much, in the budget's currency.
    pub amount: Amount,
}

impl CommandPayload for AllocateFunds {
    const NAME: &'static str = "AllocateFunds";
    const SUMMARY: &'static str = "Sets a part of a budget aside for one partner.";
    const EXAMPLE: &'static str = r#"{"allocation_id":"al-nordwind","budget_id":"mdf-2027","partner_id":"p-nordwind","amount":{"amount":"50000.00","currency":"USD"}}"#;
    const RELIES_ON_A_PARTNER: bool = true;
    type Stream = Fund;

    fn address(&self) -> Result<Address, InvalidAccount> {
        Ok(Address::Stream(StreamName::fund(&self.budget_id)))
    }

    fn introduces(&self) -> Option<Address> {
        Some(Address::Allocation(self.allocation_id.clone()))
    }

    fn relies_on(&self, _state: &Fund) -> Option<PartnerId> {
        Some(self.partner_id.clone())
    }

    fn builds_on(&self, state: &Fund) -> Option<Timestamp> {
        state.budget().map(|budget| budget.since)
    }

    fn decide(&self, state: &Fund, facts: &Facts) -> Result<Vec<FundEvent>, Rejection> {
        let budget = state.budget().ok_or_else(|| Rejection::BudgetUnknown { budget_id: self.budget_id.clone() })?;
        if state.allocation(&self.allocation_id).is_some() {
            return Err(Rejection::AllocationExists { allocation_id: self.allocation_id.clone() });
        }
        staying_partner(facts, &self.partner_id)?;
        in_currency(self.amount, budget.amount.currency())?;
        // Setting aside ahead of the budget's first day is planning; after its last day nobody could ask for it.
        if moment(facts) >= budget.ends_on {
            return Err(Rejection::OutsideBudgetPeriod { starts_on: budget.starts_on, ends_on: budget.ends_on });
        }
        if self.amount.money() > budget.available() {
            return Err(Rejection::BudgetExceeded { available: budget.available(), requested: self.amount.money() });
        }
        Ok(vec![FundEvent::FundsAllocated {
            allocation_id: self.allocation_id.clone(),
            partner_id: self.partner_id.clone(),
            amount: self.amount,
        }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fund::scenario::{at, check_staying, command, eur, facts, facts_at, given, usd, without_partner};
    use serde_json::json;

    fn allocate(id: &str, amount: Amount) -> AllocateFunds {
        command(json!({ "allocation_id": id, "budget_id": "b-1", "partner_id": "p-1", "amount": amount }))
    }

    #[test]
    fn allocations_stay_within_the_budget() {
        let budget_id = BudgetId::parse("b-1").expect("an id");
        let allocation_id = AllocationId::parse("al-1").expect("an id");
        let exceeded = |available: &str, requested: &str| Rejection::BudgetExceeded {
            available: usd(available).money(),
            requested: usd(requested).money(),
        };
        let wrong = Rejection::WrongCurrency { expected: crate::values::Currency::USD, given: eur("1.00").currency() };
        for (before, id, amount, refusal) in [
            ("nothing", "al-2", usd("1.00"), Some(Rejection::BudgetUnknown { budget_id })),
            ("budget", "al-2", usd("1000.00"), None),
            ("budget", "al-2", usd("1000.01"), Some(exceeded("1000.00", "1000.01"))),
            ("allocation", "al-2", usd("400.00"), None),
            ("allocation", "al-2", usd("400.01"), Some(exceeded("400.00", "400.01"))),
            ("allocation", "al-1", usd("1.00"), Some(Rejection::AllocationExists { allocation_id })),
            ("budget", "al-2", usd("0"), Some(Rejection::NothingAsked {})),
            ("budget", "al-2", eur("1.00"), Some(wrong)),
        ] {
            let command = allocate(id, amount);
            let expected = refusal.map_or_else(|| Ok(vec![allocated(command.clone())]), Err);
            assert_eq!(command.decide(&given(before), &facts()), expected, "{before}: {command:?}");
        }
    }

    fn allocated(command: AllocateFunds) -> FundEvent {
        let AllocateFunds { allocation_id, partner_id, amount, budget_id: _ } = command;
        FundEvent::FundsAllocated { allocation_id, partner_id, amount }
    }

    #[test]
    fn the_partner_has_to_be_known() {
        let unknown = Rejection::PartnerUnknown { partner_id: PartnerId::parse("p-1").expect("an id") };
        assert_eq!(allocate("al-2", usd("1.00")).decide(&given("budget"), &without_partner()), Err(unknown));
    }

    #[test]
    fn nothing_is_set_aside_for_who_leaves() {
        check_staying(&allocate("al-2", usd("1.00")), "budget");
    }

    #[test]
    fn the_budget_is_planned_ahead_and_never_after_its_end() {
        let outside = Rejection::OutsideBudgetPeriod { starts_on: at("2026-01-01"), ends_on: at("2027-01-01") };
        for (now, refused) in [("2025-06-01", false), ("2026-12-31T23:59:59Z", false), ("2027-01-01", true)] {
            let decided = allocate("al-2", usd("1.00")).decide(&given("budget"), &facts_at(now));
            assert_eq!(decided.err(), refused.then(|| outside.clone()), "{now}");
        }
    }
}
