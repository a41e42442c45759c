//! The topics of a ledger: created as they must be, and refused where they are not.

use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

use pledger_ledger::{
    kafka::{KafkaEvents, KafkaInbox, KafkaLetters, KafkaLog, KafkaOptions},
    log::{Log, LogError},
};

use crate::{decisions::created, home::InKafka};

fn unfit<T: Debug>(opened: Result<T, LogError>) -> String {
    match opened {
        Err(LogError::Unfit(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn topics_are_created_as_they_must_be(home: &InKafka) {
    home.created();
    let keys = ["cleanup.policy", "retention.ms", "retention.bytes", "min.insync.replicas", "compression.type", "message.timestamp.type"];
    for (name, expected) in [
        ("ledger", ["delete", "-1", "-1", "1", "producer", "CreateTime"]),
        ("commands", ["delete", "7776000000", "-1", "1", "producer", "LogAppendTime"]),
        ("inbox", ["delete", "2592000000", "-1", "1", "producer", "LogAppendTime"]),
        ("dead-letters", ["delete", "7776000000", "-1", "1", "producer", "CreateTime"]),
    ] {
        assert_eq!(home.configuration(name, &keys), expected, "{name}");
    }
    assert_eq!(home.configuration("inbox", &["max.message.bytes"]), ["8388608"]);
    let counts = ["ledger", "commands", "events", "published", "inbox", "dead-letters"].map(|name| home.partitions(name));
    assert_eq!(counts, [4, 4, 4, 1, 8, 8]);
    assert_eq!(home.configuration("published", &["cleanup.policy"]), ["compact"]);
    assert_eq!(home.configuration("ledger", &["unclean.leader.election.enable", "max.message.bytes"]), ["false", "8388608"]);
}

pub(crate) fn topics_that_would_lose_records_are_refused(home: &InKafka) {
    home.created();
    for (setting, expected) in [
        (("cleanup.policy", "compact"), r#"has cleanup.policy = "compact": decisions would be lost; set it to delete"#),
        (("retention.ms", "604800000"), r#"has retention.ms = "604800000": decisions would be lost; set it to -1"#),
        (("retention.bytes", "1000000"), r#"has retention.bytes = "1000000": decisions would be lost; set it to -1"#),
    ] {
        let held = [("cleanup.policy", "delete"), ("retention.ms", "-1"), ("retention.bytes", "-1")];
        let settings: Vec<_> = held.into_iter().filter(|(key, _)| *key != setting.0).chain([setting]).collect();
        home.configure("ledger", &settings);
        let refused = settles(|| home.opened().is_err(), home);
        let reason = unfit(refused);
        assert!(reason.ends_with(expected), "{reason}");
    }
    home.configure("ledger", &[("retention.ms", "-1")]);
    settles(|| home.opened().is_ok(), home).expect("as it must be again");
}

/// Opens once `is_so`; a broker takes a moment to know a new configuration.
fn settles(is_so: impl Fn() -> bool, home: &InKafka) -> Result<KafkaLog, LogError> {
    let until = Instant::now() + Duration::from_secs(10);
    while !is_so() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(50));
    }
    home.opened()
}

pub(crate) fn other_slices_than_partitions_are_refused(home: &InKafka) {
    home.create_topic("ledger", 8, &[("retention.ms", "-1")]);
    let reason = unfit(KafkaLog::create(home.options.clone(), created()));
    assert!(reason.ends_with("ledger is there already, with 8 partitions: it holds a ledger, or something else"), "{reason}");
    // It was not touched.
    match home.opened() {
        Err(LogError::Absent(reason)) => assert!(reason.starts_with("there is no ledger in the topic "), "{reason}"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(KafkaLog::create_missing(home.options.clone()), Ok(None)));
}

pub(crate) fn topics_that_a_ledger_lacks_are_created(home: &InKafka) {
    let lacks = |name: &str| {
        let (topic, brokers, prefix) = (home.topic(name), &home.options.brokers, &home.options.prefix);
        let run = format!("pledger init --kafka {brokers} --topic-prefix {prefix}");
        format!("there is no topic {topic} at {brokers}; the topics that a ledger lacks are created by: {run}")
    };
    drop(home.created());
    ["commands", "inbox", "dead-letters", "published"].into_iter().for_each(|name| home.delete_topic(name));
    assert_eq!(unfit(home.opened()), lacks("commands"));
    assert_eq!(unfit(KafkaLetters::open(home.options.clone()).map(drop)), lacks("dead-letters"));
    assert_eq!(unfit(KafkaInbox::join(home.options.clone()).map(drop)), lacks("inbox"));
    assert_eq!(unfit(KafkaEvents::open(home.options.clone(), created().slices).map(drop)), lacks("published"));
    let missing = ["commands", "inbox", "published", "dead-letters"].map(|name| home.topic(name));
    assert_eq!(KafkaLog::missing_topics(&home.options).expect("asked"), missing);
    let made = KafkaLog::create_missing(home.options.clone()).expect("made").expect("a ledger");
    assert_eq!(made, missing);
    assert_eq!(["commands", "published", "inbox", "dead-letters"].map(|name| home.partitions(name)), [4, 1, 8, 8]);
    assert_eq!(home.opened().expect("opened").created(), &created());
    assert_eq!(KafkaLog::create_missing(home.options.clone()).expect("asked"), Some(Vec::new()));
    assert!(KafkaLog::missing_topics(&home.options).expect("asked").is_empty());
}

pub(crate) fn of_several_creators_one_succeeds(home: &InKafka) {
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let creating: Vec<_> = (0..4).map(|_| scope.spawn(|| KafkaLog::create(home.options.clone(), created()))).collect();
        creating.into_iter().map(|creator| creator.join().expect("no panic")).collect()
    });
    let (made, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!(made.len(), 1, "{refused:?}");
    refused.into_iter().for_each(|refused| assert!(unfit(refused).contains("a ledger already")));
    assert_eq!(home.opened().expect("opened").created(), &created());
    assert!(made[0].as_ref().expect("made").end(0).expect("an end") >= 1);
}

pub(crate) fn a_cluster_that_is_too_small_is_said(home: &InKafka) {
    let options = KafkaOptions { replicas: 99, ..home.options.clone() };
    let reason = unfit(KafkaLog::create(options, created()));
    assert!(reason.ends_with("cannot have 99 replicas: the cluster has fewer brokers; where it has one, give --replicas 1"), "{reason}");
}

pub(crate) fn a_broker_that_is_away_is_said(home: &InKafka) {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
    let options = KafkaOptions { brokers: format!("127.0.0.1:{port}"), ..home.options.clone() };
    let began = Instant::now();
    match KafkaLog::open(options) {
        Err(LogError::Store(reason)) => assert!(reason.starts_with(&format!("Kafka at 127.0.0.1:{port}: ")), "{reason}"),
        other => panic!("{other:?}"),
    }
    assert!(began.elapsed() < Duration::from_secs(30));
}
