//! The stream `fund/<budget_id>`: budget, allocations, requests, claims (F67). It cannot be overspent.

mod event;
mod open_budget;

use serde::{Deserialize, Serialize};

pub use event::{FundEvent, Proof};
pub use open_budget::OpenBudget;

use crate::{
    stream::{Stream, StreamKind},
    values::{Amount, Timestamp},
};

/// A fund's state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Fund {
    budget: Option<Amount>,
}

impl Stream for Fund {
    const KIND: StreamKind = StreamKind::Fund;
    type Event = FundEvent;

    fn evolve(&mut self, event: &FundEvent, _at: Timestamp) {
        if let FundEvent::BudgetOpened { amount, .. } = event {
            self.budget = Some(*amount);
        }
    }
}
