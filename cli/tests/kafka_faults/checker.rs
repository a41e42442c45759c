//! Reads the ledger and the read models when everything is over.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use pledger_consumers::counterfactual::{self, Control, replay};
use pledger_domain::values::Timestamp;
use pledger_ledger::{kafka::KafkaLog, record::Body, verify::verify};
use pledger_projections::{
    engine::{Engine, Options, Stored},
    generation::PostgresGenerations,
    table::Places,
};

use crate::{
    processes::until,
    promises,
    schemas::InPostgres,
    told::{Told, valid},
};

/// How long a ledger of a test takes to fold.
const TO_FOLD: Duration = Duration::from_secs(120);

/// Holds everything against everything; answers how many void records there are.
pub(crate) fn check(log: &KafkaLog, postgres: &InPostgres, told: &Told) -> u64 {
    let records = valid(log);
    told.hold_against(&records);
    let mut decisions = BTreeMap::new();
    for placed in &records {
        if let Body::Decision(decision) = Body::decode(&placed.record.body).expect("readable") {
            decisions.insert(placed.record.position(), *decision);
        }
    }
    promises::hold(&decisions).unwrap_or_else(|breach| panic!("{breach}"));
    let end = Timestamp::parse("2999-01-01").expect("a date");
    let again = replay(log, &[], counterfactual::Options::telling_all(Control::Everything, end), &mut |_| {}).expect("the ledger is read");
    assert!(again.unrepeated.is_empty(), "decided again it is another decision: {:?}", again.unrepeated.first());
    read_models_are_the_fold(log, postgres);
    verify(log, None, &mut |_| {}).expect("the chain holds").void
}

/// What is in the database is what a fresh fold of the ledger makes.
fn read_models_are_the_fold(log: &KafkaLog, postgres: &InPostgres) {
    let fresh = Engine::in_memory(Arc::new(log.clone()), Options::default()).expect("it starts");
    assert!(fresh.wait_until_caught_up(TO_FOLD, |_| {}), "{:?}", fresh.status());
    let generations = PostgresGenerations::of(postgres.options());
    until("what is stored is what a fresh fold makes", || {
        let stored = Stored::open_all_in(&generations).expect("read").expect("there is one");
        stored.digests(Places::Covered) == fresh.digests(Places::Covered)
    });
    assert_eq!(fresh.status().parked, 0, "nothing is left out");
    fresh.stop();
}
