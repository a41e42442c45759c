//! Engines that keep read models in generations, and what is stored there.

use std::{sync::Arc, time::Duration};

use pledger_ledger::{
    log::{Log, Placed, UpTo},
    slices::Position,
};
use pledger_projections::{
    digest::TableDigest,
    engine::{Engine, Options, Stored},
    generation::Generations,
    table::Places,
};

use crate::given::Ledger;

pub(crate) const LONG: Duration = Duration::from_secs(60);

pub(crate) fn options(workers: usize) -> Options {
    Options { workers, rules_wait: Duration::ZERO, ..Options::default() }
}

pub(crate) fn open(generations: &dyn Generations, ledger: &Ledger, options: Options) -> Engine {
    Engine::open_in(generations, Arc::new(ledger.clone()), options).expect("it starts")
}

/// An engine that has taken everything in.
pub(crate) fn caught_up(generations: &dyn Generations, ledger: &Ledger, options: Options) -> Engine {
    let engine = open(generations, ledger, options);
    assert!(engine.wait_until_caught_up(LONG, |_| {}), "{:?}", engine.status());
    engine
}

pub(crate) fn stored(generations: &dyn Generations) -> Stored {
    Stored::open_all_in(generations).expect("read").expect("there is one")
}

pub(crate) fn stored_digests(generations: &dyn Generations) -> Vec<TableDigest> {
    stored(generations).digests(Places::Covered)
}

/// The digests of a fold in memory.
pub(crate) fn digests(ledger: &Ledger) -> Vec<TableDigest> {
    let engine = Engine::in_memory(Arc::new(ledger.clone()), options(1)).expect("it starts");
    assert!(engine.wait_until_caught_up(LONG, |_| {}));
    engine.digests(Places::Covered)
}

/// The same ledger up to these positions.
pub(crate) fn cut(ledger: &Ledger, positions: &[Position]) -> Ledger {
    let cut = Ledger::new(ledger.slices().count);
    let mut reading = UpTo::the_end(ledger, &[]).expect("a tail");
    loop {
        let placed = reading.next(1_000).expect("records");
        if placed.is_empty() {
            return cut;
        }
        for Placed { record, .. } in placed {
            let at = record.position();
            if positions.iter().any(|last| last.slice == at.slice && at.pseq <= last.pseq) {
                cut.place(record);
            }
        }
    }
}
