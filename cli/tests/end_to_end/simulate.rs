//! What-if: a draft of the rules over the history that there is.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use serde_json::Value;

use crate::program::{fail, json, pledger, succeed};

/// A demo, its rules beside it as `base.toml`.
fn demo() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    succeed(dir.path(), &["demo", "--partners", "40", "--months", "18", "--no-serve"]);
    let rules = succeed(dir.path(), &["rules", "show"]);
    std::fs::write(dir.path().join("base.toml"), rules).expect("written");
    dir
}

/// Writes a draft: the rules in force with these changes.
fn draft(dir: &Path, name: &str, changes: &[(&str, &str)]) {
    let base = std::fs::read_to_string(dir.join("base.toml")).expect("the rules in force");
    let text = changes.iter().fold(base, |text, (was, is)| {
        assert!(text.contains(was), "{was}");
        text.replacen(was, is, 1)
    });
    std::fs::write(dir.join(name), text).expect("written");
}

/// Every file of the data directory that holds something.
fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut folders = vec![dir.join("data")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.to_string_lossy().ends_with("-shm") {
                // The index of a write-ahead log in shared memory: it holds the marks of readers, and no data.
                files.push((path.display().to_string(), std::fs::read(&path).expect("a file")));
            }
        }
    }
    files.retain(|(_, bytes)| !bytes.is_empty());
    files.sort();
    files
}

fn rows<'v>(report: &'v Value, what: &str) -> &'v Vec<Value> {
    report["drafts"][0][what].as_array().expect(what)
}

#[test]
fn a_draft_is_held_against_history_and_nothing_is_written() {
    let dir = demo();
    let dir = dir.path();
    let before = files(dir);
    let same = json(dir, &["simulate", "--rules", "base.toml", "--verify"]);
    for what in ["changes", "summary", "tiers", "attribution", "ropi", "decisions"] {
        assert_eq!(rows(&same, what).len(), 0, "{what}: {same}");
    }
    assert!(everything_repeats(&same) > 1_000, "{same}");
    let words = succeed(dir, &["simulate", "--rules", "base.toml"]);
    assert!(words.contains("Nothing would differ.") && words.contains("were not asked again"), "{words}");

    draft(dir, "draft.toml", &[("certifications = 4", "certifications = 6"), ("window_days = 180", "window_days = 30")]);
    let report = json(dir, &["simulate", "--rules", "draft.toml"]);
    assert_eq!(report["drafts"][0]["changes"][0]["in_words"], "Gold needs 6 certifications instead of 4.");
    let tiers = rows(&report, "tiers");
    assert!(!tiers.is_empty(), "{report}");
    for change in tiers {
        let why = &change["why"][0];
        assert_eq!((&change["before"], &why["input"], &why["takes"]), (&"gold".into(), &"active_certifications".into(), &6.into()));
    }
    let gains: i128 = rows(&report, "attribution").iter().map(|shift| cents(&shift["gains"])).sum();
    assert_eq!((rows(&report, "attribution").is_empty(), gains), (false, 0), "credit moves, and none is lost");

    let csv = succeed(dir, &["simulate", "--rules", "draft.toml", "--format", "csv"]);
    assert!(csv.starts_with("draft,kind,partner,"), "{csv}");
    assert_eq!(csv.lines().count() - 1, counted(&report));
    // A document holds the first of each list, and says how many there are; rows are all there.
    let bounded = json(dir, &["simulate", "--rules", "draft.toml", "--limit", "2"]);
    for what in ["tiers", "attribution", "ropi", "decisions"] {
        let (all, listed) = (rows(&report, what).len(), rows(&bounded, what).len());
        assert_eq!((&bounded["drafts"][0]["counts"][what], listed), (&all.into(), all.min(2)), "{what}");
        assert_eq!(rows(&bounded, what)[..], rows(&report, what)[..listed], "{what}");
    }
    assert_eq!((&bounded["drafts"][0]["summary"], &bounded["limit"]), (&report["drafts"][0]["summary"], &2.into()));
    assert_eq!(succeed(dir, &["simulate", "--rules", "draft.toml", "--limit", "2", "--format", "csv"]), csv);
    // The summary alone.
    let none = succeed(dir, &["simulate", "--rules", "draft.toml", "--limit", "0"]);
    assert!(none.contains("differ") && !none.contains("of 0 shown") && !none.contains("0 of "), "{none}");
    let both = succeed(dir, &["simulate", "--rules", "draft.toml", "--rules", "base.toml"]);
    assert!(both.contains("tier earned") && both.contains("base.toml against version 1:\n  Nothing changes."), "{both}");
    assert!(files(dir) == before, "a simulation wrote something");
    // The tiers as they are agree with the view.
    for change in tiers.iter().take(2) {
        let seen = json(dir, &["query", "tiers", change["partner"].as_str().expect("a partner")]);
        assert_eq!((&seen["tier_earned"], &seen["active_certifications"]), (&change["before"], &change["why"][0]["had"]));
    }
}

