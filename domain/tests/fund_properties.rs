//! Whatever is asked of a fund, in whatever order, no level of it is ever overspent and no cent is lost.

mod clauses;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, LazyLock},
};

use pledger_domain::{
    catalogue::{COMMANDS, Command, FundCommand},
    facts::{Channel, Facts},
    fund::{ClaimPhase, Fund, FundEvent, RequestPhase},
    partner::{Partner, PartnerEvent, Role},
    rules::{RuleSet, Rules},
    stream::{Stream, StreamKind},
    values::{ClaimId, Currency, Label, RequestId, Timestamp},
};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use serde_json::{Value, json};

/// One command of a random life, how many days after the one before it came in, and whether it is history.
#[derive(Clone, Debug)]
struct Step {
    command: &'static str,
    payload: Value,
    days: i64,
    historical: bool,
}

fn one_of(ids: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(ids)
}

/// Mostly small dollars to the cent, so that many of them meet a limit; now and then nothing, too much, or euros.
fn amount() -> impl Strategy<Value = Value> {
    let cents = prop_oneof![4 => 1..30_000_u32, 4 => 1..10_000_u32, 1 => Just(0), 1 => 90_000..110_000_u32];
    let currency = prop_oneof![19 => Just("USD"), 1 => Just("EUR")];
    (cents, currency).prop_map(|(cents, currency)| json!({ "amount": format!("{}.{:02}", cents / 100, cents % 100), "currency": currency }))
}

/// A payload of each command, over few enough ids that commands meet.
fn payload(command: &'static str) -> BoxedStrategy<Value> {
    let allocation = one_of(&["al-1", "al-2"]);
    let request = one_of(&["rq-1", "rq-2", "rq-3"]);
    let claim = one_of(&["cl-1", "cl-2", "cl-3", "cl-4"]);
    match command {
        "OpenBudget" => amount()
            .prop_map(|amount| json!({ "budget_id": "b-1", "amount": amount, "starts_on": "2026-01-01", "ends_on": "2027-01-01" }))
            .boxed(),
        "AllocateFunds" => (allocation, amount())
            .prop_map(|(id, amount)| json!({ "allocation_id": id, "budget_id": "b-1", "partner_id": "p-1", "amount": amount }))
            .boxed(),
        "RequestFunds" => (request, allocation, amount())
            .prop_map(|(id, of, amount)| {
                json!({ "request_id": id, "allocation_id": of, "activity": "Booth", "amount": amount, "goal": "40 leads" })
            })
            .boxed(),
        "AmendFundRequest" => (request, 1..3_u32, amount())
            .prop_map(|(id, revision, amount)| {
                json!({ "request_id": id, "revision": revision, "activity": "Webinar", "amount": amount, "goal": "9 leads" })
            })
            .boxed(),
        "ApproveFundRequest" => {
            (request, prop::option::of(amount())).prop_map(|(id, amount)| json!({ "request_id": id, "amount": amount })).boxed()
        }
        "RequestFundInformation" => request.prop_map(|id| json!({ "request_id": id, "question": "which?" })).boxed(),
        "RejectFundRequest" => request.prop_map(|id| json!({ "request_id": id, "reason": "no" })).boxed(),
        "RecallFundRequest" | "CancelFundRequest" | "CloseClaimWindow" => request.prop_map(|id| json!({ "request_id": id })).boxed(),
        "ClaimMDF" => (claim, request, amount(), 0..4_usize)
            .prop_map(|(id, of, amount, proofs)| {
                let proof = json!({ "kind": "invoice", "uri": "s3://proofs/7.pdf" });
                json!({ "claim_id": id, "request_id": of, "amount": amount, "proof": vec![proof; proofs] })
            })
            .boxed(),
        "ApproveClaim" => (claim, prop::option::of(amount())).prop_map(|(id, amount)| json!({ "claim_id": id, "amount": amount })).boxed(),
        "RejectClaim" => claim.prop_map(|id| json!({ "claim_id": id, "reason": "no" })).boxed(),
        "PayClaim" => claim.prop_map(|id| json!({ "claim_id": id })).boxed(),
        other => panic!("no payload is made up for {other}"),
    }
}

