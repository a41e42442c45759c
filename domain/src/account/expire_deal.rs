//! An approval ran out (F46): a deadline.

use serde::{Deserialize, Serialize};

use super::{Account, AccountEvent, DealPhase, deal_address};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    values::{AccountRef, DealId, InvalidAccount, Timestamp},
};

/// Records that an approval ran out. Protection ends by itself at its time; this takes the deal out of the pipeline,
/// effective when it was due.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpireDeal {
    /// The deal.
    pub deal_id: DealId,
    /// Its account; looked up by the deal where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountRef>,
    /// When it was due, as the deadline says; another time is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
}

impl CommandPayload for ExpireDeal {
    const NAME: &'static str = "ExpireDeal";
    const SUMMARY: &'static str = "Records that an approval ran out.";
    const EXAMPLE: &'static str = r#"{"deal_id":"d-1001","account":"acme.com"}"#;
    type Stream = Account;

    fn address(&self) -> Result<Address, InvalidAccount> {
        deal_address(self.account.as_ref(), &self.deal_id)
    }

    fn business_time(&self) -> Option<Timestamp> {
        self.due
    }

    fn builds_on(&self, state: &Account) -> Option<Timestamp> {
        state.registered_at(&self.deal_id)
    }

    fn decide(&self, state: &Account, facts: &Facts) -> Result<Vec<AccountEvent>, Rejection> {
        let deal = state.known_while(&self.deal_id, |phase| phase == DealPhase::Approved)?;
        let expires_at = deal.expires_at.ok_or_else(|| Rejection::NeverExpires { deal_id: self.deal_id.clone() })?;
        if facts.now < expires_at || self.due.is_some_and(|due| due != expires_at) {
            return Err(Rejection::NotDue { due: expires_at });
        }
        Ok(vec![AccountEvent::DealExpired { deal_id: self.deal_id.clone(), expired_at: expires_at }])
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::{Story, d1, time, with, wrong_phase};
    use super::*;
    use serde_json::json;

    #[test]
    fn an_approval_runs_out_when_it_is_due() {
        let not_due = |due| Some(Rejection::NotDue { due: time(due) });
        let by_deadline = || with(d1(), json!({"due": "2027-03-30"}));
        let historical = Story::registered().import(true).then("ApproveDeal", &d1()).api();
        let deal_id = "d-1".parse().expect("an id");
        for (story, payload, refusal) in [
            (Story::approved().at("2027-03-29T23:59:59Z"), d1(), not_due("2027-03-30")),
            (Story::approved().at("2027-03-30"), d1(), None),
            (Story::approved().at("2027-04-02"), by_deadline(), None),
            (Story::approved().then("ExtendDeal", &d1()).at("2027-04-02"), by_deadline(), not_due("2027-06-28")),
            (Story::approved().at("2027-04-02"), with(d1(), json!({"due": "2027-04-01"})), not_due("2027-03-30")),
            (historical, d1(), Some(Rejection::NeverExpires { deal_id })),
            (Story::registered(), d1(), Some(wrong_phase("in_review"))),
        ] {
            let expected = AccountEvent::DealExpired { deal_id: "d-1".parse().expect("an id"), expired_at: time("2027-03-30") };
            assert_eq!(story.decide("ExpireDeal", &payload), refusal.map_or(Ok(vec![expected]), Err));
        }
    }

    #[test]
    fn an_expired_deal_cannot_be_won() {
        let story = Story::approved().at("2027-04-02").then("ExpireDeal", &d1());
        let won = with(d1(), json!({"amount": {"amount": "1", "currency": "USD"}}));
        assert_eq!(story.refusal("CloseWon", &won), wrong_phase("expired"));
        assert_eq!(story.refusal("ExpireDeal", &d1()), wrong_phase("expired"));
        assert_eq!(story.account.deadlines().count(), 0);
    }
}
