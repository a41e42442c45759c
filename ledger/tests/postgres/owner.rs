//! Whose a schema is, and whether anything can be written to it.

use std::path::Path;

use pledger_ledger::postgres::{OwnerError, PostgresOptions, ReadOnly};

use crate::{schemas::InPostgres, server::Server};

pub(crate) fn a_schema_is_one_ledgers(home: &InPostgres) {
    let options = home.options();
    options.check_owner("l-1").expect("it is nobody's");
    assert_eq!(home.sql("SELECT count(*)::text FROM pg_namespace WHERE nspname = '{}_state'").expect("asked"), [["0"]]);
    options.claim("l-1").expect("it was nobody's");
    options.claim("l-1").expect("it is its own");
    options.check_owner("l-1").expect("it is its own");
    for refused in [options.claim("l-2"), options.check_owner("l-2")] {
        let Err(OwnerError::Another { schema, owner, ledger_id, .. }) = refused else { panic!("{refused:?}") };
        assert_eq!([schema.as_str(), &owner, &ledger_id], [home.schema.as_str(), "l-1", "l-2"]);
    }
}

pub(crate) fn a_database_that_takes_no_writes_says_so(home: &InPostgres) {
    assert_eq!(home.options().read_only().expect("asked"), None);
    let told = PostgresOptions::parse(&format!("{}?options[default_transaction_read_only]=on", home.url)).expect("a URL");
    assert_eq!(told.read_only().expect("asked"), Some(ReadOnly::Told("client".into())));
}

pub(crate) fn a_standby_says_that_it_is_one(xtask: &Path) {
    let server = Server::up(xtask);
    let home = InPostgres::new(&server.url);
    assert_eq!(home.options().read_only().expect("asked"), None);
    let signal = home.sql("SHOW data_directory").expect("a path")[0][0].clone() + "/standby.signal";
    home.sql(&format!("COPY (SELECT 1 WHERE false) TO '{signal}'")).expect("written");
    server.kill();
    server.start();
    assert_eq!(home.options().read_only().expect("asked"), Some(ReadOnly::Standby));
}

pub(crate) fn a_wrong_password_is_told_once_and_not_shown(home: &InPostgres) {
    let (scheme, rest) = home.url.split_once("://").expect("a URL");
    let (user, place) = rest.split_once('@').expect("a user");
    let user = user.split(':').next().expect("a name");
    let options = PostgresOptions::parse(&format!("{scheme}://{user}:not-the-one@{place}")).expect("a URL");
    let error = options.check_owner("l-1").expect_err("it lets nobody in");
    assert!(std::error::Error::source(&error).is_none(), "it is told with its cause");
    let told = error.to_string();
    assert!(told.starts_with(&format!("PostgreSQL at {options}: ")), "{told}");
    assert_eq!(told.matches("password authentication failed").count(), 1, "{told}");
    assert!(told.contains("--postgres-password-file") && !told.contains("not-the-one"), "{told}");
}
