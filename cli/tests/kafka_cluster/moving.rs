//! A ledger of one machine is moved to a cluster, which goes on with it.

use std::process::Output;

use pledger_ledger::{
    log::Log,
    sqlite::{Mode, SqliteLog},
};
use serde_json::json;

use crate::processes::{Cluster, pledger, until};

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
    assert!(ureq::get(format!("{}/readyz", process.url)).call().is_ok(), "nothing troubles it");
    let apart = migrate(&cluster.prefix);
    let gone_on = "goes on by itself: the target was written to since it was copied: slice ";
    assert!(apart.status.code() == Some(1) && said(&apart).contains(gone_on), "{}", said(&apart));
    assert!(said(&apart).contains("nothing is left to copy"), "{}", said(&apart));
    assert!(cluster.ledger().slices().all().any(|slice| cluster.ledger().end(slice).expect("an end") > ends[usize::from(slice)]));
}
