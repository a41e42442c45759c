//! Idempotency keys, and versions to match.

use std::collections::BTreeMap;

use pledger_domain::{rejection::Rejection, values::DealId};
use pledger_ledger::{
    commands::{Answer, Decided, Undecided},
    slices::Position,
};
use serde_json::json;

use super::{one_with, partner, refused};
use crate::{
    home::Home,
    running::{Item, accepted, deal, publish, register},
};

pub(super) fn a_repeated_key_gets_its_first_answer(home: &Home) {
    let running = home.start();
    running.with_partners();
    let first = running.accept("RegisterDeal", deal("d-1", "p-1", "acme.com"), "same");
    running.accept("ApproveDeal", json!({"deal_id": "d-1"}), "approved");
    let again = running.accept("RegisterDeal", deal("d-1", "p-1", "acme.com"), "same");
    let parts = |answer: &Answer| (answer.position, answer.version, answer.rules, answer.recorded_at, answer.effective_at);
    assert_eq!((parts(&again), first.replayed, again.replayed), (parts(&first), false, true));
    assert_eq!(again.outcome.expect("accepted").get(), first.outcome.expect("accepted").get());
}

pub(super) fn a_key_repeated_within_one_batch_is_decided_once(home: &Home) {
    let running = home.start();
    running.accept("PublishRules", publish(), "rules");
    let twice = [("RegisterPartner", register("p-2"), "same"), ("RegisterPartner", register("p-2"), "same")];
    let answers: Vec<Answer> = running.send(&twice).into_iter().map(accepted).collect();
    assert_eq!(answers[0].position, answers[1].position);
    assert_eq!([answers[0].replayed, answers[1].replayed], [false, true]);
}

pub(super) fn a_key_with_another_payload_is_refused_in_one_batch_and_later(home: &Home) {
    let running = home.start();
    running.with_partners();
    let other = deal("d-2", "p-1", "acme.com");
    let items = [("RegisterDeal", deal("d-1", "p-1", "acme.com"), "k-1"), ("RegisterDeal", other.clone(), "k-1")];
    let mut answers = running.send(&items);
    let reused = answers.pop().expect("two answers").expect_err("refused");
    let first = accepted(answers.remove(0));
    assert_eq!(reused, Undecided::KeyReused { first: first.position });
    assert_eq!(running.one("RegisterDeal", other, "k-1").expect_err("refused"), Undecided::KeyReused { first: first.position });
    // Another command is another input, and another stream is another scope.
    let approval = running.one("ApproveDeal", json!({"deal_id": "d-1"}), "k-1").expect_err("refused");
    assert_eq!(approval, Undecided::KeyReused { first: first.position });
    running.accept("RegisterDeal", deal("d-1", "p-1", "brewery.de"), "k-1");
}

pub(super) fn a_key_asked_by_many_at_once_is_decided_once(home: &Home) {
    const MANY: usize = 6;
    let running = home.start();
    running.with_partners();
    let item = || ("RegisterDeal", deal("d-1", "p-1", "acme.com"), "same");
    let mut submissions: Vec<_> = (0..MANY).map(|_| running.submission(vec![running.prepared(item()); 5])).collect();
    // Half of those who ask wait on another thread.
    let half = submissions.split_off(MANY / 2);
    let wait = |all: Vec<_>| -> Vec<Decided> { all.into_iter().flat_map(|submission| running.wait(submission)).collect() };
    let (here, there) = std::thread::scope(|scope| {
        let there = scope.spawn(|| wait(half));
        (wait(submissions), there.join().expect("no panic"))
    });
    let mut told: BTreeMap<Position, usize> = BTreeMap::new();
    for answer in here.into_iter().chain(there).map(accepted) {
        *told.entry(answer.position).or_default() += usize::from(!answer.replayed);
    }
    assert_eq!(told.into_values().collect::<Vec<_>>(), [1], "one decision, new to one of them");
}

pub(super) fn a_refusal_that_may_pass_later_uses_no_key(home: &Home) {
    let running = home.start();
    running.accept("PublishRules", publish(), "rules");
    let registration: Item<'_> = ("RegisterDeal", deal("d-9", "p-9", "acme.com"), "k-4");
    let ask = |count| running.send(&vec![registration.clone(); count]);
    let mut positions = Vec::new();
    for answer in ask(1).into_iter().chain(ask(2)).map(|decided| decided.expect("decided")) {
        positions.push(answer.position);
        assert_eq!(answer.outcome.expect_err("refused"), Rejection::PartnerUnknown { partner_id: partner("p-9") });
    }
    assert!(positions.is_sorted_by(|one, next| one < next), "each is decided anew: {positions:?}");
    running.with_partner("p-9");
    let accepted = accepted(ask(1).remove(0));
    assert_eq!((accepted.version, accepted.replayed), (1, false));
}

pub(super) fn a_refusal_that_stands_uses_its_key(home: &Home) {
    let running = home.start();
    running.with_partners();
    running.accept("RegisterDeal", deal("d-1", "p-1", "acme.com"), "k-1");
    let exists = Rejection::DealExists { deal_id: DealId::parse("d-1").expect("an id") };
    let ask = |payload| running.one("RegisterDeal", payload, "k-2");
    let first = ask(deal("d-1", "p-2", "acme.com")).expect("decided");
    let again = ask(deal("d-1", "p-2", "acme.com")).expect("decided");
    assert_eq!((again.position, again.version, again.replayed), (first.position, 1, true));
    assert_eq!([first.outcome.expect_err("refused"), again.outcome.expect_err("refused")], [exists.clone(), exists]);
    let other = ask(deal("d-2", "p-2", "acme.com")).expect_err("another input");
    assert_eq!(other, Undecided::KeyReused { first: first.position });
}

pub(super) fn a_stale_if_match_is_refused_and_uses_no_key(home: &Home) {
    let running = home.start();
    running.with_partners();
    running.accept("RegisterDeal", deal("d-1", "p-1", "acme.com"), "k-1");
    let approve = ("ApproveDeal", json!({"deal_id": "d-1", "account": "acme.com"}), "k-2");
    let stale = one_with(&running, approve.clone(), |incoming| incoming.if_match = Some(7)).expect("decided");
    assert_eq!((stale.version, stale.outcome.expect_err("refused")), (1, Rejection::VersionConflict { expected: 7, actual: 1 }));
    assert_eq!(accepted(one_with(&running, approve, |incoming| incoming.if_match = Some(1))).version, 2);
}

pub(super) fn a_key_is_free_again_after_its_window(home: &Home) {
    let running = home.start();
    running.with_partners();
    let registration = || running.one("RegisterDeal", deal("d-1", "p-1", "acme.com"), "k-1").expect("decided");
    let first = registration();
    home.clock.move_by_days(29);
    assert_eq!((registration().position, registration().replayed), (first.position, true));
    home.clock.move_by_days(2);
    // Keys go as others come.
    running.accept("ApproveDeal", json!({"deal_id": "d-1"}), "k-2");
    let exists = Rejection::DealExists { deal_id: DealId::parse("d-1").expect("an id") };
    assert_eq!(refused(Ok(registration())), exists);
}
