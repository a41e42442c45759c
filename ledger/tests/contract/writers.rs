//! Writers that take each other's slices over, on a real engine: what the chain rule makes of what they leave.

use std::collections::HashMap;

use bytes::Bytes;
use pledger_ledger::{
    chain::{ChainHead, Verdict},
    log::{Log, Producer},
    record::{Hash, Record},
    slices::SliceId,
    verify::verify,
    writer::{SliceWriter, TermLost},
};

use super::{Home, create};
use crate::{
    chains::{read_all, reports},
    decisions::{Scribe, decision},
};

/// A slice that holds accounts.
const SLICE: SliceId = 2;

/// A writer of one slice with its producer and what it has in flight.
struct Office {
    writer: SliceWriter,
    producer: Box<dyn Producer>,
    hashes: HashMap<u64, Hash>,
    end: u64,
}

impl Office {
    /// Reads the slice to its end.
    fn new(log: &dyn Log) -> Self {
        let (head, end) = read(log, ChainHead::default());
        Self { writer: SliceWriter::new(SLICE, head), producer: log.producer().expect("a producer"), hashes: HashMap::new(), end }
    }

    fn open(&mut self) -> Record {
        let body = r#"{"term_opened":{"v":1,"opened_at":"2026-01-01T00:00:00Z","writer":"test"}}"#;
        let record = self.writer.open(self.end, Bytes::from_static(body.as_bytes()));
        self.hashes.insert(record.header.pseq, record.header.hash);
        record
    }

    /// A decision of the slice's one stream, `version` of it.
    fn decide(&mut self, version: u64) -> Record {
        let second = u32::try_from(version).expect("a test writes little");
        let record = self.writer.frame(Bytes::from(decision(&stream_in(SLICE), version, true, second).to_string()));
        self.hashes.insert(record.header.pseq, record.header.hash);
        record
    }

    fn send(&mut self, batch: Vec<Record>) {
        self.producer.send(batch).expect("taken");
    }

    /// Takes in so many reports.
    fn hear(&mut self, count: usize) -> Result<ChainHead, TermLost> {
        for report in reports(&mut *self.producer, count) {
            self.writer.report(&report, self.hashes[&report.pseq])?;
        }
        Ok(self.writer.settled())
    }

    /// The term is lost: a new producer, and the slice is read again.
    fn start_again(&mut self, log: &dyn Log) {
        self.producer = log.producer().expect("a producer");
        let (head, end) = read(log, self.writer.settled());
        self.writer.resume(head);
        self.end = end;
    }
}

/// Some stream of a slice that holds accounts.
pub(crate) fn stream_in(slice: SliceId) -> String {
    let mut name = (0..).map(|n| format!("account/s{n}.com"));
    let slices = crate::decisions::created().slices;
    name.find(|name| slices.of(&serde_json::from_value(name.as_str().into()).expect("a stream")) == slice).expect("every slice has streams")
}

/// Goes on by the chain rule to the end of the slice; answers the end as well.
fn read(log: &dyn Log, mut head: ChainHead) -> (ChainHead, u64) {
    let from = head.next_offset;
    let placed = log.read(SLICE, from, usize::MAX).expect("readable");
    for placed in &placed {
        head.accept(placed.offset, &placed.record);
    }
    (head, from + placed.len() as u64)
}

/// What is valid of a slice, by term and version.
fn valid(log: &dyn Log) -> Vec<(u64, Option<u64>)> {
    let mut head = ChainHead::default();
    let all = read_all(log, SLICE).into_iter().filter(|placed| head.accept(placed.offset, &placed.record) == Verdict::Valid);
    let version =
        |record: &Record| serde_json::from_slice::<serde_json::Value>(&record.body).expect("JSON")["decision"]["version"].as_u64();
    all.map(|placed| (placed.record.header.term, version(&placed.record))).collect()
}

