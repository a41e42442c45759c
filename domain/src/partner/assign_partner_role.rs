//! A partner takes on one more role (F01).

use serde::{Deserialize, Serialize};

use super::{Partner, PartnerEvent, Role, guard};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    stream::StreamName,
    values::{InvalidAccount, PartnerId, Timestamp},
};

/// Gives a partner one more role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AssignPartnerRole {
    /// The partner.
    pub partner_id: PartnerId,
    /// The role it takes on.
    pub role: Role,
}

impl CommandPayload for AssignPartnerRole {
    const NAME: &'static str = "AssignPartnerRole";
    const SUMMARY: &'static str = "Gives a partner one more role.";
    const EXAMPLE: &'static str = r#"{"partner_id":"p-nordwind","role":"referral"}"#;
    type Stream = Partner;

    fn address(&self) -> Result<Address, InvalidAccount> {
        Ok(Address::Stream(StreamName::partner(&self.partner_id)))
    }

    fn builds_on(&self, state: &Partner) -> Option<Timestamp> {
        state.registered_at()
    }

    fn decide(&self, state: &Partner, _facts: &Facts) -> Result<Vec<PartnerEvent>, Rejection> {
        guard::in_program(state, &self.partner_id)?;
        if state.roles().contains(&self.role) {
            return Err(Rejection::RoleHeld { partner_id: self.partner_id.clone() });
        }
        Ok(vec![PartnerEvent::PartnerRoleAssigned { role: self.role }])
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::partner::scenario::{check_open_to_all_in_program, command, facts, given, life, partner_id};

    #[test]
    fn any_partner_in_the_program_may_take_on_a_role() {
        let assign: AssignPartnerRole = command(json!({"partner_id": "p-1", "role": "influence"}));
        check_open_to_all_in_program(&assign, &[PartnerEvent::PartnerRoleAssigned { role: Role::Influence }]);
    }

    #[test]
    fn a_role_is_held_once() {
        let assign: AssignPartnerRole = command(json!({"partner_id": "p-1", "role": "msp"}));
        let held = Err(Rejection::RoleHeld { partner_id: partner_id() });
        assert_eq!(assign.decide(&given(&life("active")), &facts()), held);
    }
}
