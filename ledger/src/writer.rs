//! The single writer of a slice: opens a term, chains records, and says which of them are acknowledged.
//!
//! It does no I/O: the processor sends what it frames and shows it the delivery reports. That makes every schedule of
//! duelling writers, lost reports and failed batches a test (`tests/duelling_writers.rs`).

use bytes::Bytes;

use crate::{chain::ChainHead, log::Report, record::Record, slices::SliceId};

/// The writer of one slice.
#[derive(Clone, Debug)]
pub struct SliceWriter {
    slice: SliceId,
    /// The last acknowledged or re-read record.
    settled: ChainHead,
    term: Option<Term>,
}

/// A term that is open, or being opened.
#[derive(Clone, Copy, Debug)]
struct Term {
    number: u64,
    /// The offset that `TermOpened` must be given, which anchors all later ones.
    anchor_offset: u64,
    anchor_pseq: u64,
    /// The last framed record.
    framed: ChainHead,
}

/// The term is over: a report was not what it had to be. Purge the producer, read the slice again, open a new term.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the term {term} of slice {slice} is over: {reason}")]
pub struct TermLost {
    /// The slice.
    pub slice: SliceId,
    /// The term.
    pub term: u64,
    /// What the report said.
    pub reason: String,
}

impl SliceWriter {
    /// A writer that has read the slice up to `head`.
    #[must_use]
    pub const fn new(slice: SliceId, head: ChainHead) -> Self {
        Self { slice, settled: head, term: None }
    }

    /// The last acknowledged or re-read record.
    #[must_use]
    pub const fn settled(&self) -> ChainHead {
        self.settled
    }

    /// Whether a term is open, so that `frame` may be called.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.term.is_some()
    }

    /// The sequence that the next framed record will have.
    #[must_use]
    pub fn next_pseq(&self) -> u64 {
        self.term.map_or(self.settled.next_pseq, |term| term.framed.next_pseq)
    }

    /// Opens a term with its first record. `end` is the log's end as it was when the slice was last read to it.
    ///
    /// # Panics
    /// Where a term is open already.
    pub fn open(&mut self, end: u64, body: Bytes) -> Record {
        assert!(self.term.is_none(), "a term is opened once a take-over");
        let number = self.settled.term + 1;
        let framed = ChainHead { term: number, next_offset: end, ..self.settled };
        self.term = Some(Term { number, anchor_offset: end, anchor_pseq: self.settled.next_pseq, framed });
        self.frame(body)
    }

    /// Chains the next record of the term.
    ///
    /// # Panics
    /// Where no term is open.
    pub fn frame(&mut self, body: Bytes) -> Record {
        let term = self.term.as_mut().expect("a term is open while records are framed");
        let record = Record::chain(self.slice, term.framed.next_pseq, term.number, term.framed.hash, body);
        term.framed = ChainHead {
            next_pseq: record.header.pseq + 1,
            next_offset: term.framed.next_offset + 1,
            term: term.number,
            hash: record.header.hash,
        };
        record
    }

    /// Takes in a delivery report. `record` is the hash of the record it speaks of. Everything up to
    /// `settled().next_pseq` is acknowledged afterwards.
    ///
    /// # Errors
    /// `TermLost` at any report but the next one in order, without error, at the offset that the anchor gives.
    pub fn report(&mut self, report: &Report, hash: crate::record::Hash) -> Result<(), TermLost> {
        let Some(term) = self.term else { return Ok(()) };
        if report.term != term.number {
            return Ok(());
        }
        let lost = |reason: String| TermLost { slice: self.slice, term: term.number, reason };
        let expected = term.anchor_offset + (report.pseq - term.anchor_pseq);
        let verdict = match &report.outcome {
            Err(reason) => Err(lost(reason.clone())),
            Ok(_) if report.pseq != self.settled.next_pseq => {
                Err(lost(format!("{} was reported before {}", report.pseq, self.settled.next_pseq)))
            }
            Ok(offset) if *offset != expected => Err(lost(format!("record {} lies at offset {offset}, not {expected}", report.pseq))),
            Ok(offset) => Ok(*offset),
        };
        match verdict {
            Ok(offset) => {
                self.settled = ChainHead { next_pseq: report.pseq + 1, next_offset: offset + 1, term: term.number, hash };
                Ok(())
            }
            Err(lost) => {
                self.term = None;
                Err(lost)
            }
        }
    }

    /// Ends the term, if one is open: nothing more is framed or acknowledged under it.
    pub const fn close(&mut self) {
        self.term = None;
    }

    /// Goes on from `head` after the slice was read again.
    pub const fn resume(&mut self, head: ChainHead) {
        self.settled = head;
        self.term = None;
    }
}
