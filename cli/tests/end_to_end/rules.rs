//! The program's rules: read, checked, compared and published, by the verbs and over HTTP alike.

use serde_json::{Value, json};

use crate::program::{Server, fail, fed, json, pledger, succeed};

#[test]
fn rules_are_checked_with_their_line() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    succeed(dir, &["init"]);
    let rules = succeed(dir, &["rules", "show"]);
    let falling = rules.replace("revenue = \"500000\"", "revenue = \"1\"");
    assert_ne!(rules, falling, "the default has a tier from 500,000 on");
    std::fs::write(dir.join("falling.toml"), falling).expect("written");
    std::fs::write(dir.join("good.toml"), &rules).expect("written");
    std::fs::write(dir.join("strict.toml"), rules.replace("certifications = 4", "certifications = 6")).expect("written");
    let said = fail(dir, &["rules", "check", "falling.toml"], 1);
    assert!(said.contains("line"), "{said}");
    let told = pledger(dir, &["rules", "check", "falling.toml", "--json"]);
    let told: Value = serde_json::from_slice(&told.stdout).expect("JSON");
    let problem = &told["problems"][0];
    assert!(said.contains(&format!("line {}, column {}: ", problem["line"], problem["column"])), "{said} {told}");
    succeed(dir, &["rules", "check", "good.toml"]);
    assert_eq!(succeed(dir, &["rules", "diff", "good.toml"]), "Nothing changes against version 1.\n");
    assert_eq!(succeed(dir, &["rules", "diff", "strict.toml"]), "Gold needs 6 certifications instead of 4.\n");
    let changes = json(dir, &["rules", "diff", "strict.toml", "good.toml"]);
    assert_eq!(changes["changes"][0]["clause"], "tiers.gold.certifications");
    fail(dir, &["rules", "diff", "falling.toml"], 1);
}

#[test]
fn a_file_that_is_not_utf8_is_named_with_its_line() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    succeed(dir, &["init"]);
    std::fs::write(dir.join("latin.toml"), b"# a\nname = \"M\xfcller\"\n").expect("written");
    for verb in [&["rules", "check"][..], &["rules", "diff"], &["rules", "publish"], &["simulate", "--rules"]] {
        let said = fail(dir, &[verb, &["latin.toml"]].concat(), 1);
        assert!(said.contains("latin.toml") && said.contains("line 2, column 10: not UTF-8"), "{verb:?}: {said}");
    }
}

#[test]
fn rules_that_change_nothing_are_not_published() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    succeed(dir, &["init"]);
    let rules = succeed(dir, &["rules", "show"]);
    std::fs::write(dir.join("same.toml"), format!("# as it was\n{rules}")).expect("written");
    std::fs::write(dir.join("strict.toml"), rules.replacen("certifications = 4", "certifications = 6", 1)).expect("written");
    let refused = |file: &str, flags: &[&str], version: u32| {
        let said = fail(dir, &[&["rules", "publish", file], flags].concat(), 1);
        assert!(said.contains(&format!("nothing would change: {file} says the same as version {version}")), "{said}");
    };
    refused("same.toml", &[], 1);
    refused("same.toml", &["--effective-from", "2101-01-01"], 1);
    assert!(succeed(dir, &["rules", "publish", "strict.toml", "--effective-from", "2100-01-01"]).contains("version 2"));
    // What is in force then is what counts.
    refused("same.toml", &[], 1);
    refused("strict.toml", &["--effective-from", "2101-01-01"], 2);
    assert!(succeed(dir, &["rules", "publish", "same.toml", "--effective-from", "2101-01-01"]).contains("version 3"));
    let keyed = ["rules", "publish", "same.toml", "--key", "k-1"];
    assert!(succeed(dir, &keyed).contains("version 4"), "whoever names a key is answered the same again");
    assert!(succeed(dir, &keyed).contains("version 4"));
    assert!(fail(dir, &["rules", "publish", "same.toml", "--effective-from", "soon"], 2).contains("--effective-from: \"soon\""));
    let listed = succeed(dir, &["rules", "list"]);
    let states: Vec<&str> = listed
        .lines()
        .filter_map(|line| ["in force from", "in force", "from later", "ended"].into_iter().find(|state| line.contains(state)))
        .collect();
    assert_eq!(states, ["in force from", "ended", "from later", "from later", "in force"], "{listed}");
}

