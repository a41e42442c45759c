//! Many commands of one request.

use pledger_domain::{facts::Channel, rejection::Rejection};
use pledger_ledger::{
    commands::{CommandEnvelope, Decided},
    edge::{Incoming, waves},
};
use serde_json::{Value, json};

use super::partner;
use crate::{
    home::Home,
    running::{Item, Running, accepted, deal, publish, register},
};

/// A batch as the API takes it: cut into waves, each with the facts that the waves before it brought about.
fn send_batch(running: &Running, items: &[Item<'_>]) -> Vec<Decided> {
    let payloads: Vec<String> = items.iter().map(|(_, payload, _)| payload.to_string()).collect();
    let seen = running.sink.reference_positions();
    let incoming = items.iter().zip(&payloads).map(|((name, _, key), payload)| Incoming {
        key: Some(key),
        after: seen.clone(),
        ..Incoming::new(name, payload.as_bytes(), "anonymous".into(), Channel::Api)
    });
    let prepared: Vec<_> = running.edge.prepare_batch(incoming.collect()).into_iter().map(|item| item.expect("a command")).collect();
    let reference = running.edge.slices.reference;
    let (mut answers, mut brought): (Vec<Decided>, _) = (Vec::new(), Vec::new());
    for wave in waves(&prepared) {
        let after = |envelope: &CommandEnvelope| envelope.after.iter().chain(&brought).copied().collect();
        let decided =
            running.submit(prepared[wave].iter().map(|envelope| CommandEnvelope { after: after(envelope), ..envelope.clone() }).collect());
        brought.extend(decided.iter().flatten().map(|answer| answer.position).filter(|position| position.slice < reference));
        answers.extend(decided);
    }
    answers
}

pub(super) fn a_deal_is_accepted_in_the_same_batch_as_its_partners_activation(home: &Home) {
    let running = home.start();
    let batch = [
        ("PublishRules", publish(), "k-0"),
        ("RegisterPartner", register("p-9"), "k-1"),
        ("SignAgreement", json!({"partner_id": "p-9"}), "k-2"),
        ("ActivatePartner", json!({"partner_id": "p-9"}), "k-3"),
        ("RegisterDeal", deal("d-9", "p-9", "acme.com"), "k-4"),
        ("ApproveDeal", json!({"deal_id": "d-9"}), "k-5"),
    ];
    let versions: Vec<u64> = send_batch(&running, &batch).into_iter().map(|decided| accepted(decided).version).collect();
    assert_eq!(versions, [1, 1, 2, 3, 1, 2]);
    // Sent once more, it is answered as it was.
    let again: Vec<_> = send_batch(&running, &batch).into_iter().map(accepted).collect();
    assert!(again.iter().all(|answer| answer.replayed), "{again:?}");
    assert_eq!(again.iter().map(|answer| answer.version).collect::<Vec<_>>(), versions);
}

fn touch(id: &str, account: &str) -> Value {
    json!({"touchpoint_id": id, "account": account, "kind": "call", "channel": "x", "occurred_at": "2026-01-15"})
}

pub(super) fn a_batch_is_decided_in_its_order(home: &Home) {
    const ACCOUNTS: usize = 7;
    let running = home.start();
    running.accept("PublishRules", publish(), "rules");
    let ids: Vec<String> = (0..300).map(|n| format!("t-{n}")).collect();
    let accounts: Vec<String> = (0..ACCOUNTS).map(|n| format!("a{n}.example")).collect();
    let items: Vec<Item<'_>> =
        ids.iter().enumerate().map(|(n, id)| ("RecordTouchpoint", touch(id, &accounts[n % ACCOUNTS]), &**id)).collect();
    let versions: Vec<u64> = send_batch(&running, &items).into_iter().map(|decided| accepted(decided).version).collect();
    let expected: Vec<u64> = (0..300).map(|n| (n / ACCOUNTS + 1) as u64).collect();
    assert_eq!(versions, expected);
}

pub(super) fn a_refusal_stops_nothing_of_its_batch(home: &Home) {
    let running = home.start();
    running.with_partners();
    let batch = [
        ("RegisterDeal", deal("d-1", "p-1", "acme.com"), "k-1"),
        ("RegisterDeal", deal("d-2", "p-9", "acme.com"), "k-2"),
        ("ApproveDeal", json!({"deal_id": "d-1", "account": "acme.com"}), "k-3"),
        ("RegisterDeal", deal("d-3", "p-2", "acme.com"), "k-4"),
    ];
    let answers = send_batch(&running, &batch).into_iter().map(|decided| decided.expect("decided"));
    let told: Vec<(u64, Option<Rejection>)> = answers.map(|answer| (answer.version, answer.outcome.err())).collect();
    let [(1, None), (1, Some(unknown)), (2, None), (2, Some(protected))] = &told[..] else { panic!("{told:?}") };
    assert_eq!(*unknown, Rejection::PartnerUnknown { partner_id: partner("p-9") });
    assert!(matches!(protected, Rejection::AccountProtected { holder, .. } if *holder == partner("p-1")), "{protected:?}");
}
