//! What more decisions made than are told one by one: what each stream added, and some of the decisions.
//!
//! What a stream added is read from the rows that it made, beside those of the partners whose figures they are: so much of a ledger
//! need not be read as made the figure. The parts are told of the fields only in which they add up to what all rows say.

use std::collections::BTreeMap;

use pledger_domain::stream::{StreamKind, StreamName};
use pledger_ledger::{log::Log, slices::Slices};
use serde_json::Value;

use super::{
    ExplainError, ExplainedItem, Explanation, Figure, Items, MAX_DECISIONS, clauses, explained, fields, held,
    items::by_label,
    paged::page,
    parts::{Parts, Summed},
    rows_of::RowsOf,
};
use crate::{
    query::{FieldSpec, Item, Query, Rows},
    shard::Shard,
};

/// What an answer holds at most.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// Decisions that are told one by one.
    pub(super) decisions: usize,
    /// Streams that are told one by one: those that add most.
    pub(super) streams: usize,
    /// Decisions after whose streams rows are begun anew, if they are as many as every stream is told beside.
    pub(super) fresh: usize,
    /// Rows that are looked through to tell decisions one by one.
    pub(super) work: usize,
}

/// As much work as to tell the most decisions that are told without parts, and fewer of them: they lie all over the ledger.
pub(super) const BOUNDS: Bounds = Bounds { decisions: 250, streams: 1_000, fresh: 1, work: MAX_DECISIONS * MAX_DECISIONS / 2 };

/// A figure that any number of decisions made, as rows have it, with the rows that its streams made.
pub struct ManyMade {
    figure: Figure,
    fields: Vec<FieldSpec>,
    /// In the order in which their decisions are told: slice by slice, partners' last, of which hardly any changes a figure.
    streams: Vec<StreamName>,
    /// How many decisions each has, where the log knows without reading them.
    counts: Option<Vec<usize>>,
    /// What the streams made.
    made: RowsOf,
    items: Items,
    months: BTreeMap<String, Items>,
    told: Vec<ExplainedItem>,
    /// The rules that govern at the time that is asked about.
    in_force: Option<u32>,
    bounds: Bounds,
}

impl ManyMade {
    /// Reads the rows of a figure's streams, for which the same rows were asked. `counts` is what `counts_of` says of it.
    ///
    /// # Errors
    /// `ExplainError`.
    pub fn read(rows: &Rows<'_>, slices: Slices, figure: Figure, counts: Option<Vec<usize>>) -> Result<Self, ExplainError> {
        Self::within(rows, slices, figure, counts, BOUNDS)
    }

    pub(super) fn within(
        rows: &Rows<'_>,
        slices: Slices,
        figure: Figure,
        counts: Option<Vec<usize>>,
        bounds: Bounds,
    ) -> Result<Self, ExplainError> {
        let fields = fields(&figure)?;
        let known = figure.known.as_ref().ok_or(ExplainError::Unknown)?;
        let items = by_label(known.items.clone(), figure.view);
        // They are in the order of their names.
        let mut order: Vec<(usize, &StreamName)> = known.streams.iter().enumerate().collect();
        order.sort_by_key(|(_, stream)| (stream.kind() == StreamKind::Partner, slices.of(stream)));
        let counts = counts.map(|counts| order.iter().map(|(at, _)| counts[*at]).collect());
        let streams: Vec<StreamName> = order.into_iter().map(|(_, stream)| stream.clone()).collect();
        let months = by_month(rows, &figure);
        let in_force = in_force(rows, &figure.query);
        let held = held::held(&figure, &fields, rows, None);
        let told = explained(items.clone(), &figure, &fields, held);
        let made = RowsOf::pick(rows, figure.view, &streams, slices);
        Ok(Self { fields, streams, counts, made, items, months, told, in_force, bounds, figure })
    }

