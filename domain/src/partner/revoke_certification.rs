//! A certification is taken away (F22).

use serde::{Deserialize, Serialize};

use super::{Partner, PartnerEvent, certification, guard};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    stream::StreamName,
    values::{CertificationId, InvalidAccount, PartnerId, PersonId, Text, Timestamp},
};

/// Takes a certification in force away from a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeCertification {
    /// The partner.
    pub partner_id: PartnerId,
    /// The person, by a pseudonym.
    pub person_id: PersonId,
    /// The certification.
    pub certification: CertificationId,
    /// Why.
    pub reason: Text,
}

impl CommandPayload for RevokeCertification {
    const NAME: &'static str = "RevokeCertification";
    const SUMMARY: &'static str = "Takes a certification in force away from a person.";
    const EXAMPLE: &'static str =
        r#"{"partner_id":"p-nordwind","person_id":"e-204","certification":"cloud-architect","reason":"Left the partner"}"#;
    type Stream = Partner;

    fn address(&self) -> Result<Address, InvalidAccount> {
        Ok(Address::Stream(StreamName::partner(&self.partner_id)))
    }

    fn builds_on(&self, state: &Partner) -> Option<Timestamp> {
        state.registered_at()
    }

    fn decide(&self, state: &Partner, facts: &Facts) -> Result<Vec<PartnerEvent>, Rejection> {
        guard::in_program(state, &self.partner_id)?;
        match state.certification(&self.person_id, &self.certification) {
            Some(held) if facts.now < held.expires_at => Ok(vec![PartnerEvent::CertificationRevoked {
                person_id: self.person_id.clone(),
                certification: self.certification.clone(),
                reason: self.reason.clone(),
            }]),
            Some(_) | None => Err(certification::not_held(&self.person_id, &self.certification)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::partner::scenario::{at, certified, command, facts, given, life, not_held, revoked, unknown, wrong_phase};

    #[test]
    fn only_what_is_in_force_is_taken_away() {
        let running = certified("2026-02-01", "2027-02-01");
        let retired = [life("active"), vec![running.clone()], life("retired")[3..].to_vec()].concat();
        let active = |more: &[PartnerEvent]| [life("active"), more.to_vec()].concat();
        let revoke: RevokeCertification =
            command(json!({"partner_id": "p-1", "person_id": "e-1", "certification": "architect", "reason": "left"}));
        for (history, expected) in [
            (active(std::slice::from_ref(&running)), Ok(vec![revoked()])),
            (active(&[running, revoked()]), Err(not_held())),
            (active(&[certified("2025-02-01", "2026-02-01")]), Err(not_held())),
            (active(&[]), Err(not_held())),
            (vec![], Err(unknown())),
            (retired, Err(wrong_phase("retired"))),
        ] {
            assert_eq!(revoke.decide(&given(&history), &facts()), expected, "{history:?}");
        }
        assert_eq!(given(&active(&[certified("2026-02-01", "2027-02-01"), revoked()])).active_certifications(at("2026-11-05")), 0);
    }
}
