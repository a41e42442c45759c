//! A partner gives up a role, never its last (F01).

use serde::{Deserialize, Serialize};

use super::{Partner, PartnerEvent, Role, guard};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    stream::StreamName,
    values::{InvalidAccount, PartnerId, Timestamp},
};

/// Takes a role from a partner that holds others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokePartnerRole {
    /// The partner.
    pub partner_id: PartnerId,
    /// The role it gives up.
    pub role: Role,
}

impl CommandPayload for RevokePartnerRole {
    const NAME: &'static str = "RevokePartnerRole";
    const SUMMARY: &'static str = "Takes a role from a partner that holds others.";
    const EXAMPLE: &'static str = r#"{"partner_id":"p-nordwind","role":"msp"}"#;
    type Stream = Partner;

    fn address(&self) -> Result<Address, InvalidAccount> {
        Ok(Address::Stream(StreamName::partner(&self.partner_id)))
    }

    fn builds_on(&self, state: &Partner) -> Option<Timestamp> {
        state.registered_at()
    }

    fn decide(&self, state: &Partner, _facts: &Facts) -> Result<Vec<PartnerEvent>, Rejection> {
        guard::in_program(state, &self.partner_id)?;
        if !state.roles().contains(&self.role) || state.roles().len() == 1 {
            return Err(Rejection::RoleNotHeld { partner_id: self.partner_id.clone() });
        }
        Ok(vec![PartnerEvent::PartnerRoleRevoked { role: self.role }])
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::partner::scenario::{active_and, check_lives, command, facts, partner_id, unknown, wrong_phase};

    fn revoke(role: &str) -> RevokePartnerRole {
        command(json!({"partner_id": "p-1", "role": role}))
    }

    fn not_held() -> Rejection {
        Rejection::RoleNotHeld { partner_id: partner_id() }
    }

    #[test]
    fn a_partner_in_the_program_may_give_up_one_of_its_roles() {
        let happens = [PartnerEvent::PartnerRoleRevoked { role: Role::Msp }];
        let refused = [("unknown", unknown()), ("prospect", not_held()), ("retired", wrong_phase("retired"))];
        check_lives(&revoke("msp"), &happens, &["applied", "onboarding", "active", "suspended", "retiring"], &refused);
    }

    #[test]
    fn the_last_role_stays() {
        let msp_only = active_and(&[PartnerEvent::PartnerRoleRevoked { role: Role::Reseller }]);
        for role in ["msp", "reseller", "isv"] {
            assert_eq!(revoke(role).decide(&msp_only, &facts()), Err(not_held()), "{role}");
        }
    }
}
