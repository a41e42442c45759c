//! Services that send events over Kafka, by clients that are none of ours, against a real broker.
//!
//! `PLEDGER_TEST_KAFKA` names the broker, `PLEDGER_TEST_KAFKA_TOOLS` is the class path of its console tools,
//! `PLEDGER_TEST_PYTHON` names a Python with confluent-kafka; kcat is on the path. `cargo xtask test` sets all of them, and
//! `cargo xtask kafka up` and `cargo xtask kafka clients` say what they are. Where one is not set, the tests are listed as
//! ignored.

mod clients;
mod events;
mod home;
mod inbox;
mod killing;
mod letters;
#[expect(dead_code, reason = "the scenarios use the rest")]
#[path = "../scenarios/running.rs"]
mod running;
#[path = "../embedded/starting.rs"]
mod starting;

use clients::Clients;
use home::Home;
use libtest_mimic::{Arguments, Trial};

type Case = (&'static str, fn(&Home));

const CASES: &[Case] = &[
    ("javas_console_producer_sends_and_its_consumer_reads_letters", inbox::javas_console_producer_sends_and_its_consumer_reads_letters),
    ("late_and_out_of_order_events_keep_their_effective_time", inbox::late_and_out_of_order_events_keep_their_effective_time),
    ("the_same_event_twice_is_decided_once", inbox::the_same_event_twice_is_decided_once),
    ("what_a_service_took_back_is_not_read", inbox::what_a_service_took_back_is_not_read),
    ("hostile_messages_become_letters_as_they_came", letters::hostile_messages_become_letters_as_they_came),
    ("an_unknown_id_is_waited_for_and_then_a_letter", letters::an_unknown_id_is_waited_for_and_then_a_letter),
    ("letters_are_retried_and_discarded_once", letters::letters_are_retried_and_discarded_once),
    ("every_event_is_published_once_in_its_streams_order", events::every_event_is_published_once_in_its_streams_order),
    ("a_publisher_goes_on_where_the_last_one_was", events::a_publisher_goes_on_where_the_last_one_was),
    ("a_hole_in_what_was_published_is_filled", events::a_hole_in_what_was_published_is_filled),
    ("topics_of_events_that_do_not_fit_are_refused", events::topics_of_events_that_do_not_fit_are_refused),
    ("two_ingests_share_the_partitions", killing::two_ingests_share_the_partitions),
    ("killed_under_load_it_loses_and_doubles_nothing", killing::killed_under_load_it_loses_and_doubles_nothing),
];

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let [_, verb, dir, brokers, prefix] = args.as_slice()
        && verb == killing::VERB
    {
        return killing::ingest_until_killed(dir.as_ref(), brokers, prefix);
    }
    let clients = Clients::find();
    let trials = CASES.iter().map(|(name, case)| {
        let clients = clients.clone();
        let is_missing = clients.is_none();
        let run = move || {
            case(&Home::new(clients.expect("left out where they are not there")));
            Ok(())
        };
        Trial::test(*name, run).with_ignored_flag(is_missing)
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}
