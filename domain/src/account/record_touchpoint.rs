//! An act of a partner or a channel on an account (F71).

use serde::{Deserialize, Serialize};

use super::{Account, AccountEvent, business_date::not_in_future, standing::any_named_deal_known, standing::any_named_partner_known};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    stream::StreamName,
    values::{AccountRef, CampaignId, DealId, InvalidAccount, InvalidCountry, Label, PartnerId, Timestamp, TouchpointId},
};

/// Records a touchpoint. It may come late and in any order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordTouchpoint {
    /// The touchpoint; unique on the account.
    pub touchpoint_id: TouchpointId,
    /// The customer.
    pub account: AccountRef,
    /// Whose act it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partner_id: Option<PartnerId>,
    /// What kind of act, as in the rules' attribution.
    pub kind: Label,
    /// Through which channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Label>,
    /// The deal it belongs to, where it is to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deal_id: Option<DealId>,
    /// The campaign it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign_id: Option<CampaignId>,
    /// When.
    pub occurred_at: Timestamp,
}

impl CommandPayload for RecordTouchpoint {
    const NAME: &'static str = "RecordTouchpoint";
    const SUMMARY: &'static str = "Records an act of a partner or a channel on an account.";
    const EXAMPLE: &'static str = r#"{"touchpoint_id":"t-1","account":"acme.com","partner_id":"p-nordwind","kind":"webinar","channel":"events","occurred_at":"2026-09-01T15:00:00Z"}"#;
    const RELIES_ON_A_PARTNER: bool = true;
    type Stream = Account;

    fn address(&self) -> Result<Address, InvalidAccount> {
        Ok(Address::Stream(StreamName::account(&self.account.opening_key()?)))
    }

    fn normalise(&mut self) -> Result<(), InvalidCountry> {
        self.account.normalise()
    }

    fn business_time(&self) -> Option<Timestamp> {
        Some(self.occurred_at)
    }

    fn relies_on(&self, _state: &Account) -> Option<PartnerId> {
        self.partner_id.clone()
    }

    fn decide(&self, state: &Account, facts: &Facts) -> Result<Vec<AccountEvent>, Rejection> {
        any_named_partner_known(facts, self.partner_id.as_ref())?;
        if state.has_touchpoint(&self.touchpoint_id) {
            return Err(Rejection::TouchpointExists { touchpoint_id: self.touchpoint_id.clone() });
        }
        any_named_deal_known(state, self.deal_id.as_ref())?;
        Ok(vec![AccountEvent::TouchpointRecorded {
            touchpoint_id: self.touchpoint_id.clone(),
            partner_id: self.partner_id.clone(),
            kind: self.kind.clone(),
            channel: self.channel.clone(),
            deal_id: self.deal_id.clone(),
            campaign_id: self.campaign_id.clone(),
            occurred_at: not_in_future(self.occurred_at, facts)?,
        }])
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::{Story, applied, time, with};
    use super::*;
    use serde_json::json;

    #[test]
    fn once_by_a_known_partner_on_a_known_deal_in_the_past() {
        let touch =
            |fields| with(json!({"touchpoint_id": "t-1", "account": "acme.com", "kind": "demo", "occurred_at": "2026-01-01"}), fields);
        let plain = || touch(json!({}));
        let ahead = Rejection::DateInFuture { date: time("2026-10-03"), now: time("2026-10-01") };
        for (story, payload, refusal) in [
            (Story::new(), plain(), None),
            (Story::registered(), touch(json!({"deal_id": "d-1", "partner_id": "p-2"})), None),
            (Story::new(), touch(json!({"deal_id": "d-1"})), Some(Rejection::DealUnknown { deal_id: "d-1".parse().expect("an id") })),
            (
                Story::new(),
                touch(json!({"partner_id": "p-9"})),
                Some(Rejection::PartnerUnknown { partner_id: "p-9".parse().expect("an id") }),
            ),
            (Story::new().partner("p-9", &[applied()]), touch(json!({"partner_id": "p-9"})), None),
            (Story::new(), touch(json!({"occurred_at": "2026-10-03"})), Some(ahead)),
            (
                Story::new().then("RecordTouchpoint", &plain()),
                plain(),
                Some(Rejection::TouchpointExists { touchpoint_id: "t-1".parse().expect("an id") }),
            ),
        ] {
            assert_eq!(story.decide("RecordTouchpoint", &payload).err(), refusal, "{payload}");
        }
    }
}
