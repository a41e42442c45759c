//! What is in PostgreSQL is the fold, for any number of workers, any batches, any end.

use std::{sync::Arc, time::Duration};

use pledger_domain::stream::StreamName;
use pledger_ledger::log::Log;
use pledger_projections::{
    engine::{Engine, Options},
    generation::Generations,
    query::Query,
    store::StoreError,
    table::Places,
};
use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};

use crate::{
    dying::Dying,
    given::{Given, Ledger, approved, decisions, registered, time, won},
    home::{InPostgres, LONG, digests, options},
};

pub(crate) fn history() -> Vec<Given> {
    vec![
        Given::account("acme.com", "2026-01-10", vec![registered("d1", "p1", "GTX", "100.00")]),
        Given::account("acme.com", "2026-01-12", vec![approved("d1")]),
        Given::account("umbrella.com", "2026-02-01", vec![registered("d2", "p2", "GTX", "50.00")]),
        Given::account("acme.com", "2026-03-11", vec![won("d1", "120.00", "2026-03-11")]),
    ]
}

pub(crate) fn read_models_survive_their_engine(home: &InPostgres) {
    let ledger = Ledger::with(history());
    let engine = home.caught_up(&ledger, options(2));
    let whole = engine.digests(Places::Covered);
    assert_eq!(whole, digests(&ledger));
    engine.stop();
    assert_eq!(home.stored_digests(), whole);
    let engine = home.open(&ledger, options(2));
    assert_eq!(engine.digests(Places::Covered), whole, "nothing is folded again");
    let at = ledger.add(Given::account("acme.com", "2026-04-01", vec![registered("d3", "p1", "GTX", "7.00")]));
    engine.wait_for(&[at], LONG).expect("folded");
    engine.stop();
    let stored = home.stored();
    assert_eq!(stored.query("deals", &Query::default()).expect("deals").items.len(), 3);
    assert_eq!(stored.position().len(), 3);
    assert_eq!(stored.digests(Places::Covered), digests(&ledger));
}

/// A stream that waited in vain for its rules is taken up again when they have come: rows that stand before the cursors.
pub(crate) fn what_was_left_out_is_written_late(home: &InPostgres) {
    let ledger = Ledger::with(history());
    ledger.add(Given { rules: 2, ..Given::account("acme.com", "2026-04-01", vec![registered("d3", "p1", "GTX", "7.00")]) });
    ledger.add(Given { rules: 7, ..Given::account("umbrella.com", "2026-04-01", vec![registered("d4", "p1", "GTX", "7.00")]) });
    let engine = home.caught_up(&ledger, options(2));
    assert_eq!(engine.status().parked, 2);
    let rules = ledger.add(Given::rules(2, "2026-01-01"));
    engine.wait_for(&[rules], LONG).expect("folded");
    engine.stop();
    assert_eq!(home.stored().query("deals", &Query::default()).expect("deals").incomplete.len(), 2);
    let engine = home.caught_up(&ledger, options(3));
    assert_eq!(engine.status().parked, 1, "the start took one up again");
    engine.stop();
    assert_eq!(home.stored_digests(), digests(&ledger));
}

/// A run between two ends: after so many decisions, by so many workers, in such batches; killed after so many writes, or
/// stopped.
type Run = (usize, usize, usize, Option<usize>);

fn runs() -> impl Strategy<Value = Vec<Run>> {
    let workers = prop_oneof![Just(1_usize), Just(2), Just(8)];
    prop::collection::vec((0..80_usize, workers, prop_oneof![1..4_usize, Just(4096)], prop::option::of(0..6_usize)), 1..5)
}