/// The budget alone, or all the way to two approved requests: random commands rarely come that far by themselves.
fn opening() -> impl Strategy<Value = Vec<Step>> {
    let usd = |amount: &str| json!({ "amount": amount, "currency": "USD" });
    let step = |command, payload| Step { command, payload, days: 0, historical: false };
    let budget = json!({ "budget_id": "b-1", "amount": usd("1000.00"), "starts_on": "2026-01-01", "ends_on": "2027-01-01" });
    let mut steps = vec![step("OpenBudget", budget)];
    let shallow = steps.clone();
    let allocation = json!({ "allocation_id": "al-1", "budget_id": "b-1", "partner_id": "p-1", "amount": usd("600.00") });
    steps.push(step("AllocateFunds", allocation));
    for (id, amount) in [("rq-1", "400.00"), ("rq-2", "200.00")] {
        let request = json!({ "request_id": id, "allocation_id": "al-1", "activity": "Booth", "amount": usd(amount), "goal": "40 leads" });
        steps.push(step("RequestFunds", request));
        steps.push(step("ApproveFundRequest", json!({ "request_id": id })));
    }
    prop_oneof![1 => Just(shallow), 2 => Just(steps)]
}

/// The way of the money, from the budget to the payment, and the way around by a draft.
const LEADING: &[&str] = &[
    "AllocateFunds",
    "RequestFunds",
    "ApproveFundRequest",
    "ClaimMDF",
    "ApproveClaim",
    "PayClaim",
    "AmendFundRequest",
    "RecallFundRequest",
];

/// An opening, then commands of which those that lead on are more frequent than those that end a request.
fn life() -> impl Strategy<Value = Vec<Step>> {
    let commands: Vec<_> = COMMANDS.iter().filter(|spec| spec.stream == StreamKind::Fund).map(|spec| spec.name).collect();
    let command = prop_oneof![1 => prop::sample::select(commands), 3 => prop::sample::select(LEADING)];
    let days = prop_oneof![60 => Just(0), 8 => 1..4_i64, 1 => 60..120_i64];
    let step = (command, days, prop::bool::weighted(0.1))
        .prop_flat_map(|(command, days, historical)| payload(command).prop_map(move |payload| Step { command, payload, days, historical }));
    (opening(), prop::collection::vec(step, 0..120)).prop_map(|(opening, steps)| [opening, steps].concat())
}

static RULES: LazyLock<Arc<RuleSet>> = LazyLock::new(|| {
    let rules = Rules::parse(Rules::DEFAULT).expect("the default rules");
    Arc::new(RuleSet { version: 1, effective_from: Timestamp::from_micros(0), rules })
});

static PARTNER: LazyLock<Arc<Partner>> = LazyLock::new(|| {
    let at = Timestamp::parse("2026-01-01").expect("a date");
    let mut partner = Partner::default();
    let name = Label::parse("Nordwind").expect("a name");
    partner.evolve(&PartnerEvent::PartnerRegistered { name, roles: vec![Role::Var], country: None, region: None }, at);
    partner.evolve(&PartnerEvent::AgreementSigned { signed_at: at }, at);
    partner.evolve(&PartnerEvent::PartnerActivated {}, at);
    Arc::new(partner)
});

/// What a life came to: the state as it was decided on, and what was recorded of it.
#[derive(Default)]
struct Lived {
    state: Fund,
    record: Vec<(FundEvent, Timestamp)>,
}

impl Lived {
    fn live(steps: &[Step], mut after_each: impl FnMut(&Self)) -> Self {
        let mut lived = Self::default();
        let mut now = Timestamp::parse("2026-01-15T09:00:00Z").expect("a time");
        for step in steps {
            now = now.plus_days(step.days);
            lived.take(step, now);
            after_each(&lived);
        }
        lived
    }

