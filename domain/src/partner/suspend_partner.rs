//! A partner may not register deals or ask for funds, for now (F02 Suspended).

use serde::{Deserialize, Serialize};

use super::{Partner, PartnerEvent, guard};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    stream::StreamName,
    values::{InvalidAccount, PartnerId, Text, Timestamp},
};

/// Suspends an active partner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SuspendPartner {
    /// The partner.
    pub partner_id: PartnerId,
    /// Why.
    pub reason: Text,
}

impl CommandPayload for SuspendPartner {
    const NAME: &'static str = "SuspendPartner";
    const SUMMARY: &'static str = "Suspends an active partner.";
    const EXAMPLE: &'static str = r#"{"partner_id":"p-nordwind","reason":"Invoices unpaid for 90 days"}"#;
    type Stream = Partner;

    fn address(&self) -> Result<Address, InvalidAccount> {
        Ok(Address::Stream(StreamName::partner(&self.partner_id)))
    }

    fn builds_on(&self, state: &Partner) -> Option<Timestamp> {
        state.registered_at()
    }

    fn decide(&self, state: &Partner, _facts: &Facts) -> Result<Vec<PartnerEvent>, Rejection> {
        guard::in_program(state, &self.partner_id)?;
        if !state.is_active() {
            return Err(guard::wrong_phase(state, &self.partner_id));
        }
        Ok(vec![PartnerEvent::PartnerSuspended { reason: self.reason.clone() }])
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::partner::scenario::{check_lives, command, text, unknown, wrong_phase};

    #[test]
    fn only_an_active_partner_is_suspended() {
        let suspend: SuspendPartner = command(json!({"partner_id": "p-1", "reason": "unpaid invoices"}));
        let refused = [
            ("unknown", unknown()),
            ("prospect", wrong_phase("prospect")),
            ("applied", wrong_phase("applied")),
            ("onboarding", wrong_phase("onboarding")),
            ("suspended", wrong_phase("suspended")),
            ("retired", wrong_phase("retired")),
        ];
        let happens = [PartnerEvent::PartnerSuspended { reason: text("unpaid invoices") }];
        check_lives(&suspend, &happens, &["active", "retiring"], &refused);
    }
}
