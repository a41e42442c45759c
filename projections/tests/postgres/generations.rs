//! Generations as schemas.

use pledger_projections::{
    generation::{Generations, Note},
    store::StoreError,
};

use crate::{
    cases::history,
    given::{Ledger, time},
    home::InPostgres,
    keeping::options,
};

pub(crate) fn generations_are_put_in_use_and_taken_away(home: &InPostgres) {
    let generations = home.generations();
    assert_eq!(generations.all().expect("read"), [0_u64; 0]);
    assert_eq!(generations.current().expect("read"), None);
    home.caught_up(&Ledger::with(history()), options(2)).stop();
    assert_eq!(generations.current().expect("read"), Some(1));
    let count = || home.sql("SELECT count(*)::text FROM {}.deals").expect("a count")[0][0].clone();
    assert_eq!(count(), "2");
    // A view of somebody's own stays.
    home.sql("CREATE VIEW {}.mine AS SELECT deal FROM {}.deals").expect("made");
    assert_eq!(generations.create(&Note::default()).expect("made"), 2);
    assert_eq!(count(), "2", "the new one is not in use");
    generations.promote(2).expect("put in use");
    assert_eq!((generations.current().expect("read"), count().as_str()), (Some(2), "0"));
    assert!(matches!(generations.remove(2), Err(StoreError::InUse(2))));
    generations.promote(1).expect("put back");
    generations.remove(2).expect("taken away");
    assert_eq!((generations.all().expect("read"), count().as_str()), (vec![1], "2"));
    assert_eq!(home.sql("SELECT deal FROM {}.mine ORDER BY 1").expect("rows"), [["d1"], ["d2"]]);
    assert_eq!(time("2026-01-01").to_string(), "2026-01-01T00:00:00Z");
}
