//! A generation filled beside the one in use takes its place in one step, or not at all.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use pledger_domain::{
    account::{AccountEvent, RevenueKind},
    values::{PartnerId, RevenueId},
};
use pledger_ledger::slices::Position;
use sqlx::{Connection as _, Executor as _, SqliteConnection};

use super::{
    Engine, Moment, Options, PromoteError, compare,
    tests::{LONG, folded, options},
};
use crate::{
    generation::{Access, DirectoryGenerations, GenerationNumber, Generations as _, Note, State},
    given::{Given, Ledger, approved, registered, time, usd, won},
    query::Query,
    shard::Shard,
    store::{Changes, Store, StoreError},
    table::Places,
};

fn history() -> Vec<Given> {
    vec![
        Given::account("acme.com", "2026-01-10", vec![registered("d1", "p1", "GTX", "100.00")]),
        Given::account("acme.com", "2026-01-12", vec![approved("d1"), won("d1", "120.00", "2026-01-12")]),
        Given::account("umbrella.com", "2026-02-01", vec![registered("d2", "p2", "GTX", "50.00"), revenue()]),
    ]
}

fn revenue() -> AccountEvent {
    AccountEvent::RevenueRecorded {
        revenue_id: RevenueId::parse("r1").expect("an id"),
        partner_id: PartnerId::parse("p1").ok(),
        amount: usd("120.00"),
        gross_margin: None,
        deal_id: None,
        kind: RevenueKind::New,
        recognized_at: time("2026-02-01"),
    }
}

fn open(data: &Path, ledger: &Ledger) -> Engine {
    let engine = Engine::open(data, Arc::new(ledger.clone()), options(2)).expect("it starts");
    assert!(engine.wait_until_caught_up(LONG, |_| {}));
    engine
}

/// Fills a generation beside the one in use.
fn fill(data: &Path, ledger: &Ledger, workers: usize, note: Note) -> GenerationNumber {
    let generations = DirectoryGenerations::of(data);
    let generation = generations.create(&Note { state: State::Filling, ..note.clone() }).expect("made");
    let log = Arc::new(ledger.clone());
    let engine = Engine::open_generation(&generations, generation, log, options(workers)).expect("it starts").expect("it is ours");
    assert!(engine.wait_until_caught_up(LONG, |_| {}));
    engine.stop_written().expect("written");
    generations.keep_note(generation, &Note { state: State::Ready, ..note }).expect("kept");
    generation
}

/// Changes what is stored of a generation, as a fault would.
fn tamper(data: &Path, generation: GenerationNumber, sql: &'static str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let path = data.join("projections").join(generation.to_string()).join("read.db");
    runtime.block_on(async {
        let mut connection = SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.expect("opened");
        connection.execute(sql).await.expect("changed");
    });
}

#[test]
fn a_generation_that_is_not_there_is_told_with_those_that_are() {
    let told = |there: &[GenerationNumber]| PromoteError::Unknown { generation: 9, there: there.to_vec() }.to_string();
    assert_eq!(told(&[]), "there is no generation 9; there is none yet: a server fills the first one, and pledger rebuild others");
    assert_eq!(
        (told(&[4]), told(&[4, 5])),
        ("there is no generation 9; there is 4 only".into(), "there is no generation 9; there are 4, 5".into())
    );
}

