//! Decisions of many streams, told one by one, page by page.

use std::ops::ControlFlow;

use pledger_domain::{program::Program, stream::StreamName};
use pledger_ledger::{log::Log, slices::Position};

use super::{
    Contribution, ExplainError, Figure, Telling, behind,
    many::place,
    outline,
    relevant::{self, Relevant},
    rows_of::RowsOf,
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

/// What decisions are told of.
#[derive(Clone, Copy)]
pub(super) struct Listed<'l> {
    pub(super) figure: &'l Figure,
    pub(super) fields: &'l [FieldSpec],
    /// In the order in which they are told.
    pub(super) streams: &'l [StreamName],
    pub(super) made: &'l RowsOf,
}

/// At most so many decisions of streams, those after the cursor `after`, each with what it changed of its stream's part of the figure.
pub(super) fn page(log: &dyn Log, listed: &Listed<'_>, after: Option<&str>, most: usize) -> Result<Page, ExplainError> {
    let Listed { figure, streams, .. } = *listed;
    let (program, _) = relevant::program(log, figure.moment)?;
    let after = after.map(|cursor| read_after(cursor).ok_or_else(|| invalid(figure))).transpose()?;
    let first = after.as_ref().map_or(0, |(stream, _)| {
        let after = place(stream, log.slices());
        streams.partition_point(|stream| place(stream, log.slices()) < after)
    });
    // A stream may be no part of the figure any more since the page before: it goes on with the one behind it.
    let after = after.filter(|(stream, _)| streams.get(first) == Some(stream)).map(|(_, position)| position);
    let mut list = List {
        listed,
        most,
        program: &program,
        number: first,
        near: Telling::of(figure, listed.fields, &program),
        is_seen: false,
        stream: None,
        after,
        decisions: Vec::new(),
        at_hand: Vec::new(),
        looked_at: 0,
        last: None,
        next: None,
    };
    list.read(log, &streams[first..])?;
    list.end_stream()?;
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
fn read_after(cursor: &str) -> Option<(StreamName, Position)> {
    let (stream, position) = cursor.rsplit_once('@')?;
    Some((StreamName::parse(stream).ok()?, position.parse().ok()?))
}

/// Takes decisions in, stream by stream.
struct List<'f> {
    listed: &'f Listed<'f>,
    most: usize,
    program: &'f Program,
    /// Which of the streams is at hand or comes next.
    number: usize,
    /// What the stream at hand made so far, beside the partners that it names.
    near: Telling<'f>,
    /// Whether the figures were read since something was folded.
    is_seen: bool,
    /// The stream at hand.
    stream: Option<StreamName>,
    /// Where the page before ended, in the first stream.
    after: Option<Position>,
    decisions: Vec<Contribution>,
    /// Those of the stream at hand, what changed nothing too: a win may come to rest on it.
    at_hand: Vec<Contribution>,
    looked_at: usize,
    /// The last one that was told.
    last: Option<(StreamName, Position)>,
    next: Option<String>,
}

impl List<'_> {
    /// Reads streams for as long as more is wanted.
    fn read(&mut self, log: &dyn Log, streams: &[StreamName]) -> Result<(), ExplainError> {
        // One more than a page has says that another one follows.
        let most = self.most + 1;
        for slice in streams.chunk_by(|one, other| log.slices().of(one) == log.slices().of(other)) {
            // Where only the chain tells which decisions are valid, a slice is read whole anyway.
            let at_once = if log.may_hold_void() { slice.len() } else { READ_STREAMS };
            for some in slice.chunks(at_once) {
                let some = some.iter().cloned().collect();
                let read = relevant::each_page(log, &some, self.listed.figure.moment, most, &mut |stream, page| {
                    for relevant in &page {
                        if self.take(stream, relevant)?.is_break() {
                            return Ok(ControlFlow::Break(()));
                        }
                    }
                    Ok(ControlFlow::Continue(()))
                })?;
                if read.is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, stream: &StreamName, relevant: &Relevant) -> Result<ControlFlow<()>, ExplainError> {
        if self.stream.as_ref() != Some(stream) {
            self.end_stream()?;
            if self.is_full() {
                self.goes_on();
                return Ok(ControlFlow::Break(()));
            }
            self.begin(stream);
        }
        let Some(outline) = outline(&relevant.record) else {
            self.near.fold(&relevant.record);
            return Ok(ControlFlow::Continue(()));
        };
        let position = relevant.record.position();
        if self.after.is_some() {
            self.after = self.after.filter(|after| *after != position);
        } else if self.is_full() {
            self.goes_on();
            // What a win rests on is known at its stream's end.
            if self.listed.figure.view.name != "attribution" {
                return Ok(ControlFlow::Break(()));
            }
        } else {
            self.look();
            let before = std::mem::take(&mut self.near.last);
            self.near.fold_outline(&outline, position);
            self.is_seen = false;
            self.look();
            let changes = self.near.changes_since(&before).unwrap_or_default();
            self.at_hand.push(self.near.contribution(&outline, position, changes));
            self.looked_at += 1;
            self.last = Some((stream.clone(), position));
            return Ok(ControlFlow::Continue(()));
        }
        self.near.fold_outline(&outline, position);
        self.is_seen = false;
        Ok(ControlFlow::Continue(()))
    }

    fn is_full(&self) -> bool {
        self.looked_at >= self.most
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

    fn begin(&mut self, stream: &StreamName) {
        let Listed { figure, fields, streams, made } = *self.listed;
        self.number += streams[self.number..].iter().position(|one| one == stream).expect("streams are read in their order");
        self.near = Telling::of(figure, fields, self.program);
        self.near.shard = made.partners(&made.named_by(&made.only(self.number)));
        self.is_seen = false;
        self.stream = Some(stream.clone());
    }

    fn end_stream(&mut self) -> Result<(), ExplainError> {
        let Some(stream) = self.stream.take() else { return Ok(()) };
        if self.after.is_some() {
            return Err(invalid(self.listed.figure));
        }
        if !self.at_hand.is_empty() {
            let mut brought = behind::brought_in(&self.near, &stream);
            for mut one in self.at_hand.drain(..) {
                one.changes.splice(0..0, brought.remove(&one.position).unwrap_or_default());
                if !one.changes.is_empty() {
                    self.decisions.push(one);
                }
            }
        }
        Ok(())
    }
}
