//! Market development funds that would be approved or paid otherwise, partner by partner.

use std::collections::BTreeMap;

use pledger_consumers::counterfactual::{FundsFigure, Otherwise};
use pledger_domain::values::Money;
use pledger_projections::{engine::PaidOtherwise, figures::money};
use serde::Serialize;
use serde_json::Value;

/// What the decisions that come out otherwise move of a partner's funds, in one currency.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct FundsShift {
    /// The partner; null where no decision names it.
    pub(super) partner: Option<String>,
    /// Whether it is approved, or paid.
    pub(super) figure: FundsFigure,
    /// How many decisions they are.
    pub(super) decisions: usize,
    /// What these moved as recorded.
    pub(super) before: Value,
    /// What they would move.
    pub(super) after: Value,
    /// The difference.
    pub(super) moves: Value,
}

/// What decisions move together, in minor units.
#[derive(Clone, Copy, Default)]
struct Sum {
    decisions: usize,
    before: i128,
    after: i128,
}

/// By what becomes of the money, partner and currency.
pub(super) fn shifts(decisions: &[Otherwise]) -> Vec<FundsShift> {
    let mut sums: BTreeMap<_, Sum> = BTreeMap::new();
    for (decision, funds) in decisions.iter().filter_map(|decision| Some((decision, decision.funds.as_ref()?))) {
        let Some(currency) = funds.currency() else { continue };
        let sum = sums.entry((funds.figure, decision.partner.as_deref(), currency)).or_default();
        sum.decisions += 1;
        sum.before += i128::from(minor(funds.before));
        sum.after += i128::from(minor(funds.after));
    }
    let mut shifts = Vec::new();
    for ((figure, partner, currency), Sum { decisions, before, after }) in sums {
        let [before, after, moves] = [before, after, after - before].map(|minor| money(minor, currency));
        shifts.push(FundsShift { partner: partner.map(str::to_owned), figure, decisions, before, after, moves });
    }
    shifts
}

fn minor(amount: Option<Money>) -> i64 {
    amount.map_or(0, Money::minor)
}

/// What would be paid otherwise, for the returns of the partners.
pub(super) fn paid_otherwise(decisions: &[Otherwise]) -> Vec<PaidOtherwise> {
    let paid = decisions.iter().filter_map(|decision| Some((decision.partner.as_ref()?, decision.funds.as_ref()?)));
    let moved = paid.filter_map(|(partner, funds)| {
        let month = funds.paid_at?.month();
        let (currency, more) = (funds.currency()?, minor(funds.after) - minor(funds.before));
        Some(PaidOtherwise { partner: partner.clone(), month, currency, more })
    });
    moved.collect()
}
