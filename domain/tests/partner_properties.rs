//! Whatever is asked of a partner, in whatever order, its state is what its events say.

mod clauses;

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use pledger_domain::{
    catalogue::{COMMANDS, Command, PartnerCommand},
    command::Address,
    facts::{Channel, Facts},
    partner::{Partner, PartnerEvent, PartnerPhase},
    rejection::Rejection,
    rules::{RuleSet, Rules},
    stream::{Stream, StreamKind, StreamName},
    values::{CertificationId, PartnerId, PersonId, Timestamp},
};
use proptest::prelude::*;
use serde_json::{Value, json};

/// One command of a random life, and how many days after the one before it came in.
#[derive(Clone, Debug)]
struct Step {
    command: &'static str,
    payload: Value,
    days: i64,
}

/// A payload of each command, over few enough ids that commands meet.
fn payload(command: &'static str) -> BoxedStrategy<Value> {
    let person = prop::sample::select(vec!["e-1", "e-2"]);
    let certification = prop::sample::select(vec!["architect", "seller"]);
    let role = prop::sample::select(vec!["reseller", "msp", "isv"]);
    let dates = prop::option::weighted(0.3, prop::sample::select(vec!["2025-01-01", "2026-06-01", "2040-01-01"]));
    let whose = (person, certification).prop_map(|(p, c)| json!({"person_id": p, "certification": c}));
    let fields = match command {
        "NominatePartner" => Just(json!({"name": "Nordwind"})).boxed(),
        "RegisterPartner" => role.prop_map(|role| json!({"name": "Nordwind", "roles": [role, "reseller"]})).boxed(),
        "AssignPartnerRole" | "RevokePartnerRole" => role.prop_map(|role| json!({"role": role})).boxed(),
        "AssignPartnerRegion" => Just(json!({"region": "EMEA"})).boxed(),
        "AssignPartnerManager" => Just(json!({"manager_id": "s-1"})).boxed(),
        "SignAgreement" => dates.prop_map(|date| with(json!({}), "signed_at", date)).boxed(),
        "ActivatePartner" | "RetirePartner" => Just(json!({})).boxed(),
        "SuspendPartner" => Just(json!({"reason": "unpaid"})).boxed(),
        "CompleteRetirement" => {
            prop::bool::ANY.prop_map(|open| json!({"still_open": if open { vec!["d-1"] } else { vec![] }, "as_of": ["5:1"]})).boxed()
        }
        "RecordCourseCompletion" => prop::option::of(prop::sample::select(vec!["lms-1", "lms-2"]))
            .prop_map(|id| with(json!({"person_id": "e-1", "course": "101"}), "completion_id", id))
            .boxed(),
        "AwardCertification" => (whose, dates, prop::sample::select(vec!["professional", "expert", "guru"]))
            .prop_map(|(whose, date, level)| with(with(whose, "awarded_at", date), "level", Some(level)))
            .boxed(),
        "RecertifyPerson" => (whose, dates).prop_map(|(whose, date)| with(whose, "renewed_at", date)).boxed(),
        "RevokeCertification" => whose.prop_map(|whose| with(whose, "reason", Some("left"))).boxed(),
        "ExpireCertification" => whose.boxed(),
        "EvaluateTier" => (1..5_u32, prop::sample::select(vec!["0.00", "100000.00", "900000.00"]))
            .prop_map(|(quarter, revenue)| {
                let revenue = json!({"amount": revenue, "currency": "USD"});
                let inputs = json!({"revenue": revenue, "active_certifications": 4, "net_new_logos": 3});
                json!({"period": format!("2026-Q{quarter}"), "inputs": inputs, "as_of": ["5:1"]})
            })
            .boxed(),
        "OverrideTier" => prop::sample::select(vec!["silver", "gold", "platinum"])
            .prop_map(|tier| json!({"tier": tier, "reason": "alliance", "approver": "s-1"}))
            .boxed(),
        other => panic!("add a payload of {other}, so that random lives have it too"),
    };
    fields.prop_map(|fields| with(fields, "partner_id", Some("p-1"))).boxed()
}

fn with(mut payload: Value, field: &str, value: Option<&str>) -> Value {
    if let Some(value) = value {
        payload[field] = Value::from(value);
    }
    payload
}

