//! Given a story, when it is decided again under a draft, then exactly these decisions are others.

mod control;
mod ledger;

use pledger_consumers::counterfactual::{Control, Told, replay};
use pledger_domain::facts::Channel;
use pledger_ledger::{
    log::Log,
    record::{Body, Outcome, Record},
};
use serde_json::json;

use ledger::{Ledger, line, time, usd};

const END: &str = "2027-06-01";
const NO_PROTECTION: (&str, &str) = ("protection_days = 90", "protection_days = 0");

/// p-1 is protected on acme.com when p-2 comes; then its approval runs out.
fn contested() -> Ledger {
    let mut ledger = Ledger::new();
    ["p-1", "p-2"].into_iter().for_each(|partner| ledger.partner(partner));
    assert!(ledger.register("2026-02-01", "d-1", "p-1"));
    assert!(ledger.tell("2026-02-02", "ApproveDeal", json!({"deal_id": "d-1"})));
    assert!(!ledger.register("2026-03-01", "d-2", "p-2"), "protected");
    assert!(ledger.register("2026-07-01", "d-3", "p-2"), "not any more");
    // Anything that comes later lets the scheduler look.
    assert!(ledger.tell("2026-09-01", "AddNote", json!({"deal_id": "d-3", "note": "hello", "visibility": "internal"})));
    ledger
}

#[test]
fn the_same_rules_decide_the_same() {
    let ledger = contested();
    let report = ledger.again(&[], None, END);
    assert_eq!((report.drafts, report.set_aside), (vec![vec![]], 0));
    assert!(report.decided > 10, "{}", report.decided);
}

#[test]
fn without_protection_the_other_partner_registers() {
    let ledger = contested();
    let told = ledger.told(&[NO_PROTECTION], END);
    assert_eq!(told, ["2026-02-02 ApproveDeal deal d-1: protected_until", "2026-03-01 RegisterDeal deal d-2: accepted, follows"]);
    let found = &ledger.again(&[NO_PROTECTION], None, END).drafts[0];
    let accepted = &found[1];
    assert_eq!((accepted.partner.as_deref(), accepted.amount.map(|amount| amount.to_string())), (Some("p-2"), Some("100.00 USD".into())));
    assert_eq!(accepted.follows, found[0].position);
    assert!(matches!(&accepted.recorded, Told::Refused { code, .. } if code == "AccountProtected"), "{accepted:?}");
    assert_eq!(accepted.draft, Told::Accepted { events: vec!["DealRegistered".into()] });
}

#[test]
fn a_draft_governs_from_its_time_and_answers_end_with_theirs() {
    let ledger = contested();
    let lines = |from, to| ledger.again(&[NO_PROTECTION], from, to).drafts[0].iter().map(line).collect::<Vec<_>>();
    assert_eq!(lines(Some("2026-02-03"), END), Vec::<String>::new());
    assert_eq!(lines(Some("2026-02-02"), "2026-02-28"), ["2026-02-02 ApproveDeal deal d-1: protected_until"]);
}

#[test]
fn an_approval_runs_out_when_the_draft_says() {
    let ledger = contested();
    // On record it ran out on August 1. What falls due earlier under the draft is told once, and so is what never does.
    let shorter = ledger.told(&[("validity_days = 180", "validity_days = 30")], END);
    assert_eq!(shorter[..2], ["2026-02-02 ApproveDeal deal d-1: expires_at", "2026-03-04 ExpireDeal deal d-1: due, follows"]);
    assert!(!shorter.iter().any(|line| line.contains("ExpireDeal deal d-1: refused")), "{shorter:?}");
    let never = ledger.told(&[("validity_days = 180", "validity_days = 0")], END);
    assert_eq!(never[..2], ["2026-02-02 ApproveDeal deal d-1: expires_at", "2026-08-01 ExpireDeal deal d-1: refused, follows"]);
    let later = ledger.told(&[("validity_days = 180", "validity_days = 300")], END);
    assert!(later.contains(&"2026-11-29 ExpireDeal deal d-1: due, follows".to_owned()), "{later:?}");
    let not_yet = ledger.told(&[("validity_days = 180", "validity_days = 300")], "2026-11-28");
    assert!(!not_yet.iter().any(|line| line.contains("due")), "{not_yet:?}");
}

