//! A partner signs the partner agreement, and its onboarding begins (F02, F10).

use serde::{Deserialize, Serialize};

use super::{Partner, PartnerEvent, PartnerPhase, guard};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    stream::StreamName,
    values::{InvalidAccount, PartnerId, Timestamp},
};

/// Records that an applicant signed the partner agreement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignAgreement {
    /// The partner.
    pub partner_id: PartnerId,
    /// When it was signed; at the business time of the command where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_at: Option<Timestamp>,
}

impl CommandPayload for SignAgreement {
    const NAME: &'static str = "SignAgreement";
    const SUMMARY: &'static str = "Records that an applicant signed the partner agreement.";
    const EXAMPLE: &'static str = r#"{"partner_id":"p-nordwind","signed_at":"2027-01-15"}"#;
    type Stream = Partner;

    fn address(&self) -> Result<Address, InvalidAccount> {
        Ok(Address::Stream(StreamName::partner(&self.partner_id)))
    }

    fn business_time(&self) -> Option<Timestamp> {
        self.signed_at
    }

    fn builds_on(&self, state: &Partner) -> Option<Timestamp> {
        state.registered_at()
    }

    fn decide(&self, state: &Partner, facts: &Facts) -> Result<Vec<PartnerEvent>, Rejection> {
        guard::in_program(state, &self.partner_id)?;
        if state.phase() != PartnerPhase::Applied {
            return Err(guard::wrong_phase(state, &self.partner_id));
        }
        let signed_at = guard::business_date(self.signed_at, facts)?;
        Ok(vec![PartnerEvent::AgreementSigned { signed_at }])
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::partner::scenario::{at, check_lives, command, facts, given, life, registered_at, unknown, wrong_phase};

    #[test]
    fn an_applicant_signs_once() {
        let sign: SignAgreement = command(json!({"partner_id": "p-1"}));
        let refused = [
            ("unknown", unknown()),
            ("prospect", wrong_phase("prospect")),
            ("onboarding", wrong_phase("onboarding")),
            ("active", wrong_phase("active")),
            ("suspended", wrong_phase("suspended")),
            ("retiring", wrong_phase("active")),
            ("retired", wrong_phase("retired")),
        ];
        check_lives(&sign, &[PartnerEvent::AgreementSigned { signed_at: facts().effective_at }], &["applied"], &refused);
    }

    #[test]
    fn the_given_date_stands_unless_it_lies_ahead() {
        let now = facts().now;
        for (date, expected) in [
            ("2026-02-01", Ok(vec![PartnerEvent::AgreementSigned { signed_at: at("2026-02-01") }])),
            ("2026-11-07", Err(Rejection::DateInFuture { date: at("2026-11-07"), now })),
        ] {
            let sign: SignAgreement = command(json!({"partner_id": "p-1", "signed_at": date}));
            assert_eq!(sign.business_time(), Some(at(date)));
            assert_eq!(sign.decide(&given(&life("applied")), &facts()), expected, "{date}");
        }
    }

    #[test]
    fn it_is_effective_no_earlier_than_the_registration() {
        let sign: SignAgreement = command(json!({"partner_id": "p-1"}));
        assert_eq!(sign.builds_on(&given(&life("applied"))), Some(registered_at()));
        assert_eq!(sign.builds_on(&given(&life("unknown"))), None);
    }
}