pub(crate) fn stopping_and_crashing_anywhere_changes_nothing(home: &InPostgres) {
    let mut runner = TestRunner::new(Config { cases: 24, source_file: Some(file!()), ..Config::default() });
    let checked = runner.run(&(decisions(), runs()), |(decisions, mut runs)| {
        runs.sort_unstable();
        let ledger = Ledger::with([]);
        let mut decisions = decisions.into_iter();
        let mut added = 0;
        // A ledger of its own for each case.
        home.generations().start().map_err(|error| TestCaseError::fail(error.to_string()))?;
        for (until, workers, read_records, writes) in runs {
            for given in decisions.by_ref().take(until.saturating_sub(added)) {
                ledger.add(given);
                added += 1;
            }
            let eager = Options { read_records, rebuild_flush_records: 1, flush_every: Duration::ZERO, ..options(workers) };
            let generations = home.generations();
            let dying = Dying::after(&generations, writes.unwrap_or(usize::MAX));
            let engine = Engine::open_in(&dying, Arc::new(ledger.clone()), eager).expect("it starts");
            prop_assert!(engine.wait_until_caught_up(LONG, |_| ()));
            prop_assert_eq!(engine.digests(Places::Covered), digests(&ledger));
            engine.stop();
            let stored = home.stored();
            // Every shard is written by itself, so whoever dies between two may leave decisions and not yet the rules they name.
            let (program, position) = (ledger.slices().of(&StreamName::program()), stored.position());
            if position.is_empty() || position.iter().any(|at| at.slice == program) {
                prop_assert_eq!(stored.digests(Places::Covered), digests(&ledger.cut(&position)));
            }
            prop_assert!(writes.is_some() || stored.digests(Places::Covered) == digests(&ledger));
        }
        decisions.for_each(|given| {
            ledger.add(given);
        });
        home.caught_up(&ledger, options(2)).stop();
        prop_assert_eq!(home.stored_digests(), digests(&ledger));
        Ok(())
    });
    checked.expect("every case holds");
}

pub(crate) fn what_is_stored_is_the_fold_up_to_its_cursors(home: &InPostgres) {
    let ledger = Ledger::with([]);
    let eager = Options { rebuild_flush_records: 1, flush_every: Duration::ZERO, read_records: 16, ..options(2) };
    let engine = home.open(&ledger, eager);
    // Few rows that change again and again, and new ones beside them.
    for n in 0..4_000 {
        let deal = format!("d{}", n % 700);
        let event = if n % 3 == 0 { registered(&deal, "p", "GTX", "1.00") } else { approved(&deal) };
        ledger.add(Given::account(&format!("a{}.com", n % 7), "2026-01-01", vec![event]));
        if n % 500 == 499 {
            let stored = home.stored();
            let position = stored.position();
            assert_eq!(stored.digests(Places::Covered), digests(&ledger.cut(&position)), "at {position:?}");
        }
    }
    engine.stop();
    assert_eq!(home.stored_digests(), digests(&ledger));
}

pub(crate) fn many_rows_are_written_and_read_again(home: &InPostgres) {
    let deals = |from: usize| (from..from + 40).map(|n| registered(&format!("d{n:05}"), "p", "GTX", "1.00")).collect();
    let ledger = Ledger::with((0..1000).map(|n| Given::account(&format!("a{n}.com"), "2026-01-01", deals(n * 40))));
    let engine = home.caught_up(&ledger, options(1));
    let whole = engine.digests(Places::Covered);
    engine.stop();
    assert_eq!(home.stored_digests(), whole);
    assert_eq!(home.open(&ledger, options(8)).digests(Places::Covered), whole);
}

pub(crate) fn read_models_of_another_ledger_are_made_again(home: &InPostgres) {
    home.caught_up(&Ledger::with(history()), options(2)).stop();
    let other = Ledger::with([Given::account("acme.com", "2026-04-01", vec![registered("other", "p1", "GTX", "7.00")])]);
    home.caught_up(&other, options(2)).stop();
    assert_eq!(home.stored_digests(), digests(&other));
    assert_eq!(home.generations().all().expect("read"), [1, 2], "the one before stays, to go back to");
}

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
    assert_eq!(generations.create().expect("made"), 2);
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