/// A gold partner is paid a claim.
fn funded() -> Ledger {
    let mut ledger = Ledger::new();
    ledger.partner("p-1");
    let inputs = json!({"revenue": usd("600000.00"), "active_certifications": 4, "net_new_logos": 3});
    let evaluation = json!({"partner_id": "p-1", "period": "2026-Q1", "inputs": inputs, "as_of": ["5:1"]});
    assert!(ledger.tell_on(Channel::Policy, "2026-04-02", "EvaluateTier", &evaluation));
    let budget = json!({"budget_id": "b-1", "amount": usd("1000.00"), "starts_on": "2026-01-01", "ends_on": "2027-01-01"});
    assert!(ledger.tell("2026-04-03", "OpenBudget", budget));
    let allocation = json!({"allocation_id": "al-1", "budget_id": "b-1", "partner_id": "p-1", "amount": usd("600.00")});
    assert!(ledger.tell("2026-04-03", "AllocateFunds", allocation));
    let request = json!({"request_id": "rq-1", "allocation_id": "al-1", "budget_id": "b-1", "activity": "Booth", "goal": "40 leads", "amount": usd("400.00")});
    assert!(ledger.tell("2026-04-04", "RequestFunds", request));
    assert!(ledger.tell("2026-04-05", "ApproveFundRequest", json!({"request_id": "rq-1"})));
    let proof = json!([{"kind": "invoice", "uri": "https://files.example/1.pdf"}]);
    assert!(ledger.tell(
        "2026-05-20",
        "ClaimMDF",
        json!({"claim_id": "cl-1", "request_id": "rq-1", "amount": usd("300.00"), "proof": proof})
    ));
    assert!(ledger.tell("2026-05-21", "ApproveClaim", json!({"claim_id": "cl-1"})));
    assert!(ledger.tell("2026-05-22", "PayClaim", json!({"claim_id": "cl-1"})));
    ledger
}

#[test]
fn a_tier_that_is_not_earned_takes_the_funds_with_it() {
    let ledger = funded();
    let only_gold = ("eligible_tiers = []", "eligible_tiers = [\"gold\"]");
    assert_eq!(ledger.told(&[only_gold], END), Vec::<String>::new(), "it is gold");
    let harder = ("certifications = 4", "certifications = 6");
    assert_eq!(ledger.told(&[harder], END), ["2026-04-02 EvaluateTier period 2026-Q1: earned+to"]);
    let told = ledger.told(&[only_gold, harder], END);
    assert_eq!(
        told,
        [
            "2026-04-02 EvaluateTier period 2026-Q1: earned+to",
            "2026-04-04 RequestFunds request rq-1: refused",
            "2026-04-05 ApproveFundRequest request rq-1: refused, follows",
            "2026-05-20 ClaimMDF claim cl-1: refused, follows",
            "2026-05-21 ApproveClaim claim cl-1: refused, follows",
            "2026-05-22 PayClaim claim cl-1: refused, follows",
        ]
    );
    let paid = ledger.again(&[only_gold, harder], None, END).drafts[0].last().cloned().expect("the payment");
    assert_eq!((paid.partner.as_deref(), paid.amount.map(|amount| amount.to_string())), (Some("p-1"), Some("300.00 USD".into())));
}

#[test]
fn a_shorter_claim_window_leaves_the_claim_unpaid() {
    let told = funded().told(&[("claim_window_days = 90", "claim_window_days = 30")], END);
    assert_eq!(
        told,
        [
            "2026-04-05 ApproveFundRequest request rq-1: claim_until",
            "2026-05-05 CloseClaimWindow request rq-1: due, follows",
            "2026-05-20 ClaimMDF claim cl-1: refused, follows",
            "2026-05-21 ApproveClaim claim cl-1: refused, follows",
            "2026-05-22 PayClaim claim cl-1: refused, follows",
        ]
    );
}

#[test]
fn figures_that_a_policy_sent_are_marked_where_the_draft_has_another_window() {
    let ledger = funded();
    let harder = ("certifications = 4", "certifications = 6");
    let caveats = |changes: &[(&str, &str)]| ledger.again(changes, None, END).drafts[0][0].caveats.len();
    assert_eq!(caveats(&[harder]), 0);
    assert_eq!(caveats(&[harder, ("window_days = 365", "window_days = 90")]), 1);
}

#[test]
fn a_decision_that_the_rules_do_not_give_is_told() {
    let ledger = contested();
    // The last decision on the account is put there by hand: a refusal that nothing calls for.
    let stream = pledger_domain::stream::StreamName::parse("account/acme.com").expect("a stream");
    let last = ledger.log.read_stream(&stream, 0, 100).expect("read").pop().expect("a record");
    let header = last.record.header;
    let Body::Decision(mut decision) = Body::decode(&last.record.body).expect("a body") else { panic!("a decision") };
    let Outcome::Accepted(_) = decision.outcome else { panic!("accepted") };
    decision.command.name = "WithdrawDeal".into();
    decision.command.payload =
        std::borrow::Cow::Owned(serde_json::value::RawValue::from_string(r#"{"deal_id":"d-2"}"#.into()).expect("JSON"));
    let body = decision.encode().expect("it holds no person");
    ledger.log.append([Record::chain(header.slice, header.pseq + 1, header.term, header.hash, body)]);
    let end = ledger.log.end(header.slice).expect("an end");
    assert_eq!(end, header.pseq + 2);
    let report = replay(&ledger.log, &[], Control::Everything, time(END), &mut |_| {}).expect("read");
    let told: Vec<_> = report.unrepeated.iter().map(|one| (one.position.pseq, one.command.as_str())).collect();
    assert_eq!(told, [(header.pseq + 1, "WithdrawDeal")]);
    assert!(matches!(&report.unrepeated[0].again, Told::Refused { code, .. } if code == "DealUnknown"), "{:?}", report.unrepeated);
}
