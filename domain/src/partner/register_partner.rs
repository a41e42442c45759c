//! A partner applies to the program (F01).

use serde::{Deserialize, Serialize};

use super::{Partner, PartnerEvent, PartnerPhase, Roles};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    stream::StreamName,
    values::{InvalidAccount, InvalidCountry, Label, PartnerId, Timestamp, country_code},
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
    /// Where it is registered, ISO 3166-1 alpha-2; kept in capitals.
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

    fn normalise(&mut self) -> Result<(), InvalidCountry> {
        if let Some(country) = &mut self.country {
            let code = country_code(country.as_str())?;
            *country = Label::parse(code).expect("a code is a label");
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::partner::{
        Role,
        scenario::{check_lives, command, given, label, life, partner_id},
    };

    #[test]
    fn who_is_unknown_or_a_prospect_applies_once() {
        let payload =
            json!({"partner_id": "p-1", "name": "Nordwind", "roles": ["msp", "reseller", "msp"], "country": "DE", "region": "EMEA"});
        let happens = [PartnerEvent::PartnerRegistered {
            name: label("Nordwind"),
            roles: vec![Role::Reseller, Role::Msp],
            country: Some(label("DE")),
            region: Some(label("EMEA")),
        }];
        let exists = || Rejection::PartnerExists { partner_id: partner_id() };
        let refused = ["applied", "onboarding", "active", "suspended", "retiring", "retired"].map(|name| (name, exists()));
        check_lives(&command::<RegisterPartner>(payload), &happens, &["unknown", "prospect"], &refused);
    }

    #[test]
    fn a_partner_without_roles_is_no_payload() {
        let payload = json!({"partner_id": "p-1", "name": "Nordwind", "roles": []});
        let error = serde_json::from_value::<RegisterPartner>(payload).expect_err("no roles");
        assert!(error.to_string().contains("at least one role"), "{error}");
    }

    #[test]
    fn the_state_keeps_what_others_rely_on() {
        let state = given(&life("active"));
        assert_eq!(state.name(), Some(&label("Nordwind GmbH")));
        assert_eq!(state.region(), Some(&label("EMEA")));
        assert_eq!(Vec::from_iter(state.roles()), [&Role::Reseller, &Role::Msp]);
        assert!(state.is_known() && state.is_active() && state.agreement_signed());
    }
}
