//! Market development funds.

use pledger_domain::rejection::Rejection;
use pledger_ledger::edge::Clock;
use serde_json::{Value, json};

use super::refused;
use crate::{home::Home, running::Running};

fn usd(amount: &str) -> Value {
    json!({"amount": amount, "currency": "USD"})
}

/// A running ledger in which p-1 has got 400 dollars for a booth, of an allocation of 600.
fn granted(home: &Home) -> Running {
    let running = home.start();
    running.with_partners();
    let today = home.clock.now();
    let (begins, ends) = (today.plus_days(-30).to_string(), today.plus_days(300).to_string());
    for (name, payload) in [
        ("OpenBudget", json!({"budget_id": "b-1", "amount": usd("1000.00"), "starts_on": begins, "ends_on": ends})),
        ("AllocateFunds", json!({"allocation_id": "al-1", "budget_id": "b-1", "partner_id": "p-1", "amount": usd("600.00")})),
        ("RequestFunds", request("rq-1", "400.00")),
        ("ApproveFundRequest", json!({"request_id": "rq-1"})),
    ] {
        running.accept(name, payload, name);
    }
    running
}

fn request(id: &str, amount: &str) -> Value {
    json!({"request_id": id, "allocation_id": "al-1", "activity": "Booth", "goal": "leads", "amount": usd(amount)})
}

fn claim(id: &str, proof: Value) -> Value {
    json!({"claim_id": id, "request_id": "rq-1", "amount": usd("300.00"), "proof": proof})
}

fn invoice() -> Value {
    json!([{"kind": "invoice", "uri": "https://files.example/1.pdf"}])
}

pub(super) fn a_claim_needs_proof(home: &Home) {
    let running = granted(home);
    assert_eq!(refused(running.one("ClaimMDF", claim("cl-1", json!([])), "k-1")), Rejection::ProofMissing {});
    running.accept("ClaimMDF", claim("cl-1", invoice()), "k-2");
}

pub(super) fn two_claims_at_once_do_not_overspend(home: &Home) {
    let running = granted(home);
    let both = [("ClaimMDF", claim("cl-1", invoice()), "k-1"), ("ClaimMDF", claim("cl-2", invoice()), "k-2")];
    let mut answers = running.send(&both);
    let second = refused(answers.remove(1));
    answers.remove(0).expect("decided").outcome.expect("300 of 400");
    let exceeded = json!({"code": "RequestExceeded", "facts": {"available": usd("100.00"), "requested": usd("300.00")}});
    assert_eq!(serde_json::to_value(second).expect("JSON"), exceeded);
}
