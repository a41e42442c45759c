//! Records that a faulty reader could not read: what is parked for them, and what comes of it after the fix.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use pledger_domain::stream::StreamName;
use pledger_ledger::{
    log::{Log, LogError, Placed, Producer, Tail},
    slices::{Position, SliceId, Slices},
};
use proptest::prelude::*;

use super::{
    Engine, RetryOutcome,
    order::{decisions, ledger},
    tests::{LONG, folded, options},
};
use crate::{
    given::{Given, Ledger, approved, registered, won},
    table::Places,
};

/// A ledger of which a record cannot be read, as a fault of the reader would have it, until that is mended.
#[derive(Clone)]
struct Faulty {
    ledger: Ledger,
    fault: Arc<Fault>,
}

struct Fault {
    at: Position,
    /// Whether even the stream cannot be told.
    whole: bool,
    is_mended: AtomicBool,
}

impl Faulty {
    fn at(ledger: &Ledger, at: Position, whole: bool) -> Self {
        Self { ledger: ledger.clone(), fault: Arc::new(Fault { at, whole, is_mended: AtomicBool::new(false) }) }
    }

    fn mend(&self) {
        self.fault.is_mended.store(true, Ordering::SeqCst);
    }
}

impl Fault {
    fn spoil(&self, mut placed: Vec<Placed>) -> Vec<Placed> {
        for one in placed.iter_mut().filter(|one| one.record.position() == self.at && !self.is_mended.load(Ordering::SeqCst)) {
            let text = String::from_utf8(one.record.body.to_vec()).expect("JSON");
            let spoilt = if self.whole { "{}".to_owned() } else { text.replace("\"recorded_at\"", "\"recorded_when\"") };
            assert_ne!(spoilt, text);
            one.record.body = Bytes::from(spoilt);
        }
        placed
    }
}

struct Spoiling(Box<dyn Tail>, Arc<Fault>);

impl Tail for Spoiling {
    fn next(&mut self, max: usize, wait: Duration) -> Result<Vec<Placed>, LogError> {
        Ok(self.1.spoil(self.0.next(max, wait)?))
    }
}

impl Log for Faulty {
    fn slices(&self) -> Slices {
        self.ledger.slices()
    }
    fn end(&self, slice: SliceId) -> Result<u64, LogError> {
        self.ledger.end(slice)
    }
    fn read(&self, slice: SliceId, offset: u64, max: usize) -> Result<Vec<Placed>, LogError> {
        Ok(self.fault.spoil(self.ledger.read(slice, offset, max)?))
    }
    fn read_stream(&self, stream: &StreamName, offset: u64, max: usize) -> Result<Vec<Placed>, LogError> {
        Ok(self.fault.spoil(self.ledger.read_stream(stream, offset, max)?))
    }
    fn tail(&self, from: &[u64]) -> Result<Box<dyn Tail>, LogError> {
        Ok(Box::new(Spoiling(self.ledger.tail(from)?, Arc::clone(&self.fault))))
    }
    fn producer(&self) -> Result<Box<dyn Producer>, LogError> {
        self.ledger.producer()
    }
}

fn given(stream: &str, day: u32, deal: &str) -> Given {
    Given::account(stream, &format!("2026-01-{day:02}"), vec![registered(deal, "p1", "GTX", "7.00")])
}

#[test]
fn what_was_left_out_is_folded_at_the_next_start_after_the_fix() {
    let data = tempfile::tempdir().expect("a directory");
    let ledger = Ledger::with([given("acme.com", 1, "d1")]);
    let poisoned = ledger.add(given("acme.com", 2, "d2"));
    ledger.add(Given::account("acme.com", "2026-01-03", vec![approved("d2")]));
    ledger.add(given("umbrella.com", 4, "d3"));
    let faulty = Faulty::at(&ledger, poisoned, false);
    let open = |workers| {
        let engine = Engine::open(data.path(), Arc::new(faulty.clone()), options(workers)).expect("it starts");
        assert!(engine.wait_until_caught_up(LONG, |_| {}));
        engine
    };
    let engine = open(2);
    assert_eq!(engine.status().parked, 1);
    let tried = engine.retry_parked().expect("read");
    assert!(matches!(&tried[0].outcome, RetryOutcome::Parked { at, .. } if *at == poisoned), "{tried:?}");
    engine.stop();
    // Nothing was mended: it stays parked, also when more comes.
    ledger.add(Given::account("acme.com", "2026-01-05", vec![approved("d1")]));
    let engine = open(3);
    assert_eq!(engine.status().parked, 1);
    engine.stop();
    faulty.mend();
    for workers in [3, 3, 1] {
        let engine = open(workers);
        assert_eq!(engine.status().parked, 0);
        assert_eq!(engine.digests(Places::Covered), folded(&ledger, options(2)).digests(Places::Covered));
        engine.stop();
    }
}

