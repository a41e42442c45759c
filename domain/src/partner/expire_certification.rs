//! A certification ran out (F23): a deadline, sent when it is due.

use serde::{Deserialize, Serialize};

use super::{Partner, PartnerEvent, certification, guard};
use crate::{
    command::{Address, CommandPayload, Origin},
    facts::Facts,
    rejection::Rejection,
    stream::StreamName,
    values::{CertificationId, InvalidAccount, PartnerId, PersonId, Timestamp},
};

/// Records that a certification ran out; effective when it was due.
///
/// The figures need no such record, they compare dates; it tells subscribers. Retired partners are let run out too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpireCertification {
    /// The partner.
    pub partner_id: PartnerId,
    /// The person, by a pseudonym.
    pub person_id: PersonId,
    /// The certification.
    pub certification: CertificationId,
}

impl CommandPayload for ExpireCertification {
    const NAME: &'static str = "ExpireCertification";
    const SUMMARY: &'static str = "Records that a certification ran out; effective when it was due.";
    const EXAMPLE: &'static str = r#"{"partner_id":"p-nordwind","person_id":"e-204","certification":"cloud-architect"}"#;
    const ORIGIN: Origin = Origin::System;
    type Stream = Partner;

    fn address(&self) -> Result<Address, InvalidAccount> {
        Ok(Address::Stream(StreamName::partner(&self.partner_id)))
    }

    fn builds_on(&self, state: &Partner) -> Option<Timestamp> {
        state.registered_at()
    }

    fn decide(&self, state: &Partner, facts: &Facts) -> Result<Vec<PartnerEvent>, Rejection> {
        guard::known(state, &self.partner_id)?;
        let held = state.certification(&self.person_id, &self.certification).filter(|held| !held.expired);
        let Some(held) = held else {
            return Err(certification::not_held(&self.person_id, &self.certification));
        };
        if facts.now < held.expires_at {
            return Err(Rejection::NotDue { due: held.expires_at });
        }
        Ok(vec![PartnerEvent::CertificationExpired {
            person_id: self.person_id.clone(),
            certification: self.certification.clone(),
            expired_at: held.expires_at,
        }])
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::partner::scenario::{at, certified, command, expired, facts, given, life, not_held, renewed, revoked, unknown};

    #[test]
    fn a_certification_expires_once_when_it_is_due() {
        let ran_out = certified("2025-02-01", "2026-02-01");
        let to_the_instant = certified("2025-11-05", "2026-11-05T12:00:00Z");
        let expire: ExpireCertification = command(json!({"partner_id": "p-1", "person_id": "e-1", "certification": "architect"}));
        let retired = [life("active"), vec![ran_out.clone()], life("retired")[3..].to_vec()].concat();
        let active = |more: &[PartnerEvent]| [life("active"), more.to_vec()].concat();
        for (history, expected) in [
            (active(std::slice::from_ref(&ran_out)), Ok(vec![expired("2026-02-01")])),
            (active(&[to_the_instant]), Ok(vec![expired("2026-11-05T12:00:00Z")])),
            (retired, Ok(vec![expired("2026-02-01")])),
            (active(&[ran_out.clone(), expired("2026-02-01")]), Err(not_held())),
            (active(&[ran_out.clone(), renewed("2026-02-01", "2027-02-01")]), Err(Rejection::NotDue { due: at("2027-02-01") })),
            (active(&[certified("2026-02-01", "2027-02-01"), revoked()]), Err(not_held())),
            (active(&[]), Err(not_held())),
            (vec![], Err(unknown())),
        ] {
            assert_eq!(expire.decide(&given(&history), &facts()), expected, "{history:?}");
        }
    }
}
