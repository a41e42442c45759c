//! What becomes of what is sent: failures in a pipeline, limits, and writers that fight.

use std::time::Duration;

use bytes::Bytes;
use pledger_ledger::{
    chain::ChainHead,
    kafka::MAX_RECORD_BYTES,
    log::{Log, LogError},
    record::Record,
    verify::verify,
    writer::SliceWriter,
};
use rand::RngCore as _;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use crate::{
    chains::{append, reports},
    contract::writers::stream_in,
    decisions::decision,
    duel::{Arena, Rules, fight},
    home::InKafka,
};

const SLICE: u16 = 2;
const OTHER: u16 = 3;
const TERM_OPENED: &str = r#"{"term_opened":{"v":1,"opened_at":"2026-01-01T00:00:00Z","writer":"test"}}"#;

/// A text that no compression makes small.
fn noise(bytes: usize) -> String {
    let mut noise = vec![0; bytes / 2];
    ChaCha8Rng::seed_from_u64(bytes as u64).fill_bytes(&mut noise);
    noise.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Batches for one slice come faster than they are written.
pub(crate) fn what_waits_in_front_of_a_slice_is_written_in_its_order(home: &InKafka) {
    let log = home.created();
    let mut producer = log.producer().expect("a producer");
    let mut writers = [SLICE, OTHER].map(|slice| SliceWriter::new(slice, ChainHead::default()));
    let mut sent = 0;
    for writer in &mut writers {
        let opened = writer.open(0, Bytes::from_static(TERM_OPENED.as_bytes()));
        producer.send(vec![opened.clone()]).expect("taken");
        writer.report(&reports(&mut *producer, 1)[0], opened.header.hash).expect("opened");
    }
    // 60 batches of 20 records of 4 KB each: several requests of each slice.
    for version in 1..=60 {
        let mut batch = Vec::new();
        for _ in 0..20 {
            let writer = &mut writers[version % 2];
            let mut body = decision(&stream_in(if version % 2 == 0 { SLICE } else { OTHER }), version as u64, true, 1);
            body["decision"]["command"]["payload"]["note"] = noise(4_000).into();
            batch.push(writer.frame(Bytes::from(body.to_string())));
        }
        sent += batch.len();
        producer.send(batch).expect("taken");
    }
    let mut next = [1, 1];
    for report in reports(&mut *producer, sent) {
        let expected = &mut next[usize::from(report.slice != SLICE)];
        assert_eq!((report.pseq, report.outcome), (*expected, Ok(*expected)), "slice {}", report.slice);
        *expected += 1;
    }
    assert_eq!(next, [601, 601]);
}

pub(crate) fn a_batch_that_fails_in_a_pipeline_ends_the_term(home: &InKafka) {
    // The broker takes less than the client believes.
    home.create_topic("ledger", 4, &[("retention.ms", "-1"), ("max.message.bytes", "20000")]);
    let log = home.created();
    let mut writer = SliceWriter::new(SLICE, ChainHead::default());
    let mut version = 0;
    let mut next = |writer: &mut SliceWriter, pad: usize| {
        version += 1;
        let mut body = decision(&stream_in(SLICE), version, true, u32::try_from(version).expect("few"));
        body["decision"]["command"]["payload"]["note"] = noise(pad).into();
        writer.frame(Bytes::from(body.to_string()))
    };
    let mut producer = log.producer().expect("a producer");
    let mut sent = vec![writer.open(0, Bytes::from_static(TERM_OPENED.as_bytes()))];
    producer.send(sent.clone()).expect("taken");
    let opened = reports(&mut *producer, 1);
    writer.report(&opened[0], sent[0].header.hash).expect("opened");
    // A good batch, one that is too large, and good ones behind it, all in flight at once: some with the library, some in front of it.
    const MANY: usize = 6;
    for pad in [10, 50_000, 10, 10, 10] {
        let batch: Vec<_> = (0..MANY).map(|_| next(&mut writer, pad)).collect();
        sent.extend(batch.clone());
        producer.send(batch).expect("taken");
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut lost = None;
    for report in reports(&mut *producer, 5 * MANY) {
        let hash = sent.iter().find(|record| record.header.pseq == report.pseq).expect("sent").header.hash;
        lost = lost.or(writer.report(&report, hash).err());
    }
    let lost = lost.expect("the term is over");
    assert!(lost.reason.contains("MessageSizeTooLarge"), "{lost}");
    assert_eq!(writer.settled().next_pseq, 1 + MANY as u64, "what stood before it is acknowledged, and nothing behind it");
    assert!(matches!(producer.send(vec![sent[0].clone()]), Err(LogError::Store(_))), "nothing more is taken");
    drop(producer);
    // The next term opens behind whatever of it landed, and all of that is void.
    let mut head = ChainHead::default();
    let read = log.read(SLICE, 0, usize::MAX).expect("readable");
    for placed in &read {
        head.accept(placed.offset, &placed.record);
    }
    assert_eq!(head, writer.settled());
    writer.resume(head);
    let record = writer.open(read.len() as u64, Bytes::from_static(TERM_OPENED.as_bytes()));
    let report = append(&log, vec![vec![record.clone()]]).remove(0);
    writer.report(&report, record.header.hash).expect("opened");
    let verified = verify(&log, None, &mut |_| ()).expect("sound");
    let many = MANY as u64;
    assert_eq!((verified.records, verified.void, verified.dangling), (3 + many, read.len() as u64 - 1 - many, 0));
}

pub(crate) fn records_are_as_large_as_the_topic_allows(home: &InKafka) {
    let log = home.created();
    let record = |bytes: usize| Record::chain(1, 0, 1, ChainHead::default().hash, Bytes::from(noise(bytes)));
    let mut producer = log.producer().expect("a producer");
    match producer.send(vec![record(100), record(MAX_RECORD_BYTES)]) {
        Err(LogError::Store(reason)) => assert!(reason.starts_with("a record of 8388608 bytes is more than"), "{reason}"),
        other => panic!("{other:?}"),
    }
    let large = record(MAX_RECORD_BYTES - 10_000);
    producer.send(vec![large.clone(), record(2_000_000)]).expect("taken");
    let outcomes: Vec<_> = reports(&mut *producer, 2).into_iter().map(|report| report.outcome).collect();
    assert_eq!(outcomes, [Ok(0), Ok(1)]);
    assert_eq!(log.read(1, 0, 1).expect("readable")[0].record, large);
}

pub(crate) fn a_producer_has_no_more_in_flight_than_it_may(home: &InKafka) {
    let log = home.created();
    let mut producer = log.producer().expect("a producer");
    // More than ever fits into its room, in batches and in one that is larger than the room itself.
    let body = Bytes::from(noise(400));
    let records = |first: u64, count: u64| (first..first + count).map(|n| Record::chain(1, n, 1, ChainHead::default().hash, body.clone()));
    let mut sent = 0;
    for count in [30_000, 30_000, 30_000, 80_000, 1] {
        producer.send(records(sent, count).collect()).expect("there is room in time");
        sent += count;
    }
    let reports = reports(&mut *producer, usize::try_from(sent).expect("few"));
    assert!(reports.iter().zip(0..).all(|(report, n)| report.pseq == n && report.outcome == Ok(n)), "{:?}", reports.last());
    assert_eq!(log.end(1).expect("an end"), sent);
}

/// The broker's own timing is part of the schedule, so a seed alone does not repeat it.
fn duel(home: &InKafka, rules: Rules, seed: u64) -> Result<(), String> {
    let log = home.created();
    let arena = Arena { log: &log, step: &|| false, calm: &|| (), listens: Duration::from_millis(20) };
    fight(rules, &arena, &mut ChaCha8Rng::seed_from_u64(seed))
}

pub(crate) fn writers_duel_over_a_slice(home: &InKafka) {
    let seed = std::env::var("PLEDGER_SIM_SEED").ok().map_or(1, |text| text.parse().expect("a number"));
    if let Err(breach) = duel(home, Rules::STRICT, seed) {
        panic!("{breach}; the seed was {seed}");
    }
}

/// A duel that nobody can lose would prove nothing.
pub(crate) fn a_duel_without_the_offset_check_is_lost(home: &InKafka) {
    let rules = Rules { check_offset: false, ..Rules::STRICT };
    let breach = (1..=10).find_map(|seed| duel(&InKafka::new(&home.options.brokers), rules, seed).err());
    let breach = breach.expect("ten duels without the offset check broke no promise");
    assert!(breach.contains("void"), "{breach}");
}