#[test]
fn a_record_whose_stream_could_not_be_read_needs_a_rebuild() {
    let ledger = Ledger::with([given("acme.com", 1, "d1")]);
    let poisoned = ledger.add(given("acme.com", 2, "d2"));
    ledger.add(Given::account("acme.com", "2026-01-03", vec![approved("d2")]));
    let faulty = Faulty::at(&ledger, poisoned, true);
    let engine = Engine::in_memory(Arc::new(faulty.clone()), options(2)).expect("it starts");
    assert!(engine.wait_until_caught_up(LONG, |_| {}));
    faulty.mend();
    let tried = engine.retry_parked().expect("read");
    assert_eq!((tried[0].stream.as_str(), &tried[0].outcome), (poisoned.to_string().as_str(), &RetryOutcome::NeedsRebuild));
    assert_eq!(engine.status().parked, 1);
}

#[test]
fn rules_that_come_late_let_a_stream_go_on() {
    let ledger = Ledger::with([]);
    let early = ledger.add(Given { rules: 2, ..given("acme.com", 1, "d1") });
    let engine = folded(&ledger, options(2));
    assert_eq!(engine.status().parked, 1);
    let rules = ledger.add(Given::rules(2, "2026-01-01"));
    engine.wait_for(&[rules], LONG).expect("folded");
    let tried = engine.retry_parked().expect("read");
    assert_eq!((tried[0].since, &tried[0].outcome), (early, &RetryOutcome::TakenUp { records: 1 }));
    assert_eq!(engine.digests(Places::Covered), folded(&ledger, options(1)).digests(Places::Covered));
}

#[test]
fn of_two_who_try_at_once_one_takes_a_stream_up() {
    const LEFT_OUT: u64 = 2_000;
    let ledger = Ledger::with([]);
    ledger.add(Given { rules: 2, ..given("acme.com", 1, "d0") });
    for number in 1..LEFT_OUT {
        ledger.add(given("acme.com", 1, &format!("d{number}")));
    }
    let engine = folded(&ledger, options(2));
    let rules = ledger.add(Given::rules(2, "2026-01-01"));
    engine.wait_for(&[rules], LONG).expect("folded");
    let both = std::thread::scope(|scope| {
        let tries = [(); 2].map(|()| scope.spawn(|| engine.retry_parked().expect("read")));
        tries.map(|tried| tried.join().expect("no panic"))
    });
    let outcomes: Vec<_> = both.iter().flatten().map(|tried| &tried.outcome).collect();
    assert_eq!(outcomes, [&RetryOutcome::TakenUp { records: LEFT_OUT }]);
    assert_eq!(engine.digests(Places::Covered), folded(&ledger, options(1)).digests(Places::Covered));
}

#[test]
fn rules_that_another_stream_made_known_stand_on_the_first_that_needed_them() {
    let ledger = ledger(3, []);
    let slice = ledger.slice_of("account/a.com");
    let other = (0..).map(|n| format!("b{n}.com")).find(|key| ledger.slice_of(&format!("account/{key}")) == slice).expect("one of many");
    let wins = |account: &str| {
        let at = |event| Given { rules: 1, ..Given::account(account, "2026-01-02", vec![event]) };
        [at(registered("d1", "p1", "GTX", "7.00")), at(won("d1", "7.00", "2026-01-02"))]
    };
    let poisoned = wins("a.com").map(|given| ledger.add(given))[0];
    for given in wins(&other) {
        ledger.add(given);
    }
    let faulty = Faulty::at(&ledger, poisoned, false);
    let engine = Engine::in_memory(Arc::new(faulty.clone()), options(2)).expect("it starts");
    assert!(engine.wait_until_caught_up(LONG, |_| {}));
    faulty.mend();
    let tried = engine.retry_parked().expect("read");
    assert_eq!(tried[0].outcome, RetryOutcome::TakenUp { records: 2 });
    assert_eq!(engine.digests(Places::Covered), folded(&ledger, options(1)).digests(Places::Covered));
    // Nothing is written of it, or whoever writes would take with the rows that they are late.
    let late = engine.shared().shards.iter().filter(|shard| shard.read().is_late).count();
    assert_eq!(late, 1, "the stream's own");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn taken_up_again_it_is_as_if_it_had_always_been_read(decisions in decisions(), which: prop::sample::Index, workers in 1..3_usize) {
        let decisions: Vec<Given> = decisions.into_iter().map(|(_, given)| given).collect();
        let poisoned = which.index(decisions.len());
        let ledger = ledger(3, []);
        let places: Vec<Position> = decisions.into_iter().map(|given| ledger.add(given)).collect();
        let faulty = Faulty::at(&ledger, places[poisoned], false);
        let engine = Engine::in_memory(Arc::new(faulty.clone()), options(workers)).expect("it starts");
        prop_assert!(engine.wait_until_caught_up(LONG, |_| {}), "in time");
        prop_assert_eq!(engine.status().parked, 1);
        faulty.mend();
        let tried = engine.retry_parked().expect("read");
        prop_assert!(matches!(tried[0].outcome, RetryOutcome::TakenUp { .. }), "{tried:?}");
        prop_assert_eq!(engine.digests(Places::Covered), folded(&ledger, options(1)).digests(Places::Covered));
    }
}