/// Every command of the catalogue's partner streams alike; those that lead on in life more often, so that lives are long.
fn step() -> impl Strategy<Value = Step> {
    let names: Vec<_> = COMMANDS.iter().filter(|spec| spec.stream == StreamKind::Partner).map(|spec| spec.name).collect();
    let onward = vec!["RegisterPartner", "SignAgreement", "ActivatePartner", "AwardCertification"];
    let name = prop_oneof![3 => prop::sample::select(names), 1 => prop::sample::select(onward)];
    (name, 0..120_i64).prop_flat_map(|(command, days)| payload(command).prop_map(move |payload| Step { command, payload, days }))
}

fn parse(step: &Step) -> Arc<PartnerCommand> {
    match Command::parse(step.command, step.payload.to_string().as_bytes()).expect("a payload") {
        Command::Partner(command) => command,
        other => panic!("{other:?} is no command of a partner"),
    }
}

fn facts(now: Timestamp) -> Facts {
    static RULES: LazyLock<Arc<RuleSet>> = LazyLock::new(|| {
        let rules = Rules::parse(Rules::DEFAULT).expect("the default rules");
        Arc::new(RuleSet { version: 1, effective_from: Timestamp::parse("2026-01-01").expect("a date"), rules })
    });
    Facts { now, effective_at: now, channel: Channel::Api, historical: false, rules: Arc::clone(&RULES), partner: None }
}

fn fold(history: &[(PartnerEvent, Timestamp)]) -> Partner {
    let mut state = Partner::default();
    history.iter().for_each(|(event, at)| state.evolve(event, *at));
    state
}

/// What a random life made: its events, and each decision with the states around it.
struct Lived {
    history: Vec<(PartnerEvent, Timestamp)>,
    state: Partner,
    now: Timestamp,
}

