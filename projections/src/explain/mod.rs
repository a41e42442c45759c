//! Why a figure is what it is: the decisions that made it, one by one, and the arithmetic.
//!
//! The decisions of every stream that names what is asked about are folded again, in the order in which they were recorded,
//! and the figures are read after each. What a decision changed is what it contributed: nothing is told that was not
//! computed by the very folds that made the figure. Of more decisions than that can be done with, what each stream added is read from the
//! rows that it made, and decisions are told in pages.

mod answer;
mod asked;
mod behind;
mod formula;
mod from_rows;
mod held;
mod items;
mod many;
mod metric;
mod nearest;
mod paged;
mod parts;
mod reckoned;
mod relevant;
mod rows_of;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use pledger_domain::{program::Program, rules::RuleSet, stream::StreamName};
use pledger_ledger::{
    log::{Log, LogError},
    outline::Outline,
    record::{Outcome, Record},
    slices::Position,
};

pub use answer::{
    Addend, CertificationTerm, Change, Clause, Contribution, ExplainedFigure, ExplainedItem, Explanation, Group, Groups, Held,
    HeldThreshold, HeldTier, LogoTerm, Reckoned, RevenueTerm,
};
pub use asked::{figure, figure_of_rows};
pub use formula::operands;
use held::{HeldWith, Noted};
use items::{by_label, changes, figures_of, is_told_as, value};
pub use many::ManyMade;
pub use metric::{UnknownMetric, find_metric};
pub use nearest::{UnknownKey, may_be_near, unknown_key, unknown_value};
use reckoned::reckon;
pub use relevant::About;
use relevant::{Relevant, are_too_many};

use crate::{
    engine::{Moment, Supposed, stream_of},
    query::{FieldSpec, Item, Query, QueryError, Rows, ViewSpec},
    shard::{At, Shard},
    symbol::Symbol,
};

/// The most decisions that are told one by one in one answer: the figures are read after each of them.
pub const MAX_DECISIONS: usize = 1_000;

/// Costs that are no partner's.
const COSTS_OF_ALL: &str = "cost/program";
/// What the keys of imported deals without an account begin with.
const NO_ACCOUNT: &str = "none:";
/// What is told of a command that cannot be read: what came of it was.
const UNREADABLE: &str = "(unreadable)";
/// Fields that say where a row stands and not what it says.
const STANDS: [&str; 3] = ["position", "rules", "incomplete_since"];

/// What is to be explained.
#[derive(Clone)]
pub struct Figure {
    /// The view.
    pub view: &'static ViewSpec,
    /// The question whose items are explained, with the instant that it is asked about.
    pub query: Query,
    /// Only this field, and those that it is computed from; all where absent.
    pub field: Option<String>,
    /// What of the ledger counts.
    pub moment: Moment,
    /// Which decisions may have made it.
    pub about: About,
    /// What rows know of that, if somebody asked them.
    pub known: Option<Known>,
    /// The version of the rules that the rows are folded under, where that is not the one that each decision names.
    pub rules_version: Option<u32>,
}

/// The streams that rows say a figure stands on, and the figure as they have it: where those streams alone give another one,
/// the ledger is searched after all.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The streams.
    pub streams: BTreeSet<StreamName>,
    /// The items.
    pub items: Vec<Item>,
}

/// Why there is no explanation.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// The ledger cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The question has no answer.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The view has no such figure.
    #[error("{view} has no figure {field:?}{}", .nearest.map(|near| format!("; did you mean {near}?")).unwrap_or_default())]
    UnknownField {
        /// The view.
        view: &'static str,
        /// What was asked for.
        field: String,
        /// The nearest one there is.
        nearest: Option<&'static str>,
    },
    /// No decision is about it, and it has no figures.
    #[error("nothing is known of it: it has no figures, and no decision is about it")]
    Unknown,
    /// More made it than is told one by one.
    #[error("more than {MAX_DECISIONS} decisions may have made it")]
    TooMany,
}

/// Explains, decision by decision: from the streams that rows know, and from those that a search finds where these alone give another
/// figure.
///
/// # Errors
/// `ExplainError`; `TooMany` where `ManyMade` has to.
pub fn explain(log: &dyn Log, figure: &Figure) -> Result<Explanation, ExplainError> {
    let fields = fields(figure)?;
    let tell = |streams: BTreeSet<StreamName>| told(figure, &fields, relevant::read_streams(log, streams, figure.moment)?);
    if let Some(known) = &figure.known {
        // A search finds no fewer.
        if are_too_many(log, &known.streams, figure.moment)? {
            return Err(ExplainError::TooMany);
        }
        if known.items.is_empty() && is_unknown(log, known, figure.moment)? {
            return Err(ExplainError::Unknown);
        }
        // What has no items has nothing that could be compared.
        if !known.items.is_empty() {
            match tell(known.streams.clone()) {
                Ok(told) if is_told_as(&told.items, &figures_of(by_label(known.items.clone(), figure.view), figure.view, &fields)) => {
                    return Ok(told);
                }
                Err(ExplainError::TooMany) => return Err(ExplainError::TooMany),
                Ok(_) | Err(_) => {}
            }
        }
    }
    let streams = relevant::streams(log, &figure.about)?;
    if are_too_many(log, &streams, figure.moment)? {
        return Err(ExplainError::TooMany);
    }
    let explanation = tell(streams)?;
    let is_known = explanation.looked_at > 0 || !explanation.items.is_empty();
    is_known.then_some(explanation).ok_or(ExplainError::Unknown)
}