#[test]
fn what_equals_the_live_one_takes_its_place_and_gives_it_back() {
    let data = tempfile::tempdir().expect("a directory");
    let ledger = Ledger::with(history());
    let live = open(data.path(), &ledger);
    let generations = DirectoryGenerations::of(data.path());
    let first = live.generation().expect("stored");
    let second = fill(data.path(), &ledger, 3, Note::default());
    // It has to catch up with what came meanwhile.
    ledger.add(Given::account("acme.com", "2026-03-01", vec![registered("d3", "p1", "GTX", "7.00")]));
    let comparison = live.promote(&generations, second, options(3)).expect("put in use");
    assert_eq!(comparison.differing().count(), 0);
    assert_eq!((live.generation(), generations.current().expect("read")), (Some(second), Some(second)));
    let whole = folded(&ledger, options(1)).digests(Places::Covered);
    assert_eq!(live.digests(Places::Covered), whole);
    // It goes on.
    let at = ledger.add(Given::account("umbrella.com", "2026-03-02", vec![approved("d2")]));
    live.wait_for(&[at], LONG).expect("folded");
    assert_eq!(live.roll_back(&generations, options(2)).expect("back"), first);
    assert_eq!(generations.current().expect("read"), Some(first));
    assert_eq!(live.digests(Places::Covered), folded(&ledger, options(1)).digests(Places::Covered));
    assert!(matches!(live.roll_back(&generations, options(2)), Err(PromoteError::NothingBefore(one)) if one == first));
    live.stop();
    assert_eq!(open(data.path(), &ledger).generation(), Some(first));
}

