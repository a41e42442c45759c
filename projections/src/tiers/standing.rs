//! Figures over a window, and the rules they are held against: pure functions of rows.

use std::{collections::BTreeMap, ops::RangeInclusive, sync::Arc};

use hashbrown::HashMap;
use pledger_domain::{
    rules::{RuleSet, Rules},
    values::{Currency, DAY_US, Timestamp},
};

use crate::{partners::Certification, query::Rows, symbol::Symbol};

/// What a partner's days of a window add up to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Revenue by currency, in minor units: never summed across.
    pub revenue: BTreeMap<Currency, i128>,
    /// Net-new logos, whatever the currency of their deals.
    pub net_new_logos: i64,
}

/// The `window_days` days that end with the day of `at`.
pub(super) fn window(at: Timestamp, window_days: u32) -> RangeInclusive<i64> {
    let last = i64::from(at.day());
    last - i64::from(window_days) + 1..=last
}

/// The figures of every partner that has any, over the `window_days` days that end with the day of `at`.
#[must_use]
pub fn figures(rows: &Rows<'_>, at: Timestamp, window_days: u32) -> HashMap<Symbol, Figures> {
    let window = window(at, window_days);
    let mut partners: HashMap<Symbol, Figures> = HashMap::new();
    for (key, day) in rows.shards().flat_map(|shard| shard.revenue.days().iter()) {
        if window.contains(&i64::from(key.day)) {
            let partner = partners.entry(key.partner).or_default();
            *partner.revenue.entry(key.currency).or_default() += day.revenue;
            partner.net_new_logos += day.net_new_logos;
        }
    }
    partners
}

/// How many certifications each partner's people hold at `at`, of those that were not revoked since.
#[must_use]
pub fn active_certifications(rows: &Rows<'_>, at: Timestamp) -> HashMap<Symbol, u32> {
    let mut active: HashMap<Symbol, u32> = HashMap::new();
    for (key, held, _) in rows.shards().flat_map(|shard| shard.partners.certifications.iter()) {
        if is_active(held, at) {
            *active.entry(key.partner).or_default() += 1;
        }
    }
    active
}

/// Whether a certification counts at `at`.
pub(crate) fn is_active(held: &Certification, at: Timestamp) -> bool {
    held.revoked_at.is_none() && held.since <= at && at < held.expires_at
}

/// The rules in force at `at`; the defaults as version 0 where none are, as the processor decides.
#[must_use]
pub fn in_force_at(rows: &Rows<'_>, at: Timestamp) -> Arc<RuleSet> {
    if let Some(supposed) = rows.supposed_at(at) {
        return Arc::clone(supposed);
    }
    rows.program().in_force_at(at).cloned().unwrap_or_else(|| {
        let rules = Rules::parse(Rules::DEFAULT).expect("the embedded default is tested to parse");
        Arc::new(RuleSet { version: 0, effective_from: at, rules })
    })
}

/// The end of the last day that anything counts on: what a question that names no time is asked at.
#[must_use]
pub fn last_day_of(rows: &Rows<'_>) -> Timestamp {
    let days = rows.shards().flat_map(|shard| shard.revenue.days().iter()).map(|(key, _)| key.day);
    let last = days.max().unwrap_or(0);
    Timestamp::from_micros((i64::from(last) + 1) * DAY_US - 1)
}
