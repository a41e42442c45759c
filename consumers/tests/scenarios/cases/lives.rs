//! Restarts, and facts that are waited for.

use std::time::{Duration, Instant};

use pledger_domain::{rejection::Rejection, values::PartnerId};
use pledger_ledger::{
    commands::{Answer, Undecided},
    slices::Position,
};
use serde_json::json;

use super::refused;
use crate::{
    home::Home,
    running::{accepted, deal, publish, register},
};

pub(super) fn decisions_survive_a_restart(home: &Home) {
    let running = home.start();
    let early = refused(running.one("RegisterPartner", register("p-1"), "k-1"));
    assert!(matches!(early, Rejection::NoRulesInForce { .. }), "{early:?}");
    running.accept("PublishRules", publish(), "rules");
    let first = running.accept("RegisterPartner", register("p-1"), "k-1");
    assert_eq!((first.version, first.rules, first.replayed), (1, 1, false));
    running.stop();

    let restarted = home.start();
    let again = restarted.accept("RegisterPartner", register("p-1"), "k-1");
    assert_eq!((again.position, again.version, again.replayed), (first.position, 1, true));
    assert_eq!(again.outcome.expect("events").get(), first.outcome.expect("events").get());
    let other = json!({"partner_id": "p-1", "name": "Other", "roles": ["msp"]});
    assert_eq!(restarted.one("RegisterPartner", other, "k-1").expect_err("refused"), Undecided::KeyReused { first: first.position });
    restarted.accept("SignAgreement", json!({"partner_id": "p-1"}), "k-2");
    restarted.stop();

    let from_ledger = home.start_without_snapshots();
    assert_eq!(from_ledger.accept("ActivatePartner", json!({"partner_id": "p-1"}), "k-3").version, 3);
    let id = PartnerId::parse("p-1").expect("an id");
    assert_eq!(refused(from_ledger.one("RegisterPartner", register("p-1"), "k-4")), Rejection::PartnerExists { partner_id: id });
    from_ledger.accept("RegisterDeal", deal("d-1", "p-1", "acme.com"), "k-5");
    from_ledger.stop();

    // The directory too.
    assert_eq!(home.start().accept("ApproveDeal", json!({"deal_id": "d-1"}), "k-6").version, 2);
}

pub(super) fn facts_that_never_come_are_not_waited_for_and_use_no_key(home: &Home) {
    let running = home.start();
    running.with_partners();
    let begun = Instant::now();
    let item = ("RegisterDeal", deal("d-1", "p-1", "acme.com"), "k-1");
    let waiting = running.prepare(item.clone(), |incoming| incoming.after = vec![Position { slice: 0, pseq: 4_711 }]).expect("a command");
    // It holds up its slice, and what comes behind it keeps its place.
    let behind = running.prepared(("RegisterDeal", deal("d-2", "p-1", "acme.com"), "k-2"));
    let mut answers = running.submit(vec![waiting, behind]);
    let (second, first): (Answer, Answer) = (accepted(answers.remove(1)), answers.remove(0).expect("decided"));
    assert!(first.position < second.position);
    assert_eq!(first.outcome.expect_err("refused"), Rejection::FactsBehind {});
    assert!((Duration::from_secs(1)..Duration::from_secs(20)).contains(&begun.elapsed()));
    accepted(running.send(&[item]).remove(0));
}
