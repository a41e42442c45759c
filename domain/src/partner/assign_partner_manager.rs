//! A partner gets its one primary partner manager (F07).

use serde::{Deserialize, Serialize};

use super::{Partner, PartnerEvent, guard};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    stream::StreamName,
    values::{InvalidAccount, PartnerId, PersonId, Personal, PersonalVisitor, StaffId, Timestamp},
};

/// Names the one primary manager of a partner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AssignPartnerManager {
    /// The partner.
    pub partner_id: PartnerId,
    /// The manager: a member of the vendor's staff.
    pub manager_id: StaffId,
    /// The manager's name; its subject is `manager_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Personal>,
}

impl CommandPayload for AssignPartnerManager {
    const NAME: &'static str = "AssignPartnerManager";
    const SUMMARY: &'static str = "Names the one primary manager of a partner.";
    const EXAMPLE: &'static str = r#"{"partner_id":"p-nordwind","manager_id":"s-17","name":"Ada Lovelace"}"#;
    type Stream = Partner;

    fn address(&self) -> Result<Address, InvalidAccount> {
        Ok(Address::Stream(StreamName::partner(&self.partner_id)))
    }

    fn builds_on(&self, state: &Partner) -> Option<Timestamp> {
        state.registered_at()
    }

    fn visit_personal<V: PersonalVisitor>(&mut self, visitor: &mut V) -> Result<(), V::Error> {
        // Staff are persons too: both ids keep to one alphabet, so that each is the other.
        let mut subject = PersonId::parse(self.manager_id.as_str()).ok();
        visitor.field("name", &mut subject, &mut self.name)?;
        if let Some(manager_id) = subject.and_then(|person| StaffId::parse(person.as_str()).ok()) {
            self.manager_id = manager_id;
        }
        Ok(())
    }

    fn decide(&self, state: &Partner, _facts: &Facts) -> Result<Vec<PartnerEvent>, Rejection> {
        guard::in_program(state, &self.partner_id)?;
        Ok(vec![PartnerEvent::PartnerManagerAssigned { manager_id: self.manager_id.clone(), name: self.name.clone() }])
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::partner::scenario::{Sealer, check_open_to_all_in_program, command};

    #[test]
    fn any_partner_in_the_program_may_be_given_a_manager() {
        let assign: AssignPartnerManager = command(json!({"partner_id": "p-1", "manager_id": "s-17"}));
        let manager_id = StaffId::parse("s-17").expect("an id");
        check_open_to_all_in_program(&assign, &[PartnerEvent::PartnerManagerAssigned { manager_id, name: None }]);
    }

    #[test]
    fn the_name_is_sealed_under_the_managers_id() {
        let mut assign: AssignPartnerManager = command(json!({"partner_id": "p-1", "manager_id": "s-17", "name": "Ada"}));
        let mut sealer = Sealer::default();
        assign.visit_personal(&mut sealer).expect("sealed");
        assert_eq!(sealer.seen, [("name", "s-17".to_owned(), "Ada".to_owned())]);
        assert_eq!(assign.name, Some(Personal::Sealed("Ada".into())));
    }
}
