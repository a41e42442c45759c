//! Decisions of many streams, told one by one, page by page.

use std::ops::ControlFlow;

use pledger_domain::{
    program::Program,
    stream::{StreamKind, StreamName},
};
use pledger_ledger::{log::Log, record::Record, slices::Position};

use super::{
    Contribution, ExplainError, Figure, Telling, behind, contribution,
    many::{Bounds, first_partner},
    outline,
    relevant::{self, Relevant},
};
use crate::query::{FieldSpec, QueryError};

/// How many streams are read at once, of those that are found by their names.
const READ_STREAMS: usize = 32;

/// Some of the decisions.
pub(super) struct Page {
    pub(super) decisions: Vec<Contribution>,
    /// How many were looked at.
    pub(super) looked_at: usize,
    /// The cursor of the page after, where there are more.
    pub(super) next: Option<String>,
    /// The rules as they were published.
    pub(super) program: Program,
}

/// The decisions of streams in this order, partners' last: those after the cursor `after`, each with what it changed of its stream's
/// part of the figure.
pub(super) fn page(
    log: &dyn Log,
    figure: &Figure,
    fields: &[FieldSpec],
    streams: &[StreamName],
    after: Option<&str>,
    bounds: Bounds,
) -> Result<Page, ExplainError> {
    let (program, publications) = relevant::program(log, figure.moment)?;
    let after = after.map(|cursor| read_after(figure, cursor)).transpose()?;
    let first = match &after {
        Some((stream, _)) => streams.iter().position(|one| one == stream).ok_or_else(|| invalid(figure))?,
        None => 0,
    };
    let begin_anew = || Telling::of(figure, fields, &program);
    let mut list = List {
        bounds,
        begin_anew: &begin_anew,
        publications: &publications,
        near: begin_anew(),
        near_decisions: 0,
        is_seen: false,
        reads_beside: false,
        beside: Vec::new(),
        stream: None,
        after,
        decisions: Vec::new(),
        at_hand: Vec::new(),
        looked_at: 0,
        work: 0,
        last: None,
        next: None,
    };
    let (others, partners) = streams.split_at(first_partner(streams));
    list.begin()?;
    let others = others.get(first..).unwrap_or_default();
    let is_full = !others.is_empty() && list.tell_beside(partners, others, log, figure)?.is_break();
    if !is_full {
        let _ = read(log, figure, partners, &mut list)?;
        list.end_stream()?;
    }
    if list.after.is_some() {
        return Err(invalid(figure));
    }
    let List { decisions, looked_at, next, .. } = list;
    Ok(Page { decisions, looked_at, next, program })
}

fn invalid(figure: &Figure) -> ExplainError {
    QueryError::InvalidCursor { view: figure.view.name }.into()
}

/// The stream that a page ended in, and the last decision on it: `account/acme.com@3:1207`.
fn read_after(figure: &Figure, cursor: &str) -> Result<(StreamName, Position), ExplainError> {
    let parts = cursor.rsplit_once('@').and_then(|(stream, position)| StreamName::parse(stream).ok().zip(position.parse().ok()));
    parts.ok_or_else(|| invalid(figure))
}

