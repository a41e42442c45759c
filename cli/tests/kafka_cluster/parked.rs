//! A stream that is folded no further, tried again in every process of a cluster, whichever is asked.

use std::time::Duration;

use pledger_ledger::{
    log::Log,
    record::{Body, Decision, Outcome, Record},
};
use serde_json::{Value, json};

use crate::{
    generations::post,
    processes::{Cluster, Process, pledger, until},
    reading::{Told, over_http},
    told::valid,
};

const REPORTED: Duration = Duration::from_secs(30);

/// Adds a touchpoint to the ledger, as decided under rules that it does not have; answers its stream.
fn ahead_of_its_rules(cluster: &Cluster) -> String {
    let log = cluster.ledger();
    let records = valid(&log);
    let decisions = records.iter().filter_map(|placed| match Body::decode(&placed.record.body) {
        Ok(Body::Decision(decision)) => Some((placed, decision)),
        _ => None,
    });
    let decisions: Vec<_> = decisions.collect();
    let is_touched =
        |decision: &Decision<'_>| decision.command.name == "RecordTouchpoint" && matches!(decision.outcome, Outcome::Accepted(_));
    let (touched, decision) = decisions.iter().rfind(|(_, decision)| is_touched(decision)).expect("the history has one");
    let stream = &decision.stream;
    let version = decisions.iter().filter(|(_, other)| other.stream == *stream).map(|(_, other)| other.version).max().expect("it is one");
    let slice = touched.record.header.slice;
    let (last, latest) = decisions.iter().rfind(|(placed, _)| placed.record.header.slice == slice).expect("it has records");
    let body = String::from_utf8(touched.record.body.to_vec()).expect("text");
    let payload: Value = serde_json::from_str::<Value>(&body).expect("JSON")["decision"]["command"]["payload"].clone();
    let other = [
        (payload["touchpoint_id"].as_str().expect("an id").to_owned(), "t-ahead".to_owned()),
        ("\"rules\":1,".into(), "\"rules\":2,".into()),
        (format!("\"version\":{},", decision.version), format!("\"version\":{},", version + 1)),
        (format!("\"recorded_at\":\"{}\"", decision.recorded_at), format!("\"recorded_at\":\"{}\"", latest.recorded_at)),
    ];
    let other = other.iter().fold(body, |body, (from, to)| {
        assert!(body.contains(from), "{from}: {body}");
        body.replace(from, to)
    });
    let last = last.record.header;
    let mut producer = log.producer().expect("a producer");
    producer.send(vec![Record::chain(slice, last.pseq + 1, last.term, last.hash, other.into())]).expect("taken");
    let report = producer.reports(REPORTED).pop().expect("a report");
    assert!(report.outcome.is_ok(), "{:?}", report.outcome);
    stream.to_string()
}

/// The streams that a process folds no further.
fn left_out(process: &Process) -> Vec<Value> {
    let page = over_http(process, "/v1/deals?limit=1");
    page["incomplete"].as_array().into_iter().flatten().map(|one| one["stream"].clone()).collect()
}

pub(crate) fn a_parked_stream_is_tried_again_whoever_is_asked(brokers: &str) {
    let told = Told::begin(brokers, "12");
    let stream = ahead_of_its_rules(&told.cluster);
    let keeper = told.serve(&["--roles", "processor,projections,api"]);
    let (asked, other) = (told.serve(&["--roles", "api"]), told.serve(&["--roles", "api,projections"]));
    let in_sql = || told.home.sql("SELECT stream FROM {}.parked").unwrap_or_default();
    for process in [&keeper, &asked, &other] {
        until("the stream is parked", || left_out(process) == [json!(stream)]);
    }
    until("SQL says so", || in_sql() == [[stream.clone()]]);

    let shown = pledger().args(["rules", "show", "--kafka", brokers, "--topic-prefix", &told.cluster.prefix]).output().expect("pledger");
    let rules = String::from_utf8(shown.stdout).expect("text").replacen("half_life_days = 7", "half_life_days = 70", 1);
    assert_eq!(asked.send("PublishRules", &json!({"program": rules}), "rules-2").0, 200);
    let token = asked.token();
    until("the rules have come", || {
        let (status, tried) = post(&asked, "/v1/parked/retry", &token);
        assert_eq!(status, 200, "{tried}");
        tried["items"][0]["outcome"] == "taken_up" && tried["items"][0]["stream"] == json!(stream)
    });
    for process in [&keeper, &asked, &other] {
        until("all of them follow", || left_out(process).is_empty());
    }
    until("SQL follows", || in_sql().is_empty());
    assert_eq!(post(&other, "/v1/parked/retry", &other.token()), (200, json!({"items": []})));
    assert!(told.succeed(&["doctor", "--retry"], &[]).contains("no stream is parked"));
    assert!(told.succeed(&["verify", "--projections"], &[]).contains("equal a fresh fold"));
}
