//! Given, when, then: a fund at every point of its life, and what commands make of it.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{ClaimMDF, Fund, FundEvent};
use crate::{
    command::CommandPayload,
    facts::{Channel, Facts},
    partner::{Partner, PartnerEvent, Role},
    rejection::Rejection,
    rules::{RuleSet, Rules},
    stream::Stream,
    values::{AllocationId, Amount, Currency, Label, Money, PartnerId, RequestId, Text, TierName, Timestamp},
};

/// Where a request can stand; `none` before it is made.
const REQUESTS: [&str; 8] = ["none", "in_review", "draft", "action_required", "approved", "closed", "rejected", "canceled"];
/// Where a claim can stand; `approved` before it is made.
const CLAIMS: [&str; 5] = ["approved", "claim_submitted", "claim_approved", "claim_paid", "claim_rejected"];

pub(super) fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect(text)
}

pub(super) fn usd(amount: &str) -> Amount {
    Amount::new(Money::parse(amount, Currency::USD).expect(amount)).expect(amount)
}

pub(super) fn eur(amount: &str) -> Amount {
    Amount::new(Money::parse(amount, Currency::parse("EUR").expect("EUR")).expect(amount)).expect(amount)
}

pub(super) fn request_id() -> RequestId {
    RequestId::parse("rq-1").expect("an id")
}

pub(super) fn allocation_id() -> AllocationId {
    AllocationId::parse("al-1").expect("an id")
}

fn partner_id() -> PartnerId {
    PartnerId::parse("p-1").expect("an id")
}

fn text(text: &str) -> Text {
    Text::parse(text).expect(text)
}

/// The end of the claim window of rq-1.
pub(super) fn claim_until() -> Timestamp {
    at("2027-01-30")
}

/// The command with this payload.
pub(super) fn command<C: DeserializeOwned>(payload: Value) -> C {
    serde_json::from_value(payload).expect("a payload")
}

/// A partner to which this happened.
fn partner(events: &[PartnerEvent]) -> Option<Arc<Partner>> {
    let mut partner = Partner::default();
    events.iter().for_each(|event| partner.evolve(event, at("2026-01-05")));
    Some(Arc::new(partner))
}

fn registered() -> PartnerEvent {
    PartnerEvent::PartnerRegistered {
        name: Label::parse("Nordwind GmbH").expect("a name"),
        roles: vec![Role::Reseller],
        country: None,
        region: None,
    }
}

fn signed() -> PartnerEvent {
    PartnerEvent::AgreementSigned { signed_at: at("2026-01-05") }
}

/// Noon of 2026-11-05, under the default rules, with an active partner.
pub(super) fn facts() -> Facts {
    facts_at("2026-11-05T12:00:00Z")
}

pub(super) fn facts_at(now: &str) -> Facts {
    let rules = Rules::parse(Rules::DEFAULT).expect("the default rules");
    Facts {
        now: at(now),
        effective_at: at(now),
        channel: Channel::Api,
        historical: false,
        rules: Arc::new(RuleSet { version: 1, effective_from: at("2026-01-01"), rules }),
        partner: partner(&[registered(), signed(), PartnerEvent::PartnerActivated {}]),
    }
}

/// History imported long after, of a partner that is not active today.
pub(super) fn history_at(effective_at: &str) -> Facts {
    let facts = facts_at("2030-01-01");
    let suspended = PartnerEvent::PartnerSuspended { reason: text("unpaid") };
    let partner = partner(&[registered(), signed(), PartnerEvent::PartnerActivated {}, suspended]);
    Facts { effective_at: at(effective_at), channel: Channel::Import, historical: true, partner, ..facts }
}

pub(super) fn without_partner() -> Facts {
    Facts { partner: None, ..facts() }
}

pub(super) fn requested(id: &str, amount: &str) -> FundEvent {
    FundEvent::FundsRequested {
        request_id: RequestId::parse(id).expect("an id"),
        allocation_id: allocation_id(),
        partner_id: partner_id(),
        activity: text("Booth"),
        amount: usd(amount),
        campaign_id: Some(crate::values::CampaignId::parse("fair").expect("an id")),
        goal: text("40 leads"),
    }
}

pub(super) fn closed(released: &str) -> FundEvent {
    FundEvent::ClaimWindowClosed { request_id: request_id(), released: usd(released).money(), closed_at: claim_until() }
}

