//! The fold of program costs, month by month.

use pledger_domain::{
    cost::{CostEvent, CostKind},
    fund::FundEvent,
    values::{Amount, Currency, Month, Period},
};
use pledger_ledger::{
    outline::Outline,
    record::{Events, Outcome},
};

use crate::{
    deals::Deals,
    row,
    shard::{At, Fold},
    split::equally,
    symbol::Symbol,
    table::{AnyTable, Table},
    word_field,
};

word_field!(CostKind {
    Commission = "commission",
    Mdf = "mdf",
    PartnerManager = "partner_manager",
    Staff = "staff",
    Technology = "technology",
    Other = "other",
});

row! {
    /// What a partner cost in a month, by kind, as one stream says.
    CostMonth keyed CostMonthKey in "cost_months" {
        key {
            /// The stream: the partner's or the program's costs, or a fund.
            stream: Symbol,
            /// The partner; empty for the program as a whole.
            partner: Symbol,
            /// What for.
            kind: CostKind,
            /// The month that it is booked on.
            month: Month,
            /// The currency.
            currency: Currency,
        }
        /// What counts, in minor units.
        amount: i64,
        /// What is listed only, since the claim or the payout that it paid counts already.
        listed: i64,
    }
}

/// The costs of a shard.
#[derive(Debug, Default)]
pub struct Costs {
    /// By stream, partner, kind, month and currency.
    pub months: Table<CostMonth>,
}

/// A cost, where it is booked.
struct Cost {
    stream: Symbol,
    partner: Symbol,
    kind: CostKind,
    currency: Currency,
    listed: bool,
}

impl Costs {
    /// A cost of several months is spread evenly over them, to the minor unit; what is left over goes to the earliest.
    fn spread(&mut self, cost: &Cost, amount: Amount, period: Period, at: &At<'_>) {
        let (first, months) = period.months();
        let parts = equally(amount.minor().unsigned_abs(), months.into());
        for (part, month) in parts.into_iter().zip(first.index()..) {
            let part = i64::try_from(part).expect("a part of an amount is no more than the amount");
            self.book(cost, part, Month::from_index(month), at);
        }
    }

    fn book(&mut self, cost: &Cost, minor: i64, month: Month, at: &At<'_>) {
        let Cost { stream, partner, kind, currency, listed } = *cost;
        let key = CostMonthKey { stream, partner, kind, month, currency };
        let row = self.months.upsert(key, at, || CostMonth { amount: 0, listed: 0 });
        let sum = if listed { &mut row.listed } else { &mut row.amount };
        // 90,000 of the largest amounts fit: one partner's of one kind in one month never reach that.
        *sum = sum.saturating_add(minor);
    }
}

impl Fold for Costs {
    fn fold(&mut self, decision: &Outline<'_>, at: &At<'_>, _deals: &Deals) {
        match &decision.outcome {
            Outcome::Accepted(Events::Cost(events)) => {
                let stream = Symbol::of(decision.stream.as_str());
                for event in events.iter() {
                    match event {
                        CostEvent::ProgramCostRecorded { cost_id: _, kind, amount, partner_id, period, claim_id, payout_id } => {
                            let partner = partner_id.as_ref().map_or_else(Symbol::empty, |id| Symbol::of(id.as_str()));
                            let listed = claim_id.is_some() || payout_id.is_some();
                            let cost = Cost { stream, partner, kind: *kind, currency: amount.currency(), listed };
                            self.spread(&cost, *amount, *period, at);
                        }
                    }
                }
            }
            Outcome::Accepted(Events::Fund(events)) => {
                for event in events.iter() {
                    if let Some((cost, amount, month)) = paid(event, decision) {
                        self.book(&cost, amount.minor(), month, at);
                    }
                }
            }
            Outcome::Accepted(Events::Program(_) | Events::Partner(_) | Events::Account(_)) | Outcome::Rejected(_) => {}
        }
    }

    fn tables(&self) -> Vec<&dyn AnyTable> {
        vec![&self.months]
    }

    fn tables_mut(&mut self) -> Vec<&mut dyn AnyTable> {
        vec![&mut self.months]
    }
}

/// What an event of a fund costs: a claim, once it is paid.
fn paid(event: &FundEvent, decision: &Outline<'_>) -> Option<(Cost, Amount, Month)> {
    match event {
        FundEvent::ClaimPaid { claim_id: _, request_id: _, partner_id, campaign_id: _, amount, paid_at } => {
            let (stream, partner) = (Symbol::of(decision.stream.as_str()), Symbol::of(partner_id.as_str()));
            let cost = Cost { stream, partner, kind: CostKind::Mdf, currency: amount.currency(), listed: false };
            Some((cost, *amount, paid_at.month()))
        }
        FundEvent::BudgetOpened { .. }
        | FundEvent::FundsAllocated { .. }
        | FundEvent::FundsRequested { .. }
        | FundEvent::FundRequestAmended { .. }
        | FundEvent::FundRequestRecalled { .. }
        | FundEvent::FundRequestCanceled { .. }
        | FundEvent::FundRequestInformationRequested { .. }
        | FundEvent::FundRequestApproved { .. }
        | FundEvent::FundRequestRejected { .. }
        | FundEvent::ClaimSubmitted { .. }
        | FundEvent::ClaimApproved { .. }
        | FundEvent::ClaimRejected { .. }
        | FundEvent::ClaimWindowClosed { .. } => None,
    }
}
