//! What other rules would make of the same history: read models under the rules in force and under a draft, compared.
//!
//! Of what is compared, only attribution is folded under rules, and it can be read under others from the same rows. So a
//! draft that has governed always is read from the engine that folded history as recorded. One that governs from a time on
//! is read from an engine of its own, from `Engine::supposing`: rows do not say when each deal was decided to be won.

mod attribution;
mod ropi;
#[cfg(test)]
mod tests;
mod tiers;

use std::sync::Arc;

use pledger_domain::{
    rules::{RuleChange, RuleSet},
    values::Timestamp,
};
use serde::Serialize;

pub use attribution::CreditShift;
pub use ropi::{ReturnChange, ReturnFigure};
pub use tiers::{Crossing, TierChange};

use crate::{
    engine::{Engine, PaidOtherwise, Supposed},
    query::{Item, QueryError},
    tiers::Held,
};

/// What is compared, as one set of rules makes it.
#[derive(Clone, Debug)]
pub struct Standing {
    tiers: Held,
    credits: attribution::Credits,
    returns: Vec<Item>,
}

/// What differs.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Difference {
    /// Partners whose figures earn another tier.
    pub tiers: Vec<TierChange>,
    /// Credit of won deals that goes to another party.
    pub attribution: Vec<CreditShift>,
    /// Returns on partner investment.
    pub ropi: Vec<ReturnChange>,
}

/// The clauses and sections of the rules that figures are read from; what others say shows in decisions only.
const READ_FROM: [&str; 5] = ["reporting_currency", "tiers", "tier_policy.window_days", "attribution", "ropi"];

impl Standing {
    /// Whether rules that differ so may give other figures of the same decisions.
    #[must_use]
    pub fn rests_on(change: &RuleChange) -> bool {
        change.is_within(&READ_FROM)
    }

    /// What the rows of `engine` say at `at`, once they hold what they are to hold.
    ///
    /// # Errors
    /// `QueryError`.
    pub fn read(engine: &Engine, at: Timestamp) -> Result<Self, QueryError> {
        engine.read(|rows| Ok(Self { tiers: Held::read(rows, at), credits: attribution::credits(rows), returns: ropi::returns(rows, at)? }))
    }

    /// What the rows of `engine`, folded as recorded, would say at `at`, had `draft` always governed and `paid` been paid otherwise.
    ///
    /// # Errors
    /// `QueryError`.
    pub fn supposing(engine: &Engine, at: Timestamp, draft: &Arc<RuleSet>, paid: Vec<PaidOtherwise>) -> Result<Self, QueryError> {
        let supposed = Supposed { rules: Arc::clone(draft), from: None, paid };
        engine.read_supposing(&supposed, |rows| {
            let credits = attribution::credits_under(rows, &draft.rules.attribution);
            Ok(Self { tiers: Held::read(rows, at), credits, returns: ropi::returns(rows, at)? })
        })
    }

    /// What changes from here to `after`; empty where nothing does.
    #[must_use]
    pub fn changes_to(&self, after: &Self) -> Difference {
        Difference {
            tiers: tiers::changes(&self.tiers, &after.tiers),
            attribution: attribution::shifts(&self.credits, &after.credits),
            ropi: ropi::changes(&self.returns, &after.returns),
        }
    }
}
