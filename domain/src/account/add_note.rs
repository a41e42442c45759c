//! A note on a deal, by the channel manager or the partner (F14, F47).

use serde::{Deserialize, Serialize};

use super::{Account, AccountEvent, Visibility, deal_address};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    values::{AccountRef, DealId, InvalidAccount, Text, Timestamp},
};

/// Adds a note to a deal in any phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddNote {
    /// The deal.
    pub deal_id: DealId,
    /// Its account; looked up by the deal where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountRef>,
    /// What it says.
    pub note: Text,
    /// Who may read it; the vendor only, where left out.
    #[serde(default)]
    pub visibility: Visibility,
}

impl CommandPayload for AddNote {
    const NAME: &'static str = "AddNote";
    const SUMMARY: &'static str = "Adds a note to a deal, internal or for the partner to read.";
    const EXAMPLE: &'static str =
        r#"{"deal_id":"d-1001","account":"acme.com","note":"Pricing was agreed with the distributor.","visibility":"partner"}"#;
    type Stream = Account;

    fn address(&self) -> Result<Address, InvalidAccount> {
        deal_address(self.account.as_ref(), &self.deal_id)
    }

    fn builds_on(&self, state: &Account) -> Option<Timestamp> {
        state.registered_at(&self.deal_id)
    }

    fn decide(&self, state: &Account, _facts: &Facts) -> Result<Vec<AccountEvent>, Rejection> {
        state.known(&self.deal_id)?;
        Ok(vec![AccountEvent::NoteAdded { deal_id: self.deal_id.clone(), note: self.note.clone(), visibility: self.visibility }])
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::{Story, d1, with};
    use super::*;
    use serde_json::json;

    #[test]
    fn a_note_is_internal_unless_it_says_otherwise() {
        let closed = Story::registered().then("CancelDeal", &d1());
        for (fields, visibility) in [(json!({}), Visibility::Internal), (json!({"visibility": "partner"}), Visibility::Partner)] {
            let note = Text::parse("Hello").expect("a text");
            let expected = AccountEvent::NoteAdded { deal_id: "d-1".parse().expect("an id"), note, visibility };
            assert_eq!(closed.event("AddNote", &with(with(d1(), json!({"note": "Hello"})), fields)), expected);
        }
        let unknown = Story::new().refusal("AddNote", &with(d1(), json!({"note": "Hello"})));
        assert_eq!(unknown, Rejection::DealUnknown { deal_id: "d-1".parse().expect("an id") });
    }
}