    fn take(&mut self, step: &Step, now: Timestamp) {
        let json = step.payload.to_string();
        let Command::Fund(command) = Command::parse(step.command, json.as_bytes()).expect("a payload of a fund's command") else {
            panic!("{} goes to another stream", step.command)
        };
        let effective_at = if step.historical { now.plus_days(-3) } else { now };
        let partner = command.relies_on(&self.state).map(|_| PARTNER.clone());
        let facts = Facts { now, effective_at, channel: Channel::Api, historical: step.historical, rules: RULES.clone(), partner };
        let before = self.state.clone();
        let decided = FundCommand::decide(&command, &self.state, &facts);
        assert_eq!(self.state, before, "deciding changes nothing");
        clauses::check(step.command, &facts, &decided, |facts| FundCommand::decide(&command, &before, facts));
        let effective_at = command.builds_on(&self.state).map_or(effective_at, |begun| begun.max(effective_at));
        for event in decided.unwrap_or_default() {
            self.state.evolve(&event, effective_at);
            self.record.push((event, effective_at));
        }
    }
}

/// A request's money, added up from the record alone.
#[derive(Debug, Default, PartialEq, Eq)]
struct Figures {
    approved: i64,
    reserved: i64,
    paid: i64,
    closed: bool,
}

/// Adds a fund up from its events, without looking at its state: by request, and what is allocated in all.
fn added_up(record: &[(FundEvent, Timestamp)]) -> (BTreeMap<RequestId, Figures>, i64) {
    let mut requests: BTreeMap<RequestId, Figures> = BTreeMap::new();
    let mut held: BTreeMap<ClaimId, i64> = BTreeMap::new();
    let mut allocated = 0;
    for (event, _) in record {
        match event {
            FundEvent::FundsAllocated { amount, .. } => allocated += amount.minor(),
            FundEvent::FundRequestApproved { request_id, amount, .. } => {
                requests.entry(request_id.clone()).or_default().approved += amount.minor();
            }
            FundEvent::ClaimSubmitted { claim_id, request_id, amount, .. } => {
                held.insert(claim_id.clone(), amount.minor());
                requests.entry(request_id.clone()).or_default().reserved += amount.minor();
            }
            FundEvent::ClaimApproved { claim_id, request_id, amount } => {
                let before = held.insert(claim_id.clone(), amount.minor()).expect("what is approved was submitted");
                requests.entry(request_id.clone()).or_default().reserved += amount.minor() - before;
            }
            FundEvent::ClaimRejected { claim_id, request_id, .. } => {
                let before = held.remove(claim_id).expect("what is rejected was submitted");
                requests.entry(request_id.clone()).or_default().reserved -= before;
            }
            FundEvent::ClaimPaid { claim_id, request_id, amount, .. } => {
                let before = held.remove(claim_id).expect("what is paid was approved");
                let figures = requests.entry(request_id.clone()).or_default();
                figures.reserved -= before;
                figures.paid += amount.minor();
            }
            FundEvent::ClaimWindowClosed { request_id, .. } => requests.entry(request_id.clone()).or_default().closed = true,
            FundEvent::BudgetOpened { .. }
            | FundEvent::FundsRequested { .. }
            | FundEvent::FundRequestAmended { .. }
            | FundEvent::FundRequestRecalled { .. }
            | FundEvent::FundRequestCanceled { .. }
            | FundEvent::FundRequestInformationRequested { .. }
            | FundEvent::FundRequestRejected { .. } => {}
        }
    }
    (requests, allocated)
}

