//! What is decided is published: each event once, in its stream's order, whoever publishes.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use pledger_consumers::publisher::{Publisher, PublisherDesk, PublisherStatus};
use pledger_ledger::{
    chain::{ChainHead, Verdict},
    commands_topic::Fixed,
    kafka::{KafkaEvents, KafkaOptions},
    log::{LogError, UpTo},
    published::Outlet,
    record::{Body, Outcome},
    slices::{SliceId, Slices},
};
use serde_json::{Value, json};

use crate::{
    clients::Read,
    home::{Home, PATIENCE, SLICES},
    running::{Running, accepted, deal},
    starting::start,
};

fn slices() -> Slices {
    Slices::new(SLICES).expect("sixteen slices")
}

fn open(options: &KafkaOptions) -> Result<Box<dyn Outlet>, LogError> {
    Ok(Box::new(KafkaEvents::open(options.clone(), slices())?))
}

fn publisher(home: &Home, running: &Running) -> (Publisher, Arc<PublisherStatus>) {
    let status = Arc::new(PublisherStatus::default());
    let desk = PublisherDesk { log: Arc::clone(&running.log), ledger_id: "test".to_owned(), persons: None, status: Arc::clone(&status) };
    let options = home.options.clone();
    let membership = Box::new(Fixed::new(slices().all().collect()));
    (Publisher::start(desk, membership, move || open(&options)).expect("a thread"), status)
}

/// The ids of all events in the ledger, slice by slice, with their types.
fn recorded(running: &Running) -> Vec<(String, String)> {
    let mut reading = UpTo::the_end(&*running.log, &[]).expect("a tail");
    let mut heads: BTreeMap<SliceId, ChainHead> = BTreeMap::new();
    let mut ids = Vec::new();
    loop {
        let placed = reading.next(1000).expect("records");
        if placed.is_empty() {
            break;
        }
        for placed in placed {
            let position = placed.record.position();
            assert_eq!(heads.entry(position.slice).or_default().accept(placed.offset, &placed.record), Verdict::Valid);
            if let Body::Decision(decision) = Body::decode(&placed.record.body).expect("a body")
                && let Outcome::Accepted(events) = &decision.outcome
            {
                let events = serde_json::to_value(events).expect("JSON");
                for (index, event) in events.as_array().expect("events").iter().enumerate() {
                    ids.push((format!("{position}:{index}"), format!("pledger.{}", event["type"].as_str().expect("a type"))));
                }
            }
        }
    }
    ids.sort_by_key(|(id, _)| order(id));
    ids
}

fn order(id: &str) -> Vec<u64> {
    id.split(':').map(|part| part.parse().expect("a number")).collect()
}

fn published(home: &Home) -> Vec<Read> {
    home.clients.kcat_consumes(&home.topic("events"))
}

