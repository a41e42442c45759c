//! A partner may register deals and ask for funds, for the first time or again (F02 Active).

use serde::{Deserialize, Serialize};

use super::{Partner, PartnerEvent, PartnerPhase, guard};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    stream::StreamName,
    values::{InvalidAccount, PartnerId, Timestamp},
};

/// Activates a partner that signed the agreement, or one that was suspended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ActivatePartner {
    /// The partner.
    pub partner_id: PartnerId,
}

impl CommandPayload for ActivatePartner {
    const NAME: &'static str = "ActivatePartner";
    const SUMMARY: &'static str = "Activates a partner that signed the agreement, or one that was suspended.";
    const EXAMPLE: &'static str = r#"{"partner_id":"p-nordwind"}"#;
    type Stream = Partner;

    fn address(&self) -> Result<Address, InvalidAccount> {
        Ok(Address::Stream(StreamName::partner(&self.partner_id)))
    }

    fn builds_on(&self, state: &Partner) -> Option<Timestamp> {
        state.registered_at()
    }

    fn decide(&self, state: &Partner, _facts: &Facts) -> Result<Vec<PartnerEvent>, Rejection> {
        guard::in_program(state, &self.partner_id)?;
        if let Some(since) = state.retiring_since() {
            return Err(Rejection::PartnerRetiring { partner_id: self.partner_id.clone(), since });
        }
        if !state.agreement_signed() {
            return Err(Rejection::AgreementNotSigned { partner_id: self.partner_id.clone() });
        }
        match state.phase() {
            PartnerPhase::Onboarding | PartnerPhase::Suspended => Ok(vec![PartnerEvent::PartnerActivated {}]),
            PartnerPhase::Unknown | PartnerPhase::Prospect | PartnerPhase::Applied | PartnerPhase::Active | PartnerPhase::Retired => {
                Err(guard::wrong_phase(state, &self.partner_id))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::partner::scenario::{active_and, check_lives, command, facts, partner_id, registered_at, text, unknown, wrong_phase};

    #[test]
    fn who_signed_is_activated_from_onboarding_or_suspension() {
        let activate: ActivatePartner = command(json!({"partner_id": "p-1"}));
        let not_signed = || Rejection::AgreementNotSigned { partner_id: partner_id() };
        let refused = [
            ("unknown", unknown()),
            ("prospect", not_signed()),
            ("applied", not_signed()),
            ("active", wrong_phase("active")),
            ("retiring", Rejection::PartnerRetiring { partner_id: partner_id(), since: registered_at() }),
            ("retired", wrong_phase("retired")),
        ];
        check_lives(&activate, &[PartnerEvent::PartnerActivated {}], &["onboarding", "suspended"], &refused);
    }

    #[test]
    fn retiring_out_of_suspension_is_not_undone() {
        let state = active_and(&[
            PartnerEvent::PartnerSuspended { reason: text("unpaid invoices") },
            PartnerEvent::RetirementStarted { reason: None },
        ]);
        let activate: ActivatePartner = command(json!({"partner_id": "p-1"}));
        let retiring = Rejection::PartnerRetiring { partner_id: partner_id(), since: registered_at() };
        assert_eq!(activate.decide(&state, &facts()), Err(retiring));
    }
}
