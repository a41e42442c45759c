//! Money is set aside for market development (F67).

use serde::{Deserialize, Serialize};

use super::{Fund, FundEvent, guard::in_currency};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    stream::StreamName,
    values::{Amount, BudgetId, InvalidAccount, Timestamp},
};

/// Opens a budget of market development funds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenBudget {
    /// The budget; names the stream `fund/<budget_id>`.
    pub budget_id: BudgetId,
    /// How much; everything under it is in this currency.
    pub amount: Amount,
    /// The first instant money may be asked for.
    pub starts_on: Timestamp,
    /// The instant from which it may not; claims may follow within their windows.
    pub ends_on: Timestamp,
}

impl CommandPayload for OpenBudget {
    const NAME: &'static str = "OpenBudget";
    const SUMMARY: &'static str = "Opens a budget of market development funds.";
    const EXAMPLE: &'static str =
        r#"{"budget_id":"mdf-2027","amount":{"amount":"500000.00","currency":"USD"},"starts_on":"2027-01-01","ends_on":"2028-01-01"}"#;
    type Stream = Fund;

    fn address(&self) -> Result<Address, InvalidAccount> {
        Ok(Address::Stream(StreamName::fund(&self.budget_id)))
    }

    fn decide(&self, state: &Fund, _facts: &Facts) -> Result<Vec<FundEvent>, Rejection> {
        if state.budget().is_some() {
            return Err(Rejection::BudgetExists { budget_id: self.budget_id.clone() });
        }
        if self.starts_on >= self.ends_on {
            return Err(Rejection::EndsBeforeItBegins { begins_at: self.starts_on, expires_at: self.ends_on });
        }
        in_currency(self.amount, self.amount.currency())?;
        Ok(vec![FundEvent::BudgetOpened { amount: self.amount, starts_on: self.starts_on, ends_on: self.ends_on }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fund::scenario::{at, command, facts, given, usd};
    use serde_json::json;

    #[test]
    fn a_budget_is_opened_once_for_a_time() {
        let open = |amount: &str, starts_on: &str, ends_on: &str| -> OpenBudget {
            command(json!({ "budget_id": "b-1", "amount": usd(amount), "starts_on": starts_on, "ends_on": ends_on }))
        };
        let opened = FundEvent::BudgetOpened { amount: usd("1000.00"), starts_on: at("2026-01-01"), ends_on: at("2027-01-01") };
        let backwards = |ends_on: &str| Rejection::EndsBeforeItBegins { begins_at: at("2026-01-01"), expires_at: at(ends_on) };
        for (before, command, expected) in [
            ("nothing", open("1000.00", "2026-01-01", "2027-01-01"), Ok(vec![opened])),
            ("nothing", open("0", "2026-01-01", "2027-01-01"), Err(Rejection::NothingAsked {})),
            ("nothing", open("1000.00", "2026-01-01", "2026-01-01"), Err(backwards("2026-01-01"))),
            ("nothing", open("1000.00", "2026-01-01", "2025-01-01"), Err(backwards("2025-01-01"))),
            (
                "budget",
                open("5.00", "2026-01-01", "2027-01-01"),
                Err(Rejection::BudgetExists { budget_id: BudgetId::parse("b-1").expect("an id") }),
            ),
        ] {
            assert_eq!(command.decide(&given(before), &facts()), expected, "{command:?}");
        }
    }
}
