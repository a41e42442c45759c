//! A partner's retirement ends, nothing being open any more: the second of two steps (F01).

use serde::{Deserialize, Serialize};

use super::{Partner, PartnerEvent, guard};
use crate::{
    command::{Address, CommandPayload, Origin},
    facts::Facts,
    rejection::Rejection,
    stream::StreamName,
    values::{InvalidAccount, PartnerId, Timestamp},
};

/// Completes a retirement at which nothing is open any more.
///
/// A policy reads the open deals, requests and claims at a vector of positions and sends both; they are recorded, so
/// that whatever was accepted on older facts can be told apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompleteRetirement {
    /// The partner.
    pub partner_id: PartnerId,
    /// The open items found, such as `account/acme.com#d-1`; empty when retirement may complete.
    pub still_open: Vec<String>,
    /// The positions, `slice:pseq`, at which was read what is open.
    pub as_of: Vec<String>,
}

impl CommandPayload for CompleteRetirement {
    const NAME: &'static str = "CompleteRetirement";
    const SUMMARY: &'static str = "Completes a retirement at which nothing is open any more.";
    const EXAMPLE: &'static str = r#"{"partner_id":"p-nordwind","still_open":[],"as_of":["5:1041","17:993"]}"#;
    const ORIGIN: Origin = Origin::System;
    type Stream = Partner;

    fn address(&self) -> Result<Address, InvalidAccount> {
        Ok(Address::Stream(StreamName::partner(&self.partner_id)))
    }

    fn builds_on(&self, state: &Partner) -> Option<Timestamp> {
        state.registered_at()
    }

    fn decide(&self, state: &Partner, _facts: &Facts) -> Result<Vec<PartnerEvent>, Rejection> {
        guard::in_program(state, &self.partner_id)?;
        if state.retiring_since().is_none() {
            return Err(guard::wrong_phase(state, &self.partner_id));
        }
        if !self.still_open.is_empty() {
            return Err(Rejection::RetirementBlocked { partner_id: self.partner_id.clone(), open: self.still_open.clone() });
        }
        Ok(vec![PartnerEvent::RetirementCompleted { as_of: self.as_of.clone() }])
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::partner::scenario::{check_lives, command, partner_id, unknown, wrong_phase};

    fn complete(still_open: &[&str]) -> CompleteRetirement {
        command(json!({"partner_id": "p-1", "still_open": still_open, "as_of": ["5:41"]}))
    }

    fn refused_elsewhere() -> [(&'static str, Rejection); 7] {
        [
            ("unknown", unknown()),
            ("prospect", wrong_phase("prospect")),
            ("applied", wrong_phase("applied")),
            ("onboarding", wrong_phase("onboarding")),
            ("active", wrong_phase("active")),
            ("suspended", wrong_phase("suspended")),
            ("retired", wrong_phase("retired")),
        ]
    }

    #[test]
    fn a_retirement_completes_once_started_and_nothing_is_open() {
        let happens = [PartnerEvent::RetirementCompleted { as_of: vec!["5:41".into()] }];
        check_lives(&complete(&[]), &happens, &["retiring"], &refused_elsewhere());
    }

    #[test]
    fn what_is_open_blocks_it() {
        let open = "account/acme.com#d-1";
        let blocked = Rejection::RetirementBlocked { partner_id: partner_id(), open: vec![open.into()] };
        assert!(blocked.may_pass_later(), "the policy asks again once it is settled");
        let refused = [refused_elsewhere().to_vec(), vec![("retiring", blocked)]].concat();
        check_lives(&complete(&[open]), &[], &[], &refused);
    }
}
