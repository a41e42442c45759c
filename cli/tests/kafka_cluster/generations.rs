//! Read models made anew in PostgreSQL beside those that a running cluster keeps, put in use, and taken back.

use std::{
    process::{Child, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    processes::{Process, agent, pledger, until},
    reading::{Told, over_http, said},
};

pub(crate) fn states(told: &Told) -> Vec<String> {
    let listed = told.json(&["generations", "list"], &[]);
    let items = listed["items"].as_array().expect("items");
    items.iter().map(|item| format!("{} {}", item["generation"], item["state"].as_str().expect("a state"))).collect()
}

pub(crate) fn post(process: &Process, path: &str, token: &str) -> (u16, Value) {
    let request = agent().post(format!("{}{path}", process.url)).header("authorization", format!("Bearer {token}"));
    let mut response = request.send_empty().expect("an answer");
    (response.status().as_u16(), response.body_mut().read_json().expect("JSON"))
}

/// How many partners SQL shows.
fn partners(told: &Told) -> usize {
    told.home.sql("SELECT partner FROM {}.partners").expect("a view").len()
}

pub(crate) fn a_generation_is_put_in_use_beside_a_cluster(brokers: &str) {
    let told = Told::begin(brokers, "12");
    let (keeper, other) = (told.serve(&[]), told.serve(&["--roles", "api,projections"]));
    until("one keeps the read models", || keeper.metric("pledger_projections_keeper") > 0.5);
    let deals = over_http(&keeper, "/v1/deals?limit=10000");
    assert!(told.succeed(&["rebuild"], &[]).contains("not in use"));
    assert_eq!(states(&told), ["1 in_use", "2 ready"]);
    assert!(told.succeed(&["generations", "compare", "1", "2"], &[]).contains("the same"));

    // Commands go on, and nobody who asks meanwhile sees fewer partners than before, by SQL or over HTTP.
    let partner = |name: &str| json!({"partner_id": name, "name": "Nordwind", "roles": ["reseller"]});
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let (mut sql, mut http) = (partners(&told), 0);
            while !is_over.load(Ordering::Acquire) {
                let (now_sql, now_http) =
                    (partners(&told), over_http(&keeper, "/v1/partners?limit=1000")["items"].as_array().map_or(0, Vec::len));
                assert!(now_sql >= sql && now_http >= http, "{sql} to {now_sql} in SQL, {http} to {now_http} over HTTP");
                (sql, http) = (now_sql, now_http);
            }
        });
        let sending = scope.spawn(|| {
            let mut count = 0;
            while !is_over.load(Ordering::Acquire) {
                let name = format!("p-new-{count}");
                assert_eq!(other.send("RegisterPartner", &partner(&name), &name).0, 200);
                count += 1;
                thread::sleep(Duration::from_millis(5));
            }
        });
        let promoted = told.run(&["generations", "promote"], &[]);
        let back = told.run(&["generations", "rollback"], &[]);
        is_over.store(true, Ordering::Release);
        asking.join().expect("nothing was lost from sight");
        sending.join().expect("every command was taken");
        assert!(said(&promoted).contains("Generation 2 is in use"), "{}", said(&promoted));
        assert!(said(&back).contains("Generation 1 is in use again"), "{}", said(&back));
    });
    assert_eq!(over_http(&keeper, "/v1/deals?limit=10000")["items"], deals["items"]);

    // Over HTTP, too, and by a process that does not keep them; the rows are those of other rules then, for everybody.
    let shown = pledger().args(["rules", "show", "--kafka", brokers, "--topic-prefix", &told.cluster.prefix]).output().expect("pledger");
    let rules = String::from_utf8(shown.stdout).expect("text").replacen("half_life_days = 7", "half_life_days = 70", 1);
    assert_eq!(other.send("PublishRules", &json!({"program": rules}), "rules-2").0, 200);
    let credit = |process: &Process| over_http(process, "/v1/attribution?by=deal,partner&model=time_decay&limit=10000")["items"].clone();
    let before = credit(&other);
    told.succeed(&["rebuild"], &["--rules-version", "2"]);
    assert_eq!(post(&other, "/v1/generations/3/promote", "nobody").0, 401);
    let token = other.token();
    let (status, done) = post(&other, "/v1/generations/3/promote", &token);
    assert_eq!((status, &done["generation"]), (200, &json!(3)), "{done}");
    assert_eq!(post(&other, "/v1/generations/3/promote", &token).1["code"], "GenerationInUse");
    assert_eq!(states(&told), ["1 replaced", "2 replaced", "3 in_use"]);
    assert_ne!(credit(&keeper), before, "other rules give other credit");
    until("who stands by answers as who keeps them", || credit(&other) == credit(&keeper));
    assert!(told.fail(&["generations", "drop", "3"], &[], 1).contains("in use"));
    assert!(told.fail(&["generations", "promote", "2"], &[], 1).contains("older"));
    told.succeed(&["generations", "drop", "2"], &[]);
    assert!(told.succeed(&["verify", "--projections"], &[]).contains("equal a fresh fold"));

    // Whoever takes over goes on with it; and where nobody keeps them, the verb does it itself.
    keeper.signal("-KILL");
    until("the other one keeps them", || other.metric("pledger_projections_keeper") > 0.5);
    assert_eq!(states(&told), ["1 replaced", "3 in_use"]);
    other.stop();
    assert!(told.succeed(&["generations", "rollback"], &[]).contains("Generation 1 is in use again"));
    assert!(told.succeed(&["rebuild"], &["tiers", "--promote"]).contains("Generation 4 is in use"));
    assert!(told.succeed(&["verify", "--projections"], &[]).contains("equal a fresh fold"));
}