/// Reads streams for as long as more is wanted.
fn read<'f, F: Fn() -> Telling<'f>>(
    log: &dyn Log,
    figure: &Figure,
    streams: &[StreamName],
    list: &mut List<'f, F>,
) -> Result<ControlFlow<()>, ExplainError> {
    for slice in streams.chunk_by(|one, other| log.slices().of(one) == log.slices().of(other)) {
        // Where only the chain tells which decisions are valid, a slice is read whole anyway.
        let at_once = if log.may_hold_void() { slice.len() } else { READ_STREAMS };
        for some in slice.chunks(at_once) {
            let some = some.iter().cloned().collect();
            let read = relevant::each_page(log, &some, figure.moment, relevant::READ, &mut |stream, page| {
                for relevant in page {
                    if list.take(stream, relevant)?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                Ok(ControlFlow::Continue(()))
            })?;
            if read.is_break() {
                return Ok(read);
            }
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// Takes decisions in, stream by stream.
struct List<'f, F: Fn() -> Telling<'f>> {
    bounds: Bounds,
    begin_anew: &'f F,
    publications: &'f [Record],
    /// Those of the stream, beside a few others.
    near: Telling<'f>,
    near_decisions: usize,
    /// Whether the figures were read since something was folded.
    is_seen: bool,
    /// Whether partners' decisions are read to tell others beside them.
    reads_beside: bool,
    /// These decisions.
    beside: Vec<Record>,
    /// The stream at hand.
    stream: Option<StreamName>,
    /// Where the page before ended.
    after: Option<(StreamName, Position)>,
    decisions: Vec<Contribution>,
    /// Those of the stream at hand, what changed nothing too: a win may come to rest on it.
    at_hand: Vec<Contribution>,
    looked_at: usize,
    work: usize,
    /// The last one that was told.
    last: Option<(StreamName, Position)>,
    next: Option<String>,
}

impl<'f, F: Fn() -> Telling<'f>> List<'f, F> {
    /// Tells others' streams beside partners', and begins anew.
    fn tell_beside(
        &mut self,
        partners: &[StreamName],
        others: &[StreamName],
        log: &dyn Log,
        figure: &Figure,
    ) -> Result<ControlFlow<()>, ExplainError> {
        self.reads_beside = true;
        let _ = read(log, figure, partners, self)?;
        self.end_stream()?;
        (self.reads_beside, self.near_decisions) = (false, 0);
        let told = read(log, figure, others, self)?;
        self.end_stream()?;
        self.beside.clear();
        self.begin()?;
        Ok(told)
    }

    fn take(&mut self, stream: &StreamName, relevant: Relevant) -> Result<ControlFlow<()>, ExplainError> {
        if self.stream.as_ref() != Some(stream) {
            self.end_stream()?;
            if self.is_full() {
                self.goes_on();
                return Ok(ControlFlow::Break(()));
            }
            self.stream = Some(stream.clone());
        }
        let record = relevant.record;
        let Some(outline) = outline(&record)? else { return Ok(ControlFlow::Continue(())) };
        let position = record.position();
        if self.tells(stream, position) {
            self.look();
            let before = std::mem::take(&mut self.near.last);
            self.near.fold_outline(&outline, position);
            self.is_seen = false;
            self.look();
            let changes = self.near.changes_since(&before).unwrap_or_default();
            self.at_hand.push(contribution(&outline, position, changes));
            self.looked_at += 1;
            self.work += self.near_decisions + self.beside.len() + 1;
            self.last = Some((stream.clone(), position));
        } else {
            self.near.fold_outline(&outline, position);
            self.is_seen = false;
        }
        self.near_decisions += 1;
        if self.reads_beside {
            self.beside.push(record);
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Whether the decision is one of this page.
    fn tells(&mut self, stream: &StreamName, position: Position) -> bool {
        if self.reads_beside {
            return false;
        }
        if let Some((of, last)) = &self.after {
            if (of, *last) == (stream, position) {
                self.after = None;
            }
            return false;
        }
        // A stream is folded to its end: what a win rests on is known then.
        if self.is_full() {
            self.goes_on();
        }
        !self.is_full()
    }

    fn is_full(&self) -> bool {
        self.looked_at >= self.bounds.decisions || (self.work > self.bounds.work && self.last.is_some())
    }

    fn goes_on(&mut self) {
        let after = || self.last.as_ref().map(|(stream, position)| format!("{stream}@{position}"));
        self.next = self.next.take().or_else(after);
    }

    fn look(&mut self) {
        if !std::mem::replace(&mut self.is_seen, true) {
            self.near.last = self.near.answer().unwrap_or_default();
        }
    }

    fn end_stream(&mut self) -> Result<(), ExplainError> {
        let Some(stream) = self.stream.take() else { return Ok(()) };
        if !self.at_hand.is_empty() {
            let mut brought = behind::brought_in(&self.near, &stream);
            for mut one in self.at_hand.drain(..) {
                one.changes.splice(0..0, brought.remove(&one.position).unwrap_or_default());
                if !one.changes.is_empty() {
                    self.decisions.push(one);
                }
            }
        }
        // The more there is to begin with, the rarer is it begun with.
        if stream.kind() != StreamKind::Partner && self.near_decisions >= self.bounds.fresh.max(self.beside.len()) {
            self.begin()?;
        }
        Ok(())
    }

    /// Begins with what streams are told beside.
    fn begin(&mut self) -> Result<(), ExplainError> {
        self.near = (self.begin_anew)();
        self.publications.iter().chain(&self.beside).try_for_each(|record| self.near.fold(record).map(drop))?;
        (self.near_decisions, self.is_seen) = (0, false);
        Ok(())
    }
}