#[test]
fn what_differs_without_a_reason_is_refused_and_with_one_it_is_not() {
    let data = tempfile::tempdir().expect("a directory");
    let ledger = Ledger::with(history());
    let live = open(data.path(), &ledger);
    let generations = DirectoryGenerations::of(data.path());
    let named = |names: &[&str]| Note { projections: names.iter().map(|name| (*name).to_owned()).collect(), ..Note::default() };
    for (names, is_refused) in [(vec![], true), (vec!["conflicts"], true), (vec!["tiers"], false)] {
        let before = live.digests(Places::Covered);
        let generation = fill(data.path(), &ledger, 2, named(&names));
        tamper(data.path(), generation, r#"UPDATE revenue_days_chunks SET rows = replace(rows, '12000', '12001')"#);
        match live.promote(&generations, generation, options(2)) {
            Err(PromoteError::Differs { views, comparison, .. }) => {
                assert!(is_refused && views.contains(&"tiers") && views.contains(&"ropi"), "{views:?}");
                assert_eq!(comparison.differing().map(|table| table.table).collect::<Vec<_>>(), ["revenue_days"]);
                assert_eq!(live.digests(Places::Covered), before, "what is in use is untouched");
                assert_ne!(generations.current().expect("read"), Some(generation));
            }
            other => assert!(other.is_ok() && !is_refused, "{names:?}: {other:?}"),
        }
    }
}

#[test]
fn other_rules_are_no_reason_for_what_is_not_folded_under_rules() {
    let data = tempfile::tempdir().expect("a directory");
    let ledger = Ledger::with(history());
    ledger.add(Given::rules(2, "2026-01-01"));
    let live = open(data.path(), &ledger);
    let generations = DirectoryGenerations::of(data.path());
    let generation = fill(data.path(), &ledger, 2, Note { rules_version: Some(2), ..Note::default() });
    tamper(data.path(), generation, r#"UPDATE revenue_days_chunks SET rows = replace(rows, '12000', '12001')"#);
    let refused = live.promote(&generations, generation, options(2));
    assert!(matches!(&refused, Err(PromoteError::Differs { views, .. }) if *views == ["ropi", "tiers"]), "{refused:?}");
}

#[test]
fn what_cannot_be_put_in_use_says_why() {
    let data = tempfile::tempdir().expect("a directory");
    let ledger = Ledger::with(history());
    let live = open(data.path(), &ledger);
    let generations = DirectoryGenerations::of(data.path());
    let first = live.generation().expect("stored");
    let refused = |generation| live.promote(&generations, generation, options(2)).expect_err("refused");
    assert!(matches!(refused(77), PromoteError::Unknown { generation: 77, .. }));
    assert!(matches!(refused(first), PromoteError::InUse(_)));
    let filling = generations.create(&Note { state: State::Filling, ..Note::default() }).expect("made");
    assert!(matches!(refused(filling), PromoteError::NotReady(_)));
    let stale = fill(data.path(), &ledger, 2, Note::default());
    tamper(data.path(), stale, "UPDATE generation SET fingerprint = 'of older folds'");
    assert!(matches!(refused(stale), PromoteError::Stale(_)));
    let of_another_ledger = fill(data.path(), &Ledger::with([]), 2, Note::default());
    tamper(data.path(), of_another_ledger, "UPDATE cursors SET hash = zeroblob(32)");
    assert!(matches!(refused(of_another_ledger), PromoteError::Stale(_)));
    let newer = fill(data.path(), &ledger, 2, Note::default());
    live.promote(&generations, newer, options(2)).expect("put in use");
    assert!(matches!(live.promote(&generations, stale, options(2)), Err(PromoteError::Older { .. })));
    let beside = Engine::in_memory(Arc::new(ledger.clone()), options(1)).expect("it starts");
    assert!(matches!(beside.promote(&generations, newer, options(1)), Err(PromoteError::NotHere)));
}

#[test]
fn one_version_of_the_rules_governs_a_whole_generation_also_after_a_start() {
    let data = tempfile::tempdir().expect("a directory");
    let ledger = Ledger::with(history());
    ledger.add(Given::rules(2, "2026-01-01"));
    let live = open(data.path(), &ledger);
    let generations = DirectoryGenerations::of(data.path());
    let generation = fill(data.path(), &ledger, 2, Note { rules_version: Some(2), ..Note::default() });
    let comparison = live.promote(&generations, generation, options(2)).expect("put in use");
    let differing: Vec<_> = comparison.differing().map(|table| table.table).collect();
    assert_eq!(differing, ["deals", "attribution_rules"], "the rules that a deal's credit is shared under");
    live.stop();
    ledger.add(Given::account("acme.com", "2026-03-01", vec![registered("d3", "p1", "GTX", "7.00")]));
    let live = open(data.path(), &ledger);
    let rules = |engine: &Engine| -> Vec<serde_json::Value> {
        let page = engine.query("deals", &Query::default()).expect("deals");
        let field = |item: crate::query::Item| item.0.into_iter().find(|(name, _)| *name == "rules").map(|(_, value)| value);
        page.items.into_iter().filter_map(field).collect()
    };
    assert_eq!(rules(&live), [1, 1, 1], "the rules that decided");
    let log = Arc::new(ledger.clone());
    let fresh = Engine::fresh(&generations, generation, log, options(1)).expect("it starts");
    assert_eq!(compare(&live, &fresh).expect("compared").differing().count(), 0);
    let moment = Moment { known_at: Some(time("2027-01-01")), ..Moment::default() };
    let past =
        Engine::at_moment(None, Arc::new(ledger.clone()), Options { moment, ..options(1) }, None, Some(2)).expect("it starts").engine;
    assert_eq!(compare(&live, &past).expect("compared").differing().count(), 0, "its past is folded under the same");
    let unknown = Note { rules_version: Some(9), ..Note::default() };
    let none = generations.create(&unknown).expect("made");
    assert!(Engine::open_generation(&generations, none, Arc::new(ledger.clone()), options(1)).is_err());
}

/// A database that has no room left.
struct Full(Box<dyn Store>);

impl Store for Full {
    fn fingerprint(&mut self) -> Result<String, StoreError> {
        self.0.fingerprint()
    }
    fn load(&mut self, shards: &mut [Shard], names: Option<&[&str]>) -> Result<(), StoreError> {
        self.0.load(shards, names)
    }
    fn take_over(&mut self, shards: &mut [Shard]) -> Result<(), StoreError> {
        self.0.take_over(shards)
    }
    fn write(&mut self, _: &Changes<'_>) -> Result<(), StoreError> {
        Err(std::io::Error::from(std::io::ErrorKind::StorageFull).into())
    }
}

#[test]
fn what_could_not_be_written_is_said_and_gone_on_with_later() {
    let data = tempfile::tempdir().expect("a directory");
    let ledger = Ledger::with(history());
    let live = open(data.path(), &ledger);
    let generations = DirectoryGenerations::of(data.path());
    let generation = generations.create(&Note::default()).expect("made");
    let store = Box::new(Full(generations.open(generation, Access::Write).expect("opened")));
    let full = Engine::start(Arc::new(ledger.clone()), options(2), vec![Shard::default()], Some((generation, store)), None);
    let full = full.expect("it starts");
    assert!(full.wait_until_caught_up(LONG, |_| {}));
    let trouble = full.stop_written().expect_err("nothing was written");
    assert!(trouble.contains("no storage space"), "{trouble}");
    generations.keep_note(generation, &Note { state: State::Filling, ..Note::default() }).expect("kept");
    assert!(matches!(live.promote(&generations, generation, options(2)), Err(PromoteError::NotReady(_))));
    let log = Arc::new(ledger.clone());
    let again = Engine::open_generation(&generations, generation, log, options(2)).expect("it starts").expect("it is ours");
    assert!(again.wait_until_caught_up(LONG, |_| {}));
    again.stop_written().expect("written");
}

#[test]
fn a_question_sees_one_generation_while_another_takes_its_place_and_decisions_go_on() {
    let data = tempfile::tempdir().expect("a directory");
    let ledger = Ledger::with([]);
    let live = Arc::new(open(data.path(), &ledger));
    let generations = DirectoryGenerations::of(data.path());
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Every decision registers one deal of p1 and one of p2: whoever saw half of something would see them differ.
        scope.spawn(|| {
            for n in 0.. {
                if is_over.load(Ordering::Acquire) {
                    return;
                }
                let pair = [("p1", "a"), ("p2", "b")].map(|(partner, deal)| registered(&format!("{deal}{n}"), partner, "GTX", "7.00"));
                let at = ledger.add(Given::account(&format!("acme{n}.com"), "2026-01-10", pair.to_vec()));
                live.wait_for(&[at], LONG).expect("folded");
            }
        });
        scope.spawn(|| {
            while !is_over.load(Ordering::Acquire) {
                let query = Query { by: vec!["partner".to_owned()], ..Query::default() };
                let page = live.query("pipeline", &query).expect("figures");
                let count = |at: usize| page.items.get(at).and_then(|item| item.0.iter().find(|(name, _)| *name == "count"));
                assert_eq!(count(0), count(1));
            }
        });
        for workers in [2, 2, 1] {
            let generation = fill(data.path(), &ledger, workers, Note::default());
            let promoted = live.promote(&generations, generation, Options { workers, ..options(workers) });
            is_over.store(promoted.is_err() || workers == 1, Ordering::Release);
            promoted.expect("put in use");
        }
    });
    assert_eq!(live.digests(Places::Covered), folded(&ledger, options(1)).digests(Places::Covered));
}

#[test]
fn who_waits_for_a_position_waits_for_it_in_what_answers_then() {
    let ledgers = [Ledger::with(history()), Ledger::with(history())];
    let add = |ledger: &Ledger, id| ledger.add(Given::account("acme.com", "2026-03-01", vec![registered(id, "p1", "GTX", "7.00")]));
    let last = ledgers.each_ref().map(|ledger| add(ledger, "d3"))[0];
    let next = [Position { pseq: last.pseq + 1, ..last }];
    let [live, other] = ledgers.each_ref().map(|ledger| folded(ledger, options(1)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        let mut waiting = std::pin::pin!(live.reached(&next, LONG));
        tokio::select! {
            biased;
            reached = &mut waiting => panic!("{reached:?}"),
            () = async {} => {}
        }
        live.give_way_to(other);
        for ledger in &ledgers {
            assert!(!live.position().contains(&next[0]));
            add(ledger, "d4");
        }
        assert_eq!(waiting.await, Ok(()));
        assert!(live.position().contains(&next[0]));
        assert_eq!(live.wait_for(&next, LONG), Ok(()));
    });
}
