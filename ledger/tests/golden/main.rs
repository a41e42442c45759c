//! Old records are for ever: a body of every kind, event and rejection as version 1 wrote it, never edited.
//!
//! `PLEDGER_BLESS=1 cargo test -p pledger-ledger --test golden` writes fixtures that are missing, from
//! `samples.json`; it changes none that exists. A sample's name is that of its event, and may have a second part:
//! `DealApproved.bare` is one without what is optional.

mod catalogue;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::LazyLock,
};

use bytes::Bytes;
use pledger_ledger::{
    outline::Outline,
    record::{Body, BodyError, Decision, Outcome},
};
use serde_json::{Value, json};

/// File names and contents, after what was missing was written where that was asked for.
static FIXTURES: LazyLock<BTreeMap<String, Vec<u8>>> = LazyLock::new(|| {
    if std::env::var_os("PLEDGER_BLESS").is_some() {
        bless();
    }
    let files = std::fs::read_dir(directory()).expect("the fixtures");
    let read = |file: std::io::Result<std::fs::DirEntry>| {
        let path = file.expect("an entry").path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let mut bytes = std::fs::read(&path).expect("readable");
        assert_eq!(bytes.pop(), Some(b'\n'), "{} ends with a line break", path.display());
        (name, bytes)
    };
    files.map(read).collect()
});

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/v1")
}

/// Every body that there is a sample of, by its fixture's name.
fn samples() -> BTreeMap<String, Value> {
    let groups: BTreeMap<String, BTreeMap<String, Value>> =
        serde_json::from_str(include_str!("samples.json")).expect("the samples are JSON");
    let mut samples = frames();
    for (group, values) in groups {
        for (name, data) in values {
            let bare = name.ends_with(".bare");
            let body = decision(&group, name.split('.').next().expect("a first part"), data, bare);
            samples.insert(format!("decision.{group}.{name}"), body);
        }
    }
    samples
}

/// The kinds of record that are no decisions.
fn frames() -> BTreeMap<String, Value> {
    let created = json!({"v": 1, "ledger_id": "0198f2a0", "slices": {"count": 64, "reference": 4}, "created_at": "2026-01-01T00:00:00Z"});
    let mut generated = created.clone();
    generated["generated"] = json!({"seed": 42, "ends_at": "2026-06-30T00:00:00Z"});
    let opened = json!({"v": 1, "opened_at": "2026-01-01T00:00:01Z", "writer": "w-1", "next_command": 17});
    let embedded = json!({"v": 1, "opened_at": "2026-01-01T00:00:01Z", "writer": "w-1"});
    let frames = [
        ("ledger_created", json!({ "ledger_created": created })),
        ("ledger_created.generated", json!({ "ledger_created": generated })),
        ("term_opened", json!({ "term_opened": opened })),
        ("term_opened.bare", json!({ "term_opened": embedded })),
        ("progress", json!({"progress": {"v": 1, "recorded_at": "2026-01-02T00:00:00Z", "next_command": 10_017}})),
        ("progress.bare", json!({"progress": {"v": 1, "recorded_at": "2026-01-02T00:00:00Z"}})),
    ];
    frames.map(|(name, body)| (name.to_owned(), body)).into()
}

/// A decision with this outcome; `bare` leaves out whatever is optional.
fn decision(group: &str, name: &str, data: Value, bare: bool) -> Value {
    let (stream, channel) = match group {
        "program" => ("program", "api"),
        "partner" => ("partner/p-1", "ingest"),
        "fund" => ("fund/mdf-2026", "policy"),
        "cost" => ("cost/p-1", "deadline"),
        _ => ("account/acme.com", "import"),
    };
    let mut decision = json!({
        "v": 1, "stream": stream, "version": 3,
        "command": {
            "id": "key-1", "type": "DoSomething", "payload": {"deal_id": "d-1", "note": "a \"quoted\" ü"}, "sender": "anonymous",
            "channel": channel, "received_at": "2026-03-01T08:00:00Z", "input": "000102030405060708090a0b0c0d0e0f"
        },
        "rules": 2, "recorded_at": "2026-03-01T08:00:00.25Z", "effective_at": "2026-02-28T00:00:00Z"
    });
    if group == "rejected" {
        decision["rejected"] = json!({"code": name, "facts": data});
    } else {
        decision["accepted"] = json!([{"type": name, "data": data}]);
    }
    if !bare {
        decision["command"]["actor"] = json!("ps-4");
        decision["command"]["effective_at"] = json!("2026-02-28T00:00:00Z");
        decision["command"]["cause"] = json!("12:4711");
        decision["relied_on"] = json!([["program", 2], ["partner/p-1", 5]]);
        decision["historical"] = json!(true);
        decision["next_command"] = json!(18);
    }
    json!({ "decision": decision })
}

