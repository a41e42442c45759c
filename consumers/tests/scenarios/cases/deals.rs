//! Deals, and who protects an account.

use pledger_domain::{
    rejection::Rejection,
    values::{DealId, Timestamp},
};
use pledger_ledger::edge::Refused;
use serde_json::json;

use super::{one_with, partner, refused};
use crate::{
    home::Home,
    running::{Running, deal, publish},
};

fn with_partners(home: &Home) -> Running {
    let running = home.start();
    running.with_partners();
    running
}

pub(super) fn a_deal_is_registered_approved_and_won(home: &Home) {
    let running = with_partners(home);
    let registered = running.accept("RegisterDeal", deal("d-1", "p-1", "acme.com"), "r");
    assert!(!registered.replayed);
    // It is known by its id where it lives.
    running.accept("ApproveDeal", json!({"deal_id": "d-1"}), "a");
    let win = || json!({"deal_id": "d-1", "amount": {"amount": "150.00", "currency": "USD"}});
    let won = running.accept("CloseWon", win(), "w");
    assert_eq!((won.position.slice, won.version), (registered.position.slice, 3));
    let twice = refused(running.one("CloseWon", win(), "w-2"));
    assert_eq!(twice, Rejection::WrongDealPhase { deal_id: DealId::parse("d-1").expect("an id"), phase: "won".into() });
}

pub(super) fn a_deal_registered_twice_is_refused_by_its_id(home: &Home) {
    let running = with_partners(home);
    running.accept("RegisterDeal", deal("d-1", "p-1", "acme.com"), "k-1");
    let id = DealId::parse("d-1").expect("an id");
    assert_eq!(refused(running.one("RegisterDeal", deal("d-1", "p-1", "acme.com"), "k-2")), Rejection::DealExists { deal_id: id });
}

pub(super) fn a_back_dated_registration_does_not_beat_protection(home: &Home) {
    let running = with_partners(home);
    running.accept("RegisterDeal", deal("d-1", "p-1", "acme.com"), "k-1");
    running.accept("ApproveDeal", json!({"deal_id": "d-1"}), "k-2");
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
}

pub(super) fn a_protection_that_has_passed_lets_another_in(home: &Home) {
    let running = with_partners(home);
    running.accept("RegisterDeal", deal("d-1", "p-1", "acme.com"), "k-1");
    running.accept("ApproveDeal", json!({"deal_id": "d-1"}), "k-2");
    home.clock.move_by_days(89);
    let early = refused(running.one("RegisterDeal", deal("d-2", "p-2", "acme.com"), "k-3"));
    assert!(matches!(&early, Rejection::AccountProtected { holder, .. } if *holder == partner("p-1")), "{early:?}");
    home.clock.move_by_days(1);
    // A refusal that stands has used its key up; what is asked anew is decided anew.
    assert_eq!(refused(running.one("RegisterDeal", deal("d-2", "p-2", "acme.com"), "k-3")), early);
    running.accept("RegisterDeal", deal("d-2", "p-2", "acme.com"), "k-4");
}

pub(super) fn a_deal_on_two_accounts_has_to_be_named_with_its_account(home: &Home) {
    let running = with_partners(home);
    running.accept("RegisterDeal", deal("d-1", "p-1", "acme.com"), "k-1");
    running.accept("RegisterDeal", deal("d-1", "p-2", "brewery.de"), "k-1");
    let ambiguous = running.prepare(("ApproveDeal", json!({"deal_id": "d-1"}), "k-2"), |_| {}).expect_err("refused");
    let Refused::AmbiguousId { candidates, .. } = &ambiguous else { panic!("{ambiguous:?}") };
    assert_eq!(
        (ambiguous.code(), ambiguous.field(), &candidates[..]),
        ("AmbiguousId", Some("account"), &["acme.com".into(), "brewery.de".to_owned()][..])
    );
    let named = running.accept("ApproveDeal", json!({"deal_id": "d-1", "account": "brewery.de"}), "k-2");
    assert_eq!(named.version, 2);
    let unknown = running.prepare(("ApproveDeal", json!({"deal_id": "d-7"}), "k-3"), |_| {}).expect_err("refused");
    assert_eq!(unknown.code(), "UnknownId");
}

pub(super) fn a_refused_registration_makes_its_deal_known_nowhere(home: &Home) {
    let running = home.start();
    running.accept("PublishRules", publish(), "rules");
    let registration = running.one("RegisterDeal", deal("d-1", "p-1", "acme.com"), "k-1");
    assert_eq!(refused(registration), Rejection::PartnerUnknown { partner_id: partner("p-1") });
    let unknown = running.prepare(("ApproveDeal", json!({"deal_id": "d-1"}), "k-2"), |_| {}).expect_err("refused");
    assert_eq!(unknown.code(), "UnknownId");
}

pub(super) fn who_suspends_a_partner_has_no_deal_of_it_accepted(home: &Home) {
    let running = with_partners(home);
    let accounts: Vec<String> = (0..20).map(|n| format!("a{n}.example")).collect();
    let items: Vec<_> = accounts.iter().map(|account| ("RegisterDeal", deal("d-1", "p-1", account), "k")).collect();
    running.accept("SuspendPartner", json!({"partner_id": "p-1", "reason": "unpaid"}), "s");
    let suspended = Rejection::PartnerNotActive { partner_id: partner("p-1"), phase: "suspended".into() };
    // Wherever they are decided.
    assert!(running.send(&items).into_iter().all(|decided| refused(decided) == suspended));
}
