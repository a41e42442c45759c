//! PostgreSQL as the ledger uses it, on a real server: keys, and connections that nobody listens in on.
//!
//! `PLEDGER_TEST_POSTGRES` is its URL, of a superuser; `cargo xtask postgres up` starts one and says its URL. A server that is
//! killed is another one: `PLEDGER_XTASK` names the program that starts it. `cargo xtask test` sets both. Where one is not
//! set, the tests that need it are listed as ignored.

#[path = "../key_scenarios/mod.rs"]
mod key_scenarios;
mod keys;
mod schemas;
mod server;
mod tls;

use std::path::Path;

use libtest_mimic::{Arguments, Trial};
use pledger_ledger::keys::{Minting, PostgresKeyStore};
use schemas::InPostgres;

type Case = (&'static str, fn(&InPostgres));

const CASES: &[Case] = &[
    ("keys_are_another_processs_too", keys::keys_are_another_processs_too),
    ("what_one_process_erases_no_other_opens", keys::what_one_process_erases_no_other_opens),
    ("processes_that_mint_at_once_mint_one_key_a_person", keys::processes_that_mint_at_once_mint_one_key_a_person),
    ("a_key_store_is_neither_replaced_nor_invented", keys::a_key_store_is_neither_replaced_nor_invented),
    ("an_erased_key_is_in_no_row_and_no_page", keys::an_erased_key_is_in_no_row_and_no_page),
    ("nobody_else_may_read_keys", keys::nobody_else_may_read_keys),
];

/// Starts a server of its own with the program at this path.
type Own = (&'static str, fn(&Path));

const OWN: &[Own] = &[
    ("settled_keys_survive_a_server_that_is_killed", keys::settled_keys_survive_a_server_that_is_killed),
    ("a_server_is_believed_by_its_certificate_and_its_name", tls::a_server_is_believed_by_its_certificate_and_its_name),
];

fn main() {
    let url = setting("PLEDGER_TEST_POSTGRES", "a PostgreSQL (`cargo xtask postgres up` starts one)");
    // It may be named for another service.
    let xtask = url.as_ref().and(setting("PLEDGER_XTASK", "the program that starts a server (target/debug/xtask)"));
    let scenarios = key_scenarios::CASES.iter().map(|(name, case)| {
        let run = move |url: &str| {
            let home = InPostgres::new(url);
            case(&PostgresKeyStore::create(&home.options, Minting::Random).expect("created"));
        };
        trial(&format!("keys::{name}"), &url, run)
    });
    let cases = CASES.iter().map(|(name, case)| trial(name, &url, |url| case(&InPostgres::new(url))));
    let own = OWN.iter().map(|(name, case)| trial(name, &xtask, |xtask| case(Path::new(xtask))));
    libtest_mimic::run(&Arguments::from_args(), scenarios.chain(cases).chain(own).collect()).exit();
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
fn trial(name: &str, setting: &Option<String>, case: impl FnOnce(&str) + Send + 'static) -> Trial {
    let given = setting.clone();
    let run = move || {
        case(&given.expect("left out where it is not there"));
        Ok(())
    };
    Trial::test(name, run).with_ignored_flag(setting.is_none())
}
