//! The decisions that may have made a figure: all of every stream that names what is asked about.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
};

use memchr::memmem::Finder;
use pledger_domain::{
    program::Program,
    stream::{Stream, StreamKind, StreamName},
    values::Timestamp,
};
use pledger_ledger::{
    chain::{ChainHead, Verdict},
    log::{Log, LogError, UpTo},
    outline::Outline,
    record::{Events, Outcome, Record},
    slices::SliceId,
};

use super::{ExplainError, MAX_DECISIONS, NO_ACCOUNT};
use crate::engine::{Moment, stream_of};

/// How many records are read at once.
const READ: usize = 4_096;

/// What a figure is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// Everything in streams that name this id: a partner, a deal, a budget.
    Id(String),
    /// Everything in streams that name one of these ids; a null stands for what names none, such as costs of the program.
    Ids(Vec<Option<String>>),
    /// Everything on these accounts, and on none where there is a null among them.
    Accounts(Vec<Option<String>>),
}

/// A decision that counts, or a record of a stream that cannot be read.
pub(super) struct Relevant {
    pub(super) record: Record,
    /// When it was recorded; of what cannot be read, when the one before it was, if there is any.
    pub(super) recorded_at: Option<Timestamp>,
}

/// What an explanation is made from.
pub(super) struct Read {
    /// The rules as they were published.
    pub(super) program: Program,
    /// The decisions that published them.
    pub(super) publications: Vec<Record>,
    /// Every other decision that may matter, stream by stream; not all, where they are more than may be explained.
    pub(super) records: Vec<Relevant>,
}

/// The rules as they were published, and the decisions that published them.
pub(super) fn program(log: &dyn Log, moment: Moment) -> Result<(Program, Vec<Record>), ExplainError> {
    let mut program = Program::default();
    let mut publications = Vec::new();
    let _ = each_page(log, &BTreeSet::from([StreamName::program()]), moment, READ, &mut |_, page| {
        publications.extend(page.into_iter().map(|relevant| relevant.record));
        Ok(ControlFlow::Continue(()))
    })?;
    for record in &publications {
        if let Ok(Some(outline)) = Outline::decode(&record.body)
            && let Outcome::Accepted(Events::Program(events)) = &outline.outcome
        {
            events.iter().for_each(|event| program.evolve(event, outline.effective_at));
        }
    }
    Ok((program, publications))
}

/// Whether as far as the log knows without reading them more of these streams' decisions count than are told one by one.
pub(super) fn are_too_many(log: &dyn Log, streams: &BTreeSet<StreamName>, moment: Moment) -> Result<bool, LogError> {
    let streams: Vec<StreamName> = streams.iter().filter(|stream| **stream != StreamName::program()).cloned().collect();
    Ok(counts(log, &streams, moment)?.is_some_and(|counts| counts.iter().sum::<usize>() > MAX_DECISIONS))
}

/// How many decisions of each stream count, as far as the log knows without reading them.
pub(super) fn counts(log: &dyn Log, streams: &[StreamName], moment: Moment) -> Result<Option<Vec<usize>>, LogError> {
    if moment == Moment::default() { log.counts(streams) } else { Ok(None) }
}

