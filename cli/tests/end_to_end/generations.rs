//! Read models made anew beside those in use: by the verbs, with and without a server, and on bad days.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use sqlx::Connection as _;

use crate::program::{Server, fail, json, pledger, succeed, text, token};

fn demo(partners: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    succeed(dir.path(), &["demo", "--partners", partners, "--months", "9", "--seed", "3", "--no-serve"]);
    dir
}

fn states(dir: &Path) -> Vec<String> {
    let listed = json(dir, &["generations", "list"]);
    let items = listed["items"].as_array().expect("items");
    items.iter().map(|item| format!("{} {}", item["generation"], item["state"].as_str().expect("a state"))).collect()
}

#[test]
fn a_generation_is_filled_compared_put_in_use_and_taken_back_beside_a_server() {
    let dir = demo("12");
    let dir = dir.path();
    let before = succeed(dir, &["query", "pipeline", "--by", "region,status", "--format", "csv"]);
    let server = Server::start(dir);
    assert!(succeed(dir, &["rebuild"]).contains("not in use"));
    assert_eq!(states(dir), ["1 in_use", "2 ready"]);
    // The server goes on writing; both are compared, and put in use, where they stand together.
    succeed(dir, &["command", "RegisterPartner", r#"{"partner_id":"p-new","name":"Neu","roles":["var"]}"#]);
    assert!(succeed(dir, &["generations", "compare", "1", "2"]).contains("the same"));
    assert!(succeed(dir, &["generations", "promote"]).contains("Generation 2 is in use"));
    assert_eq!(json(dir, &["query", "partners", "p-new"])["partner_id"], "p-new");
    assert_eq!(succeed(dir, &["query", "pipeline", "--by", "region,status", "--format", "csv"]), before);
    assert!(fail(dir, &["generations", "promote", "2"], 1).contains("in use already"));
    assert!(fail(dir, &["generations", "promote", "1"], 1).contains("older"));
    assert!(fail(dir, &["generations", "drop", "2"], 1).contains("generation 2 is in use"));
    assert!(succeed(dir, &["generations", "rollback"]).contains("Generation 1 is in use again"));
    assert_eq!(json(dir, &["query", "partners", "p-new"])["partner_id"], "p-new");
    server.stop();
    assert!(succeed(dir, &["rebuild", "tiers", "--promote"]).contains("Generation 3 is in use"));
    assert!(succeed(dir, &["verify", "--projections"]).contains("equal a fresh fold"));
    assert!(succeed(dir, &["generations", "compare", "1", "3"]).contains("the same"));
    empty_a_table(&dir.join("data/projections/1/read.db"), "deals_chunks");
    assert!(text(&pledger(dir, &["generations", "compare", "1", "3"])).contains("DIFFERENT"));
    fail(dir, &["generations", "compare", "1", "3"], 1);
    succeed(dir, &["generations", "drop", "2"]);
    let unknown = "pledger: UnknownGeneration: there is no generation 2; there are 1, 3\n";
    for verb in [&["compare", "1", "2"][..], &["compare", "2", "1"], &["promote", "2"], &["drop", "2"]] {
        assert_eq!(fail(dir, &[&["generations"], verb].concat(), 1), unknown, "{verb:?}");
    }
}

#[test]
fn a_server_fills_compares_and_takes_away_generations_as_the_verbs_do() {
    let dir = demo("12");
    let dir = dir.path();
    let server = Server::start(dir);
    let token = token(dir);
    let operate = |method: &str, path: &str| server.operate(method, path, &token, &Value::Null);
    let rebuild = |purpose: Value| server.operate("POST", "/v1/generations", &token, &purpose);
    assert_eq!(rebuild(json!({"projections": ["tiers"]})), (202, json!({"generation": 2, "resumed": false})));
    let until = Instant::now() + Duration::from_secs(60);
    while states(dir) != ["1 in_use", "2 ready"] {
        assert!(Instant::now() < until, "{}", operate("GET", "/v1/generations").1);
        thread::sleep(Duration::from_millis(20));
    }
    let compared = json(dir, &["generations", "compare", "1", "2"]);
    assert_eq!(compared["position"], json(dir, &["query", "tiers"])["position"], "as every list says where it stands");
    assert_eq!(operate("GET", "/v1/generations/1/compare/2"), (200, compared));
    assert_eq!(operate("GET", "/v1/generations").1, json(dir, &["generations", "list"]));
    assert_eq!(operate("POST", "/v1/generations/2/promote").0, 200);
    assert_eq!(operate("DELETE", "/v1/generations/2").1["code"], "GenerationInUse");
    assert_eq!(operate("DELETE", "/v1/generations/1"), (200, json!({"dropped": 1})));
    let (status, unknown) = operate("DELETE", "/v1/generations/1");
    assert_eq!((status, &unknown["detail"]), (404, &json!("there is no generation 1; there is 2 only")));
    // Whatever it is at, a server ends, and whoever comes next can go on.
    assert_eq!(rebuild(json!({})).0, 202);
    server.stop();
    succeed(dir, &["rebuild", "--promote"]);
}

/// Takes rows away that a generation was filled with.
fn empty_a_table(file: &Path, table: &str) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let mut connection = sqlx::SqliteConnection::connect(&format!("sqlite:{}", file.display())).await.expect("it is opened");
        let taken =
            sqlx::query(sqlx::AssertSqlSafe(format!("DELETE FROM {table}"))).execute(&mut connection).await.expect("they are taken away");
        assert!(taken.rows_affected() > 0);
        connection.close().await.expect("closed");
    });
}

