//! The decisions that may have made a figure: all of every stream that names what is asked about.

use std::collections::BTreeSet;

use memchr::memmem::Finder;
use pledger_domain::{
    program::Program,
    stream::{Stream, StreamName},
    values::Timestamp,
};
use pledger_ledger::{
    chain::{ChainHead, Verdict},
    log::{Log, UpTo, read_valid},
    outline::Outline,
    record::{Events, Outcome, Record},
};

use super::{ExplainError, MAX_DECISIONS};
use crate::engine::Moment;

/// How many records are read at once.
const READ: usize = 4_096;
/// What the streams of imported deals without an account begin with.
const NO_ACCOUNT: &str = "account/none:";

/// What a figure is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// Everything in streams that name this id: a partner, a deal, a budget.
    Id(String),
    /// Everything on these accounts, and on none where there is a null among them.
    Accounts(Vec<Option<String>>),
}

/// A decision that counts.
pub(super) struct Relevant {
    pub(super) record: Record,
    pub(super) recorded_at: Timestamp,
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

pub(super) fn read(log: &dyn Log, about: &About, moment: Moment) -> Result<Read, ExplainError> {
    read_streams(log, streams(log, about)?, moment)
}

pub(super) fn read_streams(log: &dyn Log, streams: BTreeSet<StreamName>, moment: Moment) -> Result<Read, ExplainError> {
    let mut program = Program::default();
    let publications: Vec<Record> = decisions(log, &StreamName::program(), moment)?.into_iter().map(|relevant| relevant.record).collect();
    for record in &publications {
        if let Ok(Some(outline)) = Outline::decode(&record.body)
            && let Outcome::Accepted(Events::Program(events)) = &outline.outcome
        {
            events.iter().for_each(|event| program.evolve(event, outline.effective_at));
        }
    }
    let mut records = Vec::new();
    for stream in streams {
        if stream != StreamName::program() {
            records.extend(decisions(log, &stream, moment)?);
        }
        if records.len() > MAX_DECISIONS {
            break;
        }
    }
    Ok(Read { program, publications, records })
}

/// The valid decisions of a stream that count.
fn decisions(log: &dyn Log, stream: &StreamName, moment: Moment) -> Result<Vec<Relevant>, ExplainError> {
    let (mut found, mut offset) = (Vec::new(), 0);
    loop {
        let placed = read_valid(log, stream, offset, READ)?;
        let Some(last) = placed.last().map(|placed| placed.offset) else { return Ok(found) };
        for one in placed {
            let position = one.record.position();
            let outline = Outline::decode(&one.record.body);
            let outline = outline.map_err(|error| ExplainError::Unreadable { position, reason: error.to_string() })?;
            let Some(outline) = outline.filter(|outline| outline.stream == *stream) else { continue };
            if moment.counts(stream, outline.recorded_at, outline.effective_at) {
                found.push(Relevant { recorded_at: outline.recorded_at, record: one.record.clone() });
            }
        }
        offset = last + 1;
    }
}

/// The streams that name it.
fn streams(log: &dyn Log, about: &About) -> Result<BTreeSet<StreamName>, ExplainError> {
    match about {
        About::Accounts(accounts) if accounts.iter().all(Option::is_some) => {
            let name = |account: &Option<String>| StreamName::parse(&format!("account/{}", account.as_deref().unwrap_or_default())).ok();
            Ok(accounts.iter().filter_map(name).collect())
        }
        About::Accounts(accounts) => {
            let named: BTreeSet<&str> = accounts.iter().flatten().map(String::as_str).collect();
            scan(log, NO_ACCOUNT, |stream, _| stream.as_str().starts_with(NO_ACCOUNT)).map(|mut streams| {
                streams.extend(named.iter().filter_map(|account| StreamName::parse(&format!("account/{account}")).ok()));
                streams
            })
        }
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
