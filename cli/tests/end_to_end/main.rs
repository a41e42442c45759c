//! The program as a user meets it: the built binary, real files, a real socket.

mod analysis;
mod bad_days;
mod bad_questions;
mod evidence;
mod explain;
mod generations;
mod import;
mod policies;
mod program;
mod rules;
mod simulate;
mod streams;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use program::{PARTNER, Server, fail, json, spawn, succeed, text};

#[test]
fn the_readme_walk_works_with_and_without_a_server() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    let server = Server::start(dir);
    assert!(succeed(dir, &["command", "RegisterPartner", PARTNER]).contains("Accepted"));
    // A second server is refused, in words that say what to do; the first goes on.
    let second = fail(dir, &["serve", "--listen", "127.0.0.1:0"], 1);
    assert!(second.contains("process"), "{second}");
    succeed(dir, &["command", "SignAgreement", r#"{"partner_id":"p-1"}"#]);
    succeed(dir, &["command", "ActivatePartner", r#"{"partner_id":"p-1"}"#]);
    let deal = r#"{"deal_id":"d-1","partner_id":"p-1","account":{"name":"Acme","domain":"acme.com"},"product":"GTX Pro","amount":{"amount":"120000.00","currency":"USD"}}"#;
    let registered = json(dir, &["command", "RegisterDeal", deal, "--key", "k-1"]);
    let again = json(dir, &["command", "RegisterDeal", deal, "--key", "k-1"]);
    assert_eq!(registered["position"], again["position"], "the same key is answered from history");
    let at_least = registered["position"].as_str().expect("a position").to_owned();
    let pipeline = json(dir, &["query", "pipeline", "--by", "region,status", "--at-least", &at_least]);
    assert_eq!(pipeline["items"][0]["amount"]["amount"], "120000.00", "{pipeline}");
    assert_eq!(pipeline["items"][0]["region"], "EMEA", "{pipeline}");
    server.stop();

    // The same data without a server.
    assert_eq!(json(dir, &["query", "pipeline", "--by", "region,status"])["items"], pipeline["items"]);
    assert!(succeed(dir, &["replay", "--account", "acme.com"]).contains("DealRegistered"));
    assert!(succeed(dir, &["verify", "--projections"]).contains("Intact"));
    let refused = fail(dir, &["command", "RegisterPartner", PARTNER], 1);
    assert!(refused.contains("PartnerExists"), "{refused}");
    assert!(fail(dir, &["command", "RegisterPartnr", "{}"], 2).contains("RegisterPartner"));
    assert!(fail(dir, &["query", "pipline"], 2).contains("pipeline"));
    let out = dir.join("deals.csv");
    succeed(dir, &["export", "deals", "--format", "csv", "--out", out.to_str().expect("UTF-8")]);
    assert!(std::fs::read_to_string(out).expect("written").contains("d-1"));
}

#[test]
fn a_demo_is_the_same_every_time() {
    let dirs = [tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder")];
    let exports: Vec<String> = dirs
        .iter()
        .map(|dir| {
            let told = succeed(dir.path(), &["demo", "--partners", "12", "--months", "6", "--seed", "7", "--no-serve"]);
            assert!(told.contains("generated partner program"), "{told}");
            let out = dir.path().join("ledger.jsonl");
            succeed(dir.path(), &["export", "ledger", "--format", "jsonl", "--out", out.to_str().expect("UTF-8")]);
            std::fs::read_to_string(out).expect("written")
        })
        .collect();
    assert!(exports[0].lines().count() > 200);
    assert!(exports[0] == exports[1], "two demos of one seed differ");
}

#[test]
fn a_demo_may_be_as_small_as_it_is_asked_for() {
    for (partners, months) in [("1", "1"), ("5", "3"), ("20", "4")] {
        let dir = tempfile::tempdir().expect("a directory");
        succeed(dir.path(), &["demo", "--partners", partners, "--months", months, "--no-serve"]);
    }
}

#[test]
fn what_nobody_knew_is_said_in_a_line() {
    let dir = tempfile::tempdir().expect("a directory");
    succeed(dir.path(), &["demo", "--partners", "5", "--months", "3", "--no-serve"]);
    // Nothing is looked for that rules would be missing for.
    let before = fail(dir.path(), &["query", "deals", "--known-at", "2001-01-01"], 1);
    let told = "BeforeHistory: known_at: the ledger recorded its first fact later, at ";
    assert!(before.contains(told) && before.lines().count() == 1, "{before}");
    let unknown = fail(dir.path(), &["explain", "ropi_margin", "p-999"], 1);
    assert_eq!(
        unknown,
        "pledger: NotFound: no partner p-999 (accepted: the id of a partner, or a group such as region=EMEA,quarter=2026-Q1, or all)\n"
    );
    for verb in ["query", "explain"] {
        assert_eq!(fail(dir.path(), &[verb, "tiers", "p-03"], 1), "pledger: NotFound: no partner p-03; nearest: p-003\n", "{verb}");
    }
    let said = fail(dir.path(), &["explain", "tiers", "all"], 1);
    assert_eq!(said, "pledger: NotFound: tiers has no \"all\" (accepted: the id of a partner)\n");
    let said = fail(dir.path(), &["explain", "pipeline", "all", "--filter", "region=EMAE"], 1);
    assert_eq!(said, "pledger: NotFound: no region EMAE; nearest: EMEA\n");
    let keyed = fail(dir.path(), &["query", "ropi", "p-001"], 2);
    assert!(keyed.contains("try pledger query ropi --by partner --filter partner=p-001\n") && !keyed.contains("/v1"), "{keyed}");
    let keyed = fail(dir.path(), &["query", "pipeline", "p-001"], 2);
    assert!(keyed.contains("try pledger query pipeline --by partner\n") && !keyed.contains("/v1"), "{keyed}");
}

#[test]
fn a_demo_is_refused_only_what_a_channel_manager_knows() {
    let dir = tempfile::tempdir().expect("a folder");
    succeed(dir.path(), &["demo", "--partners", "90", "--months", "24", "--seed", "7", "--no-serve"]);
    let out = dir.path().join("ledger.jsonl");
    succeed(dir.path(), &["export", "ledger", "--format", "jsonl", "--out", out.to_str().expect("UTF-8")]);
    let mut refused: Vec<String> = std::fs::read_to_string(out)
        .expect("written")
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["body"]["decision"].take())
        .filter_map(|decision| Some(format!("{} {}", decision["command"]["type"].as_str()?, decision["rejected"]["code"].as_str()?)))
        .collect();
    refused.sort();
    refused.dedup();
    let known = [
        "ApproveDeal AccountProtected",
        "ApproveFundRequest AllocationExceeded",
        "ClaimAccountDirect AccountProtected",
        "ClaimMDF ClaimWindowClosed",
        "ClaimMDF PartnerNotActive",
        "ClaimMDF PartnerRetiring",
        "ClaimMDF ProofMissing",
        "RegisterDeal AccountProtected",
        "RegisterDeal PartnerNotActive",
        "RegisterDeal PartnerRetiring",
        "RequestFunds PartnerNotActive",
        "RequestFunds PartnerRetiring",
        "AllocateFunds PartnerNotActive",
        "AllocateFunds PartnerRetiring",
    ];
    assert!(refused.contains(&"RegisterDeal AccountProtected".to_owned()), "{refused:?}");
    assert!(refused.iter().all(|refused| known.contains(&refused.as_str())), "{refused:?}");
}

#[test]
fn the_verbs_find_the_demo_where_it_was_written() {
    let dir = tempfile::tempdir().expect("a folder");
    let bare = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pledger"));
        let output = command.current_dir(dir.path()).env_remove("PLEDGER_DATA_DIR").args(arguments).output().expect("pledger starts");
        assert!(output.status.success(), "{arguments:?}: {}", text(&output));
        text(&output)
    };
    bare(&["demo", "--partners", "5", "--months", "6", "--no-serve"]);
    let asked = bare(&["query", "pipeline", "--by", "status"]);
    assert!(asked.contains("won"), "{asked}");
    // A pipe has room for everything; whoever names columns gets these.
    assert!(asked.contains("currency") && asked.contains("sla_attainment"), "{asked}");
    let named = bare(&["query", "pipeline", "--by", "status", "--columns", "won,status"]);
    let header = named.lines().nth(1).expect("a header");
    assert_eq!(header.split_whitespace().collect::<Vec<_>>(), ["won", "status"]);
}

#[test]
fn an_erased_person_cannot_be_read_and_every_proof_stays_valid() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    succeed(dir, &["init"]);
    succeed(dir, &["command", "RegisterPartner", PARTNER]);
    let manager = r#"{"partner_id":"p-1","manager_id":"pam-1","name":"Ada Lovelace"}"#;
    succeed(dir, &["command", "AssignPartnerManager", manager, "--key", "k-1"]);
    let bytes = std::fs::read(dir.join("data").join("ledger.db")).expect("the ledger");
    assert!(!bytes.windows(8).any(|window| window == b"Lovelace"), "a plain name is in the ledger");
    assert!(fail(dir, &["erase", "nobody", "--reason", "asked"], 1).contains("UnknownPerson"));
    assert!(succeed(dir, &["erase", "pam-1", "--reason", "asked"]).contains("Erased"));
    assert!(succeed(dir, &["verify", "--projections"]).contains("Intact"));
    // A retry still finds its first answer, and no second key is made.
    assert!(succeed(dir, &["command", "AssignPartnerManager", manager, "--key", "k-1"]).contains("answered from history"));
    let later = json(dir, &["command", "AssignPartnerManager", manager]);
    assert_eq!(later["events"][0]["data"]["name"]["erased"], true, "{later}");
}

#[test]
fn whoever_has_seen_enough_of_an_export_is_no_error() {
    let dir = tempfile::tempdir().expect("a folder");
    succeed(dir.path(), &["init"]);
    for format in ["jsonl", "csv"] {
        let mut export = spawn(dir.path(), &["export", "ledger", "--format", format, "--out", "-"]);
        drop(export.stdout.take());
        let output = export.wait_with_output().expect("it ends");
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    }
}

/// The CRM export beside the project; absent in a clone that stands alone.
fn crm() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/crm");
    if !folder.is_dir() {
        eprintln!("left out: there is no ../shared/data/crm beside the project");
        return None;
    }
    Some(folder)
}

