//! What the clock says.

use std::collections::VecDeque;

use pledger_domain::{
    rejection::Rejection,
    stream::StreamName,
    values::{DealId, Timestamp},
};
use pledger_ledger::{
    edge::Clock,
    record::{Body, Outcome},
};
use serde_json::{Value, json};

use super::{one_with, refused};
use crate::{
    home::Home,
    running::{Running, accepted, deal, publish, register, until},
};

pub(super) fn what_is_dated_years_ahead_is_refused(home: &Home) {
    let running = home.start();
    running.accept("PublishRules", publish(), "rules");
    let date = home.clock.now().plus_days(900);
    let ahead = one_with(&running, ("RegisterPartner", register("p-1"), "k-1"), |incoming| incoming.effective_at = Some(date));
    assert!(matches!(refused(ahead), Rejection::DateInFuture { date: given, .. } if given == date));
}

/// When an event of this type is true that was recorded in the stream, once it is there.
fn recorded(running: &Running, stream: &str, event: &str) -> Option<Timestamp> {
    let stream = StreamName::parse(stream).expect("a stream");
    let records = running.log.read_stream(&stream, 0, 1_000).expect("read");
    records.iter().find_map(|placed| match Body::decode(&placed.record.body).expect("readable") {
        Body::Decision(decision) => match &decision.outcome {
            Outcome::Accepted(events) if serde_json::to_string(events).expect("JSON").contains(event) => Some(decision.effective_at),
            Outcome::Accepted(_) | Outcome::Rejected(_) => None,
        },
        Body::LedgerCreated(_) | Body::TermOpened(_) | Body::Progress(_) => None,
    })
}

/// A running ledger whose partner p-3 has a certification for thirty days, and when it ends.
fn certified(home: &Home) -> (Running, Timestamp) {
    let running = home.start();
    running.accept("PublishRules", publish(), "rules");
    running.accept("RegisterPartner", register("p-3"), "k-1");
    let expires_at = home.clock.now().plus_days(30);
    running.accept("AwardCertification", award(expires_at), "k-2");
    (running, expires_at)
}

fn award(expires_at: Timestamp) -> Value {
    let expires_at = expires_at.to_string();
    json!({"partner_id": "p-3", "person_id": "ada", "certification": "cloud", "level": "expert", "expires_at": expires_at})
}

pub(super) fn an_expired_certification_is_recorded_when_it_is_due(home: &Home) {
    let (running, expires_at) = certified(home);
    let held = refused(running.one("AwardCertification", award(expires_at), "k-3"));
    assert!(matches!(held, Rejection::CertificationHeld { .. }), "{held:?}");
    home.clock.move_by_days(29);
    running.accept(
        "AwardCertification",
        json!({"partner_id": "p-3", "person_id": "bob", "certification": "cloud", "level": "expert"}),
        "k-4",
    );
    assert_eq!(recorded(&running, "partner/p-3", "CertificationExpired"), None);
    home.clock.move_by_days(1);
    until("the expiry", || recorded(&running, "partner/p-3", "CertificationExpired") == Some(expires_at));
    let revoked = json!({"partner_id": "p-3", "person_id": "ada", "certification": "cloud", "reason": "left"});
    let gone = refused(running.one("RevokeCertification", revoked, "k-5"));
    assert!(matches!(gone, Rejection::CertificationNotHeld { .. }), "{gone:?}");
}

pub(super) fn after_a_restart_every_expiry_is_recorded_and_not_the_first_alone(home: &Home) {
    let (running, first) = certified(home);
    let [next_day, second] = [31, 60].map(|days| home.clock.now().plus_days(days));
    let sales =
        json!({"partner_id": "p-3", "person_id": "bob", "certification": "sales", "level": "expert", "expires_at": second.to_string()});
    running.accept("AwardCertification", sales, "k-3");
    running.accept("RegisterPartner", register("p-4"), "k-4");
    let other =
        json!({"partner_id": "p-4", "person_id": "eve", "certification": "sales", "level": "expert", "expires_at": next_day.to_string()});
    running.accept("AwardCertification", other, "k-5");
    running.stop();
    let running = home.start();
    home.clock.move_by_days(30);
    until("the first expiry", || recorded(&running, "partner/p-3", "CertificationExpired") == Some(first));
    // The stream is looked at in vain once before the second one.
    home.clock.move_by_days(1);
    until("the other partner's expiry", || recorded(&running, "partner/p-4", "CertificationExpired") == Some(next_day));
    home.clock.move_by_days(29);
    let sales = r#""certification":"sales","expired_at""#;
    until("the second expiry", || recorded(&running, "partner/p-3", sales) == Some(second));
}

pub(super) fn an_expired_certification_is_recorded_under_constant_load(home: &Home) {
    let (running, expires_at) = certified(home);
    let (mut batch, mut flood) = (0, VecDeque::new());
    home.clock.move_by_days(30);
    until("the expiry", || {
        batch += 1;
        let keys: Vec<String> = (0..100).map(|n| format!("t-{batch}-{n}")).collect();
        let touch =
            |id: &String| json!({"touchpoint_id": id, "account": "acme.com", "kind": "call", "channel": "x", "occurred_at": "2026-01-15"});
        let commands = keys.iter().map(|key| running.prepared(("RecordTouchpoint", touch(key), key)));
        // The next batch is there before the answers to this one are: the processor never rests.
        flood.push_back(running.submission(commands.collect()));
        if flood.len() > 4 {
            let answers = running.wait(flood.pop_front().expect("five of them"));
            answers.into_iter().for_each(|answer| drop(accepted(answer)));
        }
        recorded(&running, "partner/p-3", "CertificationExpired") == Some(expires_at)
    });
}

pub(super) fn a_deal_that_expired_while_nothing_ran_is_recorded_afterwards(home: &Home) {
    let running = home.start();
    running.with_partners();
    running.accept("RegisterDeal", deal("d-1", "p-1", "acme.com"), "k-1");
    let approved = running.accept("ApproveDeal", json!({"deal_id": "d-1"}), "k-2");
    let events: Value = serde_json::from_str(approved.outcome.expect("accepted").get()).expect("JSON");
    let due: Timestamp = serde_json::from_value(events[0]["data"]["expires_at"].clone()).expect("a time");
    running.stop();
    home.clock.move_by_days(200);
    let running = home.start();
    until("the expiry", || recorded(&running, "account/acme.com", "DealExpired") == Some(due));
    let late = refused(running.one("CloseWon", json!({"deal_id": "d-1", "amount": {"amount": "150.00", "currency": "USD"}}), "k-3"));
    let deal_id = DealId::parse("d-1").expect("an id");
    assert_eq!(late, Rejection::WrongDealPhase { deal_id, phase: "expired".into() });
}
