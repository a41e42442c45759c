//! What is stored is the fold, for any number of workers, any batches, any end: on every database.

use std::{sync::Arc, time::Duration};

use pledger_domain::{
    account::AccountEvent,
    stream::StreamName,
    values::{Label, PartnerId, Timestamp, TouchpointId},
};
use pledger_ledger::log::Log;
use pledger_projections::{
    engine::{Engine, Options},
    generation::Generations,
    query::Query,
    table::Places,
};
use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};
use serde_json::Value;

use crate::{
    dying::Dying,
    given::{Given, Ledger, approved, deal_id, decisions, registered, time, won},
    keeping::{LONG, caught_up, cut, digests, open, options, stored, stored_digests},
};

/// A case, by its name.
pub(crate) type Stored = (&'static str, fn(&dyn Generations));

pub(crate) const CASES: &[Stored] = &[
    ("read_models_survive_their_engine", read_models_survive_their_engine),
    ("stopping_and_crashing_anywhere_changes_nothing", stopping_and_crashing_anywhere_changes_nothing),
    ("what_is_stored_is_the_fold_up_to_its_cursors", what_is_stored_is_the_fold_up_to_its_cursors),
    ("a_contest_ends_after_a_restart_too", a_contest_ends_after_a_restart_too),
    ("what_was_left_out_is_written_late", what_was_left_out_is_written_late),
    ("many_rows_are_written_and_read_again", many_rows_are_written_and_read_again),
    ("read_models_of_another_ledger_are_made_again", read_models_of_another_ledger_are_made_again),
];

pub(crate) fn history() -> Vec<Given> {
    vec![
        Given::account("acme.com", "2026-01-10", vec![registered("d1", "p1", "GTX", "100.00")]),
        Given::account("acme.com", "2026-01-12", vec![approved("d1")]),
        Given::account("umbrella.com", "2026-02-01", vec![registered("d2", "p2", "GTX", "50.00")]),
        Given::account("acme.com", "2026-03-11", vec![won("d1", "120.00", "2026-03-11")]),
    ]
}

fn read_models_survive_their_engine(generations: &dyn Generations) {
    let ledger = Ledger::with(history());
    let engine = caught_up(generations, &ledger, options(2));
    let whole = engine.digests(Places::Covered);
    assert_eq!(whole, digests(&ledger));
    engine.stop();
    assert_eq!(stored_digests(generations), whole);
    let engine = open(generations, &ledger, options(2));
    assert_eq!(engine.digests(Places::Covered), whole, "nothing is folded again");
    let at = ledger.add(Given::account("acme.com", "2026-04-01", vec![registered("d3", "p1", "GTX", "7.00")]));
    engine.wait_for(&[at], LONG).expect("folded");
    engine.stop();
    let kept = stored(generations);
    assert_eq!(kept.query("deals", &Query::default()).expect("deals").items.len(), 3);
    assert_eq!(kept.position().len(), 3);
    assert_eq!(kept.digests(Places::Covered), digests(&ledger));
}

/// What is known of contests and not stored is made again.
fn a_contest_ends_after_a_restart_too(generations: &dyn Generations) {
    let ledger = Ledger::with(history());
    ledger.add(Given::account("umbrella.com", "2026-02-02", vec![registered("d3", "p1", "GTX", "7.00")]));
    caught_up(generations, &ledger, options(2)).stop();
    let engine = open(generations, &ledger, options(3));
    let ruled_at = || -> Vec<Value> {
        let conflicts = engine.query("conflicts", &Query::default()).expect("conflicts").items;
        conflicts.into_iter().flat_map(|item| item.0).filter(|(name, _)| *name == "ruled_at").map(|(_, value)| value).collect()
    };
    assert_eq!(ruled_at(), [Value::Null]);
    let at = ledger.add(Given::account("umbrella.com", "2026-02-09", vec![won("d2", "50.00", "2026-02-09")]));
    engine.wait_for(&[at], LONG).expect("folded");
    assert_eq!(ruled_at(), ["2026-02-09T00:00:00Z"]);
    engine.stop();
    assert_eq!(stored_digests(generations), digests(&ledger));
}

/// A stream that waited in vain for its rules is taken up again when they have come: rows that stand before the cursors.
fn what_was_left_out_is_written_late(generations: &dyn Generations) {
    let ledger = Ledger::with(history());
    ledger.add(Given { rules: 2, ..Given::account("acme.com", "2026-04-01", vec![registered("d3", "p1", "GTX", "7.00")]) });
    ledger.add(Given { rules: 7, ..Given::account("umbrella.com", "2026-04-01", vec![registered("d4", "p1", "GTX", "7.00")]) });
    let engine = caught_up(generations, &ledger, options(2));
    assert_eq!(engine.status().parked, 2);
    let rules = ledger.add(Given::rules(2, "2026-01-01"));
    engine.wait_for(&[rules], LONG).expect("folded");
    engine.stop();
    assert_eq!(stored(generations).query("deals", &Query::default()).expect("deals").incomplete.len(), 2);
    let engine = caught_up(generations, &ledger, options(3));
    assert_eq!(engine.status().parked, 1, "the start took one up again");
    engine.stop();
    assert_eq!(stored_digests(generations), digests(&ledger));
}

/// A run between two ends: after so many decisions, by so many workers, in such batches; killed after so many writes, or
/// stopped.
type Run = (usize, usize, usize, Option<usize>);

fn runs() -> impl Strategy<Value = Vec<Run>> {
    let workers = prop_oneof![Just(1_usize), Just(2), Just(8)];
    prop::collection::vec((0..80_usize, workers, prop_oneof![1..4_usize, Just(4096)], prop::option::of(0..6_usize)), 1..5)
}

fn stopping_and_crashing_anywhere_changes_nothing(generations: &dyn Generations) {
    let mut runner = TestRunner::new(Config { cases: 24, source_file: Some(file!()), ..Config::default() });
    let checked = runner.run(&(decisions(), runs()), |(decisions, mut runs)| {
        runs.sort_unstable();
        let ledger = Ledger::with([]);
        let mut decisions = decisions.into_iter();
        let mut added = 0;
        // A ledger of its own for each case.
        generations.start().map_err(|error| TestCaseError::fail(error.to_string()))?;
        for (until, workers, read_records, writes) in runs {
            for given in decisions.by_ref().take(until.saturating_sub(added)) {
                ledger.add(given);
                added += 1;
            }
            let eager = Options { read_records, rebuild_flush_records: 1, flush_every: Duration::ZERO, ..options(workers) };
            let dying = Dying::after(generations, writes.unwrap_or(usize::MAX));
            let engine = Engine::open_in(&dying, Arc::new(ledger.clone()), eager).expect("it starts");
            prop_assert!(engine.wait_until_caught_up(LONG, |_| ()));
            prop_assert_eq!(engine.digests(Places::Covered), digests(&ledger));
            engine.stop();
            let kept = stored(generations);
            // Every shard is written by itself, so whoever dies between two may leave decisions and not yet the rules they name.
            let (program, position) = (ledger.slices().of(&StreamName::program()), kept.position());
            if position.is_empty() || position.iter().any(|at| at.slice == program) {
                prop_assert_eq!(kept.digests(Places::Covered), digests(&cut(&ledger, &position)));
            }
            prop_assert!(writes.is_some() || kept.digests(Places::Covered) == digests(&ledger));
        }
        decisions.for_each(|given| {
            ledger.add(given);
        });
        caught_up(generations, &ledger, options(2)).stop();
        prop_assert_eq!(stored_digests(generations), digests(&ledger));
        Ok(())
    });
    checked.expect("every case holds");
}

fn what_is_stored_is_the_fold_up_to_its_cursors(generations: &dyn Generations) {
    let ledger = Ledger::with([]);
    let eager = Options { rebuild_flush_records: 1, flush_every: Duration::ZERO, read_records: 16, ..options(2) };
    let engine = open(generations, &ledger, eager);
    // Few rows that change again and again, and new ones beside them.
    for n in 0..4_000 {
        let deal = format!("d{}", n % 700);
        let event = if n % 3 == 0 { registered(&deal, "p", "GTX", "1.00") } else { approved(&deal) };
        ledger.add(Given::account(&format!("a{}.com", n % 7), "2026-01-01", vec![event]));
        if n % 500 == 499 {
            let kept = stored(generations);
            let position = kept.position();
            assert_eq!(kept.digests(Places::Covered), digests(&cut(&ledger, &position)), "at {position:?}");
        }
    }
    engine.stop();
    assert_eq!(stored_digests(generations), digests(&ledger));
}

fn many_rows_are_written_and_read_again(generations: &dyn Generations) {
    let deals = |from: usize| (from..from + 40).map(|n| registered(&format!("d{n:05}"), "p", "GTX", "1.00")).collect();
    let ledger = Ledger::with((0..1000).map(|n| Given::account(&format!("a{n}.com"), "2026-01-01", deals(n * 40))));
    let engine = caught_up(generations, &ledger, options(1));
    let whole = engine.digests(Places::Covered);
    engine.stop();
    assert_eq!(stored_digests(generations), whole);
    assert_eq!(open(generations, &ledger, options(8)).digests(Places::Covered), whole);
}

fn read_models_of_another_ledger_are_made_again(generations: &dyn Generations) {
    caught_up(generations, &Ledger::with(history()), options(2)).stop();
    let other = Ledger::with([Given::account("acme.com", "2026-04-01", vec![registered("other", "p1", "GTX", "7.00")])]);
    caught_up(generations, &other, options(2)).stop();
    assert_eq!(stored_digests(generations), digests(&other));
    assert_eq!(generations.all().expect("read"), [1, 2], "the one before stays, to go back to");
}

/// What led to won deals: of one touch and of many, at one time, of partners and of channels, about one deal, out of the window.
pub(crate) fn journeys() -> Vec<Given> {
    let touch = |account: &str, number: u64, deal: Option<&str>| {
        // Every number is another mixture.
        let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let at = time("2025-09-15").plus_hours(i64::try_from(mixed >> 40).expect("24 bits") % 4_400);
        // Some accounts are touched by channels only.
        let (partner, channel) = match if number / 16 % 5 == 4 { number % 2 } else { mixed >> 33 & 3 } {
            0 => (None, Some("webinar")),
            1 => (None, None),
            partner => (Some(format!("p{partner}")), None),
        };
        let event = AccountEvent::TouchpointRecorded {
            touchpoint_id: TouchpointId::parse(&format!("t{number}")).expect("an id"),
            partner_id: partner.map(|id| PartnerId::parse(&id).expect("an id")),
            kind: Label::parse(["demo", "referral", "Visit"][(mixed >> 36) as usize % 3]).expect("a kind"),
            channel: channel.map(|channel| Label::parse(channel).expect("a channel")),
            deal_id: deal.map(deal_id),
            campaign_id: None,
            // Some are of one hour, to the microsecond.
            occurred_at: if number.is_multiple_of(3) {
                at
            } else {
                Timestamp::from_micros(at.micros() + i64::try_from(number).expect("small") * 977_777_777)
            },
        };
        Given::account(account, "2026-03-20", vec![event])
    };
    let mut given = Vec::new();
    for number in 0..40_u64 {
        let (account, ids) = (format!("j{number}.com"), [format!("a{number}"), format!("b{number}")]);
        for (id, amount, closed) in [
            (&ids[0], format!("{}.0{}", number * 7_919, number % 7), "2026-03-11"),
            (&ids[1], format!("0.0{}", number % 10), "2026-03-12T13:14:15.000016Z"),
        ] {
            let at = if number % 2 == 0 { "2025-11-03" } else { "2026-03-01" };
            given.push(Given::account(&account, at, vec![registered(id, "p1", "GTX", "1.00"), approved(id), won(id, &amount, closed)]));
        }
        for touched in 0..number % 9 {
            given.push(touch(&account, number * 16 + touched, (touched == 3).then_some(&ids[0])));
        }
    }
    given
}
