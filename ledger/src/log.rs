//! The log behind one trait: SQLite on one machine, Kafka in a cluster, memory in a simulation.

use std::time::{Duration, Instant};

use pledger_domain::stream::StreamName;

use crate::{
    body_stream::is_of,
    chain::{ChainHead, Verdict},
    record::Record,
    slices::{Position, SliceId, Slices},
};

/// What goes wrong with a log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The store cannot be reached, is full or refuses.
    #[error("the ledger's store failed: {0}")]
    Store(String),
    /// What is stored is not a ledger, or a torn or tampered one.
    #[error("the ledger is damaged at {position}: {reason}")]
    Damaged {
        /// The first bad place.
        position: Position,
        /// What is wrong there.
        reason: String,
    },
    /// Another process writes to it.
    #[error("{0}")]
    Locked(String),
    /// This process may read it, and write nothing.
    #[error("{0}")]
    ReadOnly(String),
    /// There is a ledger of another shape here, or something else, or what is asked for cannot be.
    #[error("{0}")]
    Unfit(String),
    /// There is no ledger here.
    #[error("{0}")]
    Absent(String),
}

/// A record at its offset in its slice; void records have offsets too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The offset in the slice: 0, 1, 2, ... as the log counts.
    pub offset: u64,
    /// The record.
    pub record: Record,
}

/// What became of one record that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Its slice.
    pub slice: SliceId,
    /// Its sequence.
    pub pseq: u64,
    /// Its term.
    pub term: u64,
    /// The offset it was given, or why nobody knows.
    pub outcome: Result<u64, String>,
}

/// An append-only log of `Slices`, each a sequence of records in the order of their offsets.
pub trait Log: Send + Sync + 'static {
    /// How many slices there are.
    fn slices(&self) -> Slices;

    /// The offset that the next record of `slice` will have.
    ///
    /// # Errors
    /// `LogError::Store`.
    fn end(&self, slice: SliceId) -> Result<u64, LogError>;

    /// The same of several slices, in their order, as of one look: over a network that is one question instead of many.
    ///
    /// # Errors
    /// `LogError::Store`.
    fn ends(&self, slices: &[SliceId]) -> Result<Vec<u64>, LogError> {
        slices.iter().map(|slice| self.end(*slice)).collect()
    }

    /// Records of `slice` from `offset` on, void ones too, at most `max`; empty at the end.
    ///
    /// # Errors
    /// `LogError`.
    fn read(&self, slice: SliceId, offset: u64, max: usize) -> Result<Vec<Placed>, LogError>;

    /// The records whose stream has this name, void ones too, in order, from the slice's `offset` on, at most `max`.
    ///
    /// # Errors
    /// `LogError`.
    fn read_stream(&self, stream: &StreamName, offset: u64, max: usize) -> Result<Vec<Placed>, LogError>;

    /// The same of several streams: stream by stream, the first from the slice's `offset` on, each record with which of them it is
    /// of; at most `max` in all, and fewer only where there are no more. Where streams lie beside each other, it is read once
    /// what they share.
    ///
    /// # Errors
    /// `LogError`.
    fn read_streams(&self, streams: &[StreamName], offset: u64, max: usize) -> Result<Vec<(usize, Placed)>, LogError> {
        let mut found = Vec::new();
        for (at, stream) in streams.iter().enumerate() {
            let (from, room) = (if at == 0 { offset } else { 0 }, max.saturating_sub(found.len()));
            if room == 0 {
                break;
            }
            found.extend(self.read_stream(stream, from, room)?.into_iter().map(|placed| (at, placed)));
        }
        Ok(found)
    }

    /// How many records each of these streams has at most, where the log knows without reading them: it may count those of streams
    /// whose names look alike to it.
    ///
    /// # Errors
    /// `LogError`.
    fn counts(&self, _streams: &[StreamName]) -> Result<Option<Vec<usize>>, LogError> {
        Ok(None)
    }

    /// Whether a record is found by its stream, where the log keeps an index of them.
    fn is_found_by_its_stream(&self, _placed: &Placed) -> bool {
        true
    }

    /// Whether a slice may hold void records: where other writers cannot be kept out.
    fn may_hold_void(&self) -> bool {
        true
    }

    /// A reader of all slices, each from the offset given for it (slice by slice), in the log's own order.
    ///
    /// # Errors
    /// `LogError`.
    fn tail(&self, from: &[u64]) -> Result<Box<dyn Tail>, LogError>;

    /// The same for somebody whom others wait for: over a network, records come sooner and cost the log more.
    ///
    /// # Errors
    /// `LogError`.
    fn tail_closely(&self, from: &[u64]) -> Result<Box<dyn Tail>, LogError> {
        self.tail(from)
    }

    /// A reader of some slices only, each from the offset given for it. By default one of all slices that passes over the
    /// others' records.
    ///
    /// # Errors
    /// `LogError`.
    fn tail_of(&self, places: &[(SliceId, u64)]) -> Result<Box<dyn Tail>, LogError> {
        let from: Result<Vec<u64>, LogError> = self
            .slices()
            .all()
            .map(|slice| places.iter().find(|(wanted, _)| *wanted == slice).map_or_else(|| self.end(slice), |(_, from)| Ok(*from)))
            .collect();
        Ok(Box::new(OfSome { tail: self.tail(&from?)?, slices: places.iter().map(|(slice, _)| *slice).collect() }))
    }

    /// A new producer. Dropping it purges what it had not sent yet.
    ///
    /// # Errors
    /// `LogError`.
    fn producer(&self) -> Result<Box<dyn Producer>, LogError>;
}

