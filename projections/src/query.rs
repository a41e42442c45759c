//! Questions to the read models, and their answers.

use std::{ops::Deref, sync::Arc};

use pledger_domain::{
    program::Program,
    rules::RuleSet,
    values::{Month, Timestamp},
};
use pledger_ledger::{
    chain::ChainHead,
    slices::{Position, SliceId},
};
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;

use crate::{
    attribution, conflicts, deals,
    engine::{PaidOtherwise, Supposed},
    mdf, partners, pipeline, ropi,
    shard::Shard,
    symbol::Symbol,
    tiers,
};

/// A question to a view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// The one item that is asked for: `/v1/{view}/{key}`.
    pub key: Option<String>,
    /// The dimensions that figures are given by.
    pub by: Vec<String>,
    /// `dim=value`; several values of one dimension are alternatives, several dimensions must all hold.
    pub filters: Vec<(String, String)>,
    /// The most items; all where absent.
    pub limit: Option<usize>,
    /// Where the last page ended.
    pub cursor: Option<String>,
    /// The time that is asked about: windows end with its day, and rules are those in force at it. Whoever asks sets it
    /// to the present where the user names none; without one it is the last day on which anything counts.
    pub at: Option<Timestamp>,
    /// Whether items also hold what their formulas name and the view does not show: sums by stage, durations one by one.
    pub details: bool,
}

/// One object of an answer, its fields in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Item(pub Vec<(&'static str, Value)>);

/// A page of an answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Page {
    /// The items.
    pub items: Vec<Item>,
    /// Where the next page begins; none where this is the last one.
    pub next: Option<String>,
    /// What the answer stands on: the last record of every slice that has one, as `{"slice": pseq}`.
    #[serde(serialize_with = "position_object")]
    pub position: Vec<Position>,
    /// Streams of which a record could not be read: what came after it is left out of every figure.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub incomplete: Vec<Incomplete>,
}

/// `{"slice": pseq}`.
pub(crate) fn position_object<S: Serializer>(positions: &[Position], s: S) -> Result<S::Ok, S::Error> {
    s.collect_map(positions.iter().map(|position| (position.slice.to_string(), position.pseq)))
}

/// A stream that is folded no further.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Incomplete {
    /// Its name; the record's position where not even that could be read.
    pub stream: String,
    /// The record that could not be taken in.
    pub since: Position,
    /// Why.
    pub reason: String,
}

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// There is no such view.
    #[error("there is no view {view:?}{}", .nearest.map(|n| format!("; did you mean {n}?")).unwrap_or_default())]
    UnknownView {
        /// What was asked for.
        view: String,
        /// The nearest one there is.
        nearest: Option<&'static str>,
    },
    /// The view has no such dimension.
    #[error("{view} has no dimension {dimension:?} here; {}", has(.accepted))]
    UnknownDimension {
        /// The view.
        view: &'static str,
        /// What was asked for.
        dimension: String,
        /// What would be accepted.
        accepted: Vec<&'static str>,
    },
    /// A filter's value is none of its dimension.
    #[error("{value:?} is no {dimension}; expected {expected}")]
    InvalidValue {
        /// The dimension.
        dimension: String,
        /// What was given.
        value: String,
        /// What would be accepted, in words.
        expected: String,
    },
    /// The cursor is none that this view gave.
    #[error("the cursor is none that {view} gave")]
    InvalidCursor {
        /// The view.
        view: &'static str,
    },
    /// There is no such item.
    #[error("{view} has no {key:?}")]
    NotFound {
        /// The view.
        view: &'static str,
        /// The key.
        key: String,
    },
    /// More than one item has this key.
    #[error("{view} has several {key:?}: {}", .candidates.join(", "))]
    Ambiguous {
        /// The view.
        view: &'static str,
        /// The key.
        key: String,
        /// What would be unambiguous.
        candidates: Vec<String>,
    },
}

fn has(accepted: &[&str]) -> String {
    if accepted.is_empty() { "it is not grouped, but may be filtered".to_owned() } else { format!("it has {}", accepted.join(", ")) }
}

