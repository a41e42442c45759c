//! What a decision does to the money of funds: as recorded, and under a draft.

use pledger_domain::{
    fund::FundEvent,
    values::{Currency, Money, Timestamp},
};
use pledger_ledger::record::{Events, Outcome};
use serde::Serialize;

/// What becomes of the money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FundsFigure {
    /// A request for it is approved.
    Approved,
    /// A claim on it is paid.
    Paid,
}

/// Money of a fund that one of both decisions moves, or both otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FundsMoved {
    /// What becomes of it.
    pub figure: FundsFigure,
    /// How much, as recorded; null where nothing was moved.
    pub before: Option<Money>,
    /// How much, under the draft; null where nothing would be.
    pub after: Option<Money>,
    /// When it is paid, of a payment; as recorded, where it is paid in both.
    pub paid_at: Option<Timestamp>,
}

impl FundsMoved {
    /// What two decisions on one command move; none where both move the same.
    pub(super) fn between(recorded: &Outcome<'_>, draft: &Outcome<'_>) -> Option<Self> {
        let (before, after) = (moved(recorded), moved(draft));
        let (figure, _, paid_at) = before.or(after)?;
        let [before, after] = [before, after].map(|moved| moved.map(|(_, amount, _)| amount));
        (before != after).then_some(Self { figure, before, after, paid_at })
    }

    /// The currency of the fund.
    #[must_use]
    pub fn currency(&self) -> Option<Currency> {
        self.before.or(self.after).map(Money::currency)
    }
}

fn moved(outcome: &Outcome<'_>) -> Option<(FundsFigure, Money, Option<Timestamp>)> {
    let Outcome::Accepted(Events::Fund(events)) = outcome else { return None };
    events.iter().find_map(|event| match event {
        FundEvent::FundRequestApproved { amount, .. } => Some((FundsFigure::Approved, amount.money(), None)),
        FundEvent::ClaimPaid { amount, paid_at, .. } => Some((FundsFigure::Paid, amount.money(), Some(*paid_at))),
        _ => None,
    })
}