/// What happened to a fund up to this point of its life: a budget of 1,000, of which 600 are allocated, 400 requested,
/// 300 approved and 200 claimed.
fn life(name: &str) -> Vec<FundEvent> {
    let then = |before: &str, event: FundEvent| [life(before), vec![event]].concat();
    let claim: ClaimMDF = command(serde_json::json!({
        "claim_id": "cl-1", "request_id": "rq-1", "amount": usd("200.00"), "proof": [{ "kind": "invoice", "uri": "s3://7.pdf" }]
    }));
    let (request_id, claim_id) = (request_id(), claim.claim_id.clone());
    match name {
        "nothing" => vec![],
        "budget" => vec![FundEvent::BudgetOpened { amount: usd("1000.00"), starts_on: at("2026-01-01"), ends_on: at("2027-01-01") }],
        "allocation" | "none" => {
            let (allocation_id, partner_id) = (allocation_id(), partner_id());
            then("budget", FundEvent::FundsAllocated { allocation_id, partner_id, amount: usd("600.00") })
        }
        "in_review" => then("allocation", requested("rq-1", "400.00")),
        "draft" => then("in_review", FundEvent::FundRequestRecalled { request_id }),
        "action_required" => {
            then("in_review", FundEvent::FundRequestInformationRequested { request_id, question: text("How many leads?") })
        }
        "rejected" => then("in_review", FundEvent::FundRequestRejected { request_id, reason: text("no") }),
        "canceled" => then("in_review", FundEvent::FundRequestCanceled { request_id }),
        "approved" => {
            let (amount, claim_until) = (usd("300.00"), claim_until());
            then("in_review", FundEvent::FundRequestApproved { request_id, amount, claim_until, historical: false })
        }
        "closed" => then("approved", closed("300.00")),
        "claim_submitted" => {
            let ClaimMDF { claim_id, request_id, amount, proof, .. } = claim;
            then("approved", FundEvent::ClaimSubmitted { claim_id, request_id, partner_id: partner_id(), amount, proof })
        }
        "claim_approved" => then("claim_submitted", FundEvent::ClaimApproved { claim_id, request_id, amount: usd("200.00") }),
        "claim_rejected" => then("claim_submitted", FundEvent::ClaimRejected { claim_id, request_id, reason: text("no") }),
        "claim_paid" => {
            let (partner_id, paid_at) = (partner_id(), at("2026-11-01"));
            let paid = FundEvent::ClaimPaid { claim_id, request_id, partner_id, campaign_id: None, amount: usd("200.00"), paid_at };
            then("claim_approved", paid)
        }
        other => panic!("there is no point {other} in a fund's life"),
    }
}

/// A fund at this point of its life; everything was effective on 2026-01-05.
pub(super) fn given(name: &str) -> Fund {
    after(name, &[])
}

/// A fund at this point of its life to which `more` happened.
pub(super) fn after(name: &str, more: &[FundEvent]) -> Fund {
    let mut state = Fund::default();
    life(name).iter().chain(more).for_each(|event| state.evolve(event, at("2026-01-05")));
    state
}

/// Checks a command on a request at every point of a request's life: what happens at those of `accepted`, and the exact
/// refusal at each of the others.
pub(super) fn check_phases<C: CommandPayload<Stream = Fund>>(command: &C, happens: &[FundEvent], accepted: &[&str]) {
    check_phases_at(&facts(), command, happens, accepted);
}

pub(super) fn check_phases_at<C: CommandPayload<Stream = Fund>>(facts: &Facts, command: &C, happens: &[FundEvent], accepted: &[&str]) {
    for name in REQUESTS {
        let expected = match name {
            _ if accepted.contains(&name) => Ok(happens.to_vec()),
            "none" => Err(Rejection::RequestUnknown { request_id: request_id() }),
            // Only a claim is told when the window closed; see there.
            "closed" if C::NAME == ClaimMDF::NAME => Err(Rejection::ClaimWindowClosed { closed_at: claim_until() }),
            phase => Err(Rejection::WrongRequestPhase { request_id: request_id(), phase: phase.to_owned() }),
        };
        assert_eq!(command.decide(&given(name), facts), expected, "{name}");
    }
}

/// As `check_phases`, of a command on a claim.
pub(super) fn check_claim_phases<C: CommandPayload<Stream = Fund>>(command: &C, happens: &[FundEvent], accepted: &[&str]) {
    let claim_id = crate::values::ClaimId::parse("cl-1").expect("an id");
    for name in CLAIMS {
        let expected = match name {
            _ if accepted.contains(&name) => Ok(happens.to_vec()),
            "approved" => Err(Rejection::ClaimUnknown { claim_id: claim_id.clone() }),
            phase => {
                let phase = phase.trim_start_matches("claim_").to_owned();
                Err(Rejection::WrongClaimPhase { claim_id: claim_id.clone(), phase })
            }
        };
        assert_eq!(command.decide(&given(name), &facts()), expected, "{name}");
    }
}

