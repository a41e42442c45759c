//! A certification is renewed, before or after it ran out (F23).

use serde::{Deserialize, Serialize};

use super::{Partner, PartnerEvent, certification, guard};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    stream::StreamName,
    values::{CertificationId, InvalidAccount, Label, PartnerId, PersonId, Timestamp},
};

/// Renews the certification of a person, for the same or another level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecertifyPerson {
    /// The partner.
    pub partner_id: PartnerId,
    /// The person, by a pseudonym.
    pub person_id: PersonId,
    /// The certification.
    pub certification: CertificationId,
    /// One of the rules' levels; the one held where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Label>,
    /// When; at the business time of the command where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewed_at: Option<Timestamp>,
    /// When it runs out; after the rules' days of validity where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

impl CommandPayload for RecertifyPerson {
    const NAME: &'static str = "RecertifyPerson";
    const SUMMARY: &'static str = "Renews the certification of a person, for the same or another level.";
    const EXAMPLE: &'static str =
        r#"{"partner_id":"p-nordwind","person_id":"e-204","certification":"cloud-architect","level":"expert","renewed_at":"2028-01-20"}"#;
    const DECIDED_BY: &'static [&'static str] = &["certifications"];
    type Stream = Partner;

    fn address(&self) -> Result<Address, InvalidAccount> {
        Ok(Address::Stream(StreamName::partner(&self.partner_id)))
    }

    fn business_time(&self) -> Option<Timestamp> {
        self.renewed_at
    }

    fn builds_on(&self, state: &Partner) -> Option<Timestamp> {
        state.registered_at()
    }

    fn decide(&self, state: &Partner, facts: &Facts) -> Result<Vec<PartnerEvent>, Rejection> {
        guard::in_program(state, &self.partner_id)?;
        let Some(held) = state.certification(&self.person_id, &self.certification) else {
            return Err(certification::not_held(&self.person_id, &self.certification));
        };
        let renewed_at = guard::business_date(self.renewed_at, facts)?;
        let level = self.level.as_ref().unwrap_or(&held.level);
        let expires_at = certification::validity(&facts.rules.rules, level, renewed_at, self.expires_at)?;
        // A renewal of a day that is over takes nothing away from one that was newer; one of today may shorten what is held.
        if expires_at < held.expires_at && renewed_at.day() < facts.now.day() {
            return Err(Rejection::CertificationHeld {
                person_id: self.person_id.clone(),
                certification: self.certification.clone(),
                expires_at: held.expires_at,
            });
        }
        Ok(vec![PartnerEvent::CertificationRenewed {
            person_id: self.person_id.clone(),
            certification: self.certification.clone(),
            level: level.clone(),
            renewed_at,
            expires_at,
        }])
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::partner::scenario::{
        active_and, at, certified, check_lives, command, expired, facts, held_until, not_held, renewed, revoked, unknown, wrong_phase,
    };

    fn recertify(more: &serde_json::Value) -> RecertifyPerson {
        let mut payload = json!({"partner_id": "p-1", "person_id": "e-1", "certification": "architect"});
        for (field, value) in more.as_object().expect("an object") {
            payload[field] = value.clone();
        }
        command(payload)
    }

    #[test]
    fn nobody_renews_what_they_never_held() {
        let refused = ["prospect", "applied", "onboarding", "active", "suspended", "retiring"].map(|life| (life, not_held()));
        let others = [("unknown", unknown()), ("retired", wrong_phase("retired"))];
        check_lives(&recertify(&json!({})), &[], &[], &[&refused[..], &others[..]].concat());
    }

    #[test]
    fn a_renewal_goes_on_from_what_was_held_and_keeps_to_the_rules() {
        let running = vec![certified("2026-02-01", "2027-02-01")];
        let lapsed = vec![certified("2025-02-01", "2026-02-01"), expired("2026-02-01")];
        let taken = vec![certified("2026-02-01", "2027-02-01"), revoked()];
        let today = Ok(vec![renewed("2026-11-05T12:00:00Z", "2027-11-05T12:00:00Z")]);
        let (begins_at, now) = (at("2026-10-01"), facts().now);
        for (history, payload, expected) in [
            (&running, json!({}), today.clone()),
            (&running, json!({"renewed_at": "2026-10-01", "expires_at": "2028-01-01"}), Ok(vec![renewed("2026-10-01", "2028-01-01")])),
            (&lapsed, json!({"level": "professional"}), today),
            (&taken, json!({}), Err(not_held())),
            // It comes after a newer one.
            (&running, json!({"renewed_at": "2025-12-01"}), Err(held_until("2027-02-01"))),
            (&running, json!({"renewed_at": "2026-02-01"}), Ok(vec![renewed("2026-02-01", "2027-02-01")])),
            (&running, json!({"level": "guru"}), Err(Rejection::UnknownCertificationLevel { level: "guru".into() })),
            (&running, json!({"renewed_at": "2026-11-07"}), Err(Rejection::DateInFuture { date: at("2026-11-07"), now })),
            (
                &running,
                json!({"renewed_at": "2026-10-01", "expires_at": "2026-09-01"}),
                Err(Rejection::EndsBeforeItBegins { begins_at, expires_at: at("2026-09-01") }),
            ),
        ] {
            assert_eq!(recertify(&payload).decide(&active_and(history), &facts()), expected, "{history:?} {payload}");
        }
    }

    #[test]
    fn a_renewal_counts_the_person_once_and_shows_a_gap() {
        for (renewal, at_gap, later) in [(renewed("2026-02-01", "2027-02-01"), 1, 1), (renewed("2026-06-01", "2027-06-01"), 0, 1)] {
            let state = active_and(&[certified("2025-02-01", "2026-02-01"), renewal]);
            assert_eq!(state.active_certifications(at("2026-04-01")), at_gap);
            assert_eq!(state.active_certifications(at("2026-08-01")), later);
        }
    }
}
