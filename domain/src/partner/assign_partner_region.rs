//! A partner's sales region changes; later registrations default to it.

use serde::{Deserialize, Serialize};

use super::{Partner, PartnerEvent, guard};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    stream::StreamName,
    values::{InvalidAccount, Label, PartnerId, Timestamp},
};

/// Sets the sales region that a partner's later deals default to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AssignPartnerRegion {
    /// The partner.
    pub partner_id: PartnerId,
    /// The sales region.
    pub region: Label,
}

impl CommandPayload for AssignPartnerRegion {
    const NAME: &'static str = "AssignPartnerRegion";
    const SUMMARY: &'static str = "Sets the sales region that a partner's later deals default to.";
    const EXAMPLE: &'static str = r#"{"partner_id":"p-nordwind","region":"DACH"}"#;
    type Stream = Partner;

    fn address(&self) -> Result<Address, InvalidAccount> {
        Ok(Address::Stream(StreamName::partner(&self.partner_id)))
    }

    fn builds_on(&self, state: &Partner) -> Option<Timestamp> {
        state.registered_at()
    }

    fn decide(&self, state: &Partner, _facts: &Facts) -> Result<Vec<PartnerEvent>, Rejection> {
        guard::in_program(state, &self.partner_id)?;
        Ok(vec![PartnerEvent::PartnerRegionAssigned { region: self.region.clone() }])
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::partner::scenario::{check_open_to_all_in_program, command, label};

    #[test]
    fn any_partner_in_the_program_may_be_given_a_region() {
        let assign: AssignPartnerRegion = command(json!({"partner_id": "p-1", "region": "DACH"}));
        check_open_to_all_in_program(&assign, &[PartnerEvent::PartnerRegionAssigned { region: label("DACH") }]);
    }
}