/// A dimension or a figure of a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct FieldSpec {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: FieldKind,
    /// What it means, with its unit.
    pub summary: &'static str,
    /// How it is computed from other fields of its item, by their names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub formula: Option<&'static str>,
    /// The clauses of the rules that it rests on, as in `deal_registration.protection_days`.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub clauses: &'static [&'static str],
    /// Whether these are the clauses in force at the instant of the question, and not those that decisions name.
    #[serde(skip)]
    pub is_standing: bool,
}

/// What a field of an item holds; any of them may be null where its summary says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    /// A string.
    Text,
    /// The name of a person, sealed; opened by the API for those who may see it.
    Person,
    /// A list of strings.
    Texts,
    /// A whole number.
    Count,
    /// true or false.
    Flag,
    /// RFC 3339 in UTC.
    Time,
    /// A day in UTC: `2026-11-23`.
    Date,
    /// `{amount, currency}`.
    Money,
    /// A decimal string: a ratio, a weight, a duration in the unit that the summary names.
    Decimal,
    /// `"slice:pseq"`.
    Position,
    /// A list of objects.
    Objects,
}

/// A view: what HTTP routes, the command line, exports and OpenAPI follow from.
#[derive(Clone, Copy)]
pub struct ViewSpec {
    /// Its name, as in `/v1/{view}`.
    pub name: &'static str,
    /// What it answers, in one sentence.
    pub summary: &'static str,
    /// What `/v1/{view}/{key}` takes; none where items have no key.
    pub key: Option<&'static str>,
    /// What `by` accepts; empty for a list of rows.
    pub by: &'static [FieldSpec],
    /// What filters accept.
    pub filters: &'static [FieldSpec],
    /// The fields of an item; of a view with `by`, those after the dimensions.
    pub fields: &'static [FieldSpec],
    /// The fields that tell most, the first of them first: what is shown where there is no room for all.
    pub headline: &'static [&'static str],
    /// The tables that it is made from.
    pub tables: &'static [&'static str],
    /// Answers: a pure function of rows.
    pub answer: fn(&Rows<'_>, &Query) -> Result<Answer, QueryError>,
}

/// The items of an answer, and where the next page begins.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// The items.
    pub items: Vec<Item>,
    /// The cursor of the next page.
    pub next: Option<String>,
}

/// The rows of all shards, held still while a question is answered.
pub struct Rows<'a> {
    shards: Vec<Box<dyn Deref<Target = Shard> + 'a>>,
    supposed: Option<&'a Supposed>,
    as_of: Option<Timestamp>,
}

impl<'a> Rows<'a> {
    /// The rows of these shards.
    #[must_use]
    pub fn new(shards: Vec<Box<dyn Deref<Target = Shard> + 'a>>) -> Self {
        Self { shards, supposed: None, as_of: None }
    }

    /// The same, answered under a draft of the rules.
    #[must_use]
    pub(crate) fn supposing(self, supposed: Option<&'a Supposed>) -> Self {
        Self { supposed, ..self }
    }

    /// The same, as of a time: what says itself from when it is true is in the rows, however late that is.
    #[must_use]
    pub(crate) fn true_by(self, as_of: Option<Timestamp>) -> Self {
        Self { as_of, ..self }
    }

    /// Whether something of this month is asked about: as of a time it is, once it has begun.
    pub(crate) fn has_begun(&self, month: Month) -> bool {
        self.as_of.is_none_or(|as_of| month <= as_of.month())
    }

    /// What is supposed to be paid otherwise than recorded.
    pub(crate) fn paid_otherwise(&self) -> &[PaidOtherwise] {
        self.supposed.map_or(&[], |supposed| &supposed.paid)
    }

    /// The version of the rules that everything is folded and answered under, in place of those that decisions name.
    pub(crate) fn rules_version(&self) -> Option<u32> {
        self.supposed.filter(|supposed| supposed.from.is_none()).map(|supposed| supposed.rules.version)
    }

