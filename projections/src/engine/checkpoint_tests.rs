//! With checkpoints, the past is as without.

use std::sync::Arc;

use pledger_ledger::log::Log;
use proptest::prelude::*;

use super::{
    Engine, Moment, Options, checkpoint,
    order::{decisions, ledger},
    tests::{LONG, folded, options},
};
use crate::{
    generation::{DirectoryGenerations, Generations as _},
    given::{Given, Ledger, time},
    query::{Query, VIEWS, ViewSpec},
    table::Places,
};

/// Decisions in the order of their recording, one every few days; each effective when it was recorded, before, or after.
fn recorded(decisions: Vec<(u8, Given)>, shifts: &[i64]) -> Vec<Given> {
    let numbered = decisions.into_iter().zip(shifts.iter().cycle()).zip(0..);
    numbered
        .map(|(((_, given), shift), number)| {
            let recorded_at = time("2026-01-03").plus_days(number * 2);
            Given { recorded_at, at: recorded_at.plus_days(*shift), ..given }
        })
        .collect()
}

fn asked(checkpoints: Option<&DirectoryGenerations>, ledger: &Ledger, moment: Moment) -> Engine {
    let checkpoints = checkpoints.map(|checkpoints| checkpoints as &dyn crate::generation::Generations);
    asked_by(checkpoints, ledger, moment, None)
}

/// The same, to be asked by this view only.
fn asked_by(
    checkpoints: Option<&dyn crate::generation::Generations>,
    ledger: &Ledger,
    moment: Moment,
    view: Option<&'static ViewSpec>,
) -> Engine {
    let options = Options { moment, ..options(2) };
    let engine = Engine::at_moment(checkpoints, Arc::new(ledger.clone()), options, view, None).expect("it starts").engine;
    assert!(engine.wait_until_caught_up(LONG, |_| {}));
    engine
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn what_goes_on_from_a_checkpoint_is_what_is_folded_from_the_start(
        decisions in decisions(),
        shifts in prop::collection::vec(prop_oneof![4 => Just(0_i64), 1 => -90..90_i64], 1..12),
        moments in prop::collection::vec((prop::option::of(0..200_i64), prop::option::of(0..200_i64)), 1..6),
    ) {
        let data = tempfile::tempdir().expect("a directory");
        let ledger = ledger(3, recorded(decisions, &shifts));
        let log: Arc<dyn Log> = Arc::new(ledger.clone());
        let checkpoints = DirectoryGenerations::checkpoints_of(data.path());
        let kept = checkpoint::keep(&checkpoints, &log, options(2), |_| {}).expect("kept");
        prop_assert_eq!(checkpoints.all().expect("read").len(), kept);
        prop_assert_eq!(checkpoint::keep(&checkpoints, &log, options(1), |_| {}).expect("kept"), 0, "they are there");
        for (number, (as_of, known_at)) in moments.into_iter().enumerate() {
            let at = |days: Option<i64>| days.map(|days| time("2026-01-01").plus_days(days));
            let moment = Moment { as_of: at(as_of), known_at: at(known_at) };
            let with = asked(Some(&checkpoints), &ledger, moment);
            let without = asked(None, &ledger, moment);
            prop_assert_eq!(with.digests(Places::Covered), without.digests(Places::Covered), "{:?}", moment);
            prop_assert_eq!(with.begins_later(), without.begins_later());
            // One view a moment: the moments and the cases go round.
            let view = &VIEWS[(number + shifts.len()) % VIEWS.len()];
            let one = asked_by(Some(&checkpoints), &ledger, moment, Some(view));
            let query = Query { at: Some(moment.asked_at(time("2026-09-01"))), ..Query::default() };
            prop_assert_eq!(one.query(view.name, &query), without.query(view.name, &query), "{} at {:?}", view.name, moment);
        }
    }
}

#[test]
fn what_is_asked_of_the_present_needs_no_checkpoint() {
    let data = tempfile::tempdir().expect("a directory");
    let ledger = Ledger::with([]);
    let checkpoints = DirectoryGenerations::checkpoints_of(data.path());
    let now = asked(Some(&checkpoints), &ledger, Moment::default());
    assert_eq!(now.digests(Places::Covered), folded(&ledger, options(1)).digests(Places::Covered));
}