pub(super) fn a_deposed_writers_late_batch_is_void(home: &dyn Home) {
    let log = create(home);
    let mut first = Office::new(&*log);
    let batch = vec![first.open(), first.decide(1), first.decide(2)];
    first.send(batch);
    assert_eq!(first.hear(3).expect("acknowledged").next_pseq, 3);

    let mut second = Office::new(&*log);
    let batch = vec![second.open(), second.decide(3)];
    second.send(batch);
    second.hear(2).expect("acknowledged");

    // The first one knows nothing of it: its records arrive, and are told from acknowledged ones by their offset.
    let batch = vec![first.decide(3), first.decide(4)];
    first.send(batch);
    let lost = first.hear(2).expect_err("deposed");
    assert_eq!((lost.term, lost.reason.as_str()), (1, "record 3 lies at offset 5, not 3"));
    assert_eq!(first.writer.settled().next_pseq, 3);

    // The second one's term is lost too, as its next record is not where it has to be. What it says then is valid.
    let batch = vec![second.decide(4)];
    second.send(batch);
    assert_eq!(second.hear(1).expect_err("somebody wrote").reason, "record 5 lies at offset 7, not 5");
    second.start_again(&*log);
    assert_eq!(second.writer.settled().next_pseq, 6, "the re-read acknowledges what was valid");
    assert_eq!(valid(&*log), [(1, None), (1, Some(1)), (1, Some(2)), (2, None), (2, Some(3)), (2, Some(4))]);
    let verified = verify(&*log, None, &mut |_| ()).expect("sound");
    assert_eq!((verified.records, verified.void, verified.dangling), (7, 2, 0));
}

pub(super) fn a_term_opens_only_at_the_end_that_was_read(home: &dyn Home) {
    let log = create(home);
    let mut first = Office::new(&*log);
    let batch = vec![first.open(), first.decide(1)];
    first.send(batch);
    first.hear(2).expect("acknowledged");

    let mut second = Office::new(&*log);
    let batch = vec![first.decide(2)];
    first.send(batch);
    first.hear(1).expect("still its term");
    // Somebody wrote between the read and the take-over: what was read is not all there is.
    let batch = vec![second.open(), second.decide(2)];
    second.send(batch);
    assert_eq!(second.hear(2).expect_err("too late").reason, "record 2 lies at offset 3, not 2");
    second.start_again(&*log);
    assert_eq!((second.writer.settled().next_pseq, second.writer.settled().term, second.end), (3, 1, 5));
    let batch = vec![second.open(), second.decide(3)];
    second.send(batch);
    second.hear(2).expect("at the end that was read");
    assert_eq!(valid(&*log), [(1, None), (1, Some(1)), (1, Some(2)), (2, None), (2, Some(3))]);
    let verified = verify(&*log, None, &mut |_| ()).expect("sound");
    assert_eq!((verified.void, verified.dangling), (2, 0));
}

pub(super) fn a_restarted_writer_takes_its_slices_over(home: &dyn Home) {
    drop(create(home));
    for life in 1..=3 {
        let log = home.open().expect("opened");
        let verified = verify(&*log, None, &mut |_| ()).expect("sound");
        let mut scribe = Scribe::new(log.slices(), verified.heads);
        let mut producer = log.producer().expect("a producer");
        producer.send(log.slices().all().map(|slice| scribe.open(slice)).collect()).expect("taken");
        for _ in 0..10 {
            producer.send((0..20).map(|_| scribe.decide(life * 1000)).collect()).expect("taken");
        }
        let reports = reports(&mut *producer, 204);
        assert!(reports.iter().all(|report| report.outcome.is_ok()), "{reports:?}");
        drop(producer);
        let verified = verify(&*log, None, &mut |_| ()).expect("sound");
        assert_eq!((verified.records, verified.void), (1 + 204 * u64::from(life), 0));
        assert_eq!(verified.heads, scribe.heads);
    }
}