/// As after an upgrade with other folds, or on a copy without them.
#[test]
fn questions_wait_for_read_models_that_are_made_anew() {
    let dir = demo("40");
    let dir = dir.path();
    let ask = |verb: &[&str]| succeed(dir, verb);
    for verb in [&["query", "pipeline", "--json"][..], &["export", "deals", "--format", "csv", "--out", "-"], &["conflicts", "--json"]] {
        let before = ask(verb);
        std::fs::remove_dir_all(dir.join("data").join("projections")).expect("they are there");
        assert_eq!(ask(verb), before, "{verb:?}");
    }
}

#[test]
fn what_cannot_be_rebuilt_says_why() {
    let dir = demo("5");
    let dir = dir.path();
    assert!(fail(dir, &["rebuild", "teirs"], 2).contains("did you mean tiers?"));
    assert!(fail(dir, &["rebuild", "--rules-version", "9"], 2).contains("no such version"));
    assert_eq!(states(dir), ["1 in_use"], "nothing is left behind");
    assert!(fail(dir, &["generations", "promote"], 1).contains("pledger rebuild"));
    assert!(fail(dir, &["generations", "rollback"], 1).contains("replaced none"));
    succeed(dir, &["rebuild", "--rules-version", "1", "--promote"]);
    let told = text(&pledger(dir, &["query", "attribution", "--by", "model"]));
    assert!(told.contains("the read models in use are folded under version 1 of the rules, whichever their decisions name"), "{told}");
    assert!(succeed(dir, &["verify", "--projections"]).contains("equal a fresh fold"));
}