/// Whether nothing is known of what has no figures: rows know where something without any is named; costs of the program name no one.
fn is_unknown(log: &dyn Log, known: &Known, moment: Moment) -> Result<bool, ExplainError> {
    let own = known.streams.iter().filter(|stream| stream.as_str() != COSTS_OF_ALL).cloned().collect();
    Ok(relevant::read_streams(log, own, moment)?.records.is_empty())
}

/// Folds what may have made it, decision by decision.
fn told(figure: &Figure, fields: &[FieldSpec], read: relevant::Read) -> Result<Explanation, ExplainError> {
    let relevant::Read { program, publications, mut records } = read;
    if records.len() > MAX_DECISIONS {
        return Err(ExplainError::TooMany);
    }
    records.sort_by_key(|record| (record.recorded_at, record.record.position()));
    let mut telling = Telling::of(figure, fields, &program);
    // Every version is known from the start: each says itself from when it governs.
    for record in &publications {
        telling.fold(record);
    }
    let mut changed = BTreeMap::new();
    for Relevant { record, .. } in &records {
        changed.extend(telling.take(record).map(|changes| (record.position(), changes)));
    }
    // What has no answer at the end says why: an unknown key, an ambiguous one.
    telling.answer()?;
    for (position, brought) in behind::brought(&telling, &records) {
        changed.entry(position).or_default().splice(0..0, brought);
    }
    let mut decisions = Vec::new();
    for Relevant { record, .. } in &records {
        let Some(changes) = changed.remove(&record.position()) else { continue };
        decisions.extend(outline(record).map(|outline| telling.contribution(&outline, record.position(), changes)));
    }
    // Which rules govern at the time that is asked about.
    let in_force = || figure.query.at.and_then(|at| program.in_force_at(at)).map(|rules| rules.version);
    let in_force = figure.rules_version.or_else(in_force);
    let mut versions: Vec<u32> = decisions.iter().map(|decision| decision.rules).chain(in_force).collect();
    versions.sort_unstable();
    versions.dedup();
    let rules = versions.iter().filter_map(|version| program.version(*version));
    let clauses = rules.flat_map(|rules| clauses(rules, fields, in_force)).collect();
    let (view, at, looked_at) = (figure.view.name, figure.query.at, records.len());
    let held = held::held(figure, fields, &telling.rows(), Some(&telling.noted));
    let items = explained(telling.last.clone(), figure, fields, held);
    let incomplete = telling.rows().incomplete();
    Ok(Explanation { view, at, items, groups: None, decisions, looked_at, of: None, next: None, clauses, incomplete })
}

/// The items, told. A partner that is held against the tiers comes with the operands of its formulas.
fn explained(items: Items, figure: &Figure, fields: &[FieldSpec], held: Option<HeldWith>) -> Vec<ExplainedItem> {
    let Some(HeldWith { held, operands }) = held else { return figures_of(items, figure.view, fields) };
    let mut items = items;
    items.values_mut().for_each(|item| item.0.extend(operands.iter().cloned()));
    let mut told = figures_of(items, figure.view, fields);
    // A tier figure is asked for by its partner: there is one item.
    told.iter_mut().take(1).for_each(|item| item.held = Some(Box::new(held.clone())));
    told
}

/// The fields that are told: the one asked for with what it is computed from, or all.
fn fields(figure: &Figure) -> Result<Vec<FieldSpec>, ExplainError> {
    let all = || figure.view.fields.iter().filter(|field| !STANDS.contains(&field.name));
    let Some(asked) = &figure.field else { return Ok(all().copied().collect()) };
    if !all().any(|field| field.name == asked) {
        let near = |field: &FieldSpec| (strsim::jaro_winkler(field.name, &asked.to_lowercase()), field.name);
        let nearest = all().map(near).max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(score, _)| *score > 0.75);
        let nearest = nearest.map(|(_, name)| name);
        return Err(ExplainError::UnknownField { view: figure.view.name, field: asked.clone(), nearest });
    }
    let mut wanted = vec![asked.as_str()];
    let mut next = 0;
    while let Some(name) = wanted.get(next).copied() {
        let formula = all().find(|field| field.name == name).and_then(|field| field.formula);
        for operand in formula.map(operands).unwrap_or_default() {
            if !wanted.contains(&operand) {
                wanted.push(operand);
            }
        }
        next += 1;
    }
    Ok(wanted.iter().filter_map(|name| all().find(|field| field.name == *name).copied()).collect())
}

/// Items by what tells them apart.
type Items = BTreeMap<String, Item>;

