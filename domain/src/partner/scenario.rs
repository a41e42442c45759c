//! Given, when, then: partners at every point of their life, and what commands make of them.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Partner, PartnerEvent, Role};
use crate::{
    command::CommandPayload,
    facts::{Channel, Facts},
    rejection::Rejection,
    rules::{RuleSet, Rules},
    stream::Stream,
    values::{CertificationId, Label, PartnerId, PersonId, Personal, PersonalVisitor, Text, Timestamp},
};

/// The points of a partner's life: its phases, and `retiring` between active and retired.
const LIVES: [&str; 8] = ["unknown", "prospect", "applied", "onboarding", "active", "suspended", "retiring", "retired"];

pub(super) fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect(text)
}

pub(super) fn label(text: &str) -> Label {
    Label::parse(text).expect(text)
}

pub(super) fn text(text: &str) -> Text {
    Text::parse(text).expect(text)
}

pub(super) fn partner_id() -> PartnerId {
    PartnerId::parse("p-1").expect("an id")
}

/// When every given event was effective.
pub(super) fn registered_at() -> Timestamp {
    at("2026-01-05")
}

/// Noon of 2026-11-05, under the default rules.
pub(super) fn facts() -> Facts {
    let now = at("2026-11-05T12:00:00Z");
    let rules = Rules::parse(Rules::DEFAULT).expect("the default rules");
    Facts {
        now,
        effective_at: now,
        channel: Channel::Api,
        historical: false,
        rules: Arc::new(RuleSet { version: 1, effective_from: at("2026-01-01"), rules }),
        partner: None,
    }
}

/// The state after `events`.
pub(super) fn given(events: &[PartnerEvent]) -> Partner {
    let mut state = Partner::default();
    for event in events {
        state.evolve(event, registered_at());
    }
    state
}

/// What happened to a partner up to this point of its life.
pub(super) fn life(name: &str) -> Vec<PartnerEvent> {
    let nominated = PartnerEvent::PartnerNominated { name: label("Nordwind") };
    let registered = PartnerEvent::PartnerRegistered {
        name: label("Nordwind GmbH"),
        roles: vec![Role::Reseller, Role::Msp],
        country: None,
        region: Some(label("EMEA")),
    };
    let signed = PartnerEvent::AgreementSigned { signed_at: at("2026-01-10") };
    let activated = PartnerEvent::PartnerActivated {};
    let suspended = PartnerEvent::PartnerSuspended { reason: text("unpaid invoices") };
    let retiring = PartnerEvent::RetirementStarted { reason: None };
    let retired = PartnerEvent::RetirementCompleted { as_of: vec![] };
    match name {
        "unknown" => vec![],
        "prospect" => vec![nominated],
        "applied" => vec![registered],
        "onboarding" => vec![registered, signed],
        "active" => vec![registered, signed, activated],
        "suspended" => vec![registered, signed, activated, suspended],
        "retiring" => vec![registered, signed, activated, retiring],
        "retired" => vec![registered, signed, activated, retiring, retired],
        other => panic!("there is no point {other} in a partner's life"),
    }
}

/// An active partner to which `more` happened.
pub(super) fn active_and(more: &[PartnerEvent]) -> Partner {
    given(&[life("active"), more.to_vec()].concat())
}

/// The command with this payload.
pub(super) fn command<C: DeserializeOwned>(payload: Value) -> C {
    serde_json::from_value(payload).expect("a payload")
}

pub(super) fn unknown() -> Rejection {
    Rejection::PartnerUnknown { partner_id: partner_id() }
}

pub(super) fn wrong_phase(phase: &str) -> Rejection {
    Rejection::WrongPartnerPhase { partner_id: partner_id(), phase: phase.to_owned() }
}

/// Checks a command at every point of a partner's life: what happens at those of `accepted`, and the exact refusal at
/// each of the others.
pub(super) fn check_lives<C>(command: &C, happens: &[PartnerEvent], accepted: &[&str], refused: &[(&str, Rejection)])
where
    C: CommandPayload<Stream = Partner>,
{
    for name in LIVES {
        let refusal = refused.iter().find(|(refused, _)| *refused == name).map(|(_, refusal)| refusal.clone());
        let expected = match (accepted.contains(&name), refusal) {
            (true, None) => Ok(happens.to_vec()),
            (false, Some(refusal)) => Err(refusal),
            _ => panic!("{name} is to be expected either accepted or refused"),
        };
        assert_eq!(command.decide(&given(&life(name)), &facts()), expected, "{name}");
    }
}

/// `check_lives` of a command that any partner in the program may be given.
pub(super) fn check_open_to_all_in_program<C>(command: &C, happens: &[PartnerEvent])
where
    C: CommandPayload<Stream = Partner>,
{
    let accepted = ["prospect", "applied", "onboarding", "active", "suspended", "retiring"];
    check_lives(command, happens, &accepted, &[("unknown", unknown()), ("retired", wrong_phase("retired"))]);
}

fn person() -> PersonId {
    PersonId::parse("e-1").expect("an id")
}

fn architect() -> CertificationId {
    CertificationId::parse("architect").expect("an id")
}

/// The person `e-1` becomes an `architect` of the level `professional`.
pub(super) fn certified(awarded_at: &str, expires_at: &str) -> PartnerEvent {
    PartnerEvent::CertificationAwarded {
        person_id: person(),
        certification: architect(),
        level: label("professional"),
        awarded_at: at(awarded_at),
        expires_at: at(expires_at),
        person_name: None,
    }
}

/// That certification is renewed.
pub(super) fn renewed(renewed_at: &str, expires_at: &str) -> PartnerEvent {
    PartnerEvent::CertificationRenewed {
        person_id: person(),
        certification: architect(),
        level: label("professional"),
        renewed_at: at(renewed_at),
        expires_at: at(expires_at),
    }
}

/// That certification is recorded to have run out.
pub(super) fn expired(expired_at: &str) -> PartnerEvent {
    PartnerEvent::CertificationExpired { person_id: person(), certification: architect(), expired_at: at(expired_at) }
}

/// That certification is taken away.
pub(super) fn revoked() -> PartnerEvent {
    PartnerEvent::CertificationRevoked { person_id: person(), certification: architect(), reason: text("left") }
}

/// The refusal of what needs that certification.
pub(super) fn not_held() -> Rejection {
    Rejection::CertificationNotHeld { person_id: person(), certification: architect() }
}

/// The refusal of what would take something of that certification away.
pub(super) fn held_until(expires_at: &str) -> Rejection {
    Rejection::CertificationHeld { person_id: person(), certification: architect(), expires_at: at(expires_at) }
}

/// Seals every field as its own text, and keeps what it was shown: name, subject, plain text.
#[derive(Default)]
pub(super) struct Sealer {
    pub(super) seen: Vec<(&'static str, String, String)>,
}

impl PersonalVisitor for Sealer {
    type Error = std::convert::Infallible;

    fn field(&mut self, name: &'static str, subject: &mut Option<PersonId>, value: &mut Option<Personal>) -> Result<(), Self::Error> {
        if let (Some(subject), Some(Personal::Plain(plain))) = (subject, value.take()) {
            self.seen.push((name, subject.to_string(), plain.clone()));
            *value = Some(Personal::Sealed(plain));
        }
        Ok(())
    }
}
