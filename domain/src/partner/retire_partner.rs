//! A partner leaves the program: the first of two steps (F01, F02 Retired).

use serde::{Deserialize, Serialize};

use super::{Partner, PartnerEvent, PartnerPhase, guard};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    stream::StreamName,
    values::{InvalidAccount, PartnerId, Text, Timestamp},
};

/// Starts a partner's retirement: nothing new is accepted from it, and what is open is to be settled.
///
/// What is still open lies in other streams, so the end is a step of its own: `CompleteRetirement`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetirePartner {
    /// The partner.
    pub partner_id: PartnerId,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text>,
}

impl CommandPayload for RetirePartner {
    const NAME: &'static str = "RetirePartner";
    const SUMMARY: &'static str = "Starts a partner's retirement: nothing new is accepted from it, and what is open is to be settled.";
    const EXAMPLE: &'static str = r#"{"partner_id":"p-nordwind","reason":"Acquired by another partner"}"#;
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
        if !state.phase().leads_to(PartnerPhase::Retired) {
            return Err(guard::wrong_phase(state, &self.partner_id));
        }
        Ok(vec![PartnerEvent::RetirementStarted { reason: self.reason.clone() }])
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::partner::scenario::{check_lives, command, partner_id, registered_at, text, unknown, wrong_phase};

    #[test]
    fn who_signed_the_agreement_may_leave_once() {
        let retire: RetirePartner = command(json!({"partner_id": "p-1", "reason": "acquired"}));
        let refused = [
            ("unknown", unknown()),
            ("prospect", wrong_phase("prospect")),
            ("applied", wrong_phase("applied")),
            ("retiring", Rejection::PartnerRetiring { partner_id: partner_id(), since: registered_at() }),
            ("retired", wrong_phase("retired")),
        ];
        let happens = [PartnerEvent::RetirementStarted { reason: Some(text("acquired")) }];
        check_lives(&retire, &happens, &["onboarding", "active", "suspended"], &refused);
    }
}
