//! Read models as they are stored, in SQLite: the same fold, whoever made it and however it ended. `postgres` is the same on a
//! server.

mod cases;
mod dying;
#[path = "../../src/given.rs"]
#[expect(dead_code, reason = "the unit tests use the rest of it")]
mod given;
mod keeping;
mod sql;

use libtest_mimic::{Arguments, Trial};
use pledger_projections::generation::DirectoryGenerations;

fn main() {
    let trials = cases::CASES.iter().map(|(name, case)| {
        let run = move || {
            case(&DirectoryGenerations::of(tempfile::tempdir()?.path()));
            Ok(())
        };
        Trial::test(format!("sqlite::{name}"), run)
    });
    let shown = Trial::test("sqlite::credits_are_those_that_pledger_answers_with", || {
        sql::credits_are_those_that_pledger_answers_with();
        Ok(())
    });
    libtest_mimic::run(&Arguments::from_args(), trials.chain([shown]).collect()).exit();
}
