//! What is recorded in a stream `fund/<budget_id>` (F67).

use serde::{Deserialize, Serialize};

use super::Proof;
use crate::values::{AllocationId, Amount, CampaignId, ClaimId, Money, PartnerId, RequestId, Text, Timestamp};

/// An event of a fund. The stream's name says which.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
#[expect(missing_docs, reason = "the fields are those of the commands, documented there")]
pub enum FundEvent {
    /// Money was set aside for a time.
    BudgetOpened { amount: Amount, starts_on: Timestamp, ends_on: Timestamp },
    /// A part of it was set aside for one partner.
    FundsAllocated { allocation_id: AllocationId, partner_id: PartnerId, amount: Amount },
    /// The partner asked to spend some of that on an activity.
    FundsRequested {
        request_id: RequestId,
        allocation_id: AllocationId,
        partner_id: PartnerId,
        activity: Text,
        amount: Amount,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        campaign_id: Option<CampaignId>,
        goal: Text,
    },
    /// The request was changed and is up for decision again; as it was first made it is revision 1.
    FundRequestAmended {
        request_id: RequestId,
        revision: u32,
        activity: Text,
        amount: Amount,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        campaign_id: Option<CampaignId>,
        goal: Text,
    },
    /// Taken back to draft by the partner.
    FundRequestRecalled { request_id: RequestId },
    /// Given up by the partner.
    FundRequestCanceled { request_id: RequestId },
    /// The reviewer asked for more.
    FundRequestInformationRequested { request_id: RequestId, question: Text },
    /// Approved: up to `amount` may be claimed until `claim_until`.
    FundRequestApproved {
        request_id: RequestId,
        amount: Amount,
        claim_until: Timestamp,
        /// Whether it is history from before the ledger: no deadline closes its claim window.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        historical: bool,
    },
    /// Turned down.
    FundRequestRejected { request_id: RequestId, reason: Text },
    /// The partner claimed what it spent, with proof of execution.
    ClaimSubmitted { claim_id: ClaimId, request_id: RequestId, partner_id: PartnerId, amount: Amount, proof: Vec<Proof> },
    /// The claim is due to be paid: `amount` is what was claimed, or less.
    ClaimApproved { claim_id: ClaimId, request_id: RequestId, amount: Amount },
    /// The claim was turned down: what it held may be claimed again, or goes back once the claim window is closed.
    ClaimRejected { claim_id: ClaimId, request_id: RequestId, reason: Text },
    /// The claim was paid.
    ClaimPaid {
        claim_id: ClaimId,
        request_id: RequestId,
        partner_id: PartnerId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        campaign_id: Option<CampaignId>,
        amount: Amount,
        paid_at: Timestamp,
    },
    /// The window ran out: what no claim holds goes back to the allocation.
    ClaimWindowClosed { request_id: RequestId, released: Money, closed_at: Timestamp },
}