/// Records that are read at once to find the valid ones.
const READ: usize = 4_096;

/// The valid records of a stream, in order, from the slice's `offset` on, at most `max`.
///
/// Only the chain from its beginning tells which they are, so where there may be void ones all of the slice is read.
///
/// # Errors
/// `LogError`.
pub fn read_valid(log: &dyn Log, stream: &StreamName, offset: u64, max: usize) -> Result<Vec<Placed>, LogError> {
    if !log.may_hold_void() {
        return log.read_stream(stream, offset, max);
    }
    let (slice, mut head, mut next, mut found) = (log.slices().of(stream), ChainHead::default(), 0, Vec::new());
    while found.len() < max {
        let placed = log.read(slice, next, READ)?;
        let Some(last) = placed.last() else { break };
        next = last.offset + 1;
        let valid = placed.into_iter().filter(|one| head.accept(one.offset, &one.record) == Verdict::Valid);
        found.extend(valid.filter(|one| one.offset >= offset && is_of(&one.record.body, stream)));
    }
    found.truncate(max);
    Ok(found)
}

/// Reads on and on.
pub trait Tail: Send {
    /// The next records, about `max` of them (a group commit is never split); empty when none came within `wait`.
    ///
    /// # Errors
    /// `LogError`.
    fn next(&mut self, max: usize, wait: Duration) -> Result<Vec<Placed>, LogError>;
}

/// A tail of all slices that answers records of these only.
struct OfSome {
    tail: Box<dyn Tail>,
    slices: Vec<SliceId>,
}

impl Tail for OfSome {
    fn next(&mut self, max: usize, wait: Duration) -> Result<Vec<Placed>, LogError> {
        let until = Instant::now() + wait;
        loop {
            let mut placed = self.tail.next(max, until.saturating_duration_since(Instant::now()))?;
            let came = !placed.is_empty();
            placed.retain(|placed| self.slices.contains(&placed.record.header.slice));
            if !placed.is_empty() || !came {
                return Ok(placed);
            }
        }
    }
}

/// Appends batches, several of which may be in flight.
pub trait Producer: Send {
    /// Hands over a batch: the records of one group commit, those of one slice in order.
    ///
    /// # Errors
    /// `LogError::Store` where nothing of the batch was taken.
    fn send(&mut self, batch: Vec<Record>) -> Result<(), LogError>;

    /// Goes on with what was sent. Whoever neither sends nor asks for reports for a while says this now and then: nothing may come
    /// of what was sent without.
    fn go_on(&mut self) {}

    /// What became of records sent so far and not reported yet, each slice's in the order sent; empty when nothing
    /// was reported within `wait`.
    fn reports(&mut self, wait: Duration) -> Vec<Report>;
}

/// Reads to the ends that the slices had when it began, and no further.
///
/// A tail that answers nothing says only that nothing came within the wait: over a network that is not yet the end.
pub struct UpTo {
    tail: Box<dyn Tail>,
    ends: Vec<u64>,
    /// How many records are still to come.
    left: u64,
}

