//! Figures over a window, and the rules they are held against: pure functions of rows.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    ops::RangeInclusive,
    sync::{Arc, LazyLock},
};

use hashbrown::HashMap;
use pledger_domain::{
    rules::{RuleSet, Rules},
    values::{Currency, DAY_US, Timestamp},
};

use crate::{
    partners::{Certification, CertificationKey},
    query::Rows,
    symbol::Symbol,
    table::Stand,
};

/// The rules where none are in force.
static DEFAULT: LazyLock<Rules> = LazyLock::new(|| Rules::parse(Rules::DEFAULT).expect("the embedded default is tested to parse"));

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

/// How many certifications of each partner's people count at `at`.
#[must_use]
pub fn active_certifications(rows: &Rows<'_>, at: Timestamp) -> HashMap<Symbol, u32> {
    let mut counts: HashMap<Symbol, u32> = HashMap::new();
    for (key, ..) in counted_certifications(rows.shards().flat_map(|shard| shard.partners.certifications.iter()), at) {
        *counts.entry(key.partner).or_default() += 1;
    }
    counts
}

/// A certification with where it stands.
type Certified<'r> = (&'r CertificationKey, &'r Certification, Stand);

/// The certifications that count at `at`: those in force that were not revoked since. A person counts for one partner (F22): the
/// one whose certification of it began last, of several at one time the first by its id.
pub(crate) fn counted_certifications<'r>(all: impl Iterator<Item = Certified<'r>>, at: Timestamp) -> impl Iterator<Item = Certified<'r>> {
    let is_active = |held: &Certification| held.revoked_at.is_none() && held.since <= at && at < held.expires_at;
    let active: Vec<Certified<'_>> = all.filter(|(_, held, _)| is_active(held)).collect();
    let mut partners: HashMap<&str, (Timestamp, Reverse<&str>)> = HashMap::new();
    for (key, held, _) in &active {
        let latest = (held.since, Reverse(key.partner.name()));
        partners.entry(&key.person).and_modify(|known| *known = latest.max(*known)).or_insert(latest);
    }
    active.into_iter().filter(move |(key, ..)| partners.get(key.person.as_str()).is_some_and(|(_, of)| of.0 == key.partner.name()))
}

/// The rules in force at `at`; the defaults as version 0 where none are, as the processor decides.
#[must_use]
pub fn in_force_at(rows: &Rows<'_>, at: Timestamp) -> Arc<RuleSet> {
    if let Some(supposed) = rows.supposed_at(at) {
        return Arc::clone(supposed);
    }
    let default = || Arc::new(RuleSet { version: 0, effective_from: at, rules: DEFAULT.clone() });
    rows.program().in_force_at(at).cloned().unwrap_or_else(default)
}

/// The end of the last day that anything counts on: what a question that names no time is asked at.
#[must_use]
pub fn last_day_of(rows: &Rows<'_>) -> Timestamp {
    let days = rows.shards().flat_map(|shard| shard.revenue.days().iter()).map(|(key, _)| key.day);
    let last = days.max().unwrap_or(0);
    Timestamp::from_micros((i64::from(last) + 1) * DAY_US - 1)
}
