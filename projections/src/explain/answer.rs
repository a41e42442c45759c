//! What is told of a figure.

use std::collections::BTreeMap;

use pledger_domain::values::Timestamp;
use pledger_ledger::slices::Position;
use serde::Serialize;
use serde_json::Value;

use crate::query::Incomplete;

/// The answer: figures, and the decisions that made them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// The view.
    pub view: &'static str,
    /// The instant that the question is about.
    pub at: Option<Timestamp>,
    /// The items, each with its figures.
    pub items: Vec<ExplainedItem>,
    /// What streams added to the figures, where more decisions made them than are told one by one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<Groups>,
    /// Decisions that changed a figure, in the order in which they were recorded; stream by stream where there are groups.
    pub decisions: Vec<Contribution>,
    /// How many decisions were looked at one by one.
    pub looked_at: usize,
    /// How many the streams have, where these are not all and the ledger knows without reading them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<usize>,
    /// The cursor of the page after, where there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// What the rules say, of every version that had a part in it.
    pub clauses: Vec<Clause>,
    /// Streams of it of which a record cannot be read: what came after that is left out of the figures, as it is of every answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub incomplete: Vec<Incomplete>,
}

/// What the figures are the sums of: over streams, and once more over months, where the view has months.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Groups {
    /// The fields whose parts add up to the figure. Of others their formula names what does.
    pub fields: Vec<&'static str>,
    /// By stream: an account, a budget, costs.
    pub by_stream: Vec<Group>,
    /// By the view's `month`, of fields whose months add up to the figure too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by_month: Vec<Group>,
}

/// A part of the figures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Group {
    /// The stream, or the month; null for all other streams together.
    pub of: Option<String>,
    /// How many streams it is; not counted of a month.
    #[serde(skip_serializing_if = "is_zero")]
    pub streams: usize,
    /// How many decisions it has, those too that added nothing; of streams, where the ledger knows without reading them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decisions: Option<usize>,
    /// What it adds.
    pub adds: Vec<Addend>,
}

/// What is added to a figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Addend {
    /// The item, where there are several.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub item: BTreeMap<&'static str, Value>,
    /// The field.
    pub field: &'static str,
    /// How much.
    pub adds: Value,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
const fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// An item of the view.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExplainedItem {
    /// What tells it from others: its dimensions.
    pub item: BTreeMap<&'static str, Value>,
    /// Its figures.
    pub figures: Vec<ExplainedFigure>,
    /// Of a partner's tier figures: the thresholds beside them, and what they are the sums of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<Box<Held>>,
}

/// A partner, held against the tiers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Held {
    /// At which moment.
    pub at: Timestamp,
    /// The version of the rules in force then; 0 for the defaults.
    pub rules: u32,
    /// The first day on which revenue and net-new logos count.
    pub window_from: String,
    /// The last one.
    pub window_to: String,
    /// How many they are.
    pub window_days: u32,
    /// The tiers, lowest first.
    pub tiers: Vec<HeldTier>,
    /// Where revenue is told, what it is the sum of; what is in another currency than the thresholds counts for no tier.
    pub revenue: Vec<RevenueTerm>,
    /// The net-new logos, where these are told.
    pub net_new_logos: Vec<LogoTerm>,
    /// The certifications in force, where these are told.
    pub certifications: Vec<CertificationTerm>,
}

/// A tier, with the partner's figures beside its thresholds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HeldTier {
    /// Its name.
    pub tier: String,
    /// Whether every threshold is reached.
    pub is_reached: bool,
    /// What it is to the partner: `awarded`; `earned`, the highest one that is reached or else the lowest; `next`, the one that follows.
    pub stands: Vec<&'static str>,
    /// Its thresholds, of the figures that are told.
    pub thresholds: Vec<HeldThreshold>,
}

/// A figure beside a threshold.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HeldThreshold {
    /// The figure.
    pub field: &'static str,
    /// What it is.
    pub value: Value,
    /// What the tier takes.
    pub needed: Value,
    /// What is missing; nothing where it is reached.
    pub missing: Value,
    /// Whether it is reached.
    pub is_reached: bool,
}

/// Revenue that counts: recorded revenue, or the amount of a won deal that none is recorded of. Where there are `groups`, revenue that was
/// recorded is what rows know of it: a day's on an account.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RevenueTerm {
    /// The decision; where there are `groups`, the last one that changed it.
    pub position: Position,
    /// Its stream: the account.
    pub stream: String,
    /// The deal; of recorded revenue where it names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deal: Option<String>,
    /// The revenue's id, where it is one that was recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revenue_id: Option<String>,
    /// When it was won or recognised.
    pub at: Timestamp,
    /// How much; less than nothing for a refund.
    pub amount: Value,
}

/// A net-new logo.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LogoTerm {
    /// The decision that won the account's first deal; where there are `groups`, the last one that changed that deal.
    pub position: Position,
    /// Its stream: the account.
    pub stream: String,
    /// The deal.
    pub deal: String,
    /// When it was won.
    pub at: Timestamp,
}

/// A certification in force.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CertificationTerm {
    /// The last decision about it.
    pub position: Position,
    /// Who holds it.
    pub person_id: String,
    /// The certification.
    pub certification: &'static str,
    /// Its level.
    pub level: &'static str,
    /// Since when.
    pub since: Timestamp,
    /// Until when.
    pub expires_at: Timestamp,
}

/// A figure, and how it is computed from others of its item.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExplainedFigure {
    /// Its field.
    pub field: &'static str,
    /// What it is.
    pub value: Value,
    /// What it means.
    pub summary: &'static str,
    /// How it is computed, by the names of fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub formula: Option<&'static str>,
    /// The same with their values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub computed: Option<String>,
}

/// A decision, and what it changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Contribution {
    /// Where it stands.
    pub position: Position,
    /// Its stream.
    pub stream: String,
    /// The command's name.
    pub command: String,
    /// The code of the refusal, where it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// The rules that decided.
    pub rules: u32,
    /// When it was written.
    pub recorded_at: Timestamp,
    /// When it is true in the business.
    pub effective_at: Timestamp,
    /// What it changed.
    pub changes: Vec<Change>,
}

/// A figure before and after a decision.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The item, where there are several.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub item: BTreeMap<&'static str, Value>,
    /// The field.
    pub field: &'static str,
    /// What it was; null before there was any.
    pub before: Value,
    /// What it became.
    pub after: Value,
    /// Of a deadline, how the rules that the decision names give it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reckoned: Option<Reckoned>,
}

/// A deadline as the rules give it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reckoned {
    /// Where in `program.toml` it stands how long.
    pub clause: &'static str,
    /// From when, and how long: `2026-01-12T00:00:00Z + 90 days`.
    pub computed: String,
}

/// What the rules say about a figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Clause {
    /// The version.
    pub rules: u32,
    /// Where it stands in `program.toml`.
    pub clause: &'static str,
    /// What stands there.
    pub value: Value,
    /// Whether that version is in force at the instant that the question is about.
    pub in_force: bool,
}
