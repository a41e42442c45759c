//! A process that cannot do what it is asked for does not start, and says what to do.

use std::process::Output;

use crate::{
    processes::{Cluster, pledger},
    schemas::InPostgres,
};

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(crate) fn what_does_not_fit_is_said(brokers: &str) {
    let none = Cluster::none(brokers);
    let missing = none.run("serve", &[]);
    assert_eq!(missing.status.code(), Some(1));
    let advice = format!("pledger init --kafka {brokers} --topic-prefix {}", none.prefix);
    assert!(said(&missing).contains("there is no ledger") && said(&missing).contains(&advice), "{}", said(&missing));

    let cluster = Cluster::init(brokers);
    let doctor = cluster.run("doctor", &[]);
    let doctor = String::from_utf8_lossy(&doctor.stdout);
    assert!(doctor.contains("commands     none waits"), "{doctor}");
    let again = cluster.run("init", &["--replicas", "1"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(said(&again).contains("is there already, with 8 partitions"), "{}", said(&again));

    let same = cluster.run("init", &["--replicas", "1", "--slices", "8"]);
    assert_eq!(same.status.code(), Some(1));
    assert!(said(&same).contains("is not empty: it holds a ledger already"), "{}", said(&same));
    let large = Cluster::none(brokers).run("init", &["--replicas", "99"]);
    assert!(large.status.code() == Some(1) && said(&large).contains("give --replicas 1"), "{}", said(&large));

    for (args, what) in [
        (&["--slices", "0-8"][..], "the ledger has the slices 0 to 7, and no 8"),
        (&["--slices", "some"], "\"some\" is no slice; try 0-31 or 0-3,8"),
        (&["--roles", "cook"], "invalid value 'cook'"),
        (&["--kafka-config", "acks"], "a Kafka property is NAME=VALUE, or @FILE"),
        (&["--take-over-after", "0"], "0 is not in 1..=300"),
    ] {
        let refused = cluster.run("serve", args);
        assert!(refused.status.code() == Some(2) && said(&refused).contains(what), "{args:?}: {}", said(&refused));
    }
    let loosened = cluster.run("serve", &["--kafka-config", "acks=0"]);
    assert!(loosened.status.code() == Some(1) && said(&loosened).contains("the ledger rests on it"), "{}", said(&loosened));
    assert!(!said(&loosened).contains("pledger init"), "{}", said(&loosened));
    let no_cluster = pledger().args(["serve", "--postgres", "postgres://db"]).output().expect("pledger");
    assert!(no_cluster.status.code() == Some(2) && said(&no_cluster).contains("goes with --kafka"), "{}", said(&no_cluster));
    let alone = pledger().args(["serve", "--roles", "api"]).output().expect("pledger");
    assert!(alone.status.code() == Some(2) && said(&alone).contains("--kafka"), "{}", said(&alone));
}

pub(crate) fn a_schema_is_one_ledgers(brokers: &str) {
    let home = InPostgres::new(&std::env::var("PLEDGER_TEST_POSTGRES").expect("left out where it is not there"));
    let place = ["--postgres", &home.url, "--postgres-schema", &home.schema];
    let (one, other) = (Cluster::init(brokers), Cluster::init(brokers));
    one.serve(&place).stop();
    let filled = one.run("rebuild", &place);
    assert!(filled.status.success(), "{}", said(&filled));
    for verb in ["serve", "rebuild", "doctor", "generations promote"] {
        let refused = other.run(verb, &place);
        let told = format!("{}{}", said(&refused), String::from_utf8_lossy(&refused.stdout));
        assert_eq!(refused.status.code(), Some(1), "{verb}: {told}");
        assert!(told.contains("belongs to the ledger") && told.contains("--postgres-schema"), "{verb}: {told}");
    }
    one.serve(&place).stop();
}

pub(crate) fn a_database_that_lets_nobody_in_or_takes_no_writes_is_told_once(brokers: &str) {
    let home = InPostgres::new(&std::env::var("PLEDGER_TEST_POSTGRES").expect("left out where it is not there"));
    let (scheme, place) = home.url.split_once("://").expect("a URL");
    let (user, place) = place.split_once('@').expect("a user");
    let user = user.split(':').next().expect("a name");
    let wrong = format!("{scheme}://{user}:not-the-one@{place}");
    let cluster = Cluster::init(brokers);
    for verb in ["doctor", "query deals", "verify --projections", "rebuild", "generations list", "generations promote 1"] {
        let refused = cluster.run(verb, &["--postgres", &wrong, "--postgres-schema", &home.schema]);
        let told = format!("{}{}", said(&refused), String::from_utf8_lossy(&refused.stdout));
        assert_eq!(refused.status.code(), Some(1), "{verb}: {told}");
        assert_eq!(told.matches("password authentication failed").count(), 1, "{verb}: {told}");
        assert!(!told.contains("not-the-one"), "{verb}: {told}");
    }
    let read_only = format!("{}?options[default_transaction_read_only]=on", home.url);
    for (url, word, code, what) in [
        (&home.url, "ok   ", 0, "takes writes"),
        (&read_only, "WRONG", 1, "takes no writes: default_transaction_read_only is on there (set by: client)"),
    ] {
        let doctor = cluster.run("doctor", &["--postgres", url, "--postgres-schema", &home.schema]);
        let told = String::from_utf8_lossy(&doctor.stdout).into_owned();
        let line = told.lines().find(|line| line.contains("database")).expect("it is looked at");
        assert!(line.starts_with(word) && line.contains(what) && doctor.status.code() == Some(code), "{told}");
    }
}
