//! No decision came within the promised hours (F45): a deadline.

use serde::{Deserialize, Serialize};

use super::{Account, AccountEvent, DealPhase, deal_address};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    values::{AccountRef, DealId, InvalidAccount, Timestamp},
};

/// Records that a registration was not decided on in time, once a submission, effective when it was due.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordSlaBreach {
    /// The deal.
    pub deal_id: DealId,
    /// Its account; looked up by the deal where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountRef>,
    /// When a decision was due, as the deadline says; another time is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
}

impl CommandPayload for RecordSlaBreach {
    const NAME: &'static str = "RecordSlaBreach";
    const SUMMARY: &'static str = "Records that a registration was not decided on in time.";
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
        let deal = state.known_while(&self.deal_id, |phase| phase == DealPhase::InReview)?;
        let due = deal.sla_pending().ok_or_else(|| Rejection::NoDecisionDue { deal_id: self.deal_id.clone() })?;
        if facts.now < due || self.due.is_some_and(|given| given != due) {
            return Err(Rejection::NotDue { due });
        }
        Ok(vec![AccountEvent::ApprovalSlaBreached { deal_id: self.deal_id.clone(), due, reviewer: deal.reviewer.clone() }])
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::{Story, d1, deal, time, with, wrong_phase};
    use super::*;
    use serde_json::json;

    #[test]
    fn a_missing_decision_is_raised_once_a_submission() {
        let breached = || Story::registered().at("2026-10-03").then("RecordSlaBreach", &d1());
        let sent_back = || breached().then("RequestDealInformation", &with(d1(), json!({"question": "Who?"})));
        let submitted = || sent_back().then("UpdateDeal", &with(d1(), json!({"submit": true})));
        let no_decision = || Some(Rejection::NoDecisionDue { deal_id: "d-1".parse().expect("an id") });
        let unhurried = Story::new().rules(|rules| rules.approval_sla_hours = 0).then("RegisterDeal", &deal("d-1", "p-1"));
        let other_due = || with(d1(), json!({"due": "2026-10-02"}));
        for (story, payload, refusal) in [
            (Story::registered().at("2026-10-02T23:59:59Z"), d1(), Some(Rejection::NotDue { due: time("2026-10-03") })),
            (Story::registered().at("2026-10-03"), d1(), None),
            (Story::registered().at("2026-10-04"), other_due(), Some(Rejection::NotDue { due: time("2026-10-03") })),
            (breached(), d1(), no_decision()),
            (sent_back(), d1(), Some(wrong_phase("action_required"))),
            (submitted(), d1(), Some(Rejection::NotDue { due: time("2026-10-05") })),
            (submitted().at("2026-10-05"), d1(), None),
            (unhurried.at("2026-12-01"), d1(), no_decision()),
            (Story::approved().at("2026-12-01"), d1(), Some(wrong_phase("approved"))),
        ] {
            assert_eq!(story.decide("RecordSlaBreach", &payload).err(), refusal);
        }
        let expected = AccountEvent::ApprovalSlaBreached {
            deal_id: "d-1".parse().expect("an id"),
            due: time("2026-10-03"),
            reviewer: Some(crate::values::Label::parse("channel-desk").expect("a label")),
        };
        assert_eq!(Story::registered().at("2026-10-07").event("RecordSlaBreach", &d1()), expected);
    }
}
