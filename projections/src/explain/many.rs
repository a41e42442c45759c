//! What more decisions made than are told one by one: what each stream and each month added, and some of the decisions.
//!
//! Streams are folded one after the other. What a stream adds is seen on rows of a few streams, beside the partner's own, so
//! that a figure of a million decisions costs a million times as much as one of a single decision, and not its square. All
//! of them are folded together once more: only where what the parts add up to is the figure, the parts are told.

use std::collections::BTreeSet;

use pledger_domain::stream::StreamName;
use pledger_ledger::{log::Log, outline::Outline, record::Record, slices::Position};

use super::{
    Contribution, ExplainError, Explanation, Figure, Groups, Items, Listed, MAX_DECISIONS, Telling, behind, clauses, contribution, fields,
    parts::{Parts, Sums},
    relevant::{self, Relevant},
    settled,
};
use crate::query::{FieldSpec, QueryError};

/// What an answer holds at most.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// Decisions that are told one by one.
    pub(super) decisions: usize,
    /// Streams that are told one by one: those that add most.
    pub(super) streams: usize,
    /// Decisions after whose streams rows are begun anew.
    pub(super) fresh: usize,
    /// Rows that are looked through to tell decisions one by one.
    pub(super) work: usize,
}

/// As much work as to tell the most decisions that are told without parts.
const BOUNDS: Bounds = Bounds { decisions: MAX_DECISIONS, streams: 1_000, fresh: 1_000, work: MAX_DECISIONS * MAX_DECISIONS / 2 };

/// Explains a figure that any number of decisions made: what every stream and every month added to it, and decisions one by
/// one as far as there is room, those after `after` where that is given.
///
/// Decisions come stream by stream, and what one changed is told of its stream's part of the figure.
///
/// # Errors
/// `ExplainError`; of these `QueryError::InvalidCursor` where `after` is none of the decisions.
pub fn explain_many(log: &dyn Log, figure: &Figure, after: Option<Position>) -> Result<Explanation, ExplainError> {
    within(log, figure, after, BOUNDS)
}

pub(super) fn within(log: &dyn Log, figure: &Figure, after: Option<Position>, bounds: Bounds) -> Result<Explanation, ExplainError> {
    let fields = fields(figure)?;
    settled(log, figure, &fields, |streams| told(log, figure, &fields, streams, after, bounds))
}

fn told(
    log: &dyn Log,
    figure: &Figure,
    fields: &[FieldSpec],
    streams: BTreeSet<StreamName>,
    after: Option<Position>,
    bounds: Bounds,
) -> Result<Explanation, ExplainError> {
    let (program, publications) = relevant::program(log, figure.moment)?;
    let telling = || Telling::of(figure, fields, &program);
    let streams = streams.into_iter().filter(|stream| *stream != StreamName::program());
    let (own, others): (BTreeSet<_>, BTreeSet<_>) = streams.partition(|stream| stream.as_str().starts_with(PARTNER));
    let mut summing = Summing {
        bounds,
        whole: telling(),
        near: telling(),
        begin_anew: &telling,
        publications: &publications,
        base: Vec::new(),
        stream: None,
        near_decisions: 0,
        is_seen: true,
        sums: Sums::default(),
        parts: Parts::of(fields, bounds.streams),
        list: List { after, seen: 0, listed: None, work: 0, decisions: Vec::new(), at_hand: Vec::new(), last: None, next: None },
        rules: BTreeSet::new(),
    };
    for record in &publications {
        summing.whole.fold(record)?;
        summing.near.fold(record)?;
    }
    relevant::each_page(log, &own, figure.moment, relevant::READ_MANY, &mut |stream, page| {
        page.iter().try_for_each(|relevant| summing.take(stream, relevant))?;
        summing.base.extend(page.into_iter().map(|relevant| relevant.record));
        Ok(())
    })?;
    relevant::each_page(log, &others, figure.moment, relevant::READ_MANY, &mut |stream, page| {
        page.iter().try_for_each(|relevant| summing.take(stream, relevant))
    })?;
    summing.end_stream()?;
    summing.answered()
}

/// Streams that others are told beside: a partner's region and roles decide where they count.
const PARTNER: &str = "partner/";

/// Takes decisions in, stream by stream.
struct Summing<'f, F: Fn() -> Telling<'f>> {
    bounds: Bounds,
    /// All of them.
    whole: Telling<'f>,
    /// Those of the stream, beside a few others.
    near: Telling<'f>,
    begin_anew: &'f F,
    publications: &'f [Record],
    /// What every stream is told beside.
    base: Vec<Record>,
    /// The stream at hand.
    stream: Option<StreamName>,
    near_decisions: usize,
    /// Whether nothing was folded into the near rows since they were last looked at.
    is_seen: bool,
    /// What the near rows came to when they were last looked at.
    sums: Sums,
    parts: Parts,
    list: List,
    rules: BTreeSet<u32>,
}

