//! Keys, values and times that the ledger has nothing of: what whoever asks is told.

use std::{
    io::{BufRead, BufReader},
    path::Path,
};

use crate::program::{PARTNER, pledger, spawn, succeed, text};

const DEAL: &str = r#"{"deal_id":"d-1","partner_id":"p-1","account":{"name":"Acme","domain":"acme.com"},"product":"GTX Pro","amount":{"amount":"120000.00","currency":"USD"}}"#;

/// A ledger with an active partner and its deal.
fn with_a_deal(dir: &Path) {
    let acts = [
        ("RegisterPartner", PARTNER),
        ("SignAgreement", r#"{"partner_id":"p-1"}"#),
        ("ActivatePartner", r#"{"partner_id":"p-1"}"#),
        ("RegisterDeal", DEAL),
    ];
    for (name, payload) in acts {
        succeed(dir, &["command", name, payload]);
    }
}

/// What it writes to stderr; to stdout it writes nothing.
fn fails_with_nothing_printed(dir: &Path, arguments: &[&str]) -> String {
    let output = pledger(dir, arguments);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{arguments:?}: {}", text(&output));
    text(&output)
}

#[test]
fn a_replay_of_an_unknown_key_names_the_nearest() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    with_a_deal(dir);
    for (selection, said) in [
        (["--account", "acne.com"], "no account acne.com; nearest: acme.com"),
        (["--account", "nobody.example"], "no account nobody.example"),
        (["--partner", "p-11"], "no partner p-11; nearest: p-1"),
        (["--deal", "d-11"], "no deal d-11; nearest: d-1"),
        (["--stream", "partner/p-2"], "no stream partner/p-2; nearest: partner/p-1"),
        (["--stream", "fund/p-1"], "no stream fund/p-1"),
    ] {
        for form in [&[][..], &["--json"], &["--format", "jsonl"], &["--from", "2001-01-01"], &["--as-of", "2001-01-01"]] {
            let told = fails_with_nothing_printed(dir, &[&["replay"], &selection[..], form].concat());
            assert_eq!(told, format!("pledger: the ledger has {said}\n"));
        }
    }
    // What has decisions is known, whatever of it was asked for.
    for bounds in [["--from", "2999-01-01"], ["--to", "2001-01-01"]] {
        let output = pledger(dir, &[&["replay", "--deal", "d-1"], &bounds[..]].concat());
        let told = text(&output);
        assert!(
            output.status.success() && told.starts_with("The ledger has no such decision within these bounds; it was begun at "),
            "{told}"
        );
    }
}

#[test]
fn what_is_not_there_yet_is_waited_for() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    with_a_deal(dir);
    let mut following = spawn(dir, &["replay", "--deal", "d-2", "--follow"]);
    let mut told = String::new();
    let mut stderr = BufReader::new(following.stderr.take().expect("stderr"));
    stderr.read_line(&mut told).expect("a line");
    assert_eq!(told, "The ledger has no deal d-2; nearest: d-1. Waiting for its first decision.\n");
    succeed(dir, &["command", "RegisterDeal", &DEAL.replace("d-1", "d-2").replace("acme", "other")]);
    let mut shown = String::new();
    BufReader::new(following.stdout.take().expect("stdout")).read_line(&mut shown).expect("a line");
    assert!(shown.contains(" account/other.com RegisterDeal "), "{shown}");
    following.kill().expect("it runs");
    following.wait().expect("it ends");
}

#[test]
fn evidence_about_an_unknown_key_names_the_nearest() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    with_a_deal(dir);
    for (selection, said) in [
        (["--account", "acne.com"], "no account acne.com; nearest: acme.com"),
        (["--deal", "d-11"], "no deal d-11; nearest: d-1"),
        (["--deal", "p-1-and-no-deal"], "no deal p-1-and-no-deal"),
    ] {
        let told = fails_with_nothing_printed(dir, &[&["evidence", "--out", "bundle"], &selection[..]].concat());
        assert_eq!(told, format!("pledger: the ledger has {said}\n"));
        assert!(!dir.join("bundle").exists());
    }
}
