//! Keys, values and times that the ledger has nothing of: what whoever asks is told.

use std::{
    io::{BufRead, BufReader},
    path::Path,
};

use serde_json::Value;

use crate::program::{PARTNER, fail, json, pledger, spawn, succeed, text};

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
fn a_partner_is_replayed_with_what_funds_hold_for_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    with_a_deal(dir);
    let amount = |amount: &str, currency: &str| format!(r#""amount":{{"amount":"{amount}","currency":"{currency}"}}"#);
    let request = |id: &str, allocation: &str, currency: &str| {
        let amount = amount("12000.00", currency);
        format!(r#"{{"request_id":"{id}","budget_id":"b-1","allocation_id":"{allocation}","activity":"Booth",{amount},"goal":"leads"}}"#)
    };
    let proof = r#"[{"kind":"invoice","uri":"https://files.example/7.pdf","sha256":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}]"#;
    let budget = format!(r#"{{"budget_id":"b-1",{},"starts_on":"2020-01-01","ends_on":"2999-01-01"}}"#, amount("500000.00", "USD"));
    let allocation = format!(r#"{{"allocation_id":"al-1","budget_id":"b-1","partner_id":"p-1",{}}}"#, amount("50000.00", "USD"));
    let claim = format!(r#"{{"claim_id":"cl-1","request_id":"rq-1",{},"proof":{proof}}}"#, amount("98000.00", "USD"));
    succeed(dir, &["command", "OpenBudget", &budget]);
    succeed(dir, &["command", "AllocateFunds", &allocation]);
    fail(dir, &["command", "RequestFunds", &request("rq-1", "al-1", "EUR")], 1);
    fail(dir, &["command", "RequestFunds", &request("rq-9", "al-9", "USD")], 1);
    succeed(dir, &["command", "RequestFunds", &request("rq-1", "al-1", "USD")]);
    succeed(dir, &["command", "ApproveFundRequest", r#"{"request_id":"rq-1"}"#]);
    fail(dir, &["command", "ClaimMDF", &claim], 1);
    let told = succeed(dir, &["replay", "--partner", "p-1", "--json"]);
    let decisions = told.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["decision"].take());
    let of_funds: Vec<String> = decisions
        .filter(|decision| decision["stream"] == "fund/b-1")
        .map(|decision| format!("{} {}", decision["command"]["type"], decision["rejected"]["code"]))
        .collect();
    // Neither the budget, which is nobody's, nor a request for an allocation that there is not.
    assert_eq!(
        of_funds,
        [
            r#""AllocateFunds" null"#,
            r#""RequestFunds" "WrongCurrency""#,
            r#""RequestFunds" null"#,
            r#""ApproveFundRequest" null"#,
            r#""ClaimMDF" "RequestExceeded""#
        ]
    );
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

#[test]
fn a_question_names_what_is_nearest_to_a_key_or_value_that_there_is_not() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    with_a_deal(dir);
    for (arguments, said) in [
        (&["query", "conflicts", "foo"][..], "no conflict foo"),
        (&["query", "deals", "d-11"], "no deal d-11; nearest: d-1"),
        (&["query", "partners", "p-11"], "no partner p-11; nearest: p-1"),
        (&["explain", "pipeline", "region=EMAE"], "no region EMAE; nearest: EMEA"),
    ] {
        assert_eq!(fails_with_nothing_printed(dir, arguments), format!("pledger: NotFound: {said}\n"));
    }
    for (arguments, said) in [
        (&["query", "pipeline", "--filter", "region=EMAE"][..], "Warning: no region EMAE; nearest: EMEA\n"),
        (&["query", "pipeline", "--filter", "region=EMAE", "--json"], "Warning: no region EMAE; nearest: EMEA\n"),
        (&["export", "deals", "--filter", "partner=p-11", "--format", "csv", "--out", "-"], "Warning: no partner p-11; nearest: p-1\n"),
        (&["conflicts", "--account", "acne.com"], "Warning: no account acne.com; nearest: acme.com\n"),
        // There is such a partner, and it has none.
        (&["conflicts", "--partner", "p-1"], ""),
        (&["query", "deals", "--filter", "status=lost"], ""),
    ] {
        let output = pledger(dir, arguments);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output));
        assert_eq!(String::from_utf8_lossy(&output.stderr), said, "{arguments:?}");
    }
}

#[test]
fn every_verb_refuses_a_time_before_the_ledger_and_says_one_to_come() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    with_a_deal(dir);
    for verb in [
        &["query", "deals"][..],
        &["query", "deals", "d-1"],
        &["explain", "deals", "d-1", "--field", "amount"],
        &["export", "deals", "--format", "csv", "--out", "-"],
        &["conflicts"],
        &["replay"],
        &["replay", "--deal", "d-1"],
    ] {
        for (flag, name) in [("--as-of", "as_of"), ("--known-at", "known_at")] {
            let told = fails_with_nothing_printed(dir, &[verb, &[flag, "1999-01-01"]].concat());
            let named = told.contains(&format!("{name}: ")) || told.contains(&format!("{flag} 1999-01-01T23:59:59.999999Z: "));
            let axis = if flag == "--as-of" { "the first fact is effective later, at " } else { " later, at " };
            assert!(named && told.contains(axis), "{verb:?}: {told}");
            let unreadable = pledger(dir, &[verb, &[flag, "soon"]].concat());
            assert!(unreadable.status.code() == Some(2) && text(&unreadable).starts_with(&format!("error: {flag}: ")), "{verb:?}");
        }
        let told = pledger(dir, &[verb, &["--known-at", "2999-01-01"]].concat());
        let said = "known_at 2999-01-01T23:59:59.999999Z lies in the future: the answer is what is known now\n";
        let stderr = String::from_utf8_lossy(&told.stderr).replace("--known-at", "known_at");
        assert_eq!((told.status.code(), &*stderr), (Some(0), &*format!("Warning: {said}")), "{verb:?}");
    }
}

#[test]
fn the_list_of_commands_marks_those_that_pledger_alone_sends() {
    let dir = tempfile::tempdir().expect("a folder");
    let told = json(dir.path(), &["command", "--list"]);
    let commands = told.as_array().expect("a list");
    let own: Vec<&str> = commands.iter().filter(|one| one["origin"] == "system").filter_map(|one| one["name"].as_str()).collect();
    let table = succeed(dir.path(), &["command", "--list"]);
    assert_eq!(table.matches("(by pledger itself)").count(), own.len(), "{table}");
    let documented = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/services.md")).expect("docs/services.md");
    let listed = own.iter().all(|name| documented.contains(&format!("`{name}`")));
    assert!(own.len() == 4 && listed, "{own:?}");
}

#[test]
fn conflicts_are_told_in_words() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    with_a_deal(dir);
    let approved = succeed(dir, &["command", "ApproveDeal", r#"{"deal_id":"d-1"}"#, "--json"]);
    let approved: Value = serde_json::from_str(&approved).expect("JSON");
    let until = approved["events"][0]["data"]["protected_until"].as_str().expect("a time")[..10].to_owned();
    succeed(dir, &["command", "RegisterPartner", &PARTNER.replace("p-1", "north")]);
    succeed(dir, &["command", "SignAgreement", r#"{"partner_id":"north"}"#]);
    succeed(dir, &["command", "ActivatePartner", r#"{"partner_id":"north"}"#]);
    fail(dir, &["command", "RegisterDeal", &DEAL.replace("p-1", "north").replace("d-1", "d-2")], 1);
    for question in [
        &["conflicts"][..],
        &["query", "conflicts"],
        &["query", "conflicts", "acme.com"],
        // Products are one however they are written.
        &["conflicts", "--product", "gtx  PRO"],
        &["query", "conflicts", "--filter", "product=gtx  PRO"],
    ] {
        let told = succeed(dir, question);
        assert!(told.contains(&format!("p-1 (d-1): protected until {until}")), "{told}");
        let refused = "under rules 1 (AccountProtected): the account is protected for p-1 until ";
        assert!(told.contains("north (d-2): RegisterDeal refused on ") && told.contains(refused), "{told}");
        assert!(!told.contains("partner="), "{told}");
    }
    succeed(dir, &["command", "WithdrawDeal", r#"{"deal_id":"d-1"}"#]);
    let told = succeed(dir, &["conflicts"]);
    assert!(told.contains(&format!("p-1 (d-1): was protected, until {until} or the deal's end")), "{told}");
}

#[test]
fn a_close_dated_before_its_deals_registration_says_which_date_it_has() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    with_a_deal(dir);
    succeed(dir, &["command", "ApproveDeal", r#"{"deal_id":"d-1"}"#]);
    // The day is the one it was registered on, and its midnight came first.
    let registered = succeed(dir, &["query", "deals", "d-1", "--json"]);
    let registered: Value = serde_json::from_str(&registered).expect("JSON");
    let registered = registered["registered_at"].as_str().expect("a time");
    let won = format!(r#"{{"deal_id":"d-1","amount":{{"amount":"9.00","currency":"USD"}},"closed_at":"{}"}}"#, &registered[..10]);
    let note = format!(
        "Note: the decision is dated {registered}, not {}T00:00:00Z: what it builds on, such as the deal's registration, is not older.\n",
        &registered[..10]
    );
    let closed = pledger(dir, &["command", "CloseWon", &won]);
    assert_eq!((closed.status.code(), String::from_utf8_lossy(&closed.stderr).as_ref()), (Some(0), &*note));
}

#[test]
fn an_export_says_what_is_missing() {
    let dir = tempfile::tempdir().expect("a folder");
    for (arguments, said) in [
        (&["export", "ledger"][..], "--format and --out are missing"),
        (&["export", "ledger", "--out", "-"], "--format is missing"),
        (&["export", "ledger", "--format", "jsonl"], "--out is missing"),
    ] {
        let output = pledger(dir.path(), arguments);
        let told = text(&output);
        let such = "say the format (parquet, arrow, csv or jsonl) and the file (- for stdout), such as: pledger export ledger --format jsonl --out ledger.jsonl\n";
        assert!(output.status.code() == Some(2) && told.starts_with(&format!("error: {said}: {such}")), "{told}");
    }
}

#[test]
fn wrong_usage_is_told_with_the_usage_of_the_verb() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    with_a_deal(dir);
    for (arguments, usage) in [
        (&["query", "deals", "--filter", "status=wonn"][..], "\nUsage: pledger query [OPTIONS] <VIEW> [KEY]\n"),
        (&["dead-letters", "list"], "\nUsage: pledger dead-letters list [OPTIONS]"),
    ] {
        let told = fail(dir, arguments, 2);
        assert!(told.contains(usage), "{told}");
    }
}
