//! Given a story, when it is decided again under a draft, then exactly these decisions are others.

mod control;
mod ledger;

use pledger_consumers::counterfactual::{Change, Control, Found, Options, Otherwise, Told, replay};
use pledger_domain::{facts::Channel, rules::Rules};
use pledger_ledger::{
    log::Log,
    record::{Body, Outcome, Record},
};
use serde_json::json;

use ledger::{Ledger, draft, line, time, usd};

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
    assert_eq!((report.drafts, report.set_aside), (vec![Found::default()], 0));
    assert_eq!(report.decided, 0, "they differ in no clause");
    let all = replay(&ledger.log, &[draft(&[])], Options::telling_all(Control::Everything, time(END)), &mut |_| {}).expect("read");
    assert!(all.decided > 10, "{}", all.decided);
    assert_eq!((all.controlled, all.drafts), (all.decided, vec![Found::default()]));
}

/// How many commands are decided again.
fn decided(ledger: &Ledger, changes: &[(&str, &str)]) -> u64 {
    ledger.again(changes, None, END).decided
}

#[test]
fn only_what_a_changed_clause_decides_is_decided_again_and_what_comes_of_it() {
    let (contested, funded) = (contested(), funded());
    // Four registrations at most: d-1 and d-3, and d-2, which was refused.
    for (changes, again) in [
        (("half_life_days = 7", "half_life_days = 9"), 0),
        (("duplicate_similarity = \"0.92\"", "duplicate_similarity = \"0.5\""), 0),
        (("claim_window_days = 90", "claim_window_days = 10"), 0),
        (("max_extensions = 1", "max_extensions = 3"), 0),
        (("routing = []", "routing = [{ region = \"nowhere\", reviewer = \"nobody\" }]"), 3),
    ] {
        assert_eq!(decided(&contested, &[changes]), again, "{changes:?}");
    }
    // From the approval on its account is another: the refusal, the next registration, the note and what fell due.
    assert!(decided(&contested, &[NO_PROTECTION]) >= 4);
    // Funds rely on the partner: as long as that is the same, whoever may ask is not asked again.
    assert_eq!(decided(&funded, &[("grace_days = 90", "grace_days = 30")]), 1, "the evaluation");
    assert!(decided(&funded, &[("certifications = 4", "certifications = 6")]) > 4, "it is silver, and asks for funds");
    // The same from a time on.
    let later = |from| funded.again(&[("claim_window_days = 90", "claim_window_days = 80")], Some(from), END).decided;
    assert!(later("2026-04-05") > later("2026-04-06"), "the approval of the request");
}

#[test]
fn without_protection_the_other_partner_registers() {
    let ledger = contested();
    let told = ledger.told(&[NO_PROTECTION], END);
    assert_eq!(told, ["2026-02-02 ApproveDeal deal d-1: protected_until", "2026-03-01 RegisterDeal deal d-2: accepted, follows"]);
    let found = &ledger.again(&[NO_PROTECTION], None, END).drafts[0].decisions;
    let accepted = &found[1];
    assert_eq!((accepted.partner.as_deref(), accepted.amount.map(|amount| amount.to_string())), (Some("p-2"), Some("100.00 USD".into())));
    assert_eq!(accepted.follows, found[0].position);
    assert!(matches!(&accepted.recorded, Told::Refused { code, .. } if code == "AccountProtected"), "{accepted:?}");
    assert_eq!(accepted.draft, Told::Accepted { events: vec!["DealRegistered"] });
}

#[test]
fn a_draft_governs_from_its_time_and_answers_end_with_theirs() {
    let ledger = contested();
    let lines = |from, to| ledger.again(&[NO_PROTECTION], from, to).drafts[0].decisions.iter().map(line).collect::<Vec<_>>();
    assert_eq!(lines(Some("2026-02-03"), END), Vec::<String>::new());
    assert_eq!(lines(Some("2026-02-02"), "2026-02-28"), ["2026-02-02 ApproveDeal deal d-1: protected_until"]);
}

#[test]
fn an_approval_runs_out_when_the_draft_says() {
    let ledger = contested();
    let drawn = |days: &str, to| {
        let told = ledger.told(&[("validity_days = 180", days)], to);
        assert_eq!(told[0], "2026-02-02 ApproveDeal deal d-1: expires_at");
        told.into_iter().filter(|line| line.contains("ExpireDeal deal d-1")).collect::<Vec<_>>()
    };
    // On record it ran out on August 1. That it does at another time is told once, whichever comes first.
    let moved = "2026-08-01 ExpireDeal deal d-1: at another time: expired_at+effective_at, follows";
    let refused = "2026-08-01 ExpireDeal deal d-1: refused, follows";
    let due = "2026-03-04 ExpireDeal deal d-1: due, follows";
    assert_eq!(drawn("validity_days = 30", END), [moved]);
    assert_eq!(drawn("validity_days = 300", END), [moved]);
    assert_eq!(drawn("validity_days = 0", END), [refused], "it never does");
    // What lies after the time of the question is not there: on record, or under the draft.
    assert_eq!(drawn("validity_days = 30", "2026-07-31"), [due]);
    assert_eq!(drawn("validity_days = 300", "2026-11-28"), [refused]);
}

