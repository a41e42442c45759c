//! The cluster on a real broker: the scenarios of every engine, and those of clusters.
//!
//! `PLEDGER_TEST_KAFKA` names the broker; `cargo xtask kafka up` starts one and says its name. `cargo xtask test` sets it.
//! Where it is not set, the tests that need it are listed as ignored.

#[path = "../scenarios/cases/mod.rs"]
mod cases;
#[path = "../scenarios/home.rs"]
mod home;
mod in_kafka;
#[path = "../cluster/processes.rs"]
mod processes;
#[path = "../scenarios/running.rs"]
mod running;
#[path = "../cluster/scenarios.rs"]
mod scenarios;
#[path = "../cluster/topics.rs"]
mod topics;

use std::sync::Arc;

use home::Home;
use in_kafka::InKafka;
use libtest_mimic::{Arguments, Trial};
use pledger_consumers::processor::MemorySnapshots;

const SLICES: u16 = 8;
/// Tests at once where the command line does not say: each waits for the broker nearly all of its time.
const AT_ONCE: usize = 6;

fn main() {
    let brokers = std::env::var("PLEDGER_TEST_KAFKA").ok().filter(|brokers| !brokers.is_empty());
    if brokers.is_none() {
        eprintln!("PLEDGER_TEST_KAFKA does not name a broker (`cargo xtask kafka up` starts one): the tests that need it are left out");
    }
    let trial = |name: &str, case: Box<dyn FnOnce(InKafka) + Send>| {
        let given = brokers.clone();
        let run = move || {
            case(InKafka::new(&given.expect("left out where it is not there"), SLICES));
            Ok(())
        };
        Trial::test(format!("kafka::{name}"), run).with_ignored_flag(brokers.is_none())
    };
    let of_all = cases::CASES.iter().map(|(name, case)| trial(name, Box::new(|topics| case(&home_in(topics)))));
    let of_clusters = scenarios::CASES.iter().map(|(name, case)| trial(name, Box::new(|topics| case(&topics))));
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    libtest_mimic::run(&arguments, of_all.chain(of_clusters).collect()).exit();
}

fn home_in(topics: InKafka) -> Home {
    Home::new(Arc::<MemorySnapshots>::default(), move |kept| processes::both(&topics, kept))
}
