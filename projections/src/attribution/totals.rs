//! Sums of credits, kept as deals are won so that no question adds up deals.

use hashbrown::HashMap;
use pledger_domain::values::{Currency, Month, Timestamp};

use super::{
    journey::Standing,
    models::{Credit, Model, Party, PerModel},
};

/// Credits of this kind are added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TotalKey {
    /// Who is credited.
    pub party: Party,
    /// The month that the quarter of the close begins with.
    pub quarter: Month,
    /// How partners had part in the deals.
    pub standing: Standing,
    /// The currency.
    pub currency: Currency,
}

/// The sums, by model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// How many deals credit the party.
    pub credits: PerModel<i64>,
    /// With how much, in minor units.
    pub credited: PerModel<i128>,
}

/// A won deal with its credits.
#[derive(Clone, Debug, PartialEq)]
pub struct AttributedDeal {
    /// When it was closed.
    pub closed_at: Timestamp,
    /// How partners had part in it.
    pub standing: Standing,
    /// The currency.
    pub currency: Currency,
    /// Who is credited, in the order of the first touches.
    pub credits: Vec<Credit>,
}

/// Sums of the deals of one shard: derived from rows, never stored.
#[derive(Debug, Default, PartialEq)]
pub struct Totals(HashMap<TotalKey, Total>);

impl Totals {
    /// Adds a deal's credits (`sign` 1), or takes them away again (-1).
    pub(super) fn add(&mut self, deal: &AttributedDeal, sign: i8) {
        let quarter = quarter(deal.closed_at);
        for credit in &deal.credits {
            let key = TotalKey { party: credit.party, quarter, standing: deal.standing, currency: deal.currency };
            let total = self.0.entry(key).or_default();
            for model in Model::ALL {
                if credit.weights[model] > 0 {
                    total.credits[model] += i64::from(sign);
                    total.credited[model] += i128::from(sign) * i128::from(credit.credited[model]);
                }
            }
            if *total == Total::default() {
                self.0.remove(&key);
            }
        }
    }

    /// Every sum there is.
    pub fn iter(&self) -> impl Iterator<Item = (&TotalKey, &Total)> {
        self.0.iter()
    }
}

/// The month that the quarter of `at` begins with.
pub(super) fn quarter(at: Timestamp) -> Month {
    Month::from_index(at.month().index().div_euclid(3) * 3)
}
