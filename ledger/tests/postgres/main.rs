//! PostgreSQL as the ledger uses it, on a real server: keys, and connections that nobody listens in on.
//!
//! `PLEDGER_TEST_POSTGRES` is its URL, of a superuser; `cargo xtask postgres up` starts one and says its URL. A server that is
//! killed is another one: `PLEDGER_XTASK` names the program that starts it. `cargo xtask test` sets both. Where one is not
//! set, the tests that need it are listed as ignored.

mod harness;
#[path = "../key_scenarios/mod.rs"]
mod key_scenarios;
mod keys;
mod owner;
mod schemas;
mod server;
mod tls;

use harness::{Case, More, Own};
use libtest_mimic::Arguments;
use pledger_ledger::keys::{KeyStore, Minting, PostgresKeyStore};
use schemas::InPostgres;

const CASES: &[Case] = &[
    ("keys_are_another_processs_too", keys::keys_are_another_processs_too),
    ("what_one_process_erases_no_other_opens", keys::what_one_process_erases_no_other_opens),
    ("processes_that_mint_at_once_mint_one_key_a_person", keys::processes_that_mint_at_once_mint_one_key_a_person),
    ("a_key_store_is_neither_replaced_nor_invented", keys::a_key_store_is_neither_replaced_nor_invented),
    ("an_erased_key_is_in_no_row_and_no_page", keys::an_erased_key_is_in_no_row_and_no_page),
    ("a_key_store_is_moved_from_a_data_directory", keys::a_key_store_is_moved_from_a_data_directory),
    ("a_schema_is_one_ledgers", owner::a_schema_is_one_ledgers),
    ("a_database_that_takes_no_writes_says_so", owner::a_database_that_takes_no_writes_says_so),
    ("a_wrong_password_is_told_once_and_not_shown", owner::a_wrong_password_is_told_once_and_not_shown),
    ("a_connection_that_was_ended_is_made_anew", keys::a_connection_that_was_ended_is_made_anew),
    ("what_was_staged_on_a_lost_connection_is_offered_again", keys::what_was_staged_on_a_lost_connection_is_offered_again),
    ("nobody_else_may_read_keys", keys::nobody_else_may_read_keys),
];

const OWN: &[Own] = &[
    ("settled_keys_survive_a_server_that_is_killed", keys::settled_keys_survive_a_server_that_is_killed),
    ("a_standby_says_that_it_is_one", owner::a_standby_says_that_it_is_one),
    ("a_server_is_believed_by_its_certificate_and_its_name", tls::a_server_is_believed_by_its_certificate_and_its_name),
];

fn main() {
    let scenario = |(name, case): &(&str, fn(&dyn KeyStore))| -> More {
        let case = *case;
        let on_postgres = move |home: &InPostgres| case(&PostgresKeyStore::create(&home.options(), Minting::Random).expect("created"));
        (format!("keys::{name}"), Box::new(on_postgres))
    };
    harness::run(&Arguments::from_args(), CASES, OWN, key_scenarios::CASES.iter().map(scenario).collect());
}
