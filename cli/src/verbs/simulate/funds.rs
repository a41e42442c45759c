//! Market development funds that would be approved or paid otherwise, partner by partner.

use std::collections::BTreeMap;

use pledger_consumers::counterfactual::{FundsFigure, FundsSum};
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
    pub(super) decisions: u64,
    /// What these moved as recorded.
    pub(super) before: Value,
    /// What they would move.
    pub(super) after: Value,
    /// The difference.
    pub(super) moves: Value,
}

/// By what becomes of the money, partner and currency, whatever the month.
pub(super) fn shifts(sums: &[FundsSum]) -> Vec<FundsShift> {
    let mut whole: BTreeMap<_, (u64, i128, i128)> = BTreeMap::new();
    for FundsSum { figure, partner, currency, paid_in: _, decisions, before, after } in sums {
        let sum = whole.entry((*figure, partner.as_deref(), *currency)).or_default();
        *sum = (sum.0 + decisions, sum.1 + before, sum.2 + after);
    }
    let mut shifts = Vec::new();
    for ((figure, partner, currency), (decisions, before, after)) in whole {
        let [before, after, moves] = [before, after, after - before].map(|minor| money(minor, currency));
        shifts.push(FundsShift { partner: partner.map(str::to_owned), figure, decisions, before, after, moves });
    }
    shifts
}

/// What would be paid otherwise, for the returns of the partners.
pub(super) fn paid_otherwise(sums: &[FundsSum]) -> Vec<PaidOtherwise> {
    let paid = sums.iter().filter_map(|sum| {
        let (partner, month) = (sum.partner.clone()?, sum.paid_in?);
        Some(PaidOtherwise { partner, month, currency: sum.currency, more: sum.after - sum.before })
    });
    paid.collect()
}
