//! `[[tiers]]` and `[tier_policy]`: what a tier takes and how it is evaluated (F30).

use std::{fmt, ops::Range};

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::source::{Located, Section};
use crate::values::TierName;

/// What a tier takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TierRule {
    /// Such as `gold`.
    pub name: TierName,
    /// Revenue in the window, in the reporting currency.
    pub revenue: Decimal,
    /// Certifications in force.
    pub certifications: u32,
    /// Net-new logos in the window.
    pub net_new_logos: u32,
}

/// How tiers are evaluated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TierPolicy {
    /// The window of revenue and net-new logos, in days before the question's time.
    pub window_days: u32,
    /// How long a tier is kept after its figures are no longer earned, in days.
    pub grace_days: u32,
}

/// A tier as it stands in the file.
struct SourceTier {
    name: Located<TierName>,
    revenue: Located<Decimal>,
    certifications: Located<u32>,
    net_new_logos: Located<u32>,
}

impl SourceTier {
    fn read(mut section: Section<'_, '_>) -> Option<Self> {
        let name = section.read("name");
        let revenue = section.not_negative("revenue");
        let certifications = section.read("certifications");
        let net_new_logos = section.read("net_new_logos");
        section.end();
        Some(Self { name: name?, revenue: revenue?, certifications: certifications?, net_new_logos: net_new_logos? })
    }

    const fn takes(&self) -> (Decimal, u32, u32) {
        (self.revenue.value, self.certifications.value, self.net_new_logos.value)
    }
}

/// Reads the tiers and checks that there is one, that names differ and that thresholds rise with rank.
pub(super) fn read(root: &mut Section<'_, '_>) -> Option<Vec<TierRule>> {
    let tables = root.sections("tiers")?;
    if tables.value.is_empty() {
        root.note(&tables.span, "there are no tiers; at least one [[tiers]] is needed");
        return None;
    }
    let read: Vec<_> = tables.value.into_iter().map(SourceTier::read).collect();
    let tiers: Vec<SourceTier> = read.into_iter().collect::<Option<_>>()?;
    for (rank, tier) in tiers.iter().enumerate() {
        if let Some(first) = tiers[..rank].iter().find(|other| other.name.value == tier.name.value) {
            let line = root.line(&first.name.span);
            root.note(&tier.name.span, &format!("the tier {} is there already, on line {line}; names must differ", tier.name.value));
        }
    }
    for pair in tiers.windows(2) {
        let (lower, upper) = (&pair[0], &pair[1]);
        rises(root, pair, "revenue", &lower.revenue, &upper.revenue);
        rises(root, pair, "certifications", &lower.certifications, &upper.certifications);
        rises(root, pair, "net_new_logos", &lower.net_new_logos, &upper.net_new_logos);
    }
    doubts(root, &tiers);
    Some(tiers.into_iter().map(TierRule::from).collect())
}

/// Warns of thresholds that keep nobody out: whoever earns no other tier earns the lowest, and what a tier shares with the one above
/// it makes it one that is never earned.
fn doubts(root: &Section<'_, '_>, tiers: &[SourceTier]) {
    const NOTHING: (Decimal, u32, u32) = (Decimal::ZERO, 0, 0);
    if let Some(lowest) = tiers.first().filter(|lowest| lowest.takes() != NOTHING) {
        let name = &lowest.name.value;
        root.warn(
            &lowest.name.span,
            &format!("{name} is the lowest tier, which whoever earns no other earns: its thresholds keep nobody out"),
        );
    }
    for pair in tiers.windows(2).skip(1).filter(|pair| pair[0].takes() == pair[1].takes()) {
        let [lower, upper] = [&pair[0], &pair[1]].map(|tier| &tier.name.value);
        root.warn(&pair[1].name.span, &format!("{upper} takes no more than {lower}, so {lower} is never earned"));
    }
    if let [lowest, next, ..] = tiers
        && next.takes() == NOTHING
    {
        let [lowest, name] = [lowest, next].map(|tier| &tier.name.value);
        let message = format!("{name} takes nothing, so {lowest} is earned by whose refunds exceed its revenue, and by nobody else");
        root.warn(&next.name.span, &message);
    }
}

/// A threshold may stay the same from one tier to the next, but not fall: the higher tier would be easier to earn.
fn rises<T: PartialOrd + fmt::Display>(root: &Section<'_, '_>, pair: &[SourceTier], key: &str, lower: &Located<T>, upper: &Located<T>) {
    if upper.value < lower.value {
        let span: &Range<usize> = &upper.span;
        let message = format!(
            "falling thresholds: {} needs {key} {}, less than {}'s {} on line {}; tiers stand lowest first, and {} or more is accepted",
            pair[1].name.value,
            upper.value,
            pair[0].name.value,
            lower.value,
            root.line(&lower.span),
            lower.value,
        );
        root.note(span, &message);
    }
}

impl From<SourceTier> for TierRule {
    fn from(tier: SourceTier) -> Self {
        Self {
            name: tier.name.value,
            revenue: tier.revenue.value,
            certifications: tier.certifications.value,
            net_new_logos: tier.net_new_logos.value,
        }
    }
}

impl TierPolicy {
    pub(super) fn read(mut section: Section<'_, '_>) -> Option<Self> {
        let window_days = section.days("window_days", 1);
        let grace_days = section.days("grace_days", 0);
        section.end();
        Some(Self { window_days: window_days?.value, grace_days: grace_days?.value })
    }
}