/// The decisions that are told one by one.
struct List {
    after: Option<Position>,
    /// How many decisions were looked at.
    seen: usize,
    listed: Option<Listed>,
    work: usize,
    decisions: Vec<Contribution>,
    /// Those of the stream at hand, what changed nothing too: a win may come to rest on it.
    at_hand: Vec<Contribution>,
    /// The last one that was listed.
    last: Option<Position>,
    /// Where to go on, where there are more.
    next: Option<Position>,
}

impl<'f, F: Fn() -> Telling<'f>> Summing<'f, F> {
    fn take(&mut self, stream: &StreamName, relevant: &Relevant) -> Result<(), ExplainError> {
        if self.stream.as_ref() != Some(stream) {
            self.end_stream()?;
            self.stream = Some(stream.clone());
        }
        let month = relevant.recorded_at.month();
        if self.parts.begins(month) {
            self.look();
        }
        self.parts.count(month);
        let Some(outline) = self.whole.fold(&relevant.record)? else { return Ok(()) };
        let position = relevant.record.position();
        let lists = self.list.takes(position, self.near_decisions + self.base.len(), self.bounds);
        if lists {
            self.look();
        }
        self.near.fold_outline(&outline, position);
        self.near_decisions += 1;
        self.is_seen = false;
        self.rules.insert(outline.rules);
        if lists {
            self.tell(&outline, position);
        }
        Ok(())
    }

    /// What the decision changed of its stream's part.
    fn tell(&mut self, outline: &Outline<'_>, position: Position) {
        let before = std::mem::take(&mut self.near.last);
        self.look();
        let changes = self.near.changes_since(&before).unwrap_or_default();
        self.list.at_hand.push(contribution(outline, position, changes));
    }

    /// Sees what was added since the last look.
    fn look(&mut self) {
        if std::mem::replace(&mut self.is_seen, true) {
            return;
        }
        let items = self.near.answer().unwrap_or_default();
        let sums = self.parts.sums(&items);
        self.parts.add(&self.sums, &sums);
        (self.sums, self.near.last) = (sums, items);
    }

    fn end_stream(&mut self) -> Result<(), ExplainError> {
        let Some(stream) = self.stream.take() else { return Ok(()) };
        self.look();
        self.parts.end(&stream);
        self.list.end(&stream, &self.near);
        // The more there is to begin with, the rarer is it begun with.
        if self.near_decisions >= self.bounds.fresh.max(self.base.len()) {
            self.near = (self.begin_anew)();
            for record in self.publications.iter().chain(&self.base) {
                self.near.fold(record)?;
            }
            self.near_decisions = 0;
            self.near.last = self.near.answer().unwrap_or_default();
            self.sums = self.parts.sums(&self.near.last);
        }
        Ok(())
    }

    fn answered(self) -> Result<Explanation, ExplainError> {
        let Self { whole, parts, list, mut rules, .. } = self;
        let (figure, fields) = (whole.figure, whole.fields);
        let List { after, seen, listed, decisions, next, .. } = list;
        if after.is_some() && listed.is_none() {
            return Err(QueryError::InvalidCursor { view: figure.view.name }.into());
        }
        // What has no answer says why.
        let items: Items = whole.answer()?;
        let sums = parts.sums(&items);
        rules.extend(figure.query.at.and_then(|at| whole.program.in_force_at(at)).map(|rules| rules.version));
        let versions = rules.iter().filter_map(|version| whole.program.version(*version));
        let clauses = versions.flat_map(|rules| clauses(rules, fields)).collect();
        let groups: Groups = parts.groups(&sums, &items, figure.view);
        let items = whole.explained(items);
        Ok(Explanation {
            view: figure.view.name,
            at: figure.query.at,
            items,
            groups: Some(groups),
            decisions,
            looked_at: seen,
            listed,
            next,
            clauses,
        })
    }
}

impl List {
    /// The stream was folded to its end.
    fn end(&mut self, stream: &StreamName, telling: &Telling<'_>) {
        if self.at_hand.is_empty() {
            return;
        }
        let mut brought = behind::brought_in(telling, stream);
        for mut one in self.at_hand.drain(..) {
            one.changes.splice(0..0, brought.remove(&one.position).unwrap_or_default());
            if !one.changes.is_empty() {
                self.decisions.push(one);
            }
        }
    }

    /// Whether the decision is one of those that are told, with so many beside it.
    fn takes(&mut self, position: Position, beside: usize, bounds: Bounds) -> bool {
        self.seen += 1;
        if let Some(after) = self.after
            && self.listed.is_none()
        {
            // It is the one before the first; where it is the last of all, there are none.
            if after == position {
                self.listed = Some(Listed { first: self.seen + 1, last: self.seen });
            }
            return false;
        }
        let listed = self.listed.get_or_insert(Listed { first: self.seen, last: self.seen - 1 });
        let is_full = listed.last + 1 - listed.first >= bounds.decisions || (self.work > bounds.work && self.last.is_some());
        if is_full || self.next.is_some() {
            self.next = self.next.or(self.last);
            return false;
        }
        listed.last = self.seen;
        self.work += beside + 1;
        self.last = Some(position);
        true
    }
}
