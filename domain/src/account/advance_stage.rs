//! An opportunity moves on (F47).

use serde::{Deserialize, Serialize};

use super::{Account, AccountEvent, DealPhase, Stage, deal_address};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    values::{AccountRef, DealId, InvalidAccount, Timestamp},
};

/// Moves an open deal forward, over any number of stages, never back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdvanceStage {
    /// The deal.
    pub deal_id: DealId,
    /// Its account; looked up by the deal where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountRef>,
    /// Where it stands now.
    pub stage: Stage,
}

impl CommandPayload for AdvanceStage {
    const NAME: &'static str = "AdvanceStage";
    const SUMMARY: &'static str = "Moves an open deal forward to a later stage.";
    const EXAMPLE: &'static str = r#"{"deal_id":"d-1001","account":"acme.com","stage":"qualified"}"#;
    type Stream = Account;

    fn address(&self) -> Result<Address, InvalidAccount> {
        deal_address(self.account.as_ref(), &self.deal_id)
    }

    fn builds_on(&self, state: &Account) -> Option<Timestamp> {
        state.registered_at(&self.deal_id)
    }

    fn decide(&self, state: &Account, _facts: &Facts) -> Result<Vec<AccountEvent>, Rejection> {
        let deal = state.known_while(&self.deal_id, DealPhase::is_open)?;
        if self.stage <= deal.stage {
            return Err(Rejection::StageNotAhead { deal_id: self.deal_id.clone(), current: deal.stage.to_string() });
        }
        Ok(vec![AccountEvent::StageAdvanced { deal_id: self.deal_id.clone(), from: deal.stage, to: self.stage }])
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::{Story, d1, with, wrong_phase};
    use super::*;
    use serde_json::json;

    #[test]
    fn forward_only_and_while_open() {
        let to = |stage: &str| with(d1(), json!({"stage": stage}));
        let behind = |current: &str| Some(Rejection::StageNotAhead { deal_id: "d-1".parse().expect("an id"), current: current.into() });
        let committed = || Story::approved().then("AdvanceStage", &to("committed"));
        for (story, payload, refusal) in [
            (Story::registered(), to("qualified"), None),
            (Story::registered(), to("prospect"), behind("prospect")),
            (committed(), to("launched"), None),
            (committed(), to("committed"), behind("committed")),
            (committed(), to("technical_validation"), behind("committed")),
            (Story::registered().then("CancelDeal", &d1()), to("qualified"), Some(wrong_phase("canceled"))),
        ] {
            assert_eq!(story.decide("AdvanceStage", &payload).err(), refusal, "{payload}");
        }
        assert_eq!(committed().d1().stage(), Stage::Committed);
    }
}
