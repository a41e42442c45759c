//! What is recorded in the streams `cost/<partner_id>` and `cost/program` (F72).

use serde::{Deserialize, Serialize};

use crate::values::{Amount, ClaimId, CostId, PartnerId, PayoutId, Period};

/// An event of program costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum CostEvent {
    /// The program cost something.
    ProgramCostRecorded {
        /// The cost.
        cost_id: CostId,
        /// What for.
        kind: CostKind,
        /// How much.
        amount: Amount,
        /// For which partner; absent for the program as a whole.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        partner_id: Option<PartnerId>,
        /// Booked on.
        period: Period,
        /// The claim that it paid: listed, not summed, since `ClaimPaid` counts already.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        claim_id: Option<ClaimId>,
        /// The payout that it paid: listed, not summed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        payout_id: Option<PayoutId>,
    },
}

/// What a program cost is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the field's standard words")]
pub enum CostKind {
    Commission,
    Mdf,
    PartnerManager,
    Staff,
    Technology,
    Other,
}
