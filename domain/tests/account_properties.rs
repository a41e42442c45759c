//! Whatever partners ask of an account, in whatever order, one scope has one protected deal and the state is what its
//! events say.

mod clauses;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, LazyLock},
};

use pledger_domain::{
    account::{Account, AccountEvent, Deal, DealPhase},
    catalogue::{AccountCommand, COMMANDS, Command, CommandSpec},
    command::Address,
    facts::{Channel, Facts},
    partner::{Partner, PartnerEvent, Role},
    rejection::Rejection,
    rules::{ProtectionScope, RuleSet, Rules},
    stream::{Stream, StreamKind, StreamName},
    values::{DealId, Label, Timestamp},
};
use proptest::prelude::*;
use serde_json::{Value, json};

/// One command of a random history.
#[derive(Clone, Debug)]
struct Step {
    command: &'static str,
    payload: Value,
    /// Hours after the one before it came in.
    hours: i64,
    historical: bool,
}

/// Every field that commands of an account have, over few enough values that commands meet. A payload takes those that
/// are its command's.
fn fields() -> impl Strategy<Value = Value> {
    let ids = (0..4_u8, 1..3_u8, 0..3_u8, prop::sample::select(vec!["GTX Pro", " gtx  pro", "GTX Basic"]));
    let dates = (prop::option::weighted(0.2, 0..400_i64), 100..400_i64);
    let words = (prop::sample::select(vec!["qualified", "committed", "launched"]), any::<[bool; 4]>());
    (ids, dates, words).prop_map(|((deal, partner, other, product), (date, until), (stage, [draft, submit, one, two]))| {
        let day = |days: i64| Timestamp::parse("2026-01-01").expect("a date").plus_days(days);
        let partner = format!("p-{partner}");
        let share = |share: &str| json!({"partner_id": partner, "share": share});
        let mut fields = json!({
            "deal_id": format!("d-{deal}"), "partner_id": partner, "contender": partner, "account": "acme.com", "product": product,
            "amount": {"amount": "100.00", "currency": "USD"}, "draft": draft, "submit": submit, "stage": stage,
            "protected_until": day(until), "reason": "so", "question": "why?", "note": "n", "next_step": "s", "to": "s-1", "seller": "s-1",
            "claim_id": format!("c-{other}"), "dispute_id": format!("x-{other}"), "touchpoint_id": format!("t-{other}"),
            "revenue_id": format!("r-{other}"), "kind": "new", "occurred_at": day(0),
            "shares": if one { vec![share("0.5"), share("0.5")] } else { vec![share("0.4")] },
        });
        if let Some(date) = date {
            fields["closed_at"] = json!(day(date));
            fields["due"] = json!(day(date));
        }
        if two {
            fields["amount"] = json!({"amount": "7.00", "currency": "EUR"});
        }
        fields
    })
}

