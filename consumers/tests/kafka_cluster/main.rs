//! The cluster on a real broker, with what outlives a restart in a real PostgreSQL: the scenarios of every engine, and those of
//! clusters.
//!
//! `PLEDGER_TEST_KAFKA` names the broker; `cargo xtask kafka up` starts one and says its name. `PLEDGER_TEST_POSTGRES` is the
//! URL of the server that `cargo xtask postgres up` starts. `cargo xtask test` sets both. Where one is not set, the tests that
//! need it are listed as ignored; those of every engine run without a database then.

#[path = "../simulation/asks.rs"]
mod asks;
#[path = "../scenarios/cases/mod.rs"]
mod cases;
#[path = "../scenarios/home.rs"]
mod home;
mod in_kafka;
#[path = "../cluster/processes.rs"]
mod processes;
#[path = "../simulation/promises.rs"]
mod promises;
#[path = "../simulation/random.rs"]
mod random;
#[path = "../scenarios/running.rs"]
mod running;
#[path = "../cluster/scenarios.rs"]
mod scenarios;
#[expect(dead_code, reason = "nobody asks in SQL here")]
#[path = "../../../ledger/tests/postgres/schemas.rs"]
mod schemas;
#[path = "../simulation/told.rs"]
mod told;
#[path = "../cluster/topics.rs"]
mod topics;

use std::sync::Arc;

use home::Home;
use in_kafka::InKafka;
use libtest_mimic::{Arguments, Trial};
use pledger_consumers::processor::PostgresSnapshots;
use pledger_ledger::keys::{Minting, PostgresKeyStore};
use running::Kept;
use schemas::InPostgres;

const SLICES: u16 = 8;
/// Tests at once where the command line does not say: each waits for the broker nearly all of its time.
const AT_ONCE: usize = 6;

fn given(variable: &str, what: &str) -> Option<String> {
    let given = std::env::var(variable).ok().filter(|address| !address.is_empty());
    if given.is_none() {
        eprintln!("{variable} does not name {what}: the tests that need it are left out");
    }
    given
}

fn main() {
    let brokers = given("PLEDGER_TEST_KAFKA", "a broker (`cargo xtask kafka up` starts one)");
    let postgres = given("PLEDGER_TEST_POSTGRES", "a server (`cargo xtask postgres up` starts one)");
    let both = brokers.clone().zip(postgres);
    let mut trials = Vec::new();
    for (name, case) in cases::CASES {
        trials.push(trial(format!("kafka::postgres::{name}"), &both, |(brokers, postgres)| case(&in_both(&brokers, &postgres))));
        if both.is_none() {
            trials.push(trial(format!("kafka::{name}"), &brokers, |brokers| case(&in_kafka_alone(&brokers))));
        }
    }
    for (name, case) in scenarios::CASES {
        trials.push(trial(format!("kafka::{name}"), &brokers, |brokers| case(&InKafka::new(&brokers, SLICES))));
    }
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    libtest_mimic::run(&arguments, trials).exit();
}

/// A test that is left out where `services` are not there.
fn trial<S: Clone + Send + 'static>(name: String, services: &Option<S>, case: impl FnOnce(S) + Send + 'static) -> Trial {
    let given = services.clone();
    let run = move || {
        case(given.expect("left out where they are not there"));
        Ok(())
    };
    Trial::test(name, run).with_ignored_flag(services.is_none())
}

fn in_kafka_alone(brokers: &str) -> Home {
    let topics = InKafka::new(brokers, SLICES);
    Home::new(Kept::default(), move |kept| processes::both(&topics, kept))
}

fn in_both(brokers: &str, postgres: &str) -> Home {
    let (topics, database) = (InKafka::new(brokers, SLICES), InPostgres::new(postgres));
    let snapshots = PostgresSnapshots::new(&database.options()).expect("a table");
    let keys = PostgresKeyStore::create(&database.options(), Minting::Random).expect("a new key store");
    let kept = Kept { snapshots: Arc::new(snapshots), keys: Arc::new(keys), ..Kept::default() };
    Home::new(kept, move |kept| {
        // The schema is dropped with the home.
        let _ = &database;
        processes::both(&topics, kept)
    })
}