#[test]
fn the_crm_export_agrees_with_its_file_and_imports_once() {
    let Some(folder) = crm() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    let folder = folder.to_str().expect("UTF-8");
    let report = json(dir, &["import", "crm", folder]);
    assert_eq!(report["notes"].as_object().expect("notes").values().map(|n| n.as_u64().expect("a count")).sum::<u64>(), 4_562);
    assert_eq!(report["renamed"]["pipeline.product: GTXPro -> GTX Pro"], 1_480);
    assert_eq!(report["bad_row_count"], 0);
    let count = |items: &Value, dim: &str, value: &str| {
        let found = items["items"].as_array().expect("items").iter().find(|item| item[dim] == value).cloned().expect(value);
        (found["count"].as_u64().expect("a count"), found["amount"]["amount"].as_str().expect("an amount").to_owned())
    };
    let statuses = json(dir, &["query", "pipeline", "--by", "status"]);
    assert_eq!(count(&statuses, "status", "won"), (4_238, "10005534.00".into()));
    assert_eq!(count(&statuses, "status", "lost").0, 2_473);
    let open = json(dir, &["query", "pipeline", "--by", "stage", "--filter", "status=open"]);
    assert_eq!((count(&open, "stage", "qualified").0, count(&open, "stage", "prospect").0), (1_589, 500));
    let regions = json(dir, &["query", "pipeline", "--by", "region", "--filter", "status=won"]);
    for (region, deals, amount) in [("Central", 1_629, "3346293.00"), ("West", 1_438, "3568647.00"), ("East", 1_171, "3090594.00")] {
        assert_eq!(count(&regions, "region", region), (deals, amount.into()));
    }
    let again = json(dir, &["import", "crm", folder]);
    assert_eq!((again["accepted"].as_u64(), again["repeated"].as_u64()), (Some(0), report["accepted"].as_u64()));
    assert!(!json(dir, &["conflicts", "--limit", "5"])["items"].as_array().expect("items").is_empty(), "overlaps show");

    // Decided again, 25,541 imported commands and the rules come out as they are in the ledger.
    std::fs::write(dir.join("base.toml"), succeed(dir, &["rules", "show"])).expect("written");
    let simulated = json(dir, &["simulate", "--rules", "base.toml", "--verify"]);
    assert_eq!(simulate::everything_repeats(&simulated), report["accepted"].as_u64().expect("a count") + 1);
    assert_eq!(simulated["drafts"][0]["summary"], Value::Array(Vec::new()));
    assert_eq!(simulated["decided_again"]["historical"], report["accepted"], "what was imported is history to every draft");
    let words = succeed(dir, &["simulate", "--rules", "base.toml", "--verify"]);
    assert!(words.contains("are history from before the ledger"), "{words}");
}
