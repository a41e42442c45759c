//! Answers, repeated keys, restarts with and without snapshots, deadlines.

use pledger_domain::{rejection::Rejection, stream::StreamName, values::PartnerId};
use pledger_ledger::{
    commands::{Answer, Undecided},
    edge::{Clock, SystemClock},
};
use serde_json::json;

use crate::running::{Running, accepted, publish, register};

#[test]
fn decisions_survive_a_restart_and_repeated_keys_get_their_first_answer() {
    let dir = tempfile::tempdir().expect("a folder");
    let running = Running::start(dir.path());
    let refused = running.one("RegisterPartner", register("p-1"), "k-1").expect("decided");
    assert!(matches!(refused.outcome, Err(Rejection::NoRulesInForce { .. })), "{:?}", refused.outcome);
    accepted(running.one("PublishRules", publish(), "rules"));
    let first = accepted(running.one("RegisterPartner", register("p-1"), "k-1"));
    assert_eq!((first.version, first.rules, first.replayed), (1, 1, false));

    let again = accepted(running.one("RegisterPartner", register("p-1"), "k-1"));
    assert_eq!((again.position, again.version, again.replayed), (first.position, 1, true));
    assert_eq!(again.outcome.expect("events").get(), first.outcome.expect("events").get());
    let reused = running.one("RegisterPartner", json!({"partner_id": "p-1", "name": "Other", "roles": ["msp"]}), "k-1");
    assert_eq!(reused.expect_err("refused"), Undecided::KeyReused { first: first.position });
    running.stop();

    let from_snapshot = Running::start(dir.path());
    let replayed = accepted(from_snapshot.one("RegisterPartner", register("p-1"), "k-1"));
    assert_eq!((replayed.position, replayed.replayed), (first.position, true));
    accepted(from_snapshot.one("SignAgreement", json!({"partner_id": "p-1"}), "k-2"));
    from_snapshot.stop();

    std::fs::remove_dir_all(dir.path().join("snapshots")).expect("snapshots are only a convenience");
    let from_ledger = Running::start(dir.path());
    let active = accepted(from_ledger.one("ActivatePartner", json!({"partner_id": "p-1"}), "k-3"));
    assert_eq!(active.version, 3);
    let taken = from_ledger.one("RegisterPartner", register("p-1"), "k-4").expect("decided");
    let id = PartnerId::parse("p-1").expect("an id");
    assert_eq!(taken.outcome.expect_err("refused"), Rejection::PartnerExists { partner_id: id });
    from_ledger.stop();

    // What was left aside or lost is kept anew at the end, although nothing was decided.
    std::fs::remove_dir_all(dir.path().join("snapshots")).expect("removed");
    Running::start(dir.path()).stop();
    let kept = std::fs::read_dir(dir.path().join("snapshots")).expect("a folder").count();
    assert!(kept > 1, "{kept} snapshots");
}

#[test]
fn a_key_repeated_within_one_batch_is_decided_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let running = Running::start(dir.path());
    accepted(running.one("PublishRules", publish(), "rules"));
    let twice = [("RegisterPartner", register("p-2"), "same"), ("RegisterPartner", register("p-2"), "same")];
    let answers: Vec<Answer> = running.send(&twice).into_iter().map(accepted).collect();
    assert_eq!(answers[0].position, answers[1].position);
    assert_eq!([answers[0].replayed, answers[1].replayed], [false, true]);
    running.stop();
}

#[test]
fn an_expired_certification_is_recorded_when_it_is_due() {
    let dir = tempfile::tempdir().expect("a folder");
    let running = Running::start(dir.path());
    accepted(running.one("PublishRules", publish(), "rules"));
    accepted(running.one("RegisterPartner", register("p-3"), "k-1"));
    let soon = SystemClock::new().now().plus_micros(2_000_000);
    let award = json!({
        "partner_id": "p-3", "person_id": "ada", "certification": "cloud", "level": "expert", "expires_at": soon.to_string(),
    });
    accepted(running.one("AwardCertification", award.clone(), "k-2"));
    let held = running.one("AwardCertification", award, "k-3").expect("decided");
    assert!(matches!(held.outcome, Err(Rejection::CertificationHeld { .. })), "{:?}", held.outcome);
    // What expired cannot be revoked any more: that refusal says the scheduler was there.
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let mut expired = false;
    while !expired && std::time::Instant::now() < until {
        std::thread::sleep(std::time::Duration::from_millis(100));
        let stream = StreamName::parse("partner/p-3").expect("a stream");
        let records = running.log.read_stream(&stream, 0, 100).expect("read");
        expired = records.iter().any(|placed| String::from_utf8_lossy(&placed.record.body).contains("CertificationExpired"));
    }
    assert!(expired, "the certification expired and nobody recorded it");
    running.stop();
}

#[test]
fn an_expired_certification_is_recorded_under_constant_load() {
    let dir = tempfile::tempdir().expect("a folder");
    let running = Running::start(dir.path());
    accepted(running.one("PublishRules", publish(), "rules"));
    accepted(running.one("RegisterPartner", register("p-4"), "k-1"));
    let soon = SystemClock::new().now().plus_micros(2_000_000);
    let award = json!({
        "partner_id": "p-4", "person_id": "ada", "certification": "cloud", "level": "expert", "expires_at": soon.to_string(),
    });
    accepted(running.one("AwardCertification", award.clone(), "k-2"));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let (mut batch, mut flood) = (0, std::collections::VecDeque::new());
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let mut expired = false;
    while !expired && std::time::Instant::now() < until {
        batch += 1;
        let keys: Vec<String> = (0..100).map(|n| format!("t-{batch}-{n}")).collect();
        let touch =
            |id: &String| json!({"touchpoint_id": id, "account": "acme.com", "kind": "call", "channel": "x", "occurred_at": "2026-01-15"});
        let command = |key: &String| running.prepare(("RecordTouchpoint", touch(key), key), |_| {}).expect("a command");
        // The next batch is there before the answers to this one are: the processor never rests.
        flood.push_back(running.submission(keys.iter().map(command).collect()));
        if flood.len() > 4 {
            let answers = runtime.block_on(flood.pop_front().expect("five of them"));
            answers.into_iter().for_each(|answer| drop(accepted(answer)));
        }
        let stream = StreamName::parse("partner/p-4").expect("a stream");
        let records = running.log.read_stream(&stream, 0, 100).expect("read");
        expired = records.iter().any(|placed| String::from_utf8_lossy(&placed.record.body).contains("CertificationExpired"));
    }
    assert!(expired, "the certification expired and nobody recorded it");
    running.stop();
}