#[test]
fn a_draft_is_given_once() {
    let dir = demo();
    draft(dir.path(), "draft.toml", &[]);
    let refused = pledger(dir.path(), &["simulate", "--rules", "draft.toml", "--rules", "draft.toml"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--rules draft.toml is given twice"));
}

#[test]
fn decisions_are_made_again_under_the_draft() {
    let dir = demo();
    let dir = dir.path();
    draft(dir, "draft.toml", &[("certifications = 4", "certifications = 6"), ("protection_days = 90", "protection_days = 0")]);
    let report = json(dir, &["simulate", "--rules", "draft.toml"]);
    everything_repeats(&report);
    let found = |command: &str, change: &str| -> Vec<&Value> {
        rows(&report, "decisions").iter().filter(|row| row["command"] == command && row["change"] == change).collect()
    };
    let unprotected = found("ApproveDeal", "other_consequences");
    let registered = found("RegisterDeal", "accepted");
    assert!(!unprotected.is_empty() && !registered.is_empty() && !found("EvaluateTier", "other_consequences").is_empty(), "{report}");
    for row in unprotected {
        let fields = row["fields"].as_array().expect("fields");
        assert_eq!((fields.len(), &fields[0]["field"], &fields[0]["after"]), (1, &"protected_until".into(), &Value::Null), "{row}");
    }
    for row in registered {
        assert_eq!((&row["recorded"]["code"], &row["draft"]["outcome"]), (&"AccountProtected".into(), &"accepted".into()), "{row}");
        // The refusal that is named is in the ledger, and the approval that it rested on is one that would differ.
        let position = row["position"].as_str().expect("a position");
        let told = succeed(dir, &["replay", "--from", position, "--to", position]);
        assert!(told.contains("refused (AccountProtected)") && told.contains("asked for: deal "), "{row}: {told}");
        assert!(found("ApproveDeal", "other_consequences").iter().any(|approval| approval["position"] == row["follows"]), "{row}");
    }
    // What was decided before the draft governs stays.
    let report = json(dir, &["simulate", "--rules", "draft.toml", "--from", "2026-09-30"]);
    assert!(rows(&report, "decisions").iter().all(|row| row["effective_at"].as_str() >= Some("2026-09-30")), "{report}");
}

#[test]
fn what_the_ledger_has_at_another_time_is_not_newly_due_and_dates_are_no_money() {
    let dir = demo();
    let dir = dir.path();
    let shorter = [("validity_days = 180", "validity_days = 120"), ("claim_window_days = 90", "claim_window_days = 30")];
    draft(dir, "draft.toml", &[&shorter[..], &[("protection_days = 90", "protection_days = 60")]].concat());
    let report = json(dir, &["simulate", "--rules", "draft.toml", "--limit", "100000"]);
    let found = |change: &str| rows(&report, "decisions").iter().filter(|row| row["change"] == change).collect::<Vec<_>>();
    for command in ["ExpireDeal", "CloseClaimWindow"] {
        let subjects = |change: &str| -> BTreeSet<String> {
            found(change).iter().filter(|row| row["command"] == command).map(|row| row["subject"].to_string()).collect()
        };
        let (moved, due, refused) = (subjects("other_time"), subjects("falls_due"), subjects("refused"));
        assert!(!moved.is_empty() && moved.is_disjoint(&due) && refused.is_empty(), "{command}: {moved:?}, {due:?}, {refused:?}");
    }
    let moved = found("other_time");
    let position = moved[0]["position"].as_str().expect("a position");
    let replayed = succeed(dir, &["replay", "--from", position, "--to", position]);
    assert!(replayed.contains(moved[0]["command"].as_str().expect("a command")), "{replayed}");
    // Refusals with other dates count, and are worth nothing, in every form.
    let dated = found("other_dates");
    assert!(!dated.is_empty() && dated.iter().all(|row| row["amount"].is_null() && row["recorded"]["code"] == row["draft"]["code"]));
    let sums: Vec<_> =
        rows(&report, "summary").iter().filter(|sum| sum["kind"].as_str().is_some_and(|kind| kind.ends_with(OTHER_DATES))).collect();
    assert!(sums.iter().all(|sum| sum["money"] == serde_json::json!([])), "{sums:?}");
    let csv = succeed(dir, &["simulate", "--rules", "draft.toml", "--format", "csv"]);
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let cells: Vec<csv::StringRecord> =
        reader.records().map(|row| row.expect("a row")).filter(|row| row[1].ends_with(OTHER_DATES)).collect();
    assert_eq!(cells.len(), dated.len());
    assert!(cells.iter().all(|row| row[8].is_empty() && row[9].is_empty()), "{cells:?}");
}

/// What a command says that it is decided by has to be all of it: a clause at a time, whatever else is decided again changes nothing.
#[test]
fn deciding_every_command_again_finds_nothing_more() {
    let dir = demo();
    let dir = dir.path();
    let changes = [
        ("revenue = \"500000\"", "revenue = \"200000\""),
        ("window_days = 365", "window_days = 180"),
        ("grace_days = 90", "grace_days = 0"),
        ("protection_days = 90", "protection_days = 30"),
        ("protection_scope = \"product\"", "protection_scope = \"account\""),
        ("\nvalidity_days = 180", "\nvalidity_days = 60"),
        ("extension_days = 90", "extension_days = 10"),
        ("max_extensions = 1", "max_extensions = 0"),
        ("approval_sla_hours = 48", "approval_sla_hours = 24"),
        ("required_fields = []", "required_fields = [\"contact\"]"),
        ("prerequisite_courses = []", "prerequisite_courses = [\"101\"]"),
        ("routing = []", "routing = [{ min_amount = \"50000\", reviewer = \"vp\" }]"),
        ("default_reviewer = \"channel-desk\"", "default_reviewer = \"nobody\""),
        ("\nvalidity_days = 365", "\nvalidity_days = 200"),
        ("levels = [\"professional\", \"expert\"]", "levels = [\"expert\"]"),
        ("eligible_tiers = []", "eligible_tiers = [\"gold\"]"),
        ("claim_window_days = 90", "claim_window_days = 15"),
        ("half_life_days = 7", "half_life_days = 30"),
        ("partner_cac = \"0\"", "partner_cac = \"500\""),
    ];
    let names: Vec<String> = (0..changes.len()).map(|number| format!("draft-{number}.toml")).collect();
    names.iter().zip(changes).for_each(|(name, change)| draft(dir, name, &[change]));
    let asked: Vec<&str> = std::iter::once("simulate").chain(names.iter().flat_map(|name| ["--rules", name])).collect();
    let told = |more: &[&str]| succeed(dir, &[&asked[..], more].concat());
    let csv = told(&["--format", "csv"]);
    assert!(csv == told(&["--format", "csv", "--verify"]), "other rows where every command is decided again");
    // Who is told that all of it repeats can rely on it; no more is decided again than has to be.
    let [less, all] =
        [&[][..], &["--verify"]].map(|more| json(dir, &[&["simulate", "--rules", &names[17]], more].concat())["decided_again"].clone());
    assert_eq!((&less["every_command"], &less["decided"], &less["folded"]), (&false.into(), &0.into(), &true.into()));
    assert!(all["decided"].as_u64() > Some(1_000) && all["decided"] == all["controlled"], "{all}");
    assert_eq!(all["unrepeated_count"], 0);
    // Days of protection are in no figure.
    assert_eq!(json(dir, &["simulate", "--rules", &names[3]])["decided_again"]["folded"], false);
    for (kind, name) in [("tier", &names[0]), ("ClaimMDF refused", &names[16]), ("\"credit, time_decay\"", &names[17])] {
        assert!(csv.lines().any(|line| line.starts_with(&format!("{name},{kind}"))), "no {kind} under {name}");
    }
    // A deal that is refused at several steps is worth what it is once.
    let report = json(dir, &["simulate", "--rules", &names[9], "--limit", "100000"]);
    let moved: Vec<&Value> = rows(&report, "decisions")
        .iter()
        .filter(|row| row["command"] == "AdvanceStage" && row["change"] == "refused" && !row["amount"].is_null())
        .collect();
    let worth: BTreeMap<String, i128> = moved.iter().map(|row| (row["subject"].to_string(), cents(&row["amount"]))).collect();
    let summed = rows(&report, "summary").iter().find(|sum| sum["kind"] == "AdvanceStage refused").expect("refused");
    assert!(worth.len() < moved.len(), "no deal moves twice");
    assert_eq!(cents(&summed["money"][0]), worth.values().sum::<i128>());
    // Nothing falls due after the present: on record it is not decided yet either.
    let told = |more: &[&str]| json(dir, &[&["simulate", "--rules", &names[5]], more].concat())["drafts"][0]["decisions"].clone();
    assert!(told(&[]) == told(&["--to", "2030-01-01"]), "other decisions where the time lies ahead");
    draft(dir, "alike.toml", &[("duplicate_similarity = \"0.92\"", "duplicate_similarity = \"0.5\"")]);
    let words = succeed(dir, &["simulate", "--rules", "alike.toml"]);
    assert!(words.contains("Not simulated: conflicts go by it"), "{words}");
    let words = succeed(dir, &["simulate", "--rules", &names[16]]);
    assert!(words.contains(" figures of ") && words.contains(" were decided again: what a changed clause decides"), "{words}");
}

const OTHER_DATES: &str = "refused with other dates";

/// Under the rules as recorded every decision has to come out as recorded; how many were decided again.
pub(crate) fn everything_repeats(report: &Value) -> u64 {
    assert_eq!(report["decided_again"]["unrepeated"].as_array().map(Vec::len), Some(0), "{}", report["decided_again"]);
    report["decided_again"]["decided"].as_u64().expect("a count")
}

/// What the summary of the first draft adds up to.
fn counted(report: &Value) -> usize {
    let counts = rows(report, "summary").iter().map(|sum| sum["count"].as_u64().expect("a count"));
    usize::try_from(counts.sum::<u64>()).expect("few")
}

fn cents(money: &Value) -> i128 {
    money["amount"].as_str().expect("an amount").replace('.', "").parse().expect("a number")
}

#[test]
fn what_cannot_be_simulated_says_why() {
    let dir = demo();
    let dir = dir.path();
    draft(dir, "bad.toml", &[("revenue = \"500000\"", "revenue = \"1\""), ("half_life_days = 7", "half_life_days = 0")]);
    let said = fail(dir, &["simulate", "--rules", "bad.toml"], 1);
    assert_eq!(said.matches("column").count(), 2, "{said}");
    let said = fail(dir, &["simulate", "--rules", "base.toml", "--to", "2001-01-01"], 1);
    assert!(said.contains("history, which begins at 20"), "{said}");
    for span in [["--from", "2026-05-01", "--to", "2026-04-30"], ["--from", "2999-01-01", "--limit", "1"], ["--to", "soon", "--limit", "1"]]
    {
        fail(dir, &[&["simulate", "--rules", "base.toml"][..], &span].concat(), 2);
    }
    fail(dir, &["simulate"], 2);
}

#[test]
fn what_was_published_on_a_generated_history_is_in_force_from_then_on() {
    let dir = demo();
    let dir = dir.path();
    draft(dir, "next.toml", &[("validity_days = 180", "validity_days = 120")]);
    let told = succeed(dir, &["rules", "publish", "next.toml"]);
    assert!(told.contains("version 2") && !told.contains("under version 1"), "{told}");
    assert!(succeed(dir, &["rules", "show"]).contains("validity_days = 120"));
    assert!(succeed(dir, &["doctor"]).contains("version 2 of 2 is in force"));
    assert_eq!(json(dir, &["rules", "diff", "base.toml"])["before"], "version 2");
}

#[test]
fn the_demo_holds_its_partners_against_the_tiers_on_the_figures_that_pledger_answers() {
    let dir = demo();
    let dir = dir.path();
    let tiers = json(dir, &["query", "tiers", "--as-of", "2026-06-30", "--limit", "1000"]);
    let told = succeed(dir, &["replay", "--from", "2026-07-01", "--to", "2026-07-02", "--json"]);
    let evaluations: Vec<Value> = told
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .filter(|line| line["decision"]["command"]["type"] == "EvaluateTier")
        .collect();
    assert!(evaluations.len() > 20, "{told}");
    for evaluation in evaluations {
        let payload = &evaluation["decision"]["command"]["payload"];
        let of_partner = |tier: &&Value| tier["partner"] == payload["partner_id"];
        let tier = tiers["items"].as_array().expect("items").iter().find(of_partner).expect("an item a partner");
        for figure in ["revenue", "active_certifications", "net_new_logos"] {
            assert_eq!(payload["inputs"][figure], tier[figure], "{figure} of {}", payload["partner_id"]);
        }
        assert_eq!(evaluation["decision"]["accepted"][0]["data"]["earned"], tier["tier_earned"], "{payload}");
    }
}
