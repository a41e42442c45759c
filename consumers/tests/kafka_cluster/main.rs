//! The cluster on a real broker: the scenarios of `cluster`, and what only Kafka has.
//!
//! `PLEDGER_TEST_KAFKA` names the broker; `cargo xtask kafka up` starts one and says its name. `cargo xtask test` sets it.
//! Where it is not set, the tests that need it are listed as ignored.

mod home;
#[path = "../cluster/running.rs"]
mod running;
#[path = "../cluster/scenarios.rs"]
mod scenarios;
#[path = "../cluster/topics.rs"]
mod topics;

use home::InKafka;
use libtest_mimic::{Arguments, Trial};

fn main() {
    let brokers = std::env::var("PLEDGER_TEST_KAFKA").ok().filter(|brokers| !brokers.is_empty());
    if brokers.is_none() {
        eprintln!("PLEDGER_TEST_KAFKA does not name a broker (`cargo xtask kafka up` starts one): the tests that need it are left out");
    }
    let scenarios = scenarios::CASES.iter().map(|(name, case)| {
        let given = brokers.clone();
        let run = move || {
            case(&InKafka::new(&given.expect("left out where it is not there"), 8));
            Ok(())
        };
        Trial::test(format!("kafka::{name}"), run).with_ignored_flag(brokers.is_none())
    });
    libtest_mimic::run(&Arguments::from_args(), scenarios.collect()).exit();
}
