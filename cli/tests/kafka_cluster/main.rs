//! Processes of a cluster on a real broker: killed, stopped and continued, and started on what does not fit.
//!
//! `PLEDGER_TEST_KAFKA` names the broker, which lets members be silent for a second (`cargo xtask kafka up` starts such a
//! one). Where it is not set, the tests that need it are listed as ignored; so are those that need a
//! database as well, where `PLEDGER_TEST_POSTGRES` names none, and those that start services of their own, where `PLEDGER_XTASK`
//! does not name the program for it.

mod certificate;
#[path = "../../../projections/tests/stored/dying.rs"]
mod dying;
mod generations;
mod keepers;
mod load;
mod mistakes;
mod moving;
mod parked;
mod processes;
mod promotions;
mod reading;
#[path = "../../../ledger/tests/postgres/schemas.rs"]
mod schemas;
mod secure;
#[path = "../../../ledger/tests/postgres/server.rs"]
mod server;
mod services;
mod starting;
mod take_over;
mod told;

use libtest_mimic::{Arguments, Trial};

type Case = (&'static str, fn(&str));

const CASES: &[Case] = &[
    ("kafka::a_processor_that_is_killed_is_replaced", take_over::a_processor_that_is_killed_is_replaced),
    ("kafka::a_processor_that_comes_back_from_a_stop_harms_nothing", take_over::a_processor_that_comes_back_from_a_stop_harms_nothing),
    ("kafka::who_sends_says_that_nobody_decides", take_over::who_sends_says_that_nobody_decides),
    ("kafka::who_comes_back_is_told_what_it_missed", take_over::who_comes_back_is_told_what_it_missed),
    ("kafka::one_process_does_everything_and_is_found_again", take_over::one_process_does_everything_and_is_found_again),
    ("kafka::services_send_events_and_read_what_was_decided", services::services_send_events_and_read_what_was_decided),
    ("kafka::a_ledger_moves_to_a_cluster_that_goes_on_with_it", moving::a_ledger_moves_to_a_cluster_that_goes_on_with_it),
    ("kafka::a_broker_that_is_away_at_the_start_is_waited_for", starting::a_broker_that_is_away_at_the_start_is_waited_for),
    ("kafka::who_is_told_to_stop_while_it_starts_ends", starting::who_is_told_to_stop_while_it_starts_ends),
    ("kafka::what_does_not_fit_is_said", mistakes::what_does_not_fit_is_said),
];

/// The same, on a database as well.
const IN_POSTGRES: &[Case] = &[
    ("kafka::postgres::read_models_find_another_keeper", keepers::read_models_find_another_keeper),
    ("kafka::postgres::verbs_answer_from_postgres_as_a_server_does", reading::verbs_answer_from_postgres_as_a_server_does),
    ("kafka::postgres::a_place_is_named_once_in_the_configuration", reading::a_place_is_named_once_in_the_configuration),
    ("kafka::postgres::read_models_after_a_move_are_those_before_it", moving::read_models_after_a_move_are_those_before_it),
    ("kafka::postgres::a_generation_is_put_in_use_beside_a_cluster", generations::a_generation_is_put_in_use_beside_a_cluster),
    (
        "kafka::postgres::one_rebuilds_at_a_time_and_a_killed_one_is_gone_on_with",
        generations::one_rebuilds_at_a_time_and_a_killed_one_is_gone_on_with,
    ),
    ("kafka::postgres::a_parked_stream_is_tried_again_whoever_is_asked", parked::a_parked_stream_is_tried_again_whoever_is_asked),
    (
        "kafka::postgres::a_keeper_that_is_killed_in_a_promotion_leaves_one_generation_in_use",
        promotions::a_keeper_that_is_killed_in_a_promotion_leaves_one_generation_in_use,
    ),
    (
        "kafka::postgres::a_database_that_lets_nobody_in_or_takes_no_writes_is_told_once",
        mistakes::a_database_that_lets_nobody_in_or_takes_no_writes_is_told_once,
    ),
    ("kafka::postgres::a_schema_is_one_ledgers", mistakes::a_schema_is_one_ledgers),
    ("kafka::postgres::read_models_are_the_same_however_they_are_made", certificate::read_models_are_the_same_however_they_are_made),
];

/// On brokers or a database of their own, which the program of the name starts.
const ON_OWN_SERVICES: &[Case] = &[
    ("kafka::a_client_needs_a_password_and_a_known_authority", secure::a_client_needs_a_password_and_a_known_authority),
    ("kafka::a_database_that_is_away_at_the_start_is_waited_for", starting::a_database_that_is_away_at_the_start_is_waited_for),
];

fn given(variable: &str, what: &str) -> Option<String> {
    let given = std::env::var(variable).ok().filter(|address| !address.is_empty());
    if given.is_none() {
        eprintln!("{variable} does not name {what}: the tests that need it are left out");
    }
    given
}

fn trials(cases: &'static [Case], given: Option<&String>) -> impl Iterator<Item = Trial> {
    cases.iter().map(move |(name, case)| {
        let given = given.cloned();
        let is_left_out = given.is_none();
        let run = move || {
            case(&given.expect("left out where it is not there"));
            Ok(())
        };
        Trial::test(*name, run).with_ignored_flag(is_left_out)
    })
}

fn main() {
    let brokers = given("PLEDGER_TEST_KAFKA", "a broker (`cargo xtask kafka up` starts one)");
    let postgres = given("PLEDGER_TEST_POSTGRES", "a server (`cargo xtask postgres up` starts one)");
    let xtask = given("PLEDGER_XTASK", "the program that starts brokers (target/debug/xtask)");
    let with_database = brokers.as_ref().filter(|_| postgres.is_some());
    let trials = trials(CASES, brokers.as_ref()).chain(trials(IN_POSTGRES, with_database));
    let trials = trials.chain(self::trials(ON_OWN_SERVICES, brokers.as_ref().and(xtask.as_ref())));
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}
