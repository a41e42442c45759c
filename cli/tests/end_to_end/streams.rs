//! A stream read by the verb and over HTTP.

use serde_json::Value;

use crate::program::{Server, succeed};

#[test]
fn a_server_tells_a_stream_of_the_past_as_the_verb_does() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    succeed(dir, &["demo", "--partners", "12", "--months", "9", "--seed", "3", "--no-serve"]);
    let by_verb = |flags: &[&str]| -> Vec<String> {
        let told = succeed(dir, &[&["replay", "--stream", "partner/p-001", "--format", "jsonl"], flags].concat());
        let position = |line: &str| serde_json::from_str::<Value>(line).expect("JSON")["position"].as_str().expect("a position").to_owned();
        told.lines().map(position).collect()
    };
    let all = by_verb(&[]).len();
    let told: Vec<_> =
        [&["--as-of", "2026-03-31"][..], &["--known-at", "2026-05-15"], &["--as-of", "2026-03-31", "--known-at", "2026-06-30"]]
            .map(|flags| (flags, by_verb(flags)))
            .into();
    let server = Server::start(dir);
    for (flags, positions) in told {
        assert!(!positions.is_empty() && positions.len() < all, "{flags:?}: {} of {all}", positions.len());
        let query: Vec<String> =
            flags.chunks(2).map(|flag| format!("{}={}", flag[0].trim_start_matches('-').replace('-', "_"), flag[1])).collect();
        let (_, _, page) = server.get(&format!("/v1/streams/partner%2Fp-001?limit=1000&{}", query.join("&")));
        let items = page["items"].as_array().expect("items").iter();
        let found: Vec<String> = items.map(|item| item["position"].as_str().expect("a position").to_owned()).collect();
        assert_eq!(found, positions, "{flags:?}");
    }
    server.stop();
}