/// Folds decisions one by one and sees what each changes.
struct Telling<'f> {
    figure: &'f Figure,
    fields: &'f [FieldSpec],
    program: &'f Program,
    /// What governs in place of the rules that decisions name.
    supposed: Option<Supposed>,
    shard: Shard,
    last: Items,
    /// What tier figures are made of.
    noted: Noted,
}

impl<'f> Telling<'f> {
    fn of(figure: &'f Figure, fields: &'f [FieldSpec], program: &'f Program) -> Self {
        let supposed = figure.rules_version.and_then(|version| program.version(version));
        let supposed = supposed.map(|rules| Supposed { rules: Arc::clone(rules), from: None, paid: Vec::new() });
        Self { figure, fields, program, supposed, shard: Shard::default(), last: Items::new(), noted: Noted::default() }
    }

    /// Takes in a decision; what it changed, if anything.
    fn take(&mut self, record: &Record) -> Option<Vec<Change>> {
        if !self.fold(record) {
            return None;
        }
        let items = self.answer().unwrap_or_default();
        let before = std::mem::replace(&mut self.last, items);
        self.changes_since(&before)
    }

    /// What changed of the figures, if anything.
    fn changes_since(&self, before: &Items) -> Option<Vec<Change>> {
        let changes = changes(before, &self.last, self.fields, self.figure.view);
        (!changes.is_empty()).then_some(changes)
    }

    /// Takes in a record; whether it is a decision that can be read.
    fn fold(&mut self, record: &Record) -> bool {
        match Outline::decode(&record.body) {
            Ok(Some(outline)) => self.fold_outline(&outline, record.position()),
            Ok(None) => return false,
            Err(error) => {
                self.park(record, &error.to_string());
                return false;
            }
        }
        true
    }

    /// Folds nothing more of a record's stream, as the read models do.
    fn park(&mut self, record: &Record, reason: &str) {
        let stream = stream_of(&record.body);
        let key = Symbol::of(stream.as_ref().map_or("", StreamName::key));
        self.shard.parked.park(stream.as_ref().map(StreamName::as_str), &At { key, ..At::left_out(record.position()) }, reason);
    }

    fn fold_outline(&mut self, outline: &Outline<'_>, position: Position) {
        if self.figure.view.name == "tiers" && self.shard.parked.row(outline.stream.as_str()).is_none() {
            self.noted.take(outline, position);
        }
        let rules = self.supposed.as_ref().map(|supposed| &supposed.rules).or_else(|| self.program.version(outline.rules));
        self.shard.fold(outline, &At::of(outline, position, rules));
        // Figures are read right away: what came late has to be in them.
        self.shard.settle(usize::MAX);
    }

    /// A decision, told with what it changed.
    fn contribution(&self, outline: &Outline<'_>, position: Position, mut changes: Vec<Change>) -> Contribution {
        let refused = match &outline.outcome {
            Outcome::Rejected(rejection) => Some(rejection.code()),
            Outcome::Accepted(_) => None,
        };
        if let Some(rules) = self.program.version(outline.rules) {
            reckon(&mut changes, self.fields, outline, &rules.rules);
        }
        Contribution {
            position,
            stream: outline.stream.to_string(),
            command: outline.command().map_or_else(|| UNREADABLE.to_owned(), |command| command.name.into_owned()),
            refused,
            rules: outline.rules,
            recorded_at: outline.recorded_at,
            effective_at: outline.effective_at,
            changes,
        }
    }

    /// The items as they stand now.
    fn answer(&self) -> Result<Items, QueryError> {
        let answer = (self.figure.view.answer)(&self.rows(), &self.figure.query)?;
        Ok(by_label(answer.items, self.figure.view))
    }

    fn rows(&self) -> Rows<'_> {
        Rows::new(vec![Box::new(&self.shard) as Box<_>]).supposing(self.supposed.as_ref()).true_by(self.figure.moment.as_of)
    }
}

/// The decision, where it can be read.
fn outline(record: &Record) -> Option<Outline<'_>> {
    Outline::decode(&record.body).ok().flatten()
}

/// What a version of the rules says about these fields.
fn clauses(rules: &Arc<RuleSet>, fields: &[FieldSpec], in_force: Option<u32>) -> Vec<Clause> {
    let whole = serde_json::to_value(&rules.rules).unwrap_or_default();
    let in_force = in_force == Some(rules.version);
    // Where the version in force is asked, what decisions name has no part in it.
    let of_it = fields.iter().filter(|field| in_force || !field.is_standing);
    let mut names: Vec<&'static str> = of_it.flat_map(|field| field.clauses).copied().collect();
    names.sort_unstable();
    names.dedup();
    let found = |name: &&'static str| name.split('.').try_fold(&whole, |value, part| value.get(part)).cloned();
    names.iter().filter_map(|name| Some(Clause { rules: rules.version, clause: name, value: found(name)?, in_force })).collect()
}

#[cfg(test)]
mod by_hand;
#[cfg(test)]
mod held_tests;
#[cfg(test)]
mod many_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod watched;