/// As one leaves it that is killed after it filled a generation, and before it puts it in use.
#[test]
fn a_generation_that_was_filled_and_never_put_in_use_is_gone_on_with() {
    let dir = demo("12");
    let dir = dir.path();
    succeed(dir, &["rebuild"]);
    succeed(dir, &["command", "RegisterPartner", r#"{"partner_id":"p-new","name":"Neu","roles":["var"]}"#]);
    let output = pledger(dir, &["rebuild", "--promote"]);
    let told = text(&output);
    assert!(
        output.status.success() && told.contains("Generation 2 is filled already, and was not put in use: going on with it."),
        "{told}"
    );
    assert_eq!(states(dir), ["1 replaced", "2 in_use"]);
    assert_eq!(json(dir, &["query", "partners", "p-new"])["partner_id"], "p-new");
    // What was gone back from, and what is to be something else, are other generations.
    succeed(dir, &["generations", "rollback"]);
    assert!(succeed(dir, &["rebuild", "--promote"]).contains("Generation 3 is in use"));
    succeed(dir, &["rebuild"]);
    assert!(succeed(dir, &["rebuild", "tiers", "--promote"]).contains("Generation 5 is in use"));
    // However it is named, the purpose is the same.
    succeed(dir, &["rebuild", "tiers", "deals", "tiers"]);
    assert!(succeed(dir, &["rebuild", "deals", "tiers", "--promote"]).contains("Generation 6 is in use"));
}

/// A rebuild that holds its generation until it is killed: it is stopped at its first write. A shell that runs beside it sees
/// to that, since a process that is started only then may come too late.
fn stopped_rebuild(dir: &Path) -> Child {
    let script = format!(
        "(while kill -0 $$ && [ ! -e data/projections/2/about.json ]; do :; done; kill -STOP $$) & exec {} --data-dir data rebuild",
        env!("CARGO_BIN_EXE_pledger")
    );
    let mut command = Command::new("bash");
    command.current_dir(dir).args(["-c", &script]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("bash starts");
    let is_stopped = |child: &Child| {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        status.lines().any(|line| line.starts_with("State:\tT"))
    };
    let until = Instant::now() + Duration::from_secs(20);
    while !is_stopped(&child) {
        assert_eq!(child.try_wait().expect("asked"), None, "it was stopped before it ended");
        assert!(Instant::now() < until, "it began");
        thread::sleep(Duration::from_millis(1));
    }
    child
}

#[test]
fn a_second_rebuild_is_told_who_holds_it_and_a_killed_one_is_gone_on_with() {
    let dir = demo("40");
    let dir = dir.path();
    let mut first = stopped_rebuild(dir);
    let refused = fail(dir, &["rebuild"], 1);
    assert!(refused.contains(&format!("process {} has been rebuilding the read models since 20", first.id())), "{refused}");
    let held = fail(dir, &["generations", "drop", "2"], 1);
    assert!(held.contains("end it first"), "{held}");
    first.kill().expect("killed");
    first.wait().expect("it ends");
    assert_eq!(states(dir), ["1 in_use", "2 filling"]);
    assert!(fail(dir, &["generations", "promote", "2"], 1).contains("not filled"));
    let output = pledger(dir, &["rebuild", "--promote"]);
    assert!(output.status.success() && text(&output).contains("Going on with generation 2."), "{}", text(&output));
    assert_eq!(states(dir), ["1 replaced", "2 in_use"]);
    assert!(succeed(dir, &["verify", "--projections"]).contains("equal a fresh fold"));
}

#[test]
fn a_rebuild_on_a_full_disk_fails_and_what_is_in_use_stays() {
    let dir = demo("12");
    let dir = dir.path();
    let before = succeed(dir, &["query", "pipeline", "--by", "region,status", "--format", "csv"]);
    // A limit on the size of files stands in for a full disk: writes fail all the same.
    let script = format!("trap '' XFSZ; ulimit -f 250; exec {} --data-dir data rebuild --promote", env!("CARGO_BIN_EXE_pledger"));
    let output = Command::new("bash").current_dir(dir).args(["-c", &script]).output().expect("bash");
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("the read models' database failed"), "{}", text(&output));
    assert_eq!(states(dir), ["1 in_use"]);
    assert_eq!(succeed(dir, &["query", "pipeline", "--by", "region,status", "--format", "csv"]), before);
    assert!(succeed(dir, &["rebuild", "--promote"]).contains("Generation 2 is in use"));
}

#[test]
fn questions_to_the_past_are_answered_the_same_from_checkpoints() {
    let dir = demo("12");
    let dir = dir.path();
    let questions: [&[&str]; 3] = [
        &["query", "pipeline", "--by", "region,status", "--known-at", "2026-06-15", "--format", "csv"],
        &["query", "tiers", "--as-of", "2026-07-31", "--format", "csv"],
        &["query", "deals", "--as-of", "2026-05-31", "--known-at", "2026-08-31", "--format", "csv"],
    ];
    let before = questions.map(|question| succeed(dir, question));
    let kept = json(dir, &["rebuild", "--checkpoints"])["kept"].as_u64().expect("a count");
    assert!(kept >= 7, "{kept}");
    assert_eq!(questions.map(|question| succeed(dir, question)), before);
    assert_eq!(json(dir, &["rebuild", "--checkpoints"])["kept"], 0);
}