/// The fields of `all` that the command has.
fn payload(command: &'static str, all: &Value) -> Value {
    static KNOWN: LazyLock<BTreeMap<&str, Value>> = LazyLock::new(|| {
        let schema = |spec: &CommandSpec| serde_json::to_value((spec.schema)()).expect("a schema")["properties"].take();
        COMMANDS.iter().map(|spec| (spec.name, schema(spec))).collect()
    });
    let all = all.as_object().expect("an object").iter();
    let known = all.filter(|(name, _)| KNOWN[command].get(*name).is_some());
    Value::Object(known.map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// Every command of an account alike; those that make or move protection more often.
fn step() -> impl Strategy<Value = Step> {
    let names: Vec<_> = COMMANDS.iter().filter(|spec| spec.stream == StreamKind::Account).map(|spec| spec.name).collect();
    let often = vec!["RegisterDeal", "ApproveDeal", "OpenProtection", "RequestDealInformation", "UpdateDeal", "ReassignDeal"];
    let name = prop_oneof![1 => prop::sample::select(names), 2 => prop::sample::select(often)];
    (name, fields(), 0..120_i64, prop::bool::weighted(0.1)).prop_map(|(command, all, hours, historical)| Step {
        command,
        payload: payload(command, &all),
        hours,
        historical,
    })
}

fn steps() -> impl Strategy<Value = (ProtectionScope, Vec<Step>)> {
    (prop::sample::select(vec![ProtectionScope::Product, ProtectionScope::Account]), prop::collection::vec(step(), 0..80))
}

fn parse(name: &str, payload: &Value) -> Arc<AccountCommand> {
    match Command::parse(name, payload.to_string().as_bytes()) {
        Ok(Command::Account(command)) => command,
        other => panic!("{name} {payload}: {other:?}"),
    }
}

fn facts(now: Timestamp, scope: ProtectionScope, historical: bool) -> Facts {
    static RULES: LazyLock<[Arc<RuleSet>; 2]> = LazyLock::new(|| {
        [ProtectionScope::Product, ProtectionScope::Account].map(|scope| {
            let mut rules = Rules::parse(Rules::DEFAULT).expect("the default rules");
            rules.deal_registration.protection_scope = scope;
            Arc::new(RuleSet { version: 1, effective_from: Timestamp::parse("2026-01-01").expect("a date"), rules })
        })
    });
    static PARTNER: LazyLock<Arc<Partner>> = LazyLock::new(|| {
        let mut partner = Partner::default();
        let at = Timestamp::parse("2026-01-01").expect("a date");
        let name = Label::parse("A partner").expect("a label");
        partner.evolve(&PartnerEvent::PartnerRegistered { name, roles: vec![Role::Reseller], country: None, region: None }, at);
        partner.evolve(&PartnerEvent::AgreementSigned { signed_at: at }, at);
        partner.evolve(&PartnerEvent::PartnerActivated {}, at);
        Arc::new(partner)
    });
    let [by_product, by_account] = &*RULES;
    let rules = Arc::clone(if scope == ProtectionScope::Product { by_product } else { by_account });
    let channel = if historical { Channel::Import } else { Channel::Api };
    // Every partner here is in the same good standing.
    Facts { now, effective_at: now, channel, historical, rules, partner: Some(Arc::clone(&PARTNER)) }
}

/// A random history: its events, and where it ended.
struct Lived {
    history: Vec<(AccountEvent, Timestamp)>,
    state: Account,
    now: Timestamp,
    scope: ProtectionScope,
}

impl Lived {
    fn facts_at(&self, now: Timestamp) -> Facts {
        facts(now, self.scope, false)
    }
}

/// Runs `steps`; `seen` is shown the state before every event, the event, and the state and time after the decision.
fn live((scope, steps): &(ProtectionScope, Vec<Step>), mut seen: impl FnMut(&Account, &AccountEvent, &Account, Timestamp)) -> Lived {
    let now = Timestamp::parse("2026-01-05").expect("a date");
    let mut lived = Lived { history: vec![], state: Account::default(), now, scope: *scope };
    for step in steps {
        lived.now = lived.now.plus_hours(step.hours);
        let before = lived.state.clone();
        let (command, facts) = (parse(step.command, &step.payload), facts(lived.now, *scope, step.historical));
        let decided = command.decide(&lived.state, &facts);
        clauses::check(step.command, &facts, &decided, |facts| command.decide(&before, facts));
        assert_eq!(lived.state, before, "deciding changes nothing");
        let events = decided.unwrap_or_default();
        for event in &events {
            lived.state.evolve(event, lived.now);
            lived.history.push((event.clone(), lived.now));
        }
        events.iter().for_each(|event| seen(&before, event, &lived.state, lived.now));
    }
    lived
}

fn fold(history: &[(AccountEvent, Timestamp)]) -> Account {
    let mut state = Account::default();
    history.iter().for_each(|(event, at)| state.evolve(event, *at));
    state
}

/// What one protection covers, said in the plainest way for the labels used here.
fn scope_of(scope: ProtectionScope, product: &Label) -> String {
    match scope {
        ProtectionScope::Product => product.as_str().to_lowercase().split_whitespace().collect::<Vec<_>>().join(" "),
        ProtectionScope::Account => String::new(),
    }
}

fn protecting(state: &Account, at: Timestamp) -> impl Iterator<Item = (&DealId, &Deal)> {
    state.deals().filter(move |(_, deal)| deal.phase().is_open() && deal.protected_until().is_some_and(|until| until > at))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn one_scope_has_one_protected_deal(steps in steps()) {
        live(&steps, |_, event, after, now| {
            let mut scopes = BTreeSet::new();
            for (_, deal) in protecting(after, now) {
                assert!(scopes.insert(scope_of(steps.0, deal.product())), "after {event:?}");
            }
            let found = after.protection_in_force(now, None).map(|(id, _)| id);
            assert!(found.map_or(scopes.is_empty(), |id| protecting(after, now).any(|(other, _)| other == id)));
        });
    }

    #[test]
    fn nobody_registers_into_anothers_protection(steps in steps()) {
        live(&steps, |before, event, _, now| {
            let AccountEvent::DealRegistered(event) = event else { return };
            let scope = scope_of(steps.0, &event.product);
            let foreign = protecting(before, now).filter(|(_, deal)| *deal.partner_id() != event.partner_id);
            let refused = foreign.filter(|(_, deal)| scope_of(steps.0, deal.product()) == scope).count();
            assert!(event.historical || refused == 0, "{event:?}");
        });
    }

    #[test]
    fn overlaps_are_what_a_scan_of_all_deals_finds(steps in steps()) {
        live(&steps, |before, event, _, now| {
            let AccountEvent::DealRegistered(event) = event else { return };
            let product = |label| scope_of(ProtectionScope::Product, label);
            let by_account = steps.0 == ProtectionScope::Account;
            let expected: BTreeSet<_> = before
                .deals()
                .filter(|(_, deal)| deal.phase().is_open() && *deal.partner_id() != event.partner_id)
                .filter(|(_, deal)| product(deal.product()) == product(&event.product))
                .map(|(id, _)| id)
                .collect();
            let listed: BTreeSet<_> = event.overlaps.iter().map(|overlap| &overlap.deal_id).collect();
            let holders: BTreeSet<_> = protecting(before, now).map(|(id, _)| id).collect();
            assert_eq!(listed.len(), event.overlap_count as usize, "no more than ten deals are open here");
            assert!(listed.is_superset(&expected));
            // History that breaks a protection of the whole account names who holds it.
            assert!(listed.difference(&expected).all(|extra| by_account && event.historical && holders.contains(*extra)));
        });
    }

    #[test]
    fn the_state_is_what_the_events_say(steps in steps()) {
        let lived = live(&steps, |_, _, _, _| {});
        let stored = serde_json::to_string(&lived.history.iter().map(|(event, _)| event).collect::<Vec<_>>()).expect("written");
        let read: Vec<AccountEvent> = serde_json::from_str(&stored).expect("read");
        let read: Vec<_> = read.into_iter().zip(lived.history.iter().map(|(_, at)| *at)).collect();
        prop_assert_eq!(&fold(&read), &lived.state);
    }

    #[test]
    fn a_snapshot_holds_the_whole_state(steps in steps()) {
        let lived = live(&steps, |_, _, _, _| {});
        let bytes = postcard::to_stdvec(&lived.state).expect("a snapshot");
        prop_assert_eq!(&postcard::from_bytes::<Account>(&bytes).expect("the snapshot"), &lived.state);
    }

    #[test]
    fn every_deadline_is_accepted_when_due_and_not_before(steps in steps()) {
        let lived = live(&steps, |_, _, _, _| {});
        let stream = StreamName::parse("account/acme.com").expect("a stream");
        let deadlines: Vec<_> = lived.state.deadlines().collect();
        prop_assert!(deadlines.is_sorted_by_key(|deadline| deadline.due));
        prop_assert_eq!(lived.state.first_due(), deadlines.first().map(|deadline| deadline.due));
        let expiring = lived.state.deals().filter(|(_, deal)| deal.phase() == DealPhase::Approved && deal.expires_at().is_some());
        prop_assert_eq!(deadlines.iter().filter(|deadline| deadline.command == "ExpireDeal").count(), expiring.count());
        for deadline in deadlines {
            let payload = deadline.payload_in(&stream);
            let command = Command::parse(deadline.command, payload.to_string().as_bytes()).expect("a payload");
            prop_assert_eq!(command.address(), Ok(Address::Stream(stream.clone())));
            prop_assert_eq!(command.business_time(), Some(deadline.due));
            let command = parse(deadline.command, &payload);
            let early = command.decide(&lived.state, &lived.facts_at(deadline.due.plus_micros(-1)));
            prop_assert_eq!(early, Err(Rejection::NotDue { due: deadline.due }));
            let events = command.decide(&lived.state, &lived.facts_at(deadline.due)).expect("due");
            let mut after = lived.state.clone();
            events.iter().for_each(|event| after.evolve(event, deadline.due));
            prop_assert!(after.deadlines().all(|other| other.id != deadline.id), "it falls due once");
        }
    }
}

#[test]
fn the_examples_are_payloads_for_the_account_that_they_name() {
    for spec in COMMANDS.iter().filter(|spec| spec.stream == StreamKind::Account) {
        let command = Command::parse(spec.name, spec.example.as_bytes()).unwrap_or_else(|error| panic!("{}: {error}", spec.name));
        assert_eq!(command.address(), Ok(Address::Stream(StreamName::parse("account/acme.com").expect("a stream"))), "{}", spec.name);
    }
}
