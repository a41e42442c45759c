//! Chained records of a few streams, and the sending and reading of them, on any engine.

use std::time::Duration;

use bytes::Bytes;
use pledger_domain::stream::StreamName;
use pledger_ledger::{
    chain::{ChainHead, Verdict},
    log::{Log, Placed, Producer, Report},
    record::Record,
    slices::{SliceId, Slices},
};

/// Chains records of streams by slice.
pub(crate) struct Chains {
    slices: Slices,
    pub(crate) heads: Vec<ChainHead>,
    made: usize,
}

impl Chains {
    /// Goes on from where the log ends.
    pub(crate) fn of(log: &dyn Log) -> Self {
        let slices = log.slices();
        let heads = slices.all().map(|slice| head(log, slice)).collect();
        Self { slices, heads, made: 0 }
    }

    /// The next records, of ten streams in turn.
    pub(crate) fn batch(&mut self, count: usize) -> Vec<Record> {
        (0..count).map(|_| self.next(&format!("account/a{}.com", self.made % 10))).collect()
    }

    fn next(&mut self, stream: &str) -> Record {
        self.made += 1;
        let body =
            format!(r#"{{"decision":{{"v":1,"stream":"{stream}","n":{},"pad":"{}"}}}}"#, self.made, "x".repeat(self.made * 37 % 3000));
        let slice = self.slices.of(&StreamName::parse(stream).expect("a stream"));
        let head = &mut self.heads[usize::from(slice)];
        let record = Record::chain(slice, head.next_pseq, head.term.max(1), head.hash, Bytes::from(body));
        assert_eq!(head.accept(head.next_offset, &record), Verdict::Valid);
        record
    }
}

/// Reads a slice to its end by the chain rule.
pub(crate) fn head(log: &dyn Log, slice: SliceId) -> ChainHead {
    let mut head = ChainHead::default();
    for placed in read_all(log, slice) {
        assert_eq!(head.accept(placed.offset, &placed.record), Verdict::Valid);
    }
    head
}

/// All records of a slice.
pub(crate) fn read_all(log: &dyn Log, slice: SliceId) -> Vec<Placed> {
    log.read(slice, 0, usize::MAX).expect("readable")
}

/// The next reports, so many of them.
pub(crate) fn reports(producer: &mut dyn Producer, count: usize) -> Vec<Report> {
    let mut reports = Vec::new();
    while reports.len() < count {
        let more = producer.reports(Duration::from_secs(30));
        assert!(!more.is_empty(), "{} of {count} reports came", reports.len());
        reports.extend(more);
    }
    reports
}

/// Sends batches one after the other and waits for their reports.
pub(crate) fn append(log: &dyn Log, batches: Vec<Vec<Record>>) -> Vec<Report> {
    let mut producer = log.producer().expect("a producer");
    let count = batches.iter().map(Vec::len).sum();
    batches.into_iter().for_each(|batch| producer.send(batch).expect("taken"));
    reports(&mut *producer, count)
}
