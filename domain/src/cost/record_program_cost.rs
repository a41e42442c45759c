//! The program costs something (F72).

use serde::{Deserialize, Serialize};

use super::{Cost, CostEvent, CostKind};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    stream::StreamName,
    values::{Amount, ClaimId, CostId, InvalidAccount, PartnerId, PayoutId, Period},
};

/// Records a cost of the program, for one partner or for all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordProgramCost {
    /// The cost, as the ERP names it.
    pub cost_id: CostId,
    /// What for.
    pub kind: CostKind,
    /// How much.
    pub amount: Amount,
    /// For which partner; absent for the program as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partner_id: Option<PartnerId>,
    /// The month, quarter or year it is booked on.
    pub period: Period,
    /// The claim that it paid: such a cost is listed, not summed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim_id: Option<ClaimId>,
    /// The payout that it paid: such a cost is listed, not summed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payout_id: Option<PayoutId>,
}

impl CommandPayload for RecordProgramCost {
    const NAME: &'static str = "RecordProgramCost";
    const SUMMARY: &'static str = "Records a cost of the program, for one partner or for all.";
    const EXAMPLE: &'static str = r#"{"cost_id":"c-77","kind":"partner_manager","amount":{"amount":"8000.00","currency":"USD"},"partner_id":"p-nordwind","period":"2027-Q1"}"#;
    type Stream = Cost;

    fn address(&self) -> Result<Address, InvalidAccount> {
        Ok(Address::Stream(StreamName::cost(self.partner_id.as_ref())))
    }

    fn decide(&self, state: &Cost, _facts: &Facts) -> Result<Vec<CostEvent>, Rejection> {
        if state.recorded.contains(&self.cost_id) {
            return Err(Rejection::CostExists { cost_id: self.cost_id.clone() });
        }
        Ok(vec![CostEvent::ProgramCostRecorded {
            cost_id: self.cost_id.clone(),
            kind: self.kind,
            amount: self.amount,
            partner_id: self.partner_id.clone(),
            period: self.period,
            claim_id: self.claim_id.clone(),
            payout_id: self.payout_id.clone(),
        }])
    }
}
