//! Daily and monthly sums of all partners, kept as decisions come in.

use std::hash::Hash;

use hashbrown::HashMap;
use pledger_domain::values::{Currency, DAY_US, Month, Timestamp};

use crate::{
    deals::{Deal, DealStatus},
    symbol::Symbol,
};

/// A partner's day in a currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DayKey {
    /// The partner.
    pub partner: Symbol,
    /// Days since 1970-01-01, in UTC.
    pub day: i32,
    /// The currency.
    pub currency: Currency,
}

/// What counts on it, in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DayFigures {
    /// Revenue, refunds taken off.
    pub revenue: i128,
    /// Its gross margin, where that was given.
    pub gross_margin: i128,
    /// The part of the revenue whose margin was not given.
    pub without_margin: i128,
    /// Accounts whose first won deal was closed (F30 net-new logos).
    pub net_new_logos: i64,
}

/// A partner's month in a currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MonthKey {
    /// The partner.
    pub partner: Symbol,
    /// The month.
    pub month: Month,
    /// The currency.
    pub currency: Currency,
}

/// The days and months of one shard: derived from rows, never stored.
#[derive(Debug, Default, PartialEq)]
pub struct Days {
    days: HashMap<DayKey, DayFigures>,
    months: HashMap<MonthKey, DayFigures>,
}

impl Days {
    /// Every day on which something counts.
    pub fn iter(&self) -> impl Iterator<Item = (&DayKey, &DayFigures)> {
        self.days.iter()
    }

    /// Every month in which something counts: the sums of its days.
    pub fn months(&self) -> impl Iterator<Item = (&MonthKey, &DayFigures)> {
        self.months.iter()
    }

    /// Adds figures to a day and to its month.
    pub(super) fn add(&mut self, key: DayKey, figures: &DayFigures) {
        let month = Timestamp::from_micros(i64::from(key.day) * DAY_US).month();
        add(&mut self.days, key, figures);
        add(&mut self.months, MonthKey { partner: key.partner, month, currency: key.currency }, figures);
    }
}

fn add<K: Copy + Eq + Hash>(sums: &mut HashMap<K, DayFigures>, key: K, figures: &DayFigures) {
    let sum = sums.entry(key).or_default();
    sum.revenue += figures.revenue;
    sum.gross_margin += figures.gross_margin;
    sum.without_margin += figures.without_margin;
    sum.net_new_logos += figures.net_new_logos;
    if *sum == DayFigures::default() {
        sums.remove(&key);
    }
}

impl DayFigures {
    /// Revenue with its margin, where that is known; `sign` is -1 for what is taken off.
    pub(super) fn of(revenue: i64, gross_margin: Option<i64>, sign: i128) -> Self {
        let revenue = sign * i128::from(revenue);
        Self {
            revenue,
            gross_margin: sign * i128::from(gross_margin.unwrap_or(0)),
            without_margin: if gross_margin.is_none() { revenue } else { 0 },
            net_new_logos: 0,
        }
    }
}

/// What a won deal counts with by itself, for `partner`: the logo it won, and its amount until revenue is recorded.
pub(super) fn of_deal(deal: &Deal, partner: Symbol, sign: i128) -> Option<(DayKey, DayFigures)> {
    let closed_at = deal.closed_at.filter(|_| deal.status == DealStatus::Won)?;
    let key = DayKey { partner, day: closed_at.day(), currency: deal.currency };
    let mut figures = DayFigures::default();
    if deal.revenues == 0 {
        figures = DayFigures::of(deal.amount, deal.gross_margin, sign);
    }
    if deal.net_new_logo {
        figures.net_new_logos = if sign < 0 { -1 } else { 1 };
    }
    Some((key, figures))
}

/// The logo that a won deal counts with no more: another win was closed before it.
pub(super) fn of_logo(deal: &Deal) -> Option<(DayKey, DayFigures)> {
    let key = DayKey { partner: deal.partner, day: deal.closed_at?.day(), currency: deal.currency };
    Some((key, DayFigures { net_new_logos: -1, ..DayFigures::default() }))
}
