//! What stands in the topic, and what readers make of it.

use std::time::{Duration, Instant};

use pledger_ledger::{
    log::{Log, LogError, UpTo},
    record::Hash,
    verify::{VerifyError, verify},
};
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    message::{Header, Headers as _, Message as _, OwnedHeaders, OwnedMessage},
};

use crate::{
    chains::{Chains, append, read_all},
    decisions::Scribe,
    home::InKafka,
};

const LONG: Duration = Duration::from_secs(30);

/// All messages of a slice as any client gets them.
fn messages(home: &InKafka, slice: u16, count: usize) -> Vec<OwnedMessage> {
    let consumer: BaseConsumer =
        home.foreign().set("group.id", "any tool").set("enable.auto.commit", "false").create().expect("a consumer");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&home.topic("ledger"), i32::from(slice), Offset::Beginning).expect("a place");
    consumer.assign(&list).expect("assigned");
    let (mut read, until) = (Vec::new(), Instant::now() + LONG);
    while read.len() < count {
        assert!(Instant::now() < until, "{} of {count} came", read.len());
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            read.push(message.expect("readable").detach());
        }
    }
    consumer.unassign().expect("given back");
    read
}

pub(crate) fn any_tool_reads_a_record(home: &InKafka) {
    let log = home.created();
    let mut chains = Chains::of(&log);
    append(&log, vec![chains.batch(20)]);
    for slice in log.slices().all() {
        let records = read_all(&log, slice);
        let mut prev = "0".repeat(64);
        for (placed, message) in records.iter().zip(messages(home, slice, records.len())) {
            let header = &placed.record.header;
            assert_eq!(message.payload(), Some(&placed.record.body[..]));
            let body: serde_json::Value = serde_json::from_slice(&placed.record.body).expect("JSON");
            assert_eq!(message.key(), body["decision"]["stream"].as_str().map(str::as_bytes));
            let text = |name: &str| {
                let headers = message.headers().expect("headers");
                let found = headers.iter().find(|header| header.key == name).and_then(|header| header.value).expect(name);
                String::from_utf8(found.to_vec()).expect("plain text")
            };
            assert_eq!((text("pseq"), text("term")), (header.pseq.to_string(), header.term.to_string()));
            assert_eq!((text("prev"), text("hash")), (prev, header.hash.to_string()));
            prev = text("hash");
        }
    }
}

pub(crate) fn what_is_no_record_is_void_and_stops_nobody(home: &InKafka) {
    let log = home.created();
    let heads = verify(&log, None, &mut |_| ()).expect("sound").heads;
    let mut scribe = Scribe::new(log.slices(), heads);
    append(&log, vec![log.slices().all().map(|slice| scribe.open(slice)).collect(), (0..20).map(|_| scribe.decide(0)).collect()]);
    let header = |key, value| Header { key, value: Some(value) };
    let half = OwnedHeaders::new().insert(header("pseq", "1")).insert(header("term", "99"));
    let zero = Hash::default().to_string();
    // A record's headers in form, whose hash is none: that is no accident.
    let forged = half.clone().insert(header("prev", &zero)).insert(header("hash", &zero));
    home.write_foreign(1, b"hello", None);
    home.write_foreign(1, b"", Some(half));
    let verified = verify(&log, None, &mut |_| ()).expect("sound");
    assert_eq!((verified.void, verified.dangling), (2, 2));
    assert_eq!(verified.heads[1].next_pseq, scribe.heads[1].next_pseq);
    let last = read_all(&log, 1).pop().expect("a record");
    assert!(last.record.is_intact() && last.record.body.is_empty());
    // The writer goes on behind it.
    append(&log, vec![log.slices().all().map(|slice| scribe.open(slice)).collect()]);
    let verified = verify(&log, None, &mut |_| ()).expect("sound");
    assert_eq!((verified.void, verified.dangling), (2, 0));
    home.write_foreign(1, b"{}", Some(forged));
    match verify(&log, None, &mut |_| ()) {
        Err(VerifyError::Broken { position, reason }) => {
            assert_eq!((position.slice, position.pseq), (1, 1));
            assert!(reason.ends_with("is not what was hashed"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
}

pub(crate) fn a_place_that_is_gone_is_named(home: &InKafka) {
    let log = home.created();
    let mut chains = Chains::of(&log);
    append(&log, vec![chains.batch(100)]);
    let slice = log.slices().all().skip(1).max_by_key(|slice| log.end(*slice).expect("an end")).expect("slices");
    let end = log.end(slice).expect("an end");
    assert!(end > 10, "slice {slice} has {end} records");
    home.delete_before(slice, 5);
    let gone = format!("slice {slice} has the offsets 5 to {end}; what was asked for at 0 is gone or was never there");
    let error = log.read(slice, 0, usize::MAX).expect_err("gone").to_string();
    assert!(error.ends_with(&gone), "{error}");
    let mut up_to = UpTo::the_end(&log, &[]).expect("a tail");
    let error = std::iter::repeat_with(|| up_to.next(1000)).find_map(Result::err).expect("gone").to_string();
    assert!(error.ends_with(&gone), "{error}");
    assert_eq!(log.read(slice, 5, usize::MAX).expect("still there").len() as u64, end - 5);
    // A cursor of another ledger, which was longer.
    let mut tail = log.tail(&vec![end + 1_000; usize::from(log.slices().count)]).expect("a tail");
    let error = tail.next(10, LONG).expect_err("never there").to_string();
    assert!(error.contains("is gone or was never there"), "{error}");
    home.delete_before(0, 1);
    match home.opened() {
        Err(LogError::Damaged { reason, .. }) => assert!(reason.ends_with("what stood before offset 1 was deleted"), "{reason}"),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn a_gap_between_offsets_is_not_passed_over(home: &InKafka) {
    let log = home.created();
    home.write_foreign(1, b"before", None);
    // The end of a transaction takes an offset, too, some time after it was asked for.
    home.write_in_transaction(1, b"inside");
    let until = Instant::now() + LONG;
    while log.end(1).expect("an end") < 3 {
        assert!(Instant::now() < until, "the transaction did not end");
    }
    home.write_foreign(1, b"after", None);
    let expected = "slice 1 goes on at offset 3 where 2 should stand: something was deleted, or written in a transaction";
    assert_eq!(log.read(1, 0, 2).expect("before it all is well").len(), 2);
    match log.read(1, 0, usize::MAX) {
        Err(LogError::Store(reason)) => assert_eq!(reason, expected),
        other => panic!("{other:?}"),
    }
    let mut up_to = UpTo::the_end(&log, &[]).expect("a tail");
    match std::iter::repeat_with(|| up_to.next(1000)).find_map(Result::err) {
        Some(LogError::Store(reason)) => assert_eq!(reason, expected),
        other => panic!("{other:?}"),
    }
}
