//! A candidate is put forward for the program (F01, F02 Prospect).

use serde::{Deserialize, Serialize};

use super::{Partner, PartnerEvent};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    stream::StreamName,
    values::{InvalidAccount, Label, PartnerId, Timestamp},
};

/// Puts a candidate forward that did not apply yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NominatePartner {
    /// The candidate, as the vendor names it.
    pub partner_id: PartnerId,
    /// Its legal name.
    pub name: Label,
}

impl CommandPayload for NominatePartner {
    const NAME: &'static str = "NominatePartner";
    const SUMMARY: &'static str = "Puts a candidate forward that did not apply yet.";
    const EXAMPLE: &'static str = r#"{"partner_id":"p-ostwind","name":"Ostwind Ltd"}"#;
    type Stream = Partner;

    fn address(&self) -> Result<Address, InvalidAccount> {
        Ok(Address::Stream(StreamName::partner(&self.partner_id)))
    }

    fn builds_on(&self, state: &Partner) -> Option<Timestamp> {
        state.registered_at()
    }

    fn decide(&self, state: &Partner, _facts: &Facts) -> Result<Vec<PartnerEvent>, Rejection> {
        if state.is_known() {
            return Err(Rejection::PartnerExists { partner_id: self.partner_id.clone() });
        }
        Ok(vec![PartnerEvent::PartnerNominated { name: self.name.clone() }])
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::partner::scenario::{check_lives, command, label, partner_id};

    #[test]
    fn only_who_is_unknown_can_be_nominated() {
        let nominate: NominatePartner = command(json!({"partner_id": "p-1", "name": "Nordwind"}));
        let exists = || Rejection::PartnerExists { partner_id: partner_id() };
        let refused = ["prospect", "applied", "onboarding", "active", "suspended", "retiring", "retired"].map(|name| (name, exists()));
        check_lives(&nominate, &[PartnerEvent::PartnerNominated { name: label("Nordwind") }], &["unknown"], &refused);
    }
}
