//! Services that speak Kafka only, by kcat: their events are decided, published, or letters that somebody looks after.

use std::{
    collections::BTreeMap,
    io::Write,
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};

use crate::processes::{Cluster, agent, until};

const EVENTS: usize = 400;
const ACCOUNTS: usize = 5;

/// Sends lines, a message each, to the inbox.
fn send(cluster: &Cluster, lines: &[String]) {
    let mut kcat = Command::new("kcat");
    kcat.args(["-P", "-b", &cluster.brokers, "-t", &format!("{}inbox", cluster.prefix), "-p", "0"]);
    let mut child = kcat.args(["-H", "content-type=application/cloudevents+json"]).stdin(Stdio::piped()).spawn().expect("kcat");
    child.stdin.take().expect("piped").write_all(lines.join("\n").as_bytes()).expect("it reads");
    assert!(child.wait().expect("an end").success());
}

/// The ids of published events of a type, each with its stream and payload, in the order of arrival.
fn published(cluster: &Cluster, kind: &str) -> Vec<(String, String, Value)> {
    let mut kcat = Command::new("kcat");
    kcat.args(["-C", "-q", "-e", "-b", &cluster.brokers, "-t", &format!("{}events", cluster.prefix), "-o", "beginning"]);
    let output = kcat.args(["-f", "%h\t%k\t%s\n"]).output().expect("kcat");
    let text = String::from_utf8(output.stdout).expect("text");
    let wanted = format!("ce_type={kind}");
    let of = |line: &str| {
        let [headers, key, value] = line.splitn(3, '\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let headers: Vec<&str> = headers.split(',').collect();
        let id = headers.iter().find_map(|header| header.strip_prefix("ce_id=")).expect("an id").to_owned();
        headers.contains(&wanted.as_str()).then(|| (id, key.to_owned(), serde_json::from_str(value).expect("JSON")))
    };
    text.lines().filter_map(of).collect()
}

fn touch(n: usize) -> String {
    let account = format!("a{}.com", n % ACCOUNTS);
    let data = json!({"touchpoint_id": format!("t-{n}"), "account": account, "kind": "webinar", "occurred_at": "2026-03-01T00:00:00Z"});
    json!({"specversion": "1.0", "id": format!("e-{n}"), "source": "/lms", "type": "pledger.RecordTouchpoint", "data": data}).to_string()
}

fn json_of(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

pub(crate) fn services_send_events_and_read_what_was_decided(brokers: &str) {
    let cluster = Cluster::init(brokers);
    let api = cluster.serve(&["--roles", "api,processor,projections"]);
    let mut document = agent().get(format!("{}/v1/asyncapi.json", api.url)).call().expect("an answer");
    let document: Value = document.body_mut().read_json().expect("JSON");
    assert_eq!(document["channels"]["inbox"]["address"], format!("{}inbox", cluster.prefix));
    let publisher = cluster.serve(&["--roles", "publisher"]);
    let ingest = cluster.serve(&["--roles", "ingest"]);
    let events: Vec<String> = (0..EVENTS).map(touch).collect();
    let (first, rest) = events.split_at(EVENTS / 2);
    send(&cluster, first);
    until("it works", || ingest.metric("pledger_ingest_accepted") > 20.0);
    send(&cluster, rest);
    ingest.signal("-KILL");
    send(&cluster, &["{".to_owned()]);
    let ingest = cluster.serve(&["--roles", "ingest"]);
    let kind = "pledger.TouchpointRecorded";
    until("all of it is published", || published(&cluster, kind).len() >= EVENTS);
    let mut numbers: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (_, stream, data) in published(&cluster, kind) {
        let number = data["touchpoint_id"].as_str().and_then(|id| id.strip_prefix("t-")?.parse().ok()).expect("a number");
        numbers.entry(stream).or_default().push(number);
    }
    let wanted = |account: usize| (0..EVENTS).filter(|n| n % ACCOUNTS == account).collect::<Vec<_>>();
    let expected: BTreeMap<String, Vec<usize>> = (0..ACCOUNTS).map(|n| (format!("account/a{n}.com"), wanted(n))).collect();
    assert_eq!(numbers, expected, "each once, in the order sent");

    until("the letter is written", || ingest.metric("pledger_ingest_dead_letters") >= 1.0);
    look_after_letters(&cluster, || ingest.metric("pledger_ingest_dead_letters") >= 2.0);
    drop(publisher.stop());
    drop(ingest.stop());
}

fn letters(cluster: &Cluster, args: &[&str]) -> Output {
    let mut command = crate::processes::pledger();
    command.args(["dead-letters"]).args(args).args(["--kafka", &cluster.brokers, "--topic-prefix", &cluster.prefix]);
    command.output().expect("pledger")
}

fn look_after_letters(cluster: &Cluster, came_again: impl FnMut() -> bool) {
    let list = |args: &[&str]| json_of(&letters(cluster, &[&["list", "--json"], args].concat()))["items"].clone();
    let open = list(&[]);
    assert_eq!((open.as_array().map(Vec::len), &open[0]["code"]), (Some(1), &json!("MalformedJson")), "{open}");
    let id = open[0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(list(&["--code", "UnknownId"]), json!([]));
    let shown = json_of(&letters(cluster, &["show", &id, "--json"]));
    assert_eq!((&shown["value"], &shown["headers"][0]["name"]), (&json!("{"), &json!("content-type")));
    assert_eq!(letters(cluster, &["show", &id, "--raw"]).stdout, b"{");
    let text = String::from_utf8(letters(cluster, &["show", &id]).stdout).expect("text");
    assert!(text.contains("MalformedJson") && text.contains("  content-type: application/cloudevents+json\n"), "{text}");

    assert_eq!(json_of(&letters(cluster, &["retry", &id, "--json"]))["status"], "retried");
    let twice = letters(cluster, &["retry", &id]);
    assert_eq!(twice.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&twice.stderr).contains(" was retried already, at "));
    until("it is a letter again", came_again);
    let open = list(&[]);
    assert_eq!((&open[0]["retry_of"], open.as_array().map(Vec::len)), (&json!(id), Some(1)), "{open}");
    let again = open[0]["id"].as_str().expect("an id");
    let discarded = letters(cluster, &["discard", again, "--reason", "the portal was tested"]);
    assert!(discarded.status.success());
    assert_eq!(list(&[]), json!([]));
    let all = list(&["--all"]);
    let told: Vec<_> = all.as_array().expect("letters").iter().map(|letter| letter["status"].as_str().unwrap_or_default()).collect();
    assert_eq!(told, ["discarded", "retried"]);
    assert_eq!(letters(cluster, &["show", "here"]).status.code(), Some(2));
}