/// Writes the missing fixtures in the form that this release records.
fn bless() {
    for (name, body) in samples() {
        let path = directory().join(format!("{name}.json"));
        if !path.exists() {
            let text = body.to_string();
            let body = Body::decode(text.as_bytes()).unwrap_or_else(|error| panic!("the sample {name}: {error}"));
            let mut bytes = body.encode().unwrap_or_else(|error| panic!("the sample {name}: {error}")).to_vec();
            bytes.push(b'\n');
            std::fs::write(&path, bytes).expect("written");
        }
    }
}

fn read(name: &str, bytes: &'static [u8]) -> Body<'static> {
    Body::decode(bytes).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn every_fixture_reads_back_byte_for_byte() {
    for (name, bytes) in &*FIXTURES {
        let again = read(name, bytes).encode().unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(again, Bytes::from_static(bytes), "{name} is written otherwise than it was");
    }
}

#[test]
fn everything_that_can_be_recorded_has_a_fixture() {
    let mut covered = BTreeSet::new();
    for (name, bytes) in &*FIXTURES {
        match read(name, bytes) {
            Body::Decision(decision) => covered.extend(catalogue::names_of(&decision.outcome)),
            Body::LedgerCreated(_) => drop(covered.insert("ledger_created".into())),
            Body::TermOpened(_) => drop(covered.insert("term_opened".into())),
            Body::Progress(_) => drop(covered.insert("progress".into())),
        }
    }
    let kinds = ["ledger_created", "term_opened", "progress"].map(str::to_owned);
    let all = catalogue::everything().into_iter().chain(kinds);
    let missing: Vec<String> = all.filter(|name| !covered.contains(name)).collect();
    assert!(missing.is_empty(), "no fixture for {missing:?}: add samples to tests/golden/samples.json and run with PLEDGER_BLESS=1");
}

#[test]
fn every_sample_is_a_fixture() {
    let missing: Vec<String> = samples().into_keys().filter(|name| !FIXTURES.contains_key(name)).collect();
    assert!(missing.is_empty(), "{missing:?} are samples without a fixture: run with PLEDGER_BLESS=1");
}

#[test]
fn what_a_fixture_says_is_what_is_read() {
    let Body::Decision(read) = read("bare", &FIXTURES["decision.rejected.AccountProtected.bare"]) else { panic!("a decision") };
    let Decision { stream, version, outcome, rules, relied_on, historical, next_command, .. } = *read;
    assert_eq!((stream.as_str(), version, rules, historical, next_command), ("account/acme.com", 3, 2, false, None));
    assert!(relied_on.is_empty());
    assert!(matches!(outcome, Outcome::Rejected(ref rejection) if rejection.code() == "AccountProtected"));
}

#[test]
fn a_record_of_a_later_format_says_so() {
    for (name, bytes) in &*FIXTURES {
        let mut body: Value = serde_json::from_slice(bytes).expect("JSON");
        let kind = body.as_object_mut().expect("an object").values_mut().next().expect("a kind");
        kind["v"] = json!(99);
        let ahead = body.to_string();
        assert!(matches!(Body::decode(ahead.as_bytes()), Err(BodyError::FormatAhead(99))), "{name}");
        // Even where nothing else of it is known.
        let strange = json!({"merger": {"v": 99, "of": [name]}}).to_string();
        assert!(matches!(Body::decode(strange.as_bytes()), Err(BodyError::FormatAhead(99))), "{name}");
    }
}

#[test]
fn an_outline_says_what_the_whole_says() {
    for (name, bytes) in &*FIXTURES {
        let outline = Outline::decode(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let whole = match read(name, bytes) {
            Body::Decision(decision) => Some(Outline::from(*decision)),
            Body::LedgerCreated(_) | Body::TermOpened(_) | Body::Progress(_) => None,
        };
        assert_eq!(format!("{outline:?}"), format!("{whole:?}"), "{name}");
    }
}
