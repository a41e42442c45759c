//! The directory: given decisions, when an id is asked for, then its stream, or why not.

use std::{borrow::Cow, collections::BTreeMap};

use pledger_domain::{
    account::AccountEvent,
    command::Address,
    facts::Channel,
    fund::FundEvent,
    rejection::Rejection,
    stream::{StreamKind, StreamName},
    values::{AllocationId, ClaimId, DealId, PartnerId, RequestId, Timestamp},
};
use pledger_ledger::{
    directory::{Directory, MAX_CANDIDATES, Resolution},
    record::{CommandRecord, Decision, Events, Outcome},
};
use proptest::prelude::*;
use serde_json::{json, value::RawValue};

fn stream(name: &str) -> StreamName {
    StreamName::parse(name).expect("a stream")
}

fn deal(id: &str) -> Address {
    Address::Deal(DealId::parse(id).expect("an id"))
}

/// A decision as a reader of the ledger sees it.
fn decision(name: &str, on: &str, sender_key: (&str, &str), payload: &serde_json::Value, outcome: Outcome<'static>) -> Decision<'static> {
    let (sender, key) = sender_key;
    Decision {
        stream: stream(on),
        version: 1,
        command: CommandRecord {
            id: Cow::Owned(key.into()),
            name: Cow::Owned(name.into()),
            payload: Cow::Owned(RawValue::from_string(payload.to_string()).expect("JSON")),
            sender: Cow::Owned(sender.into()),
            actor: None,
            channel: Channel::Api,
            received_at: Timestamp::from_micros(0),
            effective_at: None,
            input: Cow::Borrowed("0"),
            cause: None,
        },
        outcome,
        rules: 1,
        recorded_at: Timestamp::from_micros(0),
        effective_at: Timestamp::from_micros(0),
        relied_on: vec![],
        historical: false,
        next_command: None,
    }
}

fn events(kind: StreamKind, events: &serde_json::Value) -> Outcome<'static> {
    Outcome::Accepted(Events::parse(kind, &events.to_string()).expect("events"))
}

/// `RegisterDeal` of a deal on an account, accepted.
fn registered(id: &str, on: &str) -> Decision<'static> {
    let amount = json!({"amount": "1.00", "currency": "USD"});
    let payload = json!({"deal_id": id, "partner_id": "p1", "account": {"name": "A"}, "product": "P", "amount": amount});
    let event = json!([{"type": "DealRegistered", "data": {"deal_id": id, "partner_id": "p1", "product": "P", "amount": amount}}]);
    decision("RegisterDeal", on, ("crm", &format!("register {id} {on}")), &payload, events(StreamKind::Account, &event))
}

/// `ApproveDeal` that left the account out.
fn approved(id: &str, on: &str, sender_key: (&str, &str), outcome: Outcome<'static>) -> Decision<'static> {
    decision("ApproveDeal", on, sender_key, &json!({"deal_id": id}), outcome)
}

fn done(id: &str) -> Outcome<'static> {
    let event = AccountEvent::DealApproved { deal_id: DealId::parse(id).expect("an id"), protected_until: None, expires_at: None };
    Outcome::Accepted(Events::Account(vec![event].into()))
}