/// Runs `steps`, calling `after` with the states before and after each event, and `refused` with every refusal.
fn live(steps: &[Step], mut after: impl FnMut(&Partner, &PartnerEvent, &Partner), mut refused: impl FnMut(&Partner, &Rejection)) -> Lived {
    let now = Timestamp::parse("2026-01-05").expect("a date");
    let mut lived = Lived { history: vec![], state: Partner::default(), now };
    for step in steps {
        lived.now = lived.now.plus_days(step.days);
        let (command, facts) = (parse(step), facts(lived.now));
        let decided = command.decide(&lived.state, &facts);
        clauses::check(step.command, &facts, &decided, |facts| command.decide(&lived.state, facts));
        match decided {
            Ok(events) => {
                assert!(!events.is_empty(), "an accepted command leaves an event: {step:?}");
                for event in events {
                    let before = lived.state.clone();
                    lived.state.evolve(&event, lived.now);
                    after(&before, &event, &lived.state);
                    lived.history.push((event, lived.now));
                }
            }
            Err(rejection) => refused(&lived.state, &rejection),
        }
    }
    lived
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_state_is_what_the_events_say(steps in prop::collection::vec(step(), 0..60)) {
        let lived = live(&steps, |_, _, _| {}, |_, _| {});
        prop_assert_eq!(&fold(&lived.history), &lived.state);

        let stored = serde_json::to_string(&lived.history.iter().map(|(event, _)| event).collect::<Vec<_>>()).expect("written");
        let read: Vec<PartnerEvent> = serde_json::from_str(&stored).expect("read");
        let read: Vec<_> = read.into_iter().zip(lived.history.iter().map(|(_, at)| *at)).collect();
        prop_assert_eq!(&fold(&read), &lived.state);
    }

    #[test]
    fn a_snapshot_holds_the_whole_state(steps in prop::collection::vec(step(), 0..60)) {
        let lived = live(&steps, |_, _, _| {}, |_, _| {});
        let bytes = postcard::to_stdvec(&lived.state).expect("a snapshot");
        prop_assert_eq!(&postcard::from_bytes::<Partner>(&bytes).expect("the snapshot"), &lived.state);
    }

    #[test]
    fn a_refused_command_is_refused_again_and_changes_nothing(steps in prop::collection::vec(step(), 1..60), last in step()) {
        let lived = live(&steps, |_, _, _| {}, |_, _| {});
        let (command, facts) = (parse(&last), facts(lived.now));
        let before = lived.state.clone();
        if let Err(refusal) = command.decide(&lived.state, &facts) {
            prop_assert_eq!(&lived.state, &before);
            prop_assert_eq!(command.decide(&fold(&lived.history), &facts), Err(refusal));
        }
    }

    #[test]
    fn phases_change_only_along_the_arrows(steps in prop::collection::vec(step(), 0..60)) {
        live(
            &steps,
            |before, event, after| {
                let (from, to) = (before.phase(), after.phase());
                assert!(from == to || from.leads_to(to), "{from} -> {to} by {event:?}");
                let expiry = matches!(event, PartnerEvent::CertificationExpired { .. });
                assert!(from != PartnerPhase::Retired || expiry, "a retired partner took {event:?}");
                assert!(after.phase() != PartnerPhase::Active || after.agreement_signed());
                assert!(before.retiring_since().is_none() || !matches!(event, PartnerEvent::PartnerActivated {}));
                assert!(after.roles().is_empty() <= (after.phase() <= PartnerPhase::Prospect), "{after:?} has no role");
            },
            |state, refusal| assert!(state.is_known() || matches!(refusal, Rejection::PartnerUnknown { .. }), "{refusal}"),
        );
    }

    #[test]
    fn a_persons_certification_counts_once(steps in prop::collection::vec(step(), 0..60)) {
        let lived = live(&steps, |_, _, _| {}, |_, _| {});
        // A day later everything that was dated ahead has begun, so only the last word on each certification matters.
        let at = lived.now.plus_days(1);
        let mut last_word = BTreeMap::new();
        for (event, _) in &lived.history {
            last_word.extend(certification_until(event));
        }
        let expected = last_word.values().filter(|until| until.is_some_and(|until| at < until)).count();
        prop_assert_eq!(lived.state.active_certifications(at), expected);
    }

    #[test]
    fn every_deadline_is_accepted_when_due_and_not_before(steps in prop::collection::vec(step(), 0..60)) {
        let lived = live(&steps, |_, _, _| {}, |_, _| {});
        let stream = StreamName::partner(&PartnerId::parse("p-1").expect("an id"));
        let deadlines: Vec<_> = lived.state.deadlines().collect();
        prop_assert!(deadlines.is_sorted_by_key(|deadline| deadline.due));
        prop_assert_eq!(lived.state.first_due(), deadlines.first().map(|deadline| deadline.due));
        for deadline in deadlines {
            let command = Command::parse(deadline.command, deadline.payload_in(&stream).to_string().as_bytes()).expect("a payload");
            prop_assert_eq!(command.address(), Ok(Address::Stream(stream.clone())));
            prop_assert_eq!(command.business_time(), Some(deadline.due));
            let Command::Partner(command) = command else { panic!("a deadline of a partner is one of its commands") };
            let early = command.decide(&lived.state, &facts(deadline.due.plus_micros(-1)));
            prop_assert_eq!(early, Err(Rejection::NotDue { due: deadline.due }));
            prop_assert!(command.decide(&lived.state, &facts(deadline.due)).is_ok());
        }
    }
}

/// Whose certification an event is about, and until when it is in force after it: not at all once it is revoked.
fn certification_until(event: &PartnerEvent) -> Option<((PersonId, CertificationId), Option<Timestamp>)> {
    match event {
        PartnerEvent::CertificationAwarded { person_id, certification, expires_at, .. }
        | PartnerEvent::CertificationRenewed { person_id, certification, expires_at, .. } => {
            Some(((person_id.clone(), certification.clone()), Some(*expires_at)))
        }
        PartnerEvent::CertificationRevoked { person_id, certification, .. } => Some(((person_id.clone(), certification.clone()), None)),
        _ => None,
    }
}

#[test]
fn the_examples_of_partner_and_program_are_payloads_for_their_own_stream() {
    for spec in COMMANDS.iter().filter(|spec| spec.stream.is_reference()) {
        let command = Command::parse(spec.name, spec.example.as_bytes()).unwrap_or_else(|error| panic!("{}: {error}", spec.name));
        match command.address().expect("an address") {
            Address::Stream(stream) => assert_eq!(stream.kind(), spec.stream, "{}", spec.name),
            other => panic!("{} goes to {other:?}", spec.name),
        }
    }
}
