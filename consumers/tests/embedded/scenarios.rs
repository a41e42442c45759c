//! Bad input that only the processor can judge: given a ledger, when this is sent, then exactly that is the answer.

use std::time::{Duration, Instant};

use pledger_domain::{
    rejection::Rejection,
    values::{DealId, PartnerId, Timestamp},
};
use pledger_ledger::{
    commands::{Answer, Decided, Undecided},
    edge::{Clock, Incoming, Refused, SystemClock},
    slices::Position,
};
use serde_json::{Value, json};

use crate::running::{Running, accepted, deal, publish, register, with_partners};

fn running() -> (tempfile::TempDir, Running) {
    let dir = tempfile::tempdir().expect("a folder");
    let running = Running::start(dir.path());
    (dir, running)
}

fn refused(decided: Decided) -> Rejection {
    decided.expect("decided").outcome.expect_err("refused")
}

fn one_with(running: &Running, item: (&str, Value, &str), change: impl FnOnce(&mut Incoming<'_>)) -> Decided {
    let command = running.prepare(item, change).expect("a command");
    running.submit(vec![command]).remove(0)
}

fn partner(id: &str) -> PartnerId {
    PartnerId::parse(id).expect("an id")
}

#[test]
fn a_deal_is_accepted_in_the_same_batch_as_its_partners_activation() {
    let (_dir, running) = running();
    let batch = [
        ("PublishRules", publish(), "k-0"),
        ("RegisterPartner", register("p-9"), "k-1"),
        ("SignAgreement", json!({"partner_id": "p-9"}), "k-2"),
        ("ActivatePartner", json!({"partner_id": "p-9"}), "k-3"),
        ("RegisterDeal", deal("d-9", "p-9", "acme.com"), "k-4"),
        ("ApproveDeal", json!({"deal_id": "d-9"}), "k-5"),
    ];
    let versions: Vec<u64> = running.send_batch(&batch).into_iter().map(|decided| accepted(decided).version).collect();
    assert_eq!(versions, [1, 1, 2, 3, 1, 2]);
    running.stop();
}

#[test]
fn a_deal_without_its_partners_activation_may_be_sent_again() {
    let (_dir, running) = running();
    accepted(running.one("PublishRules", publish(), "rules"));
    let registration = ("RegisterDeal", deal("d-9", "p-9", "acme.com"), "k-4");
    assert_eq!(
        refused(running.send(std::slice::from_ref(&registration)).remove(0)),
        Rejection::PartnerUnknown { partner_id: partner("p-9") }
    );
    with_partner(&running, "p-9");
    assert_eq!(accepted(running.send(&[registration]).remove(0)).version, 1);
    running.stop();
}

fn with_partner(running: &Running, id: &str) {
    accepted(running.one("RegisterPartner", register(id), "r"));
    accepted(running.one("SignAgreement", json!({"partner_id": id}), "s"));
    accepted(running.one("ActivatePartner", json!({"partner_id": id}), "a"));
}

#[test]
fn a_back_dated_registration_does_not_beat_protection() {
    let (_dir, running) = running();
    with_partners(&running);
    accepted(running.one("RegisterDeal", deal("d-1", "p-1", "acme.com"), "k-1"));
    accepted(running.one("ApproveDeal", json!({"deal_id": "d-1"}), "k-2"));
    let years_ago = Timestamp::parse("2021-01-01").expect("a date");
    let late = one_with(&running, ("RegisterDeal", deal("d-2", "p-2", "acme.com"), "k-3"), |incoming| {
        incoming.effective_at = Some(years_ago);
    });
    match refused(late) {
        Rejection::AccountProtected { holder, deal_id, contender, .. } => {
            assert_eq!((holder, deal_id.as_str(), contender), (partner("p-1"), "d-1", Some(partner("p-2"))));
        }
        other => panic!("{other:?}"),
    }
    running.stop();
}

#[test]
fn a_deal_on_two_accounts_has_to_be_named_with_its_account() {
    let (_dir, running) = running();
    with_partners(&running);
    accepted(running.one("RegisterDeal", deal("d-1", "p-1", "acme.com"), "k-1"));
    accepted(running.one("RegisterDeal", deal("d-1", "p-2", "brewery.de"), "k-1"));
    let ambiguous = running.prepare(("ApproveDeal", json!({"deal_id": "d-1"}), "k-2"), |_| {}).expect_err("refused");
    let Refused::AmbiguousId { candidates, .. } = &ambiguous else { panic!("{ambiguous:?}") };
    assert_eq!(
        (ambiguous.code(), ambiguous.field(), &candidates[..]),
        ("AmbiguousId", Some("account"), &["acme.com".into(), "brewery.de".to_owned()][..])
    );
    let named = accepted(running.one("ApproveDeal", json!({"deal_id": "d-1", "account": "brewery.de"}), "k-2"));
    assert_eq!(named.version, 2);
    let unknown = running.prepare(("ApproveDeal", json!({"deal_id": "d-7"}), "k-3"), |_| {}).expect_err("refused");
    assert_eq!(unknown.code(), "UnknownId");
    running.stop();
}

#[test]
fn a_refused_registration_makes_its_deal_known_nowhere() {
    let (_dir, running) = running();
    accepted(running.one("PublishRules", publish(), "rules"));
    let registration = running.one("RegisterDeal", deal("d-1", "p-1", "acme.com"), "k-1");
    assert_eq!(refused(registration), Rejection::PartnerUnknown { partner_id: partner("p-1") });
    let unknown = running.prepare(("ApproveDeal", json!({"deal_id": "d-1"}), "k-2"), |_| {}).expect_err("refused");
    assert_eq!(unknown.code(), "UnknownId");
    running.stop();
}

#[test]
fn a_key_with_another_payload_is_refused_in_one_batch_and_later() {
    let (_dir, running) = running();
    with_partners(&running);
    let other = deal("d-2", "p-1", "acme.com");
    let items = [("RegisterDeal", deal("d-1", "p-1", "acme.com"), "k-1"), ("RegisterDeal", other.clone(), "k-1")];
    let mut answers = running.send(&items);
    let reused = answers.pop().expect("two answers").expect_err("refused");
    let first = accepted(answers.remove(0));
    assert_eq!(reused, Undecided::KeyReused { first: first.position });
    assert_eq!(running.one("RegisterDeal", other, "k-1").expect_err("refused"), Undecided::KeyReused { first: first.position });
    // Another stream is another scope.
    accepted(running.one("RegisterDeal", deal("d-1", "p-1", "brewery.de"), "k-1"));
    running.stop();
}

#[test]
fn a_stale_if_match_is_refused_and_uses_no_key() {
    let (_dir, running) = running();
    with_partners(&running);
    accepted(running.one("RegisterDeal", deal("d-1", "p-1", "acme.com"), "k-1"));
    let approve = ("ApproveDeal", json!({"deal_id": "d-1", "account": "acme.com"}), "k-2");
    let stale = one_with(&running, approve.clone(), |incoming| incoming.if_match = Some(7)).expect("decided");
    assert_eq!((stale.version, stale.outcome.expect_err("refused")), (1, Rejection::VersionConflict { expected: 7, actual: 1 }));
    assert_eq!(accepted(one_with(&running, approve, |incoming| incoming.if_match = Some(1))).version, 2);
    running.stop();
}

#[test]
fn a_claim_needs_proof() {
    let (_dir, running) = running();
    with_partners(&running);
    let usd = |amount: &str| json!({"amount": amount, "currency": "USD"});
    let today = SystemClock::new().now();
    let (begins, ends) = (today.plus_days(-30).to_string(), today.plus_days(300).to_string());
    for (name, payload) in [
        ("OpenBudget", json!({"budget_id": "b-1", "amount": usd("1000.00"), "starts_on": begins, "ends_on": ends})),
        ("AllocateFunds", json!({"allocation_id": "al-1", "budget_id": "b-1", "partner_id": "p-1", "amount": usd("600.00")})),
        (
            "RequestFunds",
            json!({"request_id": "rq-1", "allocation_id": "al-1", "activity": "Booth", "goal": "leads", "amount": usd("400.00")}),
        ),
        ("ApproveFundRequest", json!({"request_id": "rq-1"})),
    ] {
        accepted(running.one(name, payload, name));
    }
    let claim = |proof: Value| json!({"claim_id": "cl-1", "request_id": "rq-1", "amount": usd("300.00"), "proof": proof});
    assert_eq!(refused(running.one("ClaimMDF", claim(json!([])), "k-1")), Rejection::ProofMissing {});
    accepted(running.one("ClaimMDF", claim(json!([{"kind": "invoice", "uri": "https://files.example/1.pdf"}])), "k-2"));
    running.stop();
}

#[test]
fn what_is_dated_years_ahead_is_refused() {
    let (_dir, running) = running();
    accepted(running.one("PublishRules", publish(), "rules"));
    let date = SystemClock::new().now().plus_days(900);
    let ahead = one_with(&running, ("RegisterPartner", register("p-1"), "k-1"), |incoming| incoming.effective_at = Some(date));
    assert!(matches!(refused(ahead), Rejection::DateInFuture { date: given, .. } if given == date));
    running.stop();
}

#[test]
fn facts_that_never_come_are_not_waited_for_and_use_no_key() {
    let (_dir, running) = running();
    with_partners(&running);
    let begun = Instant::now();
    let item = ("RegisterDeal", deal("d-1", "p-1", "acme.com"), "k-1");
    let waiting = running.prepare(item.clone(), |incoming| incoming.after = vec![Position { slice: 0, pseq: 4_711 }]).expect("a command");
    // It holds up its slice, and what comes behind it keeps its place.
    let behind = running.prepare(("RegisterDeal", deal("d-2", "p-1", "acme.com"), "k-2"), |_| {}).expect("a command");
    let mut answers = running.submit(vec![waiting, behind]);
    let (second, first): (Answer, Answer) = (accepted(answers.remove(1)), answers.remove(0).expect("decided"));
    assert!(first.position < second.position);
    assert_eq!(first.outcome.expect_err("refused"), Rejection::FactsBehind {});
    assert!((Duration::from_secs(1)..Duration::from_secs(20)).contains(&begun.elapsed()));
    accepted(running.send(&[item]).remove(0));
    running.stop();
}

#[test]
fn whoever_waits_for_facts_is_answered_when_the_processor_stops() {
    let (_dir, running) = running();
    with_partners(&running);
    let parked = running
        .prepare(("RegisterDeal", deal("d-1", "p-1", "acme.com"), "k-1"), |incoming| {
            incoming.after = vec![Position { slice: 0, pseq: 9_999 }]
        })
        .expect("a command");
    let waiting = running.submission(vec![parked]);
    running.stop();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    assert_eq!(refused(runtime.block_on(waiting).remove(0)), Rejection::FactsBehind {});
}

#[test]
fn a_deal_registered_twice_is_refused_by_its_id() {
    let (_dir, running) = running();
    with_partners(&running);
    accepted(running.one("RegisterDeal", deal("d-1", "p-1", "acme.com"), "k-1"));
    let id = DealId::parse("d-1").expect("an id");
    assert_eq!(refused(running.one("RegisterDeal", deal("d-1", "p-1", "acme.com"), "k-2")), Rejection::DealExists { deal_id: id });
    running.stop();
}
