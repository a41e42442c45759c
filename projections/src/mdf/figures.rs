//! The figures of a group.

use pledger_domain::values::Currency;
use serde_json::Value;

use super::campaigns::Linked;
use crate::{
    figures::{money, ratio},
    lacking::INCOMPLETE_SINCE,
    query::{FieldKind::*, FieldSpec},
};

/// What `mdf` says of a group.
pub(super) const FIELDS: &[FieldSpec] = &[
    super::view::BUDGET_ID,
    FieldSpec::new("currency", Text, "The currency of the amounts; a group has one item a currency, they are never added up."),
    FieldSpec::new("budget", Money, "The budget; null where the group is narrower than a budget."),
    FieldSpec::new("allocated", Money, "Set aside for partners; null where the group is narrower than an allocation."),
    FieldSpec::new("requested", Money, "Asked for, what was taken back or canceled left out."),
    FieldSpec::new("approved", Money, "Approved of that."),
    FieldSpec::new("released", Money, "Approved, not claimed in time, and gone back to the allocation.").under(&["mdf.claim_window_days"]),
    FieldSpec::new("claimed", Money, "Claimed and not rejected: what was claimed, or approved of it."),
    FieldSpec::new("paid", Money, "Paid."),
    FieldSpec::new(
        "available",
        Money,
        "Of a budget, what may still be allocated; of an allocation, what may still be approved; else null.",
    )
    .computed("budget - allocated"),
    FieldSpec::new("uncommitted", Money, "What may still be approved: allocated - approved + released; null where `allocated` is.")
        .computed("allocated - approved + released"),
    FieldSpec::new(
        "linked_gross_margin",
        Money,
        "By campaign: the gross margin of won deals on accounts that the campaign touched up to the close, less that of refunds: what each gave, or the deal's in proportion.",
    ),
    FieldSpec::new("linked_won", Money, "By campaign: the value of these deals, less what was refunded of them."),
    FieldSpec::new("linked_pipeline", Money, "By campaign: the expected value of open deals on accounts that the campaign touched."),
    FieldSpec::new("roi", Decimal, "By campaign: (linked gross margin - paid) / paid, to six places; null where nothing was paid.")
        .computed("(linked_gross_margin - paid) / paid"),
    FieldSpec::new("roi_pipeline", Decimal, "By campaign: (linked pipeline - paid) / paid, to six places; null where nothing was paid.")
        .computed("(linked_pipeline - paid) / paid"),
    INCOMPLETE_SINCE,
];

/// Sums of one group and currency, in minor units; none where nothing of the kind belongs to the group.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Figures {
    pub(super) budget: Option<i128>,
    pub(super) allocated: Option<i128>,
    pub(super) requested: i128,
    pub(super) approved: i128,
    pub(super) released: i128,
    pub(super) claimed: i128,
    pub(super) paid: i128,
    pub(super) linked: Option<Linked>,
}

impl Figures {
    pub(super) fn add(&mut self, more: &Self) {
        self.budget = sum(self.budget, more.budget);
        self.allocated = sum(self.allocated, more.allocated);
        self.requested += more.requested;
        self.approved += more.approved;
        self.released += more.released;
        self.claimed += more.claimed;
        self.paid += more.paid;
        if let Some(more) = more.linked {
            let linked = self.linked.get_or_insert_default();
            linked.gross_margin += more.gross_margin;
            linked.won += more.won;
            linked.pipeline += more.pipeline;
        }
    }

    /// The figures in the order of `FIELDS`, the currency left out.
    pub(super) fn values(self, currency: Currency) -> Vec<(&'static str, Value)> {
        let amount = |minor: i128| money(minor, currency);
        let known = |minor: Option<i128>| minor.map_or(Value::Null, amount);
        let uncommitted = self.allocated.map(|allocated| allocated - self.approved + self.released);
        let available = self.budget.map(|budget| budget - self.allocated.unwrap_or(0)).or(uncommitted);
        let roi =
            |returns: fn(&Linked) -> i128| self.linked.as_ref().map_or(Value::Null, |linked| ratio(returns(linked) - self.paid, self.paid));
        vec![
            ("budget", known(self.budget)),
            ("allocated", known(self.allocated)),
            ("requested", amount(self.requested)),
            ("approved", amount(self.approved)),
            ("released", amount(self.released)),
            ("claimed", amount(self.claimed)),
            ("paid", amount(self.paid)),
            ("available", known(available)),
            ("uncommitted", known(uncommitted)),
            ("linked_gross_margin", known(self.linked.map(|linked| linked.gross_margin))),
            ("linked_won", known(self.linked.map(|linked| linked.won))),
            ("linked_pipeline", known(self.linked.map(|linked| linked.pipeline))),
            ("roi", roi(|linked| linked.gross_margin)),
            ("roi_pipeline", roi(|linked| linked.pipeline)),
        ]
    }
}

fn sum(a: Option<i128>, b: Option<i128>) -> Option<i128> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a + b),
        (one, other) => one.or(other),
    }
}