/// Nothing is overspent and every sum is conserved, at every level.
fn check_sums(lived: &Lived) {
    let budget = lived.state.budget().expect("the first command opened it");
    let (requests, allocated) = added_up(&lived.record);
    assert_eq!(budget.allocated.minor(), allocated);
    assert_eq!(budget.amount.minor(), allocated + budget.available().minor());
    assert!(!budget.available().is_negative(), "allocations exceed the budget: {budget:?}");
    for (id, allocation) in lived.state.allocations() {
        assert!(!allocation.available().is_negative(), "requests exceed the allocation: {allocation:?}");
        let of_it = lived.state.requests().filter(|(_, request)| request.allocation_id == *id);
        let committed: i64 = of_it.filter_map(|(_, request)| request.grant()).map(|g| g.amount.minor() - g.released.minor()).sum();
        assert_eq!(allocation.committed.minor(), committed);
    }
    for (id, request) in lived.state.requests() {
        let Some(grant) = request.grant() else {
            assert!(!requests.contains_key(id), "{id} was approved");
            continue;
        };
        let figures = &requests[id];
        let kept = [grant.reserved, grant.paid, grant.released, grant.available()];
        assert!(kept.iter().all(|figure| !figure.is_negative()), "claims exceed the request: {grant:?}");
        assert_eq!(grant.amount.minor(), kept.iter().map(|figure| figure.minor()).sum::<i64>());
        assert!(grant.amount <= request.amount, "more was approved than asked for: {request:?}");
        let closed = matches!(request.phase, RequestPhase::Closed(_));
        let state = Figures { approved: grant.amount.minor(), reserved: grant.reserved.minor(), paid: grant.paid.minor(), closed };
        assert_eq!(&state, figures);
        let (left, elsewhere) = if closed { (grant.released, grant.available()) } else { (grant.available(), grant.released) };
        assert_eq!((left.minor(), elsewhere.minor()), (figures.approved - figures.reserved - figures.paid, 0));
        let open =
            lived.state.claims().filter(|(_, c)| c.request_id == *id && matches!(c.phase, ClaimPhase::Submitted | ClaimPhase::Approved));
        assert_eq!(grant.reserved.minor(), open.map(|(_, claim)| claim.amount.minor()).sum::<i64>());
    }
}

/// Everything in a fund is in its budget's currency.
fn check_currency(state: &Fund) {
    let allocations = state.allocations().map(|(_, allocation)| allocation.amount);
    let requests = state.requests().map(|(_, request)| request.amount);
    let claims = state.claims().map(|(_, claim)| claim.amount);
    assert!(allocations.chain(requests).chain(claims).all(|amount| amount.currency() == Currency::USD), "{state:?}");
}

proptest! {
    #[test]
    fn nothing_is_overspent_and_no_cent_is_lost(steps in life()) {
        Lived::live(&steps, |lived| {
            check_sums(lived);
            check_currency(&lived.state);
        });
    }

    #[test]
    fn the_state_is_what_the_record_says(steps in life()) {
        let lived = Lived::live(&steps, |_| {});
        let mut again = Fund::default();
        for (event, at) in &lived.record {
            let stored = serde_json::to_string(event).expect("an event is written");
            let read: FundEvent = serde_json::from_str(&stored).expect("and read");
            prop_assert_eq!(&read, event);
            again.evolve(&read, *at);
        }
        prop_assert_eq!(&again, &lived.state);
        let snapshot = postcard::to_stdvec(&again).expect("a snapshot is written");
        prop_assert_eq!(&postcard::from_bytes::<Fund>(&snapshot).expect("and read"), &lived.state);
    }

    #[test]
    fn a_deadline_is_armed_for_every_open_window_and_works_when_due(steps in life()) {
        let mut lived = Lived::live(&steps, |_| {});
        prop_assert_eq!(lived.state.first_due(), lived.state.deadlines().map(|deadline| deadline.due).min());
        for deadline in lived.state.deadlines().collect::<Vec<_>>() {
            let recorded = lived.record.len();
            let step = Step { command: deadline.command, payload: deadline.payload, days: 0, historical: false };
            lived.take(&step, deadline.due.plus_micros(-1));
            prop_assert_eq!(lived.record.len(), recorded, "it is not due yet");
            lived.take(&step, deadline.due);
            prop_assert_eq!(lived.record.len(), recorded + 1, "it is due");
        }
        check_sums(&lived);
        prop_assert_eq!(lived.state.deadlines().count(), 0);
        let open = lived.state.requests().filter(|(_, request)| matches!(request.phase, RequestPhase::Approved(_)));
        let mut grants = open.filter_map(|(_, request)| request.grant());
        prop_assert!(grants.all(|grant| grant.historical), "only history stays open");
    }
}

/// The properties above say something only where random lives come far.
#[test]
fn random_lives_see_every_event() {
    let mut runner = TestRunner::deterministic();
    let mut seen = BTreeSet::new();
    for _ in 0..256 {
        let steps = life().new_tree(&mut runner).expect("a life").current();
        for (event, _) in Lived::live(&steps, |_| {}).record {
            let written = serde_json::to_value(event).expect("an event is written");
            seen.insert(written["type"].as_str().expect("a type").to_owned());
        }
    }
    assert_eq!(seen.len(), 14, "{seen:?}");
}