#[test]
fn what_is_published_into_the_past_says_until_when_it_decides() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    succeed(dir, &["demo", "--partners", "4", "--months", "3", "--no-serve"]);
    let rules = succeed(dir, &["rules", "show"]);
    std::fs::write(dir.join("strict.toml"), rules.replacen("certifications = 4", "certifications = 6", 1)).expect("written");
    let begun = json(dir, &["rules", "list"])["items"][0]["effective_from"].as_str().expect("a time").to_owned();
    let said = succeed(dir, &["rules", "publish", "strict.toml", "--effective-from", "2010-01-01"]);
    assert!(said.contains(&format!("decided under version 1, in force since {begun}.")), "{said}");
    assert!(said.contains(&format!("Version 2 decides what is effective before {begun}, and version 1 what is from then on;")), "{said}");
    let later = succeed(dir, &["rules", "publish", "strict.toml", "--effective-from", "2100-01-01"]);
    assert!(later.contains("decided under version 1") && !later.contains("before"), "{later}");
    // What is in force now says who takes its place.
    std::fs::write(dir.join("lax.toml"), rules.replacen("certifications = 4", "certifications = 2", 1)).expect("written");
    let now = succeed(dir, &["rules", "publish", "lax.toml"]);
    assert!(now.contains("Version 4 decides what is effective before 2100-01-01T00:00:00Z, and version 3"), "{now}");
}

#[test]
fn a_draft_may_come_from_another_program() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    succeed(dir, &["init"]);
    let rules = succeed(dir, &["rules", "show", "1"]);
    assert_eq!(rules, succeed(dir, &["rules", "show", "--version", "1"]));
    let draft = rules.replacen("certifications = 4", "certifications = 6", 1);
    for (verb, said) in [
        (&["rules", "check", "-"][..], "- is valid."),
        (&["rules", "diff", "-"], "Gold needs 6 certifications instead of 4."),
        (&["simulate", "--rules", "-"], "- against version 1:\n  Gold needs 6 certifications instead of 4."),
        (&["rules", "publish", "-"], "Published as version 2"),
    ] {
        let told = fed(dir, verb, &draft);
        assert!(told.status.success() && String::from_utf8_lossy(&told.stdout).starts_with(said), "{told:?}");
    }
    assert_eq!(succeed(dir, &["rules", "show", "2"]), draft);
    let wrong = fed(dir, &["rules", "check", "-"], "");
    assert!(!wrong.status.success() && String::from_utf8_lossy(&wrong.stderr).starts_with("-: line 1, column 1: "), "{wrong:?}");
}

#[test]
fn a_server_tells_of_rules_what_the_verbs_tell() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    succeed(dir, &["init"]);
    let rules = succeed(dir, &["rules", "show"]);
    let strict = rules.replacen("certifications = 4", "certifications = 6", 1);
    std::fs::write(dir.join("strict.toml"), &strict).expect("written");
    std::fs::write(dir.join("wrong.toml"), "tiers = 1").expect("written");
    let server = Server::start(dir);
    assert_eq!(server.get("/v1/rules").2, json(dir, &["rules", "list"]));
    assert_eq!(server.get("/v1/rules/1").2, json(dir, &["rules", "show"]));
    assert_eq!(server.get("/v1/rules/in-force").2, json(dir, &["rules", "show", "--version", "1"]));
    let (status, _, unknown) = server.get("/v1/rules/7");
    let said = fail(dir, &["rules", "show", "--version", "7"], 1);
    assert!(status == 404 && said.contains(unknown["detail"].as_str().expect("a sentence")), "{said} {unknown}");
    let post = |path: &str, program: &str| {
        let (status, _, body) = server.ask("POST", path, &[], json!({"program": program}).to_string());
        (status, serde_json::from_slice::<Value>(&body).expect("JSON"))
    };
    assert_eq!(post("/v1/rules/check", &strict), (200, json(dir, &["rules", "check", "strict.toml"])));
    let wrong = pledger(dir, &["rules", "check", "wrong.toml", "--json"]);
    assert_eq!(post("/v1/rules/check", "tiers = 1"), (200, serde_json::from_slice(&wrong.stdout).expect("JSON")));
    assert_eq!(post("/v1/rules/diff", &strict), (200, json(dir, &["rules", "diff", "strict.toml"])));
    // What was hardly meant is said everywhere, and is no mistake.
    let brief = rules.replacen("validity_days = 180", "validity_days = 30", 1);
    std::fs::write(dir.join("brief.toml"), &brief).expect("written");
    let why = "protection_days is 90, yet an approval runs out after validity_days = 30 (line 52), and its protection with it";
    let checked = json(dir, &["rules", "check", "brief.toml"]);
    assert_eq!((&checked["valid"], &checked["warnings"]), (&true.into(), &json!([{"line": 48, "column": 19, "message": why}])));
    assert_eq!(post("/v1/rules/check", &brief), (200, checked));
    let said = format!("warning: brief.toml: line 48, column 19: {why}\n");
    for verb in [&["rules", "check", "brief.toml"][..], &["rules", "publish", "brief.toml"]] {
        let told = pledger(dir, verb);
        assert_eq!((told.status.code(), String::from_utf8_lossy(&told.stderr).contains(&said)), (Some(0), true), "{told:?}");
    }
    let simulated = pledger(dir, &["simulate", "--rules", "brief.toml"]);
    assert!(String::from_utf8_lossy(&simulated.stdout).contains(&format!("  Warning: line 48, column 19: {why}.")), "{simulated:?}");
    server.stop();
}
