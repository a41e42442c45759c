//! Parked streams that are tried again: what was left out is folded in its order, once it can be.

use memchr::memmem;
use pledger_domain::stream::StreamName;
use pledger_ledger::{
    chain::{ChainHead, Verdict},
    log::LogError,
    record::Record,
    slices::{Position, SliceId},
};
use serde::Serialize;

use super::{
    Engine, Shared,
    decode::{Meaning, decode},
};
use crate::{
    query::Incomplete,
    shard::{At, Shard},
};

/// Records that are read at once.
const READ: usize = 4_096;

/// What came of a parked stream that was tried again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Retried {
    /// The stream; the record's position where not even that could be read.
    pub stream: String,
    /// Where it was parked.
    pub since: Position,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: RetryOutcome,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum RetryOutcome {
    /// Everything that was left out is folded now.
    TakenUp {
        /// How many records that were.
        records: u64,
    },
    /// It is parked still, there or further on.
    Parked {
        /// The record that cannot be taken in.
        at: Position,
        /// Why.
        reason: String,
    },
    /// The record can be read now, and others of its stream were folded without it: only a rebuild puts it in its place.
    NeedsRebuild,
}

/// The records of a stream in a slice, from where it was parked on.
struct LeftOut {
    slice: SliceId,
    stream: StreamName,
    since: u64,
    head: ChainHead,
    records: Vec<Record>,
}

impl Engine {
    /// Tries every parked stream again: after a fix of the folds, or once missing rules have come. Questions and new
    /// decisions go on meanwhile.
    ///
    /// # Errors
    /// `LogError`; streams that were taken up before it stay so.
    pub fn retry_parked(&self) -> Result<Vec<Retried>, LogError> {
        let shared = self.shared();
        let _alone = shared.retrying.lock();
        let mut parked: Vec<(usize, Incomplete)> = Vec::new();
        for (number, shard) in shared.shards.iter().enumerate() {
            let shard = shard.read();
            parked.extend(shard.parked.streams.iter().map(|(key, row, _)| {
                (number, Incomplete { stream: key.stream.to_string(), since: row.since, reason: row.reason.to_string() })
            }));
        }
        // Rules first: others may wait for them.
        parked.sort_by_key(|(_, parked)| (parked.stream != StreamName::program().as_str(), parked.stream.clone()));
        parked.into_iter().map(|(number, parked)| shared.retry(number, parked)).collect()
    }
}

impl Shared {
    fn retry(&self, number: usize, parked: Incomplete) -> Result<Retried, LogError> {
        let Incomplete { stream, since, reason } = parked;
        let told = |outcome| Ok(Retried { stream: stream.clone(), since, outcome });
        if !self.can_read(since)? {
            return told(RetryOutcome::Parked { at: since, reason });
        }
        let Ok(name) = StreamName::parse(&stream) else { return told(RetryOutcome::NeedsRebuild) };
        let mut left_out = LeftOut { slice: since.slice, stream: name, since: since.pseq, head: ChainHead::default(), records: Vec::new() };
        // Most of it is read while others may read and fold.
        left_out.read_to(self, self.head_of(number, since.slice).next_offset)?;
        let mut shard = self.shards[number].write();
        let end = shard.heads.iter().find(|(slice, _)| *slice == since.slice).map_or(0, |(_, head)| head.next_offset);
        left_out.read_to(self, end)?;
        let records = left_out.records.len() as u64;
        self.take_up(&mut shard, &stream, left_out);
        let outcome = match shard.parked.row(&stream) {
            Some(row) => RetryOutcome::Parked { at: row.since, reason: row.reason.to_string() },
            None => RetryOutcome::TakenUp { records },
        };
        self.is_unwritten.store(true, std::sync::atomic::Ordering::Release);
        drop(shard);
        told(outcome)
    }

    fn head_of(&self, number: usize, slice: SliceId) -> ChainHead {
        let shard = self.shards[number].read();
        shard.heads.iter().find(|(known, _)| *known == slice).map(|(_, head)| *head).unwrap_or_default()
    }

    /// Whether the record that parked a stream can be taken in now.
    fn can_read(&self, at: Position) -> Result<bool, LogError> {
        // Void records only push others further back.
        let mut offset = at.pseq;
        loop {
            let placed = self.log.read(at.slice, offset, READ)?;
            let Some(last) = placed.last().map(|placed| placed.offset) else { return Ok(false) };
            let program = self.program.read();
            let of_this = || placed.iter().filter(|placed| placed.record.header.pseq == at.pseq);
            if of_this().any(|placed| matches!(decode(&placed.record.body, &program), Meaning::Decision(..))) {
                return Ok(true);
            }
            if of_this().next().is_some() {
                return Ok(false);
            }
            offset = last + 1;
        }
    }

    /// Folds what was left out, as a worker would have.
    fn take_up(&self, shard: &mut Shard, stream: &str, left_out: LeftOut) {
        shard.parked.release(stream);
        for record in &left_out.records {
            let (position, body) = (record.position(), &record.body);
            let program = std::sync::Arc::clone(&self.program.read());
            match decode(body, &program) {
                Meaning::Nothing => {}
                Meaning::Decision(decision, rules) => {
                    self.publish(&decision);
                    if let Some(rules) = self.admitted(&decision, position.slice, rules) {
                        shard.fold(&decision, &At::of(&decision, position, rules.as_ref()));
                    }
                }
                Meaning::Ahead(_) => {
                    shard.parked.park(Some(stream), &At::left_out(position), super::worker::NO_SUCH_RULES);
                }
                Meaning::Poisoned { reason, .. } => {
                    shard.parked.park(Some(stream), &At::left_out(position), &reason);
                }
            }
        }
        shard.settle(usize::MAX);
        shard.is_late = true;
    }
}

impl LeftOut {
    /// Reads on to `end`, keeping the stream's valid records.
    fn read_to(&mut self, shared: &Shared, end: u64) -> Result<(), LogError> {
        let name = memmem::Finder::new(self.stream.as_str().as_bytes());
        let mut offset = self.head.next_offset;
        while offset < end {
            let at_most = usize::try_from(end - offset).map_or(READ, |left| left.min(READ));
            let placed = shared.log.read(self.slice, offset, at_most)?;
            let Some(last) = placed.last().map(|placed| placed.offset) else { return Ok(()) };
            for placed in placed {
                let record = placed.record;
                let is_valid = self.head.accept(placed.offset, &record) == Verdict::Valid;
                if is_valid && record.header.pseq >= self.since && name.find(&record.body).is_some() && self.is_of(&record.body, shared) {
                    self.records.push(record);
                }
            }
            offset = last + 1;
        }
        Ok(())
    }

    fn is_of(&self, body: &[u8], shared: &Shared) -> bool {
        match decode(body, &shared.program.read()) {
            Meaning::Nothing => false,
            Meaning::Decision(decision, _) => decision.stream == self.stream,
            Meaning::Ahead(decision) => decision.stream == self.stream,
            Meaning::Poisoned { stream, .. } => stream.as_ref() == Some(&self.stream),
        }
    }
}