pub(super) fn read_streams(log: &dyn Log, streams: BTreeSet<StreamName>, moment: Moment) -> Result<Read, ExplainError> {
    let (program, publications) = program(log, moment)?;
    let (mut records, mut before) = (Vec::new(), None);
    let streams = streams.into_iter().filter(|stream| *stream != StreamName::program()).collect();
    let _ = each_page(log, &streams, moment, MAX_DECISIONS + 1, &mut |stream, page| {
        for mut one in page {
            let last = before.take().and_then(|(of, at)| (of == *stream).then_some(at));
            one.recorded_at = one.recorded_at.or(last);
            before = one.recorded_at.map(|at| (stream.clone(), at));
            records.push(one);
        }
        // There is no telling so many: what was read of them says so.
        Ok(if records.len() > MAX_DECISIONS { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    Ok(Read { program, publications, records })
}

/// What takes in decisions of a stream, as long as it wants any.
type TakePage<'t> = dyn FnMut(&StreamName, Vec<Relevant>) -> Result<ControlFlow<()>, ExplainError> + 't;

/// The valid decisions of streams that count, stream by stream, in pages: where streams are found by their names, `most` are read
/// at once.
///
/// Where only the chain tells which decisions are valid, a slice is read once for all its streams, and not once for each.
pub(super) fn each_page(
    log: &dyn Log,
    streams: &BTreeSet<StreamName>,
    moment: Moment,
    most: usize,
    take: &mut TakePage<'_>,
) -> Result<ControlFlow<()>, ExplainError> {
    if !log.may_hold_void() {
        return pages(log, &streams.iter().cloned().collect::<Vec<_>>(), moment, most, take);
    }
    let slices: BTreeSet<SliceId> = streams.iter().map(|stream| log.slices().of(stream)).collect();
    for slice in slices {
        for (stream, found) in of_slice(log, slice, streams, moment)? {
            if take(&stream, found)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// Streams' decisions, read by their names.
fn pages(
    log: &dyn Log,
    streams: &[StreamName],
    moment: Moment,
    most: usize,
    take: &mut TakePage<'_>,
) -> Result<ControlFlow<()>, ExplainError> {
    let (mut first, mut offset) = (0, 0);
    loop {
        let found = log.read_streams(&streams[first..], offset, most)?;
        let Some(next) = found.last().map(|(at, last)| (first + at, last.offset + 1)) else { return Ok(ControlFlow::Continue(())) };
        let mut found = found.into_iter().peekable();
        while let Some(at) = found.peek().map(|(at, _)| *at) {
            let (stream, mut page) = (&streams[first + at], Vec::new());
            while let Some((_, one)) = found.next_if(|(of, _)| *of == at) {
                page.extend(counted(one.record, moment, |named| named == stream).map(|(_, relevant)| relevant));
            }
            if !page.is_empty() && take(stream, page)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        (first, offset) = next;
    }
}

/// The decisions of some streams of a slice, by stream.
fn of_slice(
    log: &dyn Log,
    slice: SliceId,
    streams: &BTreeSet<StreamName>,
    moment: Moment,
) -> Result<BTreeMap<StreamName, Vec<Relevant>>, ExplainError> {
    let mut found: BTreeMap<StreamName, Vec<Relevant>> = BTreeMap::new();
    let (mut head, mut next, end) = (ChainHead::default(), 0, log.end(slice)?);
    while next < end {
        let placed = log.read(slice, next, READ)?;
        let Some(last) = placed.last() else { break };
        next = last.offset + 1;
        for one in placed {
            if head.accept(one.offset, &one.record) == Verdict::Valid
                && let Some((stream, relevant)) = counted(one.record, moment, |named| streams.contains(named))
            {
                found.entry(stream).or_default().push(relevant);
            }
        }
    }
    Ok(found)
}

/// The decision with its stream, where the stream is wanted and the moment counts it; a record of such a stream that cannot be
/// read always counts.
fn counted(record: Record, moment: Moment, is_wanted: impl Fn(&StreamName) -> bool) -> Option<(StreamName, Relevant)> {
    let named = match Outline::decode(&record.body) {
        Ok(outline) => {
            let wanted = outline.filter(|outline| is_wanted(&outline.stream));
            let counts = wanted.filter(|outline| moment.counts(&outline.stream, outline.recorded_at, outline.effective_at));
            counts.map(|outline| (outline.stream.clone(), Some(outline.recorded_at)))
        }
        Err(_) => stream_of(&record.body).filter(|stream| is_wanted(stream)).map(|stream| (stream, None)),
    };
    named.map(|(stream, recorded_at)| (stream, Relevant { record, recorded_at }))
}

/// The streams that name it.
pub(super) fn streams(log: &dyn Log, about: &About) -> Result<BTreeSet<StreamName>, ExplainError> {
    match about {
        About::Accounts(accounts) if accounts.iter().all(Option::is_some) => {
            let name = |account: &Option<String>| StreamName::parse(&format!("account/{}", account.as_deref().unwrap_or_default())).ok();
            Ok(accounts.iter().filter_map(name).collect())
        }
        About::Accounts(accounts) => {
            let named: BTreeSet<&str> = accounts.iter().flatten().map(String::as_str).collect();
            scan(log, NO_ACCOUNT, |stream, _| stream.kind() == StreamKind::Account && stream.key().starts_with(NO_ACCOUNT)).map(
                |mut streams| {
                    streams.extend(named.iter().filter_map(|account| StreamName::parse(&format!("account/{account}")).ok()));
                    streams
                },
            )
        }
        About::Ids(ids) if ids.is_empty() => Ok(BTreeSet::new()),
        // Hardly a decision names none of so many.
        About::Ids(_) => scan(log, "", |_, _| true),
        About::Id(id) => {
            let quoted = format!("\"{id}\"");
            let quoted = Finder::new(&quoted);
            scan(log, id, |stream, body| stream.key() == id || quoted.find(body).is_some())
        }
    }
}

/// The streams of valid records whose bytes hold `text` and that `names` picks.
fn scan(log: &dyn Log, text: &str, names: impl Fn(&StreamName, &[u8]) -> bool) -> Result<BTreeSet<StreamName>, ExplainError> {
    let finder = Finder::new(text);
    let mut heads = vec![ChainHead::default(); usize::from(log.slices().count)];
    let mut up_to = UpTo::the_end(log, &[])?;
    let mut streams = BTreeSet::new();
    loop {
        let placed = up_to.next(READ)?;
        if placed.is_empty() {
            return Ok(streams);
        }
        for one in &placed {
            let (record, head) = (&one.record, &mut heads[usize::from(one.record.header.slice)]);
            if head.accept(one.offset, record) != Verdict::Valid || finder.find(&record.body).is_none() {
                continue;
            }
            if let Ok(Some(outline)) = Outline::decode(&record.body)
                && !streams.contains(&outline.stream)
                && names(&outline.stream, &record.body)
            {
                streams.insert(outline.stream);
            }
        }
    }
}
