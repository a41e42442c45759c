//! A person at a partner is certified (F22, F23).

use serde::{Deserialize, Serialize};

use super::{Partner, PartnerEvent, certification, guard};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    stream::StreamName,
    values::{CertificationId, InvalidAccount, Label, PartnerId, PersonId, Personal, PersonalVisitor, Timestamp},
};

/// Certifies a person at a partner.
///
/// A person holds a certification once: another level of it, or more time, is a renewal (`RecertifyPerson`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AwardCertification {
    /// The partner.
    pub partner_id: PartnerId,
    /// The person, by a pseudonym.
    pub person_id: PersonId,
    /// The certification.
    pub certification: CertificationId,
    /// One of the rules' levels.
    pub level: Label,
    /// When; at the business time of the command where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awarded_at: Option<Timestamp>,
    /// When it runs out; after the rules' days of validity where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The person's name; its subject is `person_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person_name: Option<Personal>,
}

impl CommandPayload for AwardCertification {
    const NAME: &'static str = "AwardCertification";
    const SUMMARY: &'static str = "Certifies a person at a partner.";
    const EXAMPLE: &'static str = r#"{"partner_id":"p-nordwind","person_id":"e-204","certification":"cloud-architect","level":"professional","awarded_at":"2027-02-10"}"#;
    const DECIDED_BY: &'static [&'static str] = &["certifications"];
    type Stream = Partner;

    fn address(&self) -> Result<Address, InvalidAccount> {
        Ok(Address::Stream(StreamName::partner(&self.partner_id)))
    }

    fn business_time(&self) -> Option<Timestamp> {
        self.awarded_at
    }

    fn builds_on(&self, state: &Partner) -> Option<Timestamp> {
        state.registered_at()
    }

    fn visit_personal<V: PersonalVisitor>(&mut self, visitor: &mut V) -> Result<(), V::Error> {
        let mut subject = Some(self.person_id.clone());
        visitor.field("person_name", &mut subject, &mut self.person_name)?;
        if let Some(person_id) = subject {
            self.person_id = person_id;
        }
        Ok(())
    }

    fn decide(&self, state: &Partner, facts: &Facts) -> Result<Vec<PartnerEvent>, Rejection> {
        guard::in_program(state, &self.partner_id)?;
        let awarded_at = guard::business_date(self.awarded_at, facts)?;
        let expires_at = certification::validity(&facts.rules.rules, &self.level, awarded_at, self.expires_at)?;
        if let Some(held) = state.certification(&self.person_id, &self.certification).filter(|held| facts.now < held.expires_at) {
            return Err(Rejection::CertificationHeld {
                person_id: self.person_id.clone(),
                certification: self.certification.clone(),
                expires_at: held.expires_at,
            });
        }
        Ok(vec![PartnerEvent::CertificationAwarded {
            person_id: self.person_id.clone(),
            certification: self.certification.clone(),
            level: self.level.clone(),
            awarded_at,
            expires_at,
            person_name: self.person_name.clone(),
        }])
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::partner::scenario::{
        Sealer, active_and, at, certified, check_open_to_all_in_program, command, expired, facts, given, life, renewed, revoked,
    };

    fn award(level: &str, awarded_at: &str) -> AwardCertification {
        command(json!({"partner_id": "p-1", "person_id": "e-1", "certification": "architect", "level": level, "awarded_at": awarded_at}))
    }

    #[test]
    fn people_at_any_partner_in_the_program_are_certified_for_the_rules_days() {
        let happens = certified("2026-10-01", "2027-10-01");
        check_open_to_all_in_program(&award("professional", "2026-10-01"), &[happens]);
    }

    #[test]
    fn an_award_keeps_to_the_rules() {
        let now = facts().now;
        let ending = |expires_at: &str| AwardCertification { expires_at: Some(at(expires_at)), ..award("professional", "2026-10-01") };
        let begins_at = at("2026-10-01");
        for (award, expected) in [
            (ending("2026-12-01"), Ok(vec![certified("2026-10-01", "2026-12-01")])),
            (ending("2026-10-01"), Err(Rejection::EndsBeforeItBegins { begins_at, expires_at: begins_at })),
            (award("guru", "2026-10-01"), Err(Rejection::UnknownCertificationLevel { level: "guru".into() })),
            (award("expert", "2026-11-07"), Err(Rejection::DateInFuture { date: at("2026-11-07"), now })),
        ] {
            assert_eq!(award.decide(&given(&life("active")), &facts()), expected, "{award:?}");
        }
    }

    #[test]
    fn a_certification_in_force_is_held_once() {
        let held = |expires_at: &str| Rejection::CertificationHeld {
            person_id: PersonId::parse("e-1").expect("an id"),
            certification: CertificationId::parse("architect").expect("an id"),
            expires_at: at(expires_at),
        };
        let again = Ok(vec![certified("2026-10-01", "2027-10-01")]);
        for (history, expected) in [
            (vec![certified("2026-02-01", "2027-02-01")], Err(held("2027-02-01"))),
            (vec![certified("2025-02-01", "2026-02-01"), renewed("2026-02-01", "2027-02-01")], Err(held("2027-02-01"))),
            (vec![certified("2025-11-01", "2026-11-05T12:00:00Z")], again.clone()),
            (vec![certified("2025-02-01", "2026-02-01"), expired("2026-02-01")], again.clone()),
            (vec![certified("2026-02-01", "2027-02-01"), revoked()], again),
        ] {
            assert_eq!(award("professional", "2026-10-01").decide(&active_and(&history), &facts()), expected, "{history:?}");
        }
    }

    #[test]
    fn the_name_is_sealed_under_the_persons_id() {
        let mut award: AwardCertification =
            command(json!({"partner_id": "p-1", "person_id": "e-1", "certification": "c", "level": "expert", "person_name": "Ada"}));
        let mut sealer = Sealer::default();
        award.visit_personal(&mut sealer).expect("sealed");
        assert_eq!(sealer.seen, [("person_name", "e-1".to_owned(), "Ada".to_owned())]);
        assert_eq!(award.person_name, Some(Personal::Sealed("Ada".into())));
    }
}