/// Checks that a command which is accepted at this point of a fund's life grants nothing to who is leaving.
pub(super) fn check_staying<C: CommandPayload<Stream = Fund>>(command: &C, name: &str) {
    let state = given(name);
    assert_eq!(command.relies_on(&state), Some(partner_id()));
    let and = |event: PartnerEvent| partner(&[registered(), signed(), PartnerEvent::PartnerActivated {}, event]);
    let (leaving, retired) =
        (and(PartnerEvent::RetirementStarted { reason: None }), and(PartnerEvent::RetirementCompleted { as_of: vec![] }));
    let retiring = Rejection::PartnerRetiring { partner_id: partner_id(), since: at("2026-01-05") };
    let not_active = Rejection::PartnerNotActive { partner_id: partner_id(), phase: "retired".to_owned() };
    let decided = |facts: Facts| command.decide(&state, &facts).err();
    assert_eq!(decided(Facts { partner: leaving.clone(), ..facts() }), Some(retiring));
    assert_eq!(decided(Facts { partner: retired.clone(), ..facts() }), Some(not_active));
    for partner in [leaving, retired] {
        assert_eq!(decided(Facts { partner, ..history_at("2026-06-01") }), None, "history asks only that it is known");
    }
}

/// Checks that a command which is accepted at this point of a fund's life depends on the partner being eligible.
/// `settles` where who is leaving may do it, too.
pub(super) fn check_eligibility<C: CommandPayload<Stream = Fund>>(command: &C, name: &str, settles: bool) {
    let state = given(name);
    assert_eq!(command.relies_on(&state), Some(partner_id()));
    let active = [registered(), signed(), PartnerEvent::PartnerActivated {}];
    let and = |event: PartnerEvent| partner(&[active.to_vec(), vec![event]].concat());
    let tier = |name: &str| TierName::parse(name).expect(name);
    let silver = || PartnerEvent::TierPromoted { from: None, to: tier("silver") };
    let not_active = |phase: &str| Rejection::PartnerNotActive { partner_id: partner_id(), phase: phase.to_owned() };
    let retiring = Rejection::PartnerRetiring { partner_id: partner_id(), since: at("2026-01-05") };
    let gold_only = |tier| Rejection::TierNotEligible { tier };
    assert_eq!(gold_only(Some(tier("silver"))).to_string(), "the tier silver is not eligible for market development funds");
    assert_eq!(gold_only(None).to_string(), "a partner without a tier is not eligible for market development funds");
    for (partner, gated, refusal) in [
        (None, false, Some(Rejection::PartnerUnknown { partner_id: partner_id() })),
        (partner(&[registered()]), false, Some(not_active("applied"))),
        (
            partner(&[registered(), PartnerEvent::PartnerActivated {}]),
            false,
            Some(Rejection::AgreementNotSigned { partner_id: partner_id() }),
        ),
        (and(PartnerEvent::PartnerSuspended { reason: text("unpaid") }), false, Some(not_active("suspended"))),
        (and(PartnerEvent::RetirementStarted { reason: None }), false, Some(retiring).filter(|_| !settles)),
        (and(PartnerEvent::RetirementCompleted { as_of: vec![] }), false, Some(not_active("retired"))),
        (partner(&active), true, Some(gold_only(None))),
        (and(silver()), true, Some(gold_only(Some(tier("silver"))))),
        (and(PartnerEvent::TierPromoted { from: None, to: tier("gold") }), true, None),
        (and(silver()), false, None),
    ] {
        let mut facts = Facts { partner, ..facts() };
        if gated {
            Arc::make_mut(&mut facts.rules).rules.mdf.eligible_tiers = vec![tier("gold")];
        }
        assert_eq!(command.decide(&state, &facts).err(), refusal, "{:?}", facts.partner);
    }
    let retired = partner(&[registered(), signed(), PartnerEvent::RetirementCompleted { as_of: vec![] }]);
    let history = Facts { partner: retired, ..history_at("2026-06-01") };
    assert_eq!(command.decide(&state, &history).err(), Some(not_active("retired")));
    assert!(command.decide(&state, &history_at("2026-06-01")).is_ok(), "history asks for no active partner");
}
