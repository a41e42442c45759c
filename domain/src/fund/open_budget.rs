//! Money is set aside for market development (F67).

use serde::{Deserialize, Serialize};

use super::{Fund, FundEvent};
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
    /// How much.
    pub amount: Amount,
    /// The first instant money may be asked for.
    pub starts_on: Timestamp,
    /// The instant from which it may not.
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
        if state.budget.is_some() {
            return Err(Rejection::BudgetExists { budget_id: self.budget_id.clone() });
        }
        Ok(vec![FundEvent::BudgetOpened { amount: self.amount, starts_on: self.starts_on, ends_on: self.ends_on }])
    }
}
