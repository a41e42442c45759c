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
    /// When it was due, as the deadline says; another time is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
}

impl CommandPayload for ExpireCertification {
    const NAME: &'static str = "ExpireCertification";
    const SUMMARY: &'static str = "Records that a certification ran out; effective when it was due.";
    const EXAMPLE: &'static str =
        r#"{"partner_id":"p-nordwind","person_id":"e-204","certification":"cloud-architect","due":"2028-02-10T00:00:00Z"}"#;
    const ORIGIN: Origin = Origin::System;
    type Stream = Partner;

    fn address(&self) -> Result<Address, InvalidAccount> {
        Ok(Address::Stream(StreamName::partner(&self.partner_id)))
    }

    fn business_time(&self) -> Option<Timestamp> {
        self.due
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
        if facts.now < held.expires_at || self.due.is_some_and(|due| due != held.expires_at) {
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
    use crate::{
        deadline::Deadline,
        partner::scenario::{
            active_and, at, certified, command, expired, facts, given, life, not_held, partner_id, renewed, revoked, unknown,
        },
    };

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

    #[test]
    fn a_deadline_that_a_renewal_overtook_is_not_due() {
        let history = [certified("2025-02-01", "2026-02-01"), renewed("2026-02-02", "2026-10-01")];
        for (due, expected) in
            [("2026-02-01", Err(Rejection::NotDue { due: at("2026-10-01") })), ("2026-10-01", Ok(vec![expired("2026-10-01")]))]
        {
            let payload = json!({"partner_id": "p-1", "person_id": "e-1", "certification": "architect", "due": due});
            let expire: ExpireCertification = command(payload);
            assert_eq!(expire.business_time(), Some(at(due)));
            assert_eq!(expire.decide(&active_and(&history), &facts()), expected, "{due}");
        }
    }

    #[test]
    fn each_certification_has_one_deadline_until_its_expiry_is_recorded() {
        let running = certified("2026-02-01", "2027-02-01");
        let renewal = renewed("2027-01-01", "2028-01-01");
        for (history, due) in [
            (vec![running.clone()], Some("2027-02-01")),
            (vec![running.clone(), renewal], Some("2028-01-01")),
            (vec![running.clone(), expired("2027-02-01")], None),
            (vec![running, revoked()], None),
        ] {
            let deadlines: Vec<_> = active_and(&history).deadlines().collect();
            let expected = due.map(|due| {
                let payload = json!({"person_id": "e-1", "certification": "architect", "due": at(due)});
                Deadline::new("ExpireCertification", "e-1/architect", at(due), payload)
            });
            assert_eq!(deadlines, Vec::from_iter(expected), "{history:?}");
            for deadline in deadlines {
                let payload = deadline.payload_in(&StreamName::partner(&partner_id()));
                let expire: ExpireCertification = command(payload);
                let mut later = facts();
                later.now = deadline.due;
                assert!(expire.decide(&active_and(&history), &later).is_ok());
            }
        }
    }
}