/// Waits until so many messages are there, and gives them in the order of slices; that inside a slice is the topic's.
fn until(home: &Home, count: usize) -> Vec<Read> {
    let until = Instant::now() + PATIENCE;
    loop {
        let mut read = published(home);
        if read.len() >= count {
            read.sort_by_key(|message| order(message.header("ce_id"))[0]);
            return read;
        }
        assert!(Instant::now() < until, "{} of {count} events", read.len());
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn ids(read: &[Read]) -> Vec<(String, String)> {
    read.iter().map(|message| (message.header("ce_id").to_owned(), message.header("ce_type").to_owned())).collect()
}

/// Decides something in many streams, refusals among it; `life` makes it other things each time.
fn work(running: &Running, life: usize) {
    let touch = |n: usize| {
        let account = format!("a{}.com", n % 7);
        let payload = json!({"touchpoint_id": format!("t-{life}-{n}"), "account": account, "kind": "webinar", "occurred_at": "2026-03-01"});
        ("RecordTouchpoint", payload, format!("{life}-{n}"))
    };
    let items: Vec<(&str, Value, String)> = (0..40).map(touch).collect();
    let items: Vec<(&str, Value, &str)> = items.iter().map(|(name, payload, key)| (*name, payload.clone(), key.as_str())).collect();
    running.send(&items).into_iter().for_each(|decided| drop(accepted(decided)));
    let refused = json!({"touchpoint_id": format!("t-{life}-1"), "account": "a1.com", "kind": "webinar", "occurred_at": "2026-03-01"});
    running.one("RecordTouchpoint", refused, &format!("again-{life}")).expect("decided").outcome.expect_err("it was recorded");
}

pub(crate) fn every_event_is_published_once_in_its_streams_order(home: &Home) {
    let running = start(home.dir.path());
    let (publisher, status) = publisher(home, &running);
    running.with_partners();
    running.accept("RegisterDeal", deal("d-1", "p-1", "acme.com"), "deal");
    work(&running, 1);
    let expected = recorded(&running);
    let read = until(home, expected.len());
    assert_eq!(ids(&read), expected);
    let registered = read.iter().find(|message| message.header("ce_type") == "pledger.DealRegistered").expect("published");
    for (name, value) in [
        ("ce_specversion", "1.0"),
        ("ce_source", "test"),
        ("ce_subject", "account/acme.com"),
        ("ce_rules", "1"),
        ("ce_streamversion", "1"),
        ("content-type", "application/json"),
    ] {
        assert_eq!(registered.header(name), value, "{name}");
    }
    assert!(registered.header("ce_time").starts_with("20") && registered.header("ce_recordedat").starts_with("20"));
    assert_eq!(registered.header("ce_id"), format!("{}:0", registered.header("ce_position")));
    assert_eq!(registered.key, b"account/acme.com");
    let data: Value = serde_json::from_slice(&registered.value).expect("JSON");
    assert_eq!((&data["deal_id"], &data["partner_id"]), (&json!("d-1"), &json!("p-1")));
    // A client of another house reads the same.
    let said = home.clients.java_consumes(&home.topic("events"), expected.len());
    let lines: Vec<&str> = said.lines().filter(|line| line.contains("ce_type:pledger.DealRegistered")).collect();
    assert_eq!((lines.len(), lines[0].contains("\taccount/acme.com\t{")), (1, true), "{lines:?}");
    assert_eq!((status.published(), status.trouble()), (expected.len() as u64, None));
    publisher.stop();
    running.stop();
}

pub(crate) fn a_publisher_goes_on_where_the_last_one_was(home: &Home) {
    let running = start(home.dir.path());
    running.with_partners();
    for life in 0..3 {
        let (publisher, status) = publisher(home, &running);
        work(&running, life);
        let expected = recorded(&running);
        assert_eq!(ids(&until(home, expected.len())), expected);
        assert!(life == 0 || status.published() == 40, "{} in life {life}", status.published());
        publisher.stop();
    }
    // All of it is deleted, as its owner may; what was published is known all the same.
    let expected = recorded(&running);
    let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
    expected.iter().for_each(|(id, _)| *counts.entry(u32::try_from(order(id)[0]).expect("a slice")).or_default() += 1);
    home.clients.delete_records(&home.topic("events"), &counts.into_iter().collect::<Vec<_>>());
    assert_eq!(published(home).len(), 0);
    let (publisher, _) = publisher(home, &running);
    work(&running, 3);
    let read = until(home, 40);
    assert_eq!(ids(&read).len(), 40);
    assert!(ids(&read).iter().all(|id| !expected.contains(id)));
    publisher.stop();
    running.stop();
}

pub(crate) fn a_hole_in_what_was_published_is_filled(home: &Home) {
    let running = start(home.dir.path());
    running.with_partners();
    work(&running, 0);
    let (publisher, _) = publisher(home, &running);
    let expected = recorded(&running);
    let read = until(home, expected.len());
    publisher.stop();
    // As a publisher leaves it whose message was lost while a later one was written: the chain of ids has a hole.
    let last = read.last().expect("events");
    let [slice, pseq, _] = order(last.header("ce_id"))[..] else { panic!("an id of three parts") };
    work(&running, 1);
    let missing: Vec<_> = recorded(&running).into_iter().filter(|(id, _)| order(id)[0] == slice && order(id)[1] > pseq).collect();
    assert!(missing.len() > 2, "the slice goes on: {missing:?}");
    forge(home, &running, slice, &missing[1].0, &missing[0].0);
    let (publisher, _) = self::publisher(home, &running);
    let all = recorded(&running);
    let read = until(home, all.len() + 1);
    publisher.stop();
    // Every event is there; the forged one twice, the second time in its place.
    let of_slice: Vec<String> =
        ids(&read).into_iter().map(|(id, _)| id).filter(|id| order(id)[0] == slice && order(id)[1] > pseq).collect();
    let mut wanted = vec![missing[1].0.clone()];
    wanted.extend(missing.into_iter().map(|(id, _)| id));
    assert_eq!(of_slice, wanted);
    running.stop();
}

/// Writes an event as one that follows another that is not there.
fn forge(home: &Home, running: &Running, slice: u64, id: &str, previous: &str) {
    let slice = SliceId::try_from(slice).expect("a slice");
    let pseq = order(id)[1];
    let placed = running.log.read(slice, 0, usize::MAX).expect("records");
    let record = placed.into_iter().find(|placed| placed.record.header.pseq == pseq).expect("a record");
    let headers = [
        ("ce_id", id.to_owned()),
        ("ce_position", record.record.position().to_string()),
        ("ce_eventcount", "1".to_owned()),
        ("ce_ledgeroffset", record.offset.to_string()),
        ("ce_ledgerterm", record.record.header.term.to_string()),
        ("ce_decisionhash", record.record.header.hash.to_string()),
        ("ce_previousid", previous.to_owned()),
    ];
    let message = json!({"partition": slice, "headers": headers, "value": {}});
    home.clients.python_produces(&home.topic("events"), &[message]);
}

pub(crate) fn topics_of_events_that_do_not_fit_are_refused(home: &Home) {
    let other = Slices::new(SLICES * 2).expect("slices");
    let unfit = |opened: Result<KafkaEvents, LogError>| match opened.map(drop) {
        Err(LogError::Unfit(reason)) => reason,
        other => panic!("{other:?}"),
    };
    let reason = unfit(KafkaEvents::open(home.options.clone(), other));
    let events = home.topic("events");
    assert!(
        reason.starts_with(&format!("the topic {events} has 16 partitions, and the ledger has 32 slices; make it anew:\n")),
        "{reason}"
    );
    assert!(reason.contains("--create --partitions 32 --replication-factor 1"), "{reason}");
    let elsewhere = KafkaOptions { prefix: "nobody.".into(), ..home.options.clone() };
    let reason = unfit(KafkaEvents::open(elsewhere, slices()));
    assert!(reason.starts_with("there is no topic nobody.events at ") && reason.ends_with("--topic-prefix nobody."), "{reason}");
    // Events of another ledger are gone on from by none.
    let running = start(home.dir.path());
    running.with_partners();
    let (publisher, _) = publisher(home, &running);
    until(home, recorded(&running).len());
    publisher.stop();
    running.stop();
    let dir = tempfile::tempdir().expect("a directory");
    let running = start(dir.path());
    running.with_partners();
    let (publisher, status) = self::publisher(home, &running);
    let until = Instant::now() + PATIENCE;
    while status.trouble().is_none() {
        assert!(Instant::now() < until, "it goes on");
        std::thread::sleep(Duration::from_millis(20));
    }
    let trouble = status.trouble().expect("trouble");
    assert!(trouble.contains("which is of another ledger"), "{trouble}");
    publisher.stop();
    running.stop();
}