    /// The draft that governs at `at` in place of what was published.
    pub(crate) fn supposed_at(&self, at: Timestamp) -> Option<&Arc<RuleSet>> {
        self.supposed?.governing(at)
    }

    /// The first record of a stream that could not be taken in, so that its rows are incomplete.
    #[must_use]
    pub fn incomplete_since(&self, kind: &str, key: Symbol) -> Option<Position> {
        self.shards().find_map(|shard| shard.parked.since(kind, key.name()))
    }

    /// The rules as published.
    #[must_use]
    pub fn program(&self) -> Arc<Program> {
        self.shards().map(|shard| shard.rules.program()).max_by_key(|program| program.count()).unwrap_or_default()
    }

    /// Every stream that is folded no further.
    #[must_use]
    pub fn incomplete(&self) -> Vec<Incomplete> {
        let parked = self.shards().flat_map(|shard| shard.parked.streams.iter());
        let mut incomplete: Vec<_> = parked
            .map(|(key, row, _)| Incomplete { stream: key.stream.to_string(), since: row.since, reason: row.reason.to_string() })
            .collect();
        incomplete.sort_unstable();
        incomplete
    }

    /// Every shard.
    pub fn shards(&self) -> impl Iterator<Item = &Shard> {
        self.shards.iter().map(|shard| &***shard)
    }
}

impl Serialize for Item {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl FieldSpec {
    /// A field, in a catalogue.
    #[must_use]
    pub const fn new(name: &'static str, kind: FieldKind, summary: &'static str) -> Self {
        Self { name, kind, summary, formula: None, clauses: &[], is_standing: false }
    }

    /// The field, computed by `formula`.
    #[must_use]
    pub const fn computed(self, formula: &'static str) -> Self {
        Self { formula: Some(formula), ..self }
    }

    /// The field, resting on these clauses of the rules.
    #[must_use]
    pub const fn under(self, clauses: &'static [&'static str]) -> Self {
        Self { clauses, ..self }
    }

    /// The field, resting on these clauses of the rules in force at the instant of the question.
    #[must_use]
    pub const fn under_in_force(self, clauses: &'static [&'static str]) -> Self {
        Self { clauses, is_standing: true, ..self }
    }
}

/// The view called `name`.
///
/// # Errors
/// `QueryError::UnknownView`, with the nearest name there is.
pub fn find_view(name: &str) -> Result<&'static ViewSpec, QueryError> {
    VIEWS.iter().find(|spec| spec.name == name).ok_or_else(|| {
        let near = |spec: &&ViewSpec| (strsim::jaro_winkler(spec.name, &name.to_lowercase()), spec.name);
        let nearest = VIEWS.iter().map(|spec| near(&spec)).max_by(|a, b| a.0.total_cmp(&b.0));
        let nearest = nearest.filter(|(score, _)| *score > 0.75).map(|(_, name)| name);
        QueryError::UnknownView { view: name.chars().take(80).collect(), nearest }
    })
}

/// Answers a question to the view called `view`.
///
/// # Errors
/// `QueryError`.
pub fn answer(rows: &Rows<'_>, view: &str, query: &Query) -> Result<Page, QueryError> {
    let Answer { items, next } = (find_view(view)?.answer)(rows, query)?;
    Ok(Page { items, next, position: positions(rows.shards()), incomplete: rows.incomplete() })
}

/// What shards stand on: the last record of every slice that has one.
pub fn positions<'a>(shards: impl Iterator<Item = &'a Shard>) -> Vec<Position> {
    let last = |(slice, head): &(SliceId, ChainHead)| head.next_pseq.checked_sub(1).map(|pseq| Position { slice: *slice, pseq });
    let mut positions: Vec<_> = shards.flat_map(|shard| &shard.heads).filter_map(last).collect();
    positions.sort_unstable();
    positions
}

/// Every view there is.
#[rustfmt::skip]
pub const VIEWS: &[ViewSpec] = &[
    partners::VIEW,
    deals::VIEW,
    pipeline::VIEW,
    attribution::VIEW,
    tiers::VIEW,
    ropi::VIEW,
    mdf::VIEW,
    conflicts::VIEW,
];
