//! The fold of revenue.

use compact_str::CompactString;
use pledger_domain::{
    account::{AccountEvent, RevenueKind},
    values::{Amount, Currency, DealId, Money, PartnerId, Timestamp},
};
use pledger_ledger::{
    outline::Outline,
    record::{Events, Outcome},
};

use super::days::{DayFigures, DayKey, Days, of_deal, of_logo};
use crate::{
    deals::{Deal, DealStatus, Deals},
    row,
    shard::{At, Fold},
    symbol::Symbol,
    table::{AnyTable, Table},
};

row! {
    /// The revenue that was recorded for a partner on a day, on one account: what an account's stream says is no other
    /// stream's, so that no row depends on which of them came first.
    RevenueDay keyed RevenueDayKey in "revenue_days" {
        key {
            /// The account's key.
            account: Symbol,
            /// The partner.
            partner: Symbol,
            /// Days since 1970-01-01, in UTC.
            day: i32,
            /// The currency.
            currency: Currency,
        }
        /// Revenue, refunds taken off, in minor units.
        revenue: i64,
        /// Its gross margin, where that was given.
        gross_margin: i64,
        /// The part of the revenue whose margin was not given.
        without_margin: i64,
    }
}

row! {
    /// What was given back of a deal's revenue.
    DealRefund keyed DealRefundKey in "deal_refunds" {
        key {
            /// The account's key.
            account: Symbol,
            /// The deal's id.
            deal: CompactString,
            /// The currency.
            currency: Currency,
        }
        /// How much.
        refunded: i64,
        /// The gross margin in it, where that was given.
        gross_margin: i64,
        /// The part of it whose margin was not given.
        without_margin: i64,
    }
}

/// The revenue of a shard.
#[derive(Debug, Default)]
pub struct Revenue {
    /// By account, partner, day and currency.
    pub recorded: Table<RevenueDay>,
    /// By account, deal and currency.
    pub refunds: Table<DealRefund>,
    /// Derived: recorded revenue and the deals that count without.
    days: Days,
}

/// One record of revenue.
struct Recorded<'a> {
    partner: Symbol,
    amount: Amount,
    gross_margin: Option<Money>,
    deal: Option<&'a DealId>,
    kind: RevenueKind,
    at: Timestamp,
}

impl Revenue {
    /// What counts, day by day.
    #[must_use]
    pub const fn days(&self) -> &Days {
        &self.days
    }

    fn recorded(&mut self, record: &Recorded<'_>, at: &At<'_>, deals: &Deals) {
        let sign = match record.kind {
            RevenueKind::New | RevenueKind::Renewal | RevenueKind::Expansion => 1,
            RevenueKind::Refund => -1,
        };
        let deal = record.deal.and_then(|deal| deals.get(at.key, deal));
        if let Some(deal) = deal.filter(|deal| sign > 0 && deal.revenues == 1 && deal.status == DealStatus::Won) {
            // The first record takes the place of the deal's own amount.
            self.deal(&Deal { revenues: 0, net_new_logo: false, ..deal.clone() }, deal.partner, -1);
        }
        let (day, currency) = (record.at.day(), record.amount.currency());
        let figures = DayFigures::of(record.amount.minor(), record.gross_margin.map(Money::minor), sign);
        self.days.add(DayKey { partner: record.partner, day, currency }, &figures);
        let key = RevenueDayKey { account: at.key, partner: record.partner, day, currency };
        let row = self.recorded.upsert(key, at, || RevenueDay { revenue: 0, gross_margin: 0, without_margin: 0 });
        row.revenue = plus(row.revenue, figures.revenue);
        row.gross_margin = plus(row.gross_margin, figures.gross_margin);
        row.without_margin = plus(row.without_margin, figures.without_margin);
        if let Some(deal) = record.deal.filter(|_| record.kind == RevenueKind::Refund) {
            let key = DealRefundKey { account: at.key, deal: CompactString::new(deal.as_str()), currency };
            let row = self.refunds.upsert(key, at, || DealRefund { refunded: 0, gross_margin: 0, without_margin: 0 });
            row.refunded = plus(row.refunded, -figures.revenue);
            row.gross_margin = plus(row.gross_margin, -figures.gross_margin);
            row.without_margin = plus(row.without_margin, -figures.without_margin);
        }
    }

