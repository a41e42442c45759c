//! The read models in a real PostgreSQL: the same fold, the same digests, whatever happens to the server or to us.
//!
//! `PLEDGER_TEST_POSTGRES` is its URL, of a user who may create roles and databases; `cargo xtask postgres up` starts one and
//! says its URL. A server that is killed is another one: `PLEDGER_XTASK` names the program that starts it. `cargo xtask
//! test` sets both. Where one is not set, the tests that need it are listed as ignored.

#[path = "../stored/cases.rs"]
mod cases;
#[path = "../stored/dying.rs"]
mod dying;
mod generations;
#[path = "../../src/given.rs"]
#[expect(dead_code, reason = "the unit tests use the rest of it")]
mod given;
#[path = "../../../ledger/tests/postgres/harness.rs"]
mod harness;
mod home;
#[path = "../stored/keeping.rs"]
mod keeping;
mod orders;
#[path = "../../../ledger/tests/postgres/schemas.rs"]
mod schemas;
#[path = "../../../ledger/tests/postgres/server.rs"]
mod server;
mod trouble;
mod views;

use harness::{Case, More, Own};
use libtest_mimic::Arguments;
use schemas::InPostgres;

const CASES: &[Case] = &[
    ("generations_are_put_in_use_and_taken_away", generations::generations_are_put_in_use_and_taken_away),
    ("orders_are_done_once_by_whoever_keeps_the_read_models", orders::orders_are_done_once_by_whoever_keeps_the_read_models),
    ("what_is_written_by_two_stops_one_of_them", trouble::what_is_written_by_two_stops_one_of_them),
    ("a_database_that_is_read_only_is_said_and_written_later", trouble::a_database_that_is_read_only_is_said_and_written_later),
    ("views_have_the_types_that_are_documented", views::views_have_the_types_that_are_documented),
    ("amounts_and_times_are_exact", views::amounts_and_times_are_exact),
    ("who_may_read_views_may_read_nothing_else", views::who_may_read_views_may_read_nothing_else),
    ("sql_gives_the_figures_that_pledger_answers_with", views::sql_gives_the_figures_that_pledger_answers_with),
    ("sql_credits_as_pledger_does", views::sql_credits_as_pledger_does),
    ("no_password_is_in_what_is_said", trouble::no_password_is_in_what_is_said),
];

const OWN: &[Own] = &[("a_server_that_is_killed_loses_nothing", trouble::a_server_that_is_killed_loses_nothing)];

fn main() {
    // Those of every database.
    let stored = cases::CASES.iter().map(|(name, case)| -> More {
        let case = move |home: &InPostgres| case(&home.generations());
        ((*name).to_owned(), Box::new(case))
    });
    harness::run(&Arguments::from_args(), CASES, OWN, stored.collect());
}