#[test]
fn what_falls_due_at_another_time_is_the_recorded_decision_at_that_time() {
    let ledger = contested();
    for (days, after) in [("validity_days = 30", "2026-03-04T00:00:00Z"), ("validity_days = 300", "2026-11-29T00:00:00Z")] {
        let found = &ledger.again(&[("validity_days = 180", days)], None, END).drafts[0].decisions;
        let moved = found.iter().find(|one| one.change == Change::OtherTime).expect("a deadline at another time");
        let position = moved.position.expect("the recorded decision");
        let placed = ledger.log.read(position.slice, position.pseq, 1).expect("read").pop().expect("a record");
        let Body::Decision(decision) = Body::decode(&placed.record.body).expect("a body") else { panic!("a decision") };
        assert_eq!((&*decision.command.name, decision.effective_at), ("ExpireDeal", moved.effective_at));
        assert_eq!(moved.recorded, moved.draft);
        for field in &moved.fields {
            assert_eq!((&field.before, &field.after), (&json!("2026-08-01T00:00:00Z"), &json!(after)), "{}", field.field);
        }
    }
}

#[test]
fn a_missing_decision_is_raised_when_the_draft_says() {
    let ledger = contested();
    let breaches = |hours| -> Vec<String> {
        let told = ledger.told(&[("approval_sla_hours = 48", hours)], END);
        told.into_iter().filter(|line| line.contains("RecordSlaBreach")).collect()
    };
    // On record d-1 was approved after a day, and nobody decided on d-3.
    let moved = "2026-07-03 RecordSlaBreach deal d-3: at another time: due+effective_at, follows";
    assert_eq!(breaches("approval_sla_hours = 12"), ["2026-02-01 RecordSlaBreach deal d-1: due, follows", moved]);
    assert_eq!(breaches("approval_sla_hours = 72"), [moved]);
}

#[test]
fn a_certification_runs_out_when_the_draft_says() {
    let mut ledger = Ledger::new();
    ledger.partner("p-1");
    let held = json!({"partner_id": "p-1", "person_id": "e-1", "certification": "architect", "level": "professional"});
    assert!(ledger.tell("2026-01-02", "AwardCertification", held.clone()));
    assert!(ledger.tell("2027-02-01", "RecertifyPerson", held));
    let moved = "2027-01-02 ExpireCertification certification e-1/architect: at another time: expired_at+effective_at, follows";
    let runs_out = |days, to| -> Vec<String> {
        let told = ledger.told(&[("validity_days = 365", days)], to);
        told.into_iter().filter(|line| line.contains("ExpireCertification")).collect()
    };
    assert_eq!(runs_out("validity_days = 100", "2027-03-01"), [moved]);
    // Renewed once more, it runs out again: that the ledger does not have.
    let due = "2027-05-12 ExpireCertification certification e-1/architect: due, follows";
    assert_eq!(runs_out("validity_days = 100", END), [moved, due]);
}

#[test]
fn a_refusal_with_other_dates_moves_no_money() {
    let ledger = contested();
    let shorter = [("protection_days = 90", "protection_days = 60")];
    let told = ["2026-02-02 ApproveDeal deal d-1: protected_until", "2026-03-01 RegisterDeal deal d-2: refused with other dates, follows"];
    assert_eq!(ledger.told(&shorter, END), told);
    let refused = &ledger.again(&shorter, None, END).drafts[0].decisions[1];
    assert_eq!((refused.partner.as_deref(), refused.amount), (Some("p-2"), None));
    let until =
        |told: &Told| matches!(told, Told::Refused { code, reason } if code == "AccountProtected" && reason.contains("until 2026-0"));
    assert!(until(&refused.recorded) && until(&refused.draft) && refused.recorded != refused.draft, "{refused:?}");
}

/// A gold partner is paid a claim.
fn funded() -> Ledger {
    funded_in(Ledger::new())
}

