//! What more decisions made than are told one by one: what each stream added, and some of the decisions.
//!
//! What a stream added is read from the rows that it made, beside those of the partners that they name, and not from the decisions
//! that made the figure. The parts are told of the fields only in which they add up to what all rows say.

use std::collections::BTreeMap;

use hashbrown::HashMap;
use pledger_domain::stream::{StreamKind, StreamName};
use pledger_ledger::{
    log::Log,
    slices::{SliceId, Slices},
};
use serde_json::Value;

use super::{
    ExplainError, ExplainedItem, Explanation, Figure, Items, clauses, explained, fields, held, is_unknown,
    items::by_label,
    paged::{Listed, page},
    parts::{Parts, Summed, Sums},
    relevant,
    rows_of::RowsOf,
};
use crate::{
    query::{FieldSpec, Incomplete, Item, Query, Rows},
    shard::Shard,
};

/// What an answer holds at most.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// Decisions that are told one by one.
    pub(super) decisions: usize,
    /// Streams that are told one by one: those that add most.
    pub(super) streams: usize,
}

/// Decisions lie all over the ledger: to read these takes about as long as the rest.
pub(super) const BOUNDS: Bounds = Bounds { decisions: 250, streams: 1_000 };

/// The most partners whose own streams are told one by one.
const TOLD_PARTNERS: usize = 50;
/// How many partners, and sets of them, rows are kept of to tell streams beside.
const KEPT_BESIDE: usize = 1_000;

/// A figure that any number of decisions made, as rows have it, with the rows that its streams made.
pub struct ManyMade {
    figure: Figure,
    fields: Vec<FieldSpec>,
    /// In the order in which their decisions are told: slice by slice, partners' last, of which hardly any changes a figure.
    streams: Vec<StreamName>,
    /// What the streams made.
    made: RowsOf,
    items: Items,
    months: BTreeMap<String, Items>,
    told: Vec<ExplainedItem>,
    /// The rules that govern at the time that is asked about.
    in_force: Option<u32>,
    /// Its streams of which a record cannot be read.
    incomplete: Vec<Incomplete>,
    bounds: Bounds,
}

impl ManyMade {
    /// Reads the rows of a figure's streams, for which the same rows were asked.
    ///
    /// # Errors
    /// `ExplainError`.
    pub fn read(rows: &Rows<'_>, slices: Slices, figure: Figure) -> Result<Self, ExplainError> {
        Self::within(rows, slices, figure, BOUNDS)
    }

    pub(super) fn within(rows: &Rows<'_>, slices: Slices, figure: Figure, bounds: Bounds) -> Result<Self, ExplainError> {
        let fields = fields(&figure)?;
        let known = figure.known.as_ref().ok_or(ExplainError::Unknown)?;
        let items = by_label(known.items.clone(), figure.view);
        let mut streams: Vec<StreamName> = known.streams.iter().cloned().collect();
        streams.sort_by_key(|stream| place(stream, slices));
        let months = by_month(rows, &figure);
        let in_force = rows.rules_version().or_else(|| in_force(rows, &figure.query));
        let held = held::held(&figure, &fields, rows, None);
        let told = explained(items.clone(), &figure, &fields, held);
        let made = RowsOf::pick(rows, figure.view, &streams, slices);
        let incomplete =
            rows.incomplete().into_iter().filter(|one| known.streams.iter().any(|stream| stream.as_str() == one.stream)).collect();
        Ok(Self { fields, streams, made, items, months, told, in_force, incomplete, bounds, figure })
    }

    /// Tells it, with decisions one by one as far as there is room, those after the cursor `after` where that is given: stream by
    /// stream, each with what it changed of its stream's part of the figure.
    ///
    /// # Errors
    /// `ExplainError`; of these `QueryError::InvalidCursor` where `after` is none that was given for this figure.
    pub fn told(self, log: &dyn Log, after: Option<&str>) -> Result<Explanation, ExplainError> {
        if let (true, Some(known)) = (self.items.is_empty(), &self.figure.known)
            && is_unknown(log, known, self.figure.moment)?
        {
            return Err(ExplainError::Unknown);
        }
        let parts = self.parts();
        let Self { figure, fields, streams, made, items, months, told, in_force, incomplete, bounds } = self;
        let counts = relevant::counts(log, &streams, figure.moment)?;
        let page = page(log, &Listed { figure: &figure, fields: &fields, streams: &streams, made: &made }, after, bounds.decisions)?;
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
            clauses: versions.flat_map(|rules| clauses(rules, &fields, in_force)).collect(),
            decisions: page.decisions,
            looked_at: page.looked_at,
            of: counts.map(|counts| counts.iter().sum()),
            next: page.next,
            incomplete,
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
        let others = first_partner(streams);
        let partners: Vec<usize> = (others..streams.len()).collect();
        let mut before = parts.sums(&answer(vec![&made.partners(&[])]));
        if partners.len() <= TOLD_PARTNERS {
            for told in 1..=partners.len() {
                let sums = parts.sums(&answer(vec![&made.partners(&partners[..told])]));
                parts.add(partners[told - 1], &before, &sums);
                before = sums;
            }
        } else {
            parts.add_to_others(&partners, &before, &parts.sums(&answer(vec![&made.partners(&partners)])));
        }
        // Most streams name the same few partners as others.
        let mut beside: HashMap<Vec<usize>, (Shard, Sums)> = HashMap::new();
        for stream in 0..others {
            if made.is_empty(stream) {
                parts.add_to_others(&[stream], &Sums::default(), &Sums::default());
                continue;
            }
            let rows = made.only(stream);
            let (partners, before) = beside.entry(made.named_by(&rows)).or_insert_with_key(|named| {
                let partners = made.partners(named);
                let sums = parts.sums(&answer(vec![&partners]));
                (partners, sums)
            });
            let with = parts.sums(&answer(vec![&*partners, &rows]));
            parts.add(stream, before, &with);
            if beside.len() > KEPT_BESIDE {
                beside.clear();
            }
        }
        parts
    }
}

/// What orders streams, as their decisions are told.
pub(super) fn place(stream: &StreamName, slices: Slices) -> (bool, SliceId, StreamName) {
    (stream.kind() == StreamKind::Partner, slices.of(stream), stream.clone())
}

/// Where partners' streams begin, which are the last ones.
fn first_partner(streams: &[StreamName]) -> usize {
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
