//! A whole cluster under load on three brokers and a database of its own, and one thing after the other that goes wrong.
//! Afterwards the ledger is read by the chain rule and held against what the clients were told.
//!
//! `PLEDGER_XTASK` names the program that starts brokers and databases, and kills them. Where it is not set, the tests
//! are listed as ignored. Each prints how long the service was away, as the client saw it that waited longest.

mod checker;
mod faults;
mod home;
#[path = "../kafka_cluster/processes.rs"]
#[expect(dead_code, reason = "the tests of generations use the rest of it")]
mod processes;
#[path = "../../../consumers/tests/simulation/promises.rs"]
mod promises;
mod proxy;
#[path = "../../../ledger/tests/postgres/schemas.rs"]
mod schemas;
mod services;
mod story;
#[path = "../kafka_cluster/told.rs"]
mod told;

use std::{
    path::PathBuf,
    sync::{Arc, LazyLock},
};

use home::Home;
use libtest_mimic::{Arguments, Trial};
use services::Services;
// What schemas.rs asks PostgreSQL with: that file belongs to another crate's tests.
use sqlx as _;

type Case = (&'static str, fn(&Home<'_>));

const CASES: &[Case] = &[
    ("a_processor_is_killed", faults::a_processor_is_killed),
    ("a_processor_is_stopped_and_wakes_up_after_its_slices_moved", faults::a_processor_is_stopped_and_wakes_up_after_its_slices_moved),
    ("two_processors_think_the_same_slices_theirs", faults::two_processors_think_the_same_slices_theirs),
    ("who_keeps_the_read_models_is_killed", faults::who_keeps_the_read_models_is_killed),
    ("each_broker_is_killed_in_turn", faults::each_broker_is_killed_in_turn),
    ("the_database_is_killed", faults::the_database_is_killed),
    ("a_processor_is_cut_off_from_the_brokers", faults::a_processor_is_cut_off_from_the_brokers),
    ("answers_of_the_brokers_are_lost", faults::answers_of_the_brokers_are_lost),
];

fn main() {
    let xtask = std::env::var_os("PLEDGER_XTASK").filter(|path| !path.is_empty()).map(PathBuf::from);
    if xtask.is_none() {
        eprintln!("PLEDGER_XTASK does not name the program that starts brokers (target/debug/xtask): these tests are left out");
    }
    let is_left_out = xtask.is_none();
    // Started with the first test, and there until the last.
    let services = Arc::new(LazyLock::new(move || Services::up(&xtask.expect("left out where it is not there"))));
    let trials = CASES.iter().map(|(name, case)| {
        let services = Arc::clone(&services);
        let run = move || {
            Home::with(&services, *case);
            Ok(())
        };
        Trial::test(format!("kafka::faults::{name}"), run).with_ignored_flag(is_left_out)
    });
    let trials = trials.collect();
    // What goes wrong goes wrong for everybody.
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(services);
    conclusion.exit();
}
