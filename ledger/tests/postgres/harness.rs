//! Lists tests that need a PostgreSQL, and leaves them out, by name, where there is none.

use std::path::Path;

use libtest_mimic::{Arguments, Trial};

use crate::schemas::InPostgres;

/// A test in a schema of its own.
pub(crate) type Case = (&'static str, fn(&InPostgres));

/// A test that starts a server of its own with the program at this path.
pub(crate) type Own = (&'static str, fn(&Path));

/// A test in a schema of its own, made of others.
pub(crate) type More = (String, Box<dyn FnOnce(&InPostgres) + Send>);

/// Runs what the command line asks for.
pub(crate) fn run(arguments: &Arguments, cases: &[Case], own: &[Own], more: Vec<More>) {
    let url = setting("PLEDGER_TEST_POSTGRES", "a PostgreSQL (`cargo xtask postgres up` starts one)");
    // It may be named for another service.
    let xtask = url.as_ref().and(setting("PLEDGER_XTASK", "the program that starts a server (target/debug/xtask)"));
    let mut trials = Vec::new();
    for (name, case) in more {
        trials.push(trial(name, &url, move |url| case(&InPostgres::new(url))));
    }
    for (name, case) in cases.iter().copied() {
        trials.push(trial(name.to_owned(), &url, move |url| case(&InPostgres::new(url))));
    }
    for (name, case) in own.iter().copied() {
        trials.push(trial(name.to_owned(), &xtask, move |xtask| case(Path::new(xtask))));
    }
    libtest_mimic::run(arguments, trials).exit();
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
fn trial(name: String, setting: &Option<String>, case: impl FnOnce(&str) + Send + 'static) -> Trial {
    let given = setting.clone();
    let run = move || {
        case(&given.expect("left out where it is not there"));
        Ok(())
    };
    Trial::test(name, run).with_ignored_flag(setting.is_none())
}