/// A rebuild that holds its generation until it is killed.
fn stopped_rebuild(told: &Told) -> Child {
    let mut command = pledger();
    command.args(["rebuild", "--kafka", &told.cluster.brokers, "--topic-prefix", &told.cluster.prefix, "--postgres", &told.database]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("pledger starts");
    until("it began", || told.home.sql("SELECT 1 FROM {}_state.generations WHERE note LIKE '%filling%'").is_ok_and(|rows| rows.len() == 1));
    assert!(std::process::Command::new("kill").args(["-STOP", &child.id().to_string()]).status().expect("kill").success());
    child
}

pub(crate) fn one_rebuilds_at_a_time_and_a_killed_one_is_gone_on_with(brokers: &str) {
    let told = Told::begin(brokers, "30");
    told.serve(&[]).stop();
    assert_eq!(states(&told), ["1 in_use"]);
    let mut first = stopped_rebuild(&told);
    let refused = told.fail(&["rebuild"], &[], 1);
    assert!(
        refused.contains(&format!("process {}", first.id())) && refused.contains("has been rebuilding the read models since 20"),
        "{refused}"
    );
    assert!(told.fail(&["generations", "drop", "2"], &[], 1).contains("end it first"));
    first.kill().expect("killed");
    first.wait().expect("it ends");
    assert_eq!(states(&told), ["1 in_use", "2 filling"]);
    assert!(told.fail(&["generations", "promote", "2"], &[], 1).contains("not filled"));
    until("its lock is gone with it", || {
        let output = told.run(&["rebuild", "--promote"], &[]);
        output.status.success() && said(&output).contains("Going on with generation 2.")
    });
    assert_eq!(states(&told), ["1 replaced", "2 in_use"]);
    assert!(told.fail(&["rebuild"], &["teirs"], 2).contains("did you mean tiers?"));
    assert!(told.fail(&["rebuild"], &["--rules-version", "9"], 2).contains("no such version"));
    assert_eq!(states(&told), ["1 replaced", "2 in_use"], "nothing is left behind");
    assert!(told.fail(&["generations", "compare", "1", "9"], &[], 1).contains("there are 1, 2"));
}
