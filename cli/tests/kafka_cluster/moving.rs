//! A ledger of one machine is moved to a cluster, which goes on with it.

use std::process::Output;

use pledger_ledger::{
    log::Log,
    sqlite::{Mode, SqliteLog},
};
use serde_json::{Value, json};

use crate::{
    processes::{Cluster, pledger, until},
    schemas::InPostgres,
};

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

pub(crate) fn a_ledger_moves_to_a_cluster_that_goes_on_with_it(brokers: &str) {
    let (old, cluster) = (tempfile::tempdir().expect("a directory"), Cluster::none(brokers));
    let told = pledger()
        .args(["demo", "--partners", "12", "--months", "12", "--no-serve", "--data-dir"])
        .arg(old.path())
        .output()
        .expect("pledger");
    assert!(told.status.success(), "{}", said(&told));
    let migrate = |prefix: &str| {
        let mut command = pledger();
        command.args(["migrate", "--to-kafka", brokers, "--topic-prefix", prefix, "--replicas", "1", "--from"]).arg(old.path());
        command.output().expect("pledger")
    };

    let source = SqliteLog::open(old.path(), Mode::Write).expect("nobody else writes it");
    let running = migrate(&cluster.prefix);
    assert!(running.status.code() == Some(1) && said(&running).contains("Stop it first"), "{}", said(&running));
    let ends: Vec<u64> = source.slices().all().map(|slice| source.end(slice).expect("an end")).collect();
    let first = source.read(0, 0, 10).expect("read");
    drop(source);

    let moved = migrate(&cluster.prefix);
    assert!(moved.status.success() && said(&moved).contains("Both chains are intact"), "{}", said(&moved));
    let target = cluster.ledger();
    assert_eq!(target.slices().all().map(|slice| target.end(slice).expect("an end")).collect::<Vec<_>>(), ends);
    assert_eq!(target.read(0, 0, 10).expect("read"), first);
    assert!(said(&moved).starts_with("Copied "), "{}", said(&moved));
    let again = migrate(&cluster.prefix);
    let records: u64 = ends.iter().sum();
    let nothing = format!("Nothing was left to copy: {records} records, 0 void, were there already");
    assert!(again.status.success() && said(&again).starts_with(&nothing), "{}", said(&again));

    // What the source decided since comes after it.
    let more = json!({"partner_id": "late", "name": "Late", "roles": ["reseller"]}).to_string();
    let decided = pledger().args(["command", "RegisterPartner", &more, "--data-dir"]).arg(old.path()).output().expect("pledger");
    assert!(decided.status.success(), "{}", said(&decided));
    let grown = migrate(&cluster.prefix);
    assert!(grown.status.success() && said(&grown).contains(&format!(" records to the {records} that were there: ")), "{}", said(&grown));
    let ends: Vec<u64> = cluster.ledger().slices().all().map(|slice| cluster.ledger().end(slice).expect("an end")).collect();

    let other = Cluster::init(brokers);
    let refused = migrate(&other.prefix);
    assert!(refused.status.code() == Some(1) && said(&refused).contains("there is another ledger already"), "{}", said(&refused));

    // Its new processes know what was recorded before.
    let process = cluster.serve(&[]);
    let partner = json!({"partner_id": "moved-in", "name": "Nordwind", "roles": ["reseller"]});
    assert_eq!(process.send("RegisterPartner", &partner, "k1").0, 200);
    // Its policies act on what was recorded before, too.
    until("policies look", || process.metric("pledger_policy_looks") > 1.0);
    assert!(process.is_ready(), "nothing troubles it");
    let apart = migrate(&cluster.prefix);
    let gone_on = "goes on by itself: the target was written to since it was copied: slice ";
    assert!(apart.status.code() == Some(1) && said(&apart).contains(gone_on), "{}", said(&apart));
    assert!(said(&apart).contains("nothing is left to copy"), "{}", said(&apart));
    assert!(cluster.ledger().slices().all().any(|slice| cluster.ledger().end(slice).expect("an end") > ends[usize::from(slice)]));
}

fn digests(output: &Output) -> Value {
    assert!(output.status.success(), "{}", said(output));
    let digests = serde_json::from_slice::<Value>(&output.stdout).expect("JSON")["digests"].clone();
    assert!(digests.as_array().is_some_and(|digests| digests.len() > 10), "{digests}");
    digests
}

pub(crate) fn read_models_after_a_move_are_those_before_it(brokers: &str) {
    let home = InPostgres::new(&std::env::var("PLEDGER_TEST_POSTGRES").expect("left out where it is not there"));
    let (old, cluster) = (tempfile::tempdir().expect("a directory"), Cluster::none(brokers));
    let place = ["--postgres", &home.url, "--postgres-schema", &home.schema];
    let here = |args: &[&str]| pledger().args(args).arg(old.path()).output().expect("pledger");
    let made = here(&["demo", "--partners", "8", "--months", "6", "--no-serve", "--data-dir"]);
    assert!(made.status.success(), "{}", said(&made));
    let before = digests(&here(&["verify", "--projections", "--json", "--data-dir"]));
    let topics = ["--topic-prefix", &cluster.prefix, "--replicas", "1", "--json", "--from"];
    let moved = here(&[&["migrate", "--to-kafka", brokers][..], &place, &topics].concat());
    assert_eq!(digests(&moved), before);

    let fails = |verb: &str, what: &[&str]| {
        let failed = cluster.run(verb, &place);
        let told = said(&failed);
        assert!(failed.status.code() == Some(1) && what.iter().all(|what| told.contains(what)), "{verb}: {told}");
    };
    let serve = format!("pledger serve --kafka {brokers} --topic-prefix {}", cluster.prefix);
    fails("verify --projections", &["Intact: ", "there are no read models yet", &serve, &home.schema, "pledger rebuild --promote"]);
    let filled = cluster.run("rebuild", &place);
    assert!(filled.status.success(), "{}", said(&filled));
    fails("verify --projections", &["Intact: ", "no read models are in use; generation 1 is filled", "generations promote 1", &serve]);
    fails("generations promote 2", &["no read models are in use; generation 1 is filled"]);
    fails("generations rollback", &["no read models are in use; generation 1 is filled"]);
    let promoted = cluster.run("generations promote 1", &place);
    assert_eq!(said(&promoted), "Generation 1 is in use.\n", "there is none to go back to");
    assert_eq!(digests(&cluster.run("verify --projections", &[&place[..], &["--json"]].concat())), before);
    // Whoever keeps them goes on with them.
    cluster.serve(&place).stop();
    let listed = cluster.run("generations list", &[&place[..], &["--json"]].concat());
    let listed: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    assert_eq!((listed["items"].as_array().map(Vec::len), &listed["items"][0]["state"]), (Some(1), &json!("in_use")), "{listed}");
}
