//! Market development funds that would be approved or paid otherwise, partner by partner.

use std::collections::BTreeMap;

use pledger_consumers::counterfactual::{FundsFigure, Otherwise};
use pledger_domain::values::{Currency, Money};
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

/// By what becomes of the money, partner and currency.
pub(super) fn shifts(decisions: &[Otherwise]) -> Vec<FundsShift> {
    let mut sums: BTreeMap<(FundsFigure, Option<&str>, Currency), (usize, i128, i128)> = BTreeMap::new();
    for (decision, funds) in decisions.iter().filter_map(|decision| Some((decision, decision.funds.as_ref()?))) {
        for (currency, before, after) in [(funds.before, true), (funds.after, false)].into_iter().filter_map(|(amount, is_before)| {
            let (minor, currency) = (i128::from(amount?.minor()), amount?.currency());
            Some(if is_before { (currency, minor, 0) } else { (currency, 0, minor) })
        }) {
            let sum = sums.entry((funds.figure, decision.partner.as_deref(), currency)).or_default();
            (sum.1, sum.2) = (sum.1 + before, sum.2 + after);
        }
        if let Some(amount) = funds.before.or(funds.after) {
            sums.entry((funds.figure, decision.partner.as_deref(), amount.currency())).or_default().0 += 1;
        }
    }
    let shift = |((figure, partner, currency), (decisions, before, after)): ((_, Option<&str>, _), (usize, i128, i128))| {
        let [before, after, moves] = [before, after, after - before].map(|minor| money(minor, currency));
        FundsShift { partner: partner.map(str::to_owned), figure, decisions, before, after, moves }
    };
    sums.into_iter().map(shift).collect()
}

/// What would be paid otherwise, for the returns of the partners.
pub(super) fn paid_otherwise(decisions: &[Otherwise]) -> Vec<PaidOtherwise> {
    let paid = decisions.iter().filter_map(|decision| Some((decision.partner.as_ref()?, decision.funds.as_ref()?)));
    let moved = paid.filter_map(|(partner, funds)| {
        let month = funds.paid_at?.month();
        let currency = funds.before.or(funds.after)?.currency();
        let minor = |amount: Option<Money>| amount.map_or(0, Money::minor);
        Some(PaidOtherwise { partner: partner.clone(), month, currency, more: minor(funds.after) - minor(funds.before) })
    });
    moved.collect()
}
