//! The writer under test, and a weakened one that leaves rules out.

use bytes::Bytes;
use pledger_ledger::{
    chain::ChainHead,
    log::Report,
    record::{Hash, Record},
    writer::SliceWriter,
};

use super::{Rules, SLICE};

/// What a contender asks of its writer.
pub(super) trait Chaining {
    fn settled(&self) -> ChainHead;
    fn is_open(&self) -> bool;
    fn open(&mut self, end: u64, body: Bytes) -> Record;
    fn frame(&mut self, body: Bytes) -> Record;
    /// Whether the record that the report speaks of is acknowledged; nothing where the term is over.
    fn report(&mut self, report: &Report, hash: Hash, progress: bool) -> Option<bool>;
    fn resume(&mut self, head: ChainHead);
}

pub(super) fn chaining(rules: Rules) -> Box<dyn Chaining> {
    if rules.check_offset && rules.stop_at_error && rules.one_anchor {
        Box::new(SliceWriter::new(SLICE, ChainHead::default()))
    } else {
        Box::new(Weakened { rules, head: ChainHead::default(), term: None })
    }
}

impl Chaining for SliceWriter {
    fn settled(&self) -> ChainHead {
        self.settled()
    }

    fn is_open(&self) -> bool {
        self.is_open()
    }

    fn open(&mut self, end: u64, body: Bytes) -> Record {
        self.open(end, body)
    }

    fn frame(&mut self, body: Bytes) -> Record {
        self.frame(body)
    }

    fn report(&mut self, report: &Report, hash: Hash, _progress: bool) -> Option<bool> {
        self.report(report, hash).ok().map(|()| self.settled().next_pseq > report.pseq)
    }

    fn resume(&mut self, head: ChainHead) {
        self.resume(head);
    }
}

struct Weakened {
    rules: Rules,
    head: ChainHead,
    term: Option<Term>,
}

struct Term {
    anchor_offset: u64,
    anchor_pseq: u64,
    framed: ChainHead,
}

impl Chaining for Weakened {
    fn settled(&self) -> ChainHead {
        self.head
    }

    fn is_open(&self) -> bool {
        self.term.is_some()
    }

    fn open(&mut self, end: u64, body: Bytes) -> Record {
        let framed = ChainHead { term: self.head.term + 1, ..self.head };
        self.term = Some(Term { anchor_offset: end, anchor_pseq: self.head.next_pseq, framed });
        self.frame(body)
    }

    fn frame(&mut self, body: Bytes) -> Record {
        let framed = &mut self.term.as_mut().expect("open").framed;
        let record = Record::chain(SLICE, framed.next_pseq, framed.term, framed.hash, body);
        framed.accept(framed.next_offset, &record);
        record
    }

    fn report(&mut self, report: &Report, _hash: Hash, progress: bool) -> Option<bool> {
        let rules = self.rules;
        let Some(term) = self.term.as_mut() else { return Some(false) };
        let in_place = match report.outcome {
            Err(_) => false,
            Ok(offset) if progress && !rules.one_anchor => {
                (term.anchor_offset, term.anchor_pseq) = (offset, report.pseq);
                true
            }
            Ok(offset) => !rules.check_offset || offset + term.anchor_pseq == term.anchor_offset + report.pseq,
        };
        if !in_place && rules.stop_at_error {
            self.term = None;
            return None;
        }
        Some(in_place)
    }

    fn resume(&mut self, head: ChainHead) {
        self.head = head;
        self.term = None;
    }
}
