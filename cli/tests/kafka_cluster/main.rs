//! Processes of a cluster on a real broker: killed, stopped and continued, and started on what does not fit.
//!
//! `PLEDGER_TEST_KAFKA` names the broker, which lets members be silent for a second (`cargo xtask kafka up` starts such a
//! one). Where it is not set, the tests that need it are listed as ignored; so are those that need a
//! database as well, where `PLEDGER_TEST_POSTGRES` names none.

mod keepers;
mod load;
mod mistakes;
mod moving;
mod processes;
#[path = "../../../ledger/tests/postgres/schemas.rs"]
mod schemas;
mod services;
mod take_over;

use libtest_mimic::{Arguments, Trial};

type Case = (&'static str, fn(&str));

const CASES: &[Case] = &[
    ("kafka::a_processor_that_is_killed_is_replaced", take_over::a_processor_that_is_killed_is_replaced),
    ("kafka::a_processor_that_comes_back_from_a_stop_harms_nothing", take_over::a_processor_that_comes_back_from_a_stop_harms_nothing),
    ("kafka::one_process_does_everything_and_is_found_again", take_over::one_process_does_everything_and_is_found_again),
    ("kafka::services_send_events_and_read_what_was_decided", services::services_send_events_and_read_what_was_decided),
    ("kafka::a_ledger_moves_to_a_cluster_that_goes_on_with_it", moving::a_ledger_moves_to_a_cluster_that_goes_on_with_it),
    ("kafka::what_does_not_fit_is_said", mistakes::what_does_not_fit_is_said),
];

/// The same, on a database as well.
const IN_POSTGRES: &[Case] = &[("kafka::postgres::read_models_find_another_keeper", keepers::read_models_find_another_keeper)];

fn given(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|address| !address.is_empty())
}

fn main() {
    let (brokers, postgres) = (given("PLEDGER_TEST_KAFKA"), given("PLEDGER_TEST_POSTGRES"));
    if brokers.is_none() {
        eprintln!("PLEDGER_TEST_KAFKA does not name a broker (`cargo xtask kafka up` starts one): the tests that need it are left out");
    }
    let in_postgres = IN_POSTGRES.iter().map(|case| (case, postgres.is_some()));
    let trials = CASES.iter().map(|case| (case, true)).chain(in_postgres).map(|((name, case), has_rest)| {
        let given = brokers.clone();
        let run = move || {
            case(&given.expect("left out where it is not there"));
            Ok(())
        };
        Trial::test(*name, run).with_ignored_flag(brokers.is_none() || !has_rest)
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}
