//! A schema is one ledger's.

use pledger_ledger::postgres::OwnerError;

use crate::schemas::InPostgres;

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