    fn deal(&mut self, deal: &Deal, partner: Symbol, sign: i128) {
        if let Some((key, figures)) = of_deal(deal, partner, sign) {
            self.days.add(key, &figures);
        }
    }
}

/// The sum, of amounts of which 90,000 of the largest fit: one partner's on one day never reach that.
fn plus(sum: i64, more: i128) -> i64 {
    sum.saturating_add(i64::try_from(more).unwrap_or(0))
}

fn symbol(partner: &PartnerId) -> Symbol {
    Symbol::of(partner.as_str())
}

impl Fold for Revenue {
    fn fold(&mut self, decision: &Outline<'_>, at: &At<'_>, deals: &Deals) {
        let Outcome::Accepted(Events::Account(events)) = &decision.outcome else { return };
        for event in events.iter() {
            match event {
                AccountEvent::DealWon { deal_id, .. } => {
                    if let Some(deal) = deals.get(at.key, deal_id) {
                        self.deal(deal, deal.partner, 1);
                    }
                    // A decision wins one deal, which takes the logo from one other at most.
                    let not_first = deals.not_first().iter().filter_map(|id| deals.get(at.key, id));
                    not_first.filter_map(of_logo).for_each(|(key, figures)| self.days.add(key, &figures));
                }
                AccountEvent::DealReassigned { deal_id, from, to } => {
                    if let Some(deal) = deals.get(at.key, deal_id) {
                        self.deal(deal, symbol(from), -1);
                        self.deal(deal, symbol(to), 1);
                    }
                }
                AccountEvent::RevenueRecorded { revenue_id: _, partner_id, amount, gross_margin, deal_id, kind, recognized_at } => {
                    if let Some(partner) = partner_id {
                        let (partner, at_day) = (symbol(partner), *recognized_at);
                        let (amount, gross_margin, deal, kind) = (*amount, *gross_margin, deal_id.as_ref(), *kind);
                        self.recorded(&Recorded { partner, amount, gross_margin, deal, kind, at: at_day }, at, deals);
                    }
                }
                // None of these brings anything in.
                AccountEvent::DealRegistered(_)
                | AccountEvent::DealUpdated { .. }
                | AccountEvent::DealApproved { .. }
                | AccountEvent::DealRejected { .. }
                | AccountEvent::DealInformationRequested { .. }
                | AccountEvent::DealWithdrawn { .. }
                | AccountEvent::DealCanceled { .. }
                | AccountEvent::DealExtended { .. }
                | AccountEvent::DealExpired { .. }
                | AccountEvent::ApprovalSlaBreached { .. }
                | AccountEvent::StageAdvanced { .. }
                | AccountEvent::NextStepSet { .. }
                | AccountEvent::NoteAdded { .. }
                | AccountEvent::DealLost { .. }
                | AccountEvent::DirectClaimed { .. }
                | AccountEvent::ProtectionOpened { .. }
                | AccountEvent::TouchpointRecorded { .. }
                | AccountEvent::DisputeOpened { .. }
                | AccountEvent::DisputeEscalated { .. }
                | AccountEvent::DisputeRuled { .. } => {}
            }
        }
    }

    fn loaded(&mut self, deals: &Deals) {
        self.days = Days::default();
        for (key, row, _) in self.recorded.iter() {
            let figures = DayFigures {
                revenue: row.revenue.into(),
                gross_margin: row.gross_margin.into(),
                without_margin: row.without_margin.into(),
                net_new_logos: 0,
            };
            self.days.add(DayKey { partner: key.partner, day: key.day, currency: key.currency }, &figures);
        }
        for (_, deal, _) in deals.deals.iter() {
            self.deal(deal, deal.partner, 1);
        }
    }

    fn tables(&self) -> Vec<&dyn AnyTable> {
        vec![&self.recorded, &self.refunds]
    }

    fn tables_mut(&mut self) -> Vec<&mut dyn AnyTable> {
        vec![&mut self.recorded, &mut self.refunds]
    }
}
