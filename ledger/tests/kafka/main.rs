//! The Kafka engine against a real broker: the log's contract, and what only Kafka has.
//!
//! `PLEDGER_TEST_KAFKA` names the broker; `cargo xtask kafka up` starts one and says its name. Brokers that are killed are
//! others: `PLEDGER_XTASK` names the program that starts them. `cargo xtask test` sets both. Where one is not set, the
//! tests that need it are listed as ignored.

#[path = "../chains/mod.rs"]
mod chains;
mod commands;
#[path = "../contract/mod.rs"]
mod contract;
#[path = "../decisions/mod.rs"]
mod decisions;
#[path = "../duel/mod.rs"]
mod duel;
mod home;
mod killing;
mod producing;
mod reading;
mod topics;

use std::path::Path;

use home::InKafka;
use libtest_mimic::{Arguments, Trial};

type Case = (&'static str, fn(&InKafka));

const CASES: &[Case] = &[
    ("any_tool_reads_a_record", reading::any_tool_reads_a_record),
    ("what_is_no_record_is_void_and_stops_nobody", reading::what_is_no_record_is_void_and_stops_nobody),
    ("a_place_that_is_gone_is_named", reading::a_place_that_is_gone_is_named),
    ("a_gap_between_offsets_is_not_passed_over", reading::a_gap_between_offsets_is_not_passed_over),
    ("what_waits_in_front_of_a_slice_is_written_in_its_order", producing::what_waits_in_front_of_a_slice_is_written_in_its_order),
    ("a_batch_that_fails_in_a_pipeline_ends_the_term", producing::a_batch_that_fails_in_a_pipeline_ends_the_term),
    ("records_are_as_large_as_the_topic_allows", producing::records_are_as_large_as_the_topic_allows),
    ("a_producer_has_no_more_in_flight_than_it_may", producing::a_producer_has_no_more_in_flight_than_it_may),
    ("writers_duel_over_a_slice", producing::writers_duel_over_a_slice),
    ("a_duel_without_the_offset_check_is_lost", producing::a_duel_without_the_offset_check_is_lost),
    ("commands_are_read_from_exactly_where_it_is_asked", commands::commands_are_read_from_exactly_where_it_is_asked),
    ("commands_that_were_deleted_are_named", commands::commands_that_were_deleted_are_named),
    ("topics_are_created_as_they_must_be", topics::topics_are_created_as_they_must_be),
    ("topics_that_would_lose_records_are_refused", topics::topics_that_would_lose_records_are_refused),
    ("other_slices_than_partitions_are_refused", topics::other_slices_than_partitions_are_refused),
    ("topics_that_a_ledger_lacks_are_created", topics::topics_that_a_ledger_lacks_are_created),
    ("of_several_creators_one_succeeds", topics::of_several_creators_one_succeeds),
    ("a_cluster_that_is_too_small_is_said", topics::a_cluster_that_is_too_small_is_said),
    ("a_broker_that_is_away_is_said", topics::a_broker_that_is_away_is_said),
];

/// Starts brokers of its own with the program at this path.
type Kill = (&'static str, fn(&Path));

const KILLS: &[Kill] = &[
    ("the_only_broker_is_killed_and_comes_back", killing::the_only_broker_is_killed_and_comes_back),
    ("each_of_three_brokers_is_killed_and_comes_back", killing::each_of_three_brokers_is_killed_and_comes_back),
];

fn main() {
    let brokers = setting("PLEDGER_TEST_KAFKA", "a broker (`cargo xtask kafka up` starts one)");
    // It may be named for another service: brokers need Java.
    let xtask = brokers.as_ref().and(setting("PLEDGER_XTASK", "the program that starts brokers (target/debug/xtask)"));
    let contract = contract::CASES.iter().map(|(name, case)| {
        let run = move |brokers: &String| case(&InKafka::new(brokers));
        trial(format!("kafka::{name}"), &brokers, run)
    });
    let own = CASES.iter().map(|(name, case)| trial((*name).to_owned(), &brokers, |brokers| case(&InKafka::new(brokers))));
    let kills = KILLS.iter().map(|(name, case)| trial((*name).to_owned(), &xtask, |xtask| case(Path::new(xtask))));
    libtest_mimic::run(&Arguments::from_args(), contract.chain(own).chain(kills).collect()).exit();
}

/// What the environment names, and a word where it does not.
fn setting(variable: &str, what: &str) -> Option<String> {
    let setting = std::env::var(variable).ok().filter(|value| !value.is_empty());
    if setting.is_none() {
        eprintln!("{variable} does not name {what}: the tests that need it are left out");
    }
    setting
}

/// A test that is left out where `setting` is not there.
fn trial(name: String, setting: &Option<String>, case: impl FnOnce(&String) + Send + 'static) -> Trial {
    let given = setting.clone();
    let run = move || {
        case(&given.expect("left out where it is not there"));
        Ok(())
    };
    Trial::test(name, run).with_ignored_flag(setting.is_none())
}
