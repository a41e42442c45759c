//! The single writer of a slice: opens a term, chains records, and says which of them are acknowledged.
//!
//! It does no I/O: the processor sends what it frames and shows it the delivery reports. That makes every schedule of
//! duelling writers, lost reports and failed batches a test (`tests/duelling_writers.rs`).

use bytes::Bytes;

use crate::{
    chain::ChainHead,
    log::Report,
    record::{Hash, Record},
    slices::SliceId,
};

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

    /// Takes in a delivery report; `hash` is that of the record it speaks of. Everything before
    /// `settled().next_pseq` is acknowledged afterwards.
    ///
    /// Reports of another term are passed over. A term that was lost before its `TermOpened` landed may be opened again
    /// under its number, so the reports of a producer have to be dropped with it.
    ///
    /// # Errors
    /// `TermLost` at any report but the next one in order, without error, at the offset that the anchor gives.
    pub fn report(&mut self, report: &Report, hash: Hash) -> Result<(), TermLost> {
        let Some(term) = self.term.filter(|term| report.term == term.number && report.slice == self.slice) else { return Ok(()) };
        match self.judge(&term, report) {
            Ok(offset) => {
                self.settled = ChainHead { next_pseq: report.pseq + 1, next_offset: offset + 1, term: term.number, hash };
                Ok(())
            }
            Err(reason) => {
                self.term = None;
                Err(TermLost { slice: self.slice, term: term.number, reason })
            }
        }
    }

    /// The record's offset, or what is wrong with the report.
    fn judge(&self, term: &Term, report: &Report) -> Result<u64, String> {
        let (pseq, next) = (report.pseq, self.settled.next_pseq);
        let offset = *report.outcome.as_ref()?;
        if pseq != next {
            return Err(format!("record {pseq} was reported before {next}"));
        }
        // In order from the anchor on, so it does not lie before it.
        let expected = term.anchor_offset + (pseq - term.anchor_pseq);
        if offset == expected { Ok(offset) } else { Err(format!("record {pseq} lies at offset {offset}, not {expected}")) }
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

#[cfg(test)]
mod tests {
    use super::*;

    const SLICE: SliceId = 3;

    /// A writer whose term was opened at offset 10 and pseq 4, with two records after it.
    fn writer() -> (SliceWriter, Vec<Record>) {
        let head = ChainHead { next_pseq: 4, next_offset: 8, term: 2, hash: Hash([1; 32]) };
        let mut writer = SliceWriter::new(SLICE, head);
        let mut records = vec![writer.open(10, Bytes::from_static(b"opened"))];
        records.extend([b"a", b"b"].map(|body| writer.frame(Bytes::from_static(body))));
        (writer, records)
    }

    fn report(pseq: u64, outcome: Result<u64, &str>) -> Report {
        Report { slice: SLICE, pseq, term: 3, outcome: outcome.map_err(str::to_owned) }
    }

    #[test]
    fn records_are_acknowledged_in_order_at_the_anchors_offsets() {
        let (mut writer, records) = writer();
        for (record, offset) in records.iter().zip(10..) {
            let pseq = record.header.pseq;
            assert_eq!(writer.report(&report(pseq, Ok(offset)), record.header.hash), Ok(()));
            assert_eq!(writer.settled(), ChainHead { next_pseq: pseq + 1, next_offset: offset + 1, term: 3, hash: record.header.hash });
        }
        assert_eq!((writer.next_pseq(), writer.is_open()), (7, true));
    }

    #[test]
    fn any_other_report_ends_the_term() {
        for (wrong, reason) in [
            (report(4, Err("timed out")), "timed out"),
            (report(4, Ok(11)), "record 4 lies at offset 11, not 10"),
            (report(4, Ok(9)), "record 4 lies at offset 9, not 10"),
            (report(5, Ok(11)), "record 5 was reported before 4"),
            (report(3, Ok(9)), "record 3 was reported before 4"),
        ] {
            let (mut writer, records) = writer();
            let before = writer.settled();
            let lost = writer.report(&wrong, records[0].header.hash).expect_err(reason);
            assert_eq!(lost, TermLost { slice: SLICE, term: 3, reason: reason.into() });
            assert_eq!((writer.settled(), writer.is_open()), (before, false));
            // What is reported afterwards acknowledges nothing.
            assert_eq!(writer.report(&report(4, Ok(10)), records[0].header.hash), Ok(()));
            assert_eq!(writer.settled(), before);
        }
    }

    #[test]
    fn reports_of_other_terms_and_slices_say_nothing() {
        let (mut writer, records) = writer();
        let before = writer.settled();
        for other in [Report { term: 2, ..report(4, Ok(10)) }, Report { slice: 9, ..report(4, Err("lost")) }] {
            assert_eq!(writer.report(&other, records[0].header.hash), Ok(()));
            assert_eq!((writer.settled(), writer.is_open()), (before, true));
        }
    }
}
