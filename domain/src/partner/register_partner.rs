//! A partner applies to the program (F01).

use serde::{Deserialize, Serialize};

use super::{Partner, PartnerEvent, PartnerPhase, Roles};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    stream::StreamName,
    values::{InvalidAccount, Label, PartnerId, Timestamp},
};

/// Registers a partner with the roles it holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterPartner {
    /// The partner, as the vendor names it.
    pub partner_id: PartnerId,
    /// Its legal name.
    pub name: Label,
    /// What it does; at least one, each counted once.
    pub roles: Roles,
    /// Where it is registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<Label>,
    /// The sales region its deals default to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Label>,
}

impl CommandPayload for RegisterPartner {
    const NAME: &'static str = "RegisterPartner";
    const SUMMARY: &'static str = "Registers a partner with the roles it holds.";
    const EXAMPLE: &'static str =
        r#"{"partner_id":"p-nordwind","name":"Nordwind GmbH","roles":["reseller","msp"],"country":"DE","region":"EMEA"}"#;
    type Stream = Partner;

    fn address(&self) -> Result<Address, InvalidAccount> {
        Ok(Address::Stream(StreamName::partner(&self.partner_id)))
    }

    fn builds_on(&self, state: &Partner) -> Option<Timestamp> {
        state.registered_at()
    }

    fn decide(&self, state: &Partner, _facts: &Facts) -> Result<Vec<PartnerEvent>, Rejection> {
        match state.phase() {
            PartnerPhase::Unknown | PartnerPhase::Prospect => Ok(vec![PartnerEvent::PartnerRegistered {
                name: self.name.clone(),
                roles: self.roles.to_vec(),
                country: self.country.clone(),
                region: self.region.clone(),
            }]),
            PartnerPhase::Applied | PartnerPhase::Onboarding | PartnerPhase::Active | PartnerPhase::Suspended | PartnerPhase::Retired => {
                Err(Rejection::PartnerExists { partner_id: self.partner_id.clone() })
            }
        }
    }
}