fn given(decisions: &[Decision<'_>]) -> Directory {
    let mut directory = Directory::default();
    decisions.iter().for_each(|decision| directory.apply(decision));
    directory
}

fn found(name: &str) -> Resolution {
    Resolution::Found(stream(name))
}

fn ambiguous(names: &[&str]) -> Resolution {
    Resolution::Ambiguous(names.iter().map(|name| stream(name)).collect())
}

#[test]
fn an_id_lives_where_it_was_introduced() {
    let fund = |event: FundEvent| decision("X", "fund/b1", ("s", "k"), &json!({}), Outcome::Accepted(Events::Fund(vec![event].into())));
    let amount = serde_json::from_value(json!({"amount": "1.00", "currency": "USD"})).expect("an amount");
    let partner_id = PartnerId::parse("p1").expect("an id");
    let text = |text| pledger_domain::values::Text::parse(text).expect("a text");
    let (allocation_id, request_id) = (AllocationId::parse("al").expect("an id"), RequestId::parse("rq").expect("an id"));
    let claim_id = ClaimId::parse("cl").expect("an id");
    let directory = given(&[
        registered("d1", "account/acme.com"),
        fund(FundEvent::FundsAllocated { allocation_id: allocation_id.clone(), partner_id: partner_id.clone(), amount }),
        fund(FundEvent::FundsRequested {
            request_id: request_id.clone(),
            allocation_id: allocation_id.clone(),
            partner_id: partner_id.clone(),
            activity: text("a"),
            amount,
            campaign_id: None,
            goal: text("g"),
        }),
        fund(FundEvent::ClaimSubmitted { claim_id: claim_id.clone(), request_id: request_id.clone(), partner_id, amount, proof: vec![] }),
    ]);
    assert_eq!(directory.len(), 4);
    for (address, expected) in [
        (deal("d1"), found("account/acme.com")),
        (deal("d2"), Resolution::Unknown),
        (Address::Allocation(allocation_id), found("fund/b1")),
        (Address::Request(request_id), found("fund/b1")),
        (Address::Claim(claim_id), found("fund/b1")),
        (Address::Claim(ClaimId::parse("rq").expect("an id")), Resolution::Unknown),
        (Address::Stream(stream("program")), found("program")),
    ] {
        assert_eq!(directory.resolve(&address, "s", "k"), expected, "{address:?}");
    }
}

#[test]
fn an_id_in_two_streams_is_ambiguous() {
    let directory = given(&[registered("d1", "account/b.com"), registered("d1", "account/a.com"), registered("d1", "account/b.com")]);
    assert_eq!(directory.resolve(&deal("d1"), "s", "k"), ambiguous(&["account/a.com", "account/b.com"]));
    let many: Vec<_> = (0..30).map(|n| registered("d1", &format!("account/a{n}.com"))).collect();
    match given(&many).resolve(&deal("d1"), "s", "k") {
        Resolution::Ambiguous(candidates) => assert_eq!(candidates.len(), MAX_CANDIDATES),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_refused_registration_makes_nothing_known() {
    let mut refused = registered("d1", "account/a.com");
    refused.outcome = Outcome::Rejected(Rejection::AccountRequired {});
    assert_eq!(given(&[refused]).resolve(&deal("d1"), "s", "k"), Resolution::Unknown);
}

#[test]
fn a_retry_goes_where_the_first_attempt_went() {
    let directory = given(&[
        registered("d1", "account/b.com"),
        approved("d1", "account/b.com", ("portal", "k1"), done("d1")),
        registered("d1", "account/a.com"),
    ]);
    let both = || ambiguous(&["account/a.com", "account/b.com"]);
    for (sender, key, expected) in [
        ("portal", "k1", found("account/b.com")),
        ("portal", "k2", both()),
        ("other", "k1", both()),
        // The registration named its account: its key says nothing about look-ups.
        ("crm", "register d1 account/a.com", both()),
    ] {
        assert_eq!(directory.resolve(&deal("d1"), sender, key), expected, "{sender} {key}");
    }
}

#[test]
fn only_a_decision_that_used_its_key_up_is_remembered() {
    let partner_id = PartnerId::parse("p1").expect("an id");
    for (rejection, expected) in [
        (Rejection::DealUnknown { deal_id: DealId::parse("d1").expect("an id") }, found("account/b.com")),
        (Rejection::PartnerUnknown { partner_id }, ambiguous(&["account/a.com", "account/b.com"])),
    ] {
        let directory = given(&[
            registered("d1", "account/b.com"),
            approved("d1", "account/b.com", ("portal", "k1"), Outcome::Rejected(rejection.clone())),
            registered("d1", "account/a.com"),
        ]);
        assert_eq!(directory.resolve(&deal("d1"), "portal", "k1"), expected, "{rejection}");
    }
}

#[test]
fn a_retry_finds_the_stream_of_a_registration_that_was_refused() {
    // RegisterDeal and ApproveDeal came in one batch; the first was refused, and so was the second, in the same stream.
    let unknown = || Outcome::Rejected(Rejection::DealUnknown { deal_id: DealId::parse("d1").expect("an id") });
    let directory = given(&[approved("d1", "account/b.com", ("portal", "k1"), unknown()), registered("d1", "account/a.com")]);
    assert_eq!(directory.resolve(&deal("d1"), "portal", "k1"), found("account/b.com"));
    assert_eq!(directory.resolve(&deal("d1"), "portal", "k2"), found("account/a.com"));
}

#[test]
fn a_payload_that_named_its_account_was_not_looked_up() {
    let named = decision("ApproveDeal", "account/b.com", ("portal", "k1"), &json!({"deal_id": "d1", "account": "b.com"}), done("d1"));
    let directory = given(&[registered("d1", "account/b.com"), named, registered("d1", "account/a.com")]);
    assert_eq!(directory.resolve(&deal("d1"), "portal", "k1"), ambiguous(&["account/a.com", "account/b.com"]));
}

#[test]
fn a_snapshot_answers_the_same() {
    let directory = given(&[
        registered("d1", "account/b.com"),
        approved("d1", "account/b.com", ("portal", "k1"), done("d1")),
        approved("d9", "account/c.com", ("portal", "k9"), done("d9")),
        registered("d1", "account/a.com"),
        registered("d2", "account/name:acme%20inc:us"),
    ]);
    let bytes = postcard::to_allocvec(&directory).expect("written");
    let read: Directory = postcard::from_bytes(&bytes).expect("read");
    for (id, key) in [("d1", "k1"), ("d1", "k2"), ("d2", "k1"), ("d3", "k1"), ("d9", "k9")] {
        assert_eq!(read.resolve(&deal(id), "portal", key), directory.resolve(&deal(id), "portal", key), "{id} {key}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn candidates_are_just_the_streams_of_registrations(
        steps in prop::collection::vec((0_u8..6, 0_u8..4), 0..40), snapshot_at in 0_usize..40
    ) {
        let mut directory = Directory::default();
        let mut model: BTreeMap<u8, Vec<StreamName>> = BTreeMap::new();
        for (n, (id, account)) in steps.into_iter().enumerate() {
            let name = format!("account/a{account}.com");
            directory.apply(&registered(&format!("d{id}"), &name));
            let homes = model.entry(id).or_default();
            homes.push(stream(&name));
            homes.sort();
            homes.dedup();
            if n == snapshot_at {
                directory = postcard::from_bytes(&postcard::to_allocvec(&directory).expect("written")).expect("read");
            }
        }
        for id in 0..6 {
            let expected = match model.get(&id).map(Vec::as_slice) {
                None => Resolution::Unknown,
                Some([one]) => Resolution::Found(one.clone()),
                Some(several) => Resolution::Ambiguous(several.to_vec()),
            };
            prop_assert_eq!(directory.resolve(&deal(&format!("d{id}")), "s", "k"), expected);
        }
    }
}