    /// Tells it, with decisions one by one as far as there is room, those after the cursor `after` where that is given: stream by
    /// stream, each with what it changed of its stream's part of the figure.
    ///
    /// # Errors
    /// `ExplainError`; of these `QueryError::InvalidCursor` where `after` is none that was given for this figure.
    pub fn told(self, log: &dyn Log, after: Option<&str>) -> Result<Explanation, ExplainError> {
        let parts = self.parts();
        let Self { figure, fields, streams, counts, made, items, months, told, in_force, bounds } = self;
        let page = page(log, &figure, &fields, &streams, after, bounds)?;
        if items.is_empty() && page.looked_at == 0 && after.is_none() {
            return Err(ExplainError::Unknown);
        }
        let summed = Summed { view: figure.view, items: &items, months: &months };
        let groups = parts.groups((&streams, counts.as_deref()), &summed);
        let mut rules = made.versions();
        rules.extend(page.decisions.iter().map(|decision| decision.rules).chain(in_force));
        let versions = rules.iter().filter_map(|version| page.program.version(*version));
        Ok(Explanation {
            view: figure.view.name,
            at: figure.query.at,
            items: told,
            groups: Some(groups),
            clauses: versions.flat_map(|rules| clauses(rules, &fields)).collect(),
            decisions: page.decisions,
            looked_at: page.looked_at,
            of: counts.map(|counts| counts.iter().sum()),
            next: page.next,
        })
    }

    /// What each stream added.
    fn parts(&self) -> Parts {
        let Self { figure, fields, streams, made, bounds, .. } = self;
        let mut parts = Parts::of(fields, bounds.streams);
        let answer = |shards: Vec<&Shard>| {
            let shards = shards.into_iter().map(|shard| Box::new(shard) as Box<_>).collect();
            let rows = Rows::new(shards).true_by(figure.moment.as_of);
            // What has no answer yet has no figures.
            (figure.view.answer)(&rows, &figure.query).map(|answer| by_label(answer.items, figure.view)).unwrap_or_default()
        };
        // A partner's region and roles decide where other streams count, so that these are read beside it.
        let others = first_partner(streams);
        let mut beside = parts.sums(&answer(vec![&made.partners(others..others)]));
        for stream in others..streams.len() {
            let sums = parts.sums(&answer(vec![&made.partners(others..stream + 1)]));
            parts.add(stream, &beside, &sums);
            beside = sums;
        }
        let partners = made.partners(others..streams.len());
        for stream in 0..others {
            let with = if made.is_empty(stream) { beside.clone() } else { parts.sums(&answer(vec![&partners, &made.only(stream)])) };
            parts.add(stream, &beside, &with);
        }
        parts
    }
}

/// Where partners' streams begin, which are the last ones.
pub(super) fn first_partner(streams: &[StreamName]) -> usize {
    streams.partition_point(|stream| stream.kind() != StreamKind::Partner)
}

fn in_force(rows: &Rows<'_>, query: &Query) -> Option<u32> {
    query.at.and_then(|at| rows.program().in_force_at(at).map(|rules| rules.version))
}

/// The figure by the months that it counts in, of a view that has months.
fn by_month(rows: &Rows<'_>, figure: &Figure) -> BTreeMap<String, Items> {
    const MONTH: &str = "month";
    let Figure { view, query, .. } = figure;
    if !view.by.iter().any(|dimension| dimension.name == MONTH) || query.by.iter().any(|by| by == MONTH) {
        return BTreeMap::new();
    }
    let by = query.by.iter().cloned().chain([MONTH.to_owned()]).collect();
    let Ok(answer) = (view.answer)(rows, &Query { by, ..query.clone() }) else { return BTreeMap::new() };
    let mut months: BTreeMap<String, Vec<Item>> = BTreeMap::new();
    for Item(mut fields) in answer.items {
        let month = fields.iter().position(|(name, _)| *name == MONTH).map(|at| fields.remove(at).1);
        if let Some(month) = month.as_ref().and_then(Value::as_str) {
            months.entry(month.to_owned()).or_default().push(Item(fields));
        }
    }
    months.into_iter().map(|(month, items)| (month, by_label(items, view))).collect()
}