/// How long a record that is there may take to come.
const TO_COME: Duration = Duration::from_secs(30);

impl UpTo {
    /// Begins at the offset given for each slice.
    ///
    /// # Errors
    /// `LogError`.
    pub fn the_end(log: &dyn Log, from: &[u64]) -> Result<Self, LogError> {
        let ends = log.ends(&log.slices().all().collect::<Vec<_>>())?;
        Self::ends(log, from, ends)
    }

    /// The same with ends that were asked for before.
    ///
    /// # Errors
    /// `LogError`.
    pub fn ends(log: &dyn Log, from: &[u64], ends: Vec<u64>) -> Result<Self, LogError> {
        let from = from.iter().copied().chain(std::iter::repeat(0));
        let left = ends.iter().zip(from.clone()).map(|(end, from)| end.saturating_sub(from)).sum();
        let from: Vec<u64> = from.take(ends.len()).collect();
        Ok(Self { tail: log.tail(&from)?, ends, left })
    }

    /// Some slices, each from its offset to the end that it has now.
    ///
    /// # Errors
    /// `LogError`.
    pub fn the_end_of(log: &dyn Log, places: &[(SliceId, u64)]) -> Result<Self, LogError> {
        let mut ends = vec![0; usize::from(log.slices().count)];
        let mut left = 0;
        let slices: Vec<SliceId> = places.iter().map(|(slice, _)| *slice).collect();
        for ((slice, from), end) in places.iter().zip(log.ends(&slices)?) {
            ends[usize::from(*slice)] = end;
            left += end.saturating_sub(*from);
        }
        Ok(Self { tail: log.tail_of(places)?, ends, left })
    }

    /// Some slices, each from its beginning to an end that was asked for before: `ends` has one for every slice.
    ///
    /// # Errors
    /// `LogError`.
    pub fn ends_of(log: &dyn Log, slices: &[SliceId], ends: Vec<u64>) -> Result<Self, LogError> {
        let places: Vec<(SliceId, u64)> = slices.iter().map(|slice| (*slice, 0)).collect();
        let left = slices.iter().filter_map(|slice| ends.get(usize::from(*slice))).sum();
        Ok(Self { tail: log.tail_of(&places)?, ends, left })
    }

    /// The next records, about `max` of them; empty at the ends.
    ///
    /// # Errors
    /// `LogError`; `LogError::Store` where a slice ends earlier than the log said.
    pub fn next(&mut self, max: usize) -> Result<Vec<Placed>, LogError> {
        while self.left > 0 {
            let mut placed = self.tail.next(max, TO_COME)?;
            if placed.is_empty() {
                return Err(LogError::Store(format!("the log's slices end {} records earlier than it says", self.left)));
            }
            // What was appended since the start is not part of it.
            placed.retain(|placed| placed.offset < self.ends[usize::from(placed.record.header.slice)]);
            self.left = self.left.saturating_sub(placed.len() as u64);
            if !placed.is_empty() {
                return Ok(placed);
            }
        }
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{memory::MemoryLog, record::Hash};

    #[test]
    fn void_records_are_left_out_of_a_stream_wherever_they_lie() {
        let log = MemoryLog::bare(Slices::new(2).expect("slices"));
        let stream = StreamName::parse("account/acme.com").expect("a stream");
        let body = |text: &str| Bytes::from(format!(r#"{{"decision":{{"v":1,"stream":"account/acme.com","at":"{text}"}}}}"#));
        let first = Record::chain(1, 0, 1, Hash::default(), body("first"));
        // It has the sequence of the one that follows it, and another record before it.
        let void = Record::chain(1, 1, 1, Hash([7; 32]), body("void"));
        let second = Record::chain(1, 1, 2, first.header.hash, body("second"));
        log.append([first.clone(), void.clone(), second.clone(), void]);
        let read = |offset, max| -> Vec<Record> {
            read_valid(&log, &stream, offset, max).expect("read").into_iter().map(|placed| placed.record).collect()
        };
        assert_eq!(log.read_stream(&stream, 0, 9).expect("read").len(), 4);
        assert_eq!(read(0, 9), [first.clone(), second.clone()]);
        assert_eq!((read(1, 9), read(0, 1), read(3, 9)), (vec![second], vec![first], vec![]));
    }
}