fn funded_in(mut ledger: Ledger) -> Ledger {
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
    let paid = ledger.again(&[only_gold, harder], None, END).drafts[0].decisions.last().cloned().expect("the payment");
    assert_eq!((paid.partner.as_deref(), paid.amount.map(|amount| amount.to_string())), (Some("p-1"), Some("300.00 USD".into())));
    // Two decisions move money: that which approves it, and that which pays.
    let funds = |otherwise: &Otherwise| otherwise.funds.as_ref().map(|funds| serde_json::to_value(funds).expect("JSON"));
    let moved: Vec<_> = ledger.again(&[only_gold, harder], None, END).drafts[0].decisions.iter().filter_map(funds).collect();
    assert_eq!(
        moved,
        [
            json!({"figure": "approved", "before": usd("400.00"), "after": null, "paid_at": null}),
            json!({"figure": "paid", "before": usd("300.00"), "after": null, "paid_at": "2026-05-22T00:00:00Z"}),
        ]
    );
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
fn a_claim_window_closes_when_the_draft_says() {
    let mut ledger = funded();
    // Later than the window of 90 days, which ends on July 4: the scheduler looks.
    assert!(ledger.tell(
        "2026-08-01",
        "AllocateFunds",
        json!({"allocation_id": "al-2", "budget_id": "b-1", "partner_id": "p-1", "amount": usd("1.00")})
    ));
    let closes = |days| -> Vec<String> {
        let told = ledger.told(&[("claim_window_days = 90", days)], END);
        told.into_iter().filter(|line| line.contains("CloseClaimWindow")).collect()
    };
    let moved = "2026-07-04 CloseClaimWindow request rq-1: at another time: closed_at+effective_at, follows";
    assert_eq!(closes("claim_window_days = 60"), [moved]);
    assert_eq!(closes("claim_window_days = 180"), [moved]);
    // Closed before it is claimed, all of it is released.
    assert_eq!(closes("claim_window_days = 30"), [moved.replace("closed_at+effective", "released+closed_at+effective")]);
}

#[test]
fn figures_that_a_policy_sent_are_marked_where_the_draft_has_another_window() {
    let ledger = funded();
    let harder = ("certifications = 4", "certifications = 6");
    let caveats = |changes: &[(&str, &str)]| ledger.again(changes, None, END).drafts[0].decisions[0].caveats.len();
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
    let report = replay(&ledger.log, &[], Options::telling_all(Control::Everything, time(END)), &mut |_| {}).expect("read");
    let told: Vec<_> = report.unrepeated.iter().map(|one| (one.position.pseq, one.command.as_str())).collect();
    assert_eq!(told, [(header.pseq + 1, "WithdrawDeal")]);
    assert!(matches!(&report.unrepeated[0].again, Told::Refused { code, .. } if code == "DealUnknown"), "{:?}", report.unrepeated);
}

#[test]
fn what_comes_after_a_record_that_cannot_be_read_is_not_decided_again() {
    let shorter = [("protection_days = 90", "protection_days = 60")];
    let ledger = contested();
    let whole = ledger.told(&shorter, END);
    // The approval cannot be read: neither it nor the refusal that rests on it is told, and all else is as before.
    let garbled = ledger.garbled(|decision| decision.command.name == "ApproveDeal");
    for control in [Control::Everything, Control::Differences] {
        let report = replay(&garbled, &[draft(&shorter)], Options::telling_all(control, time(END)), &mut |_| {}).expect("the log is read");
        assert_eq!((whole.len(), report.drafts[0].decisions.len(), report.unrepeated.len()), (2, 0, 0));
        let unreadable: Vec<_> = report.unreadable.iter().filter_map(|one| Some(one.stream.as_ref()?.as_str())).collect();
        assert_eq!(unreadable, ["account/acme.com"]);
    }
}

#[test]
fn whoever_relies_on_a_partner_is_decided_again_though_more_of_the_partner_cannot_be_read() {
    let for_gold = ("eligible_tiers = []", "eligible_tiers = [\"gold\"]");
    let mut ledger = funded_in(Ledger::under(&Rules::DEFAULT.replacen(for_gold.0, for_gold.1, 1)));
    assert!(ledger.tell("2026-06-01", "RecordCourseCompletion", json!({"partner_id": "p-1", "person_id": "u-1", "course": "101"})));
    let garbled = ledger.garbled(|decision| decision.command.name == "RecordCourseCompletion");
    let drafts = [draft(&[for_gold, ("certifications = 4", "certifications = 6")])];
    let [all, less] = [Control::Everything, Control::Differences]
        .map(|control| replay(&garbled, &drafts, Options::telling_all(control, time(END)), &mut |_| {}).expect("the log is read"));
    assert_eq!((&all.drafts, &all.unreadable), (&less.drafts, &less.unreadable));
    assert!(less.drafts[0].decisions.iter().any(|otherwise| otherwise.command == "RequestFunds"), "{:?}", less.drafts);
    assert_eq!(less.unreadable.len(), 1);
}

#[test]
fn streams_of_a_kind_that_nobody_knows_are_told() {
    let garbled = contested().garbled_as("campaign/c-1", |decision| decision.command.name == "ApproveDeal");
    for control in [Control::Everything, Control::Differences] {
        let report =
            replay(&garbled, &[draft(&[NO_PROTECTION])], Options::telling_all(control, time(END)), &mut |_| {}).expect("the log is read");
        let told: Vec<_> = report.unreadable.iter().map(|one| one.stream.clone()).collect();
        assert_eq!(told, [None], "{:?}", report.unreadable);
    }
}
