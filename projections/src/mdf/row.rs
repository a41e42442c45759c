//! The rows of funds. Amounts are in minor units of the budget's currency, which is that of everything below it.

use compact_str::CompactString;
use pledger_domain::values::{Currency, Timestamp};

use crate::{row, symbol::Symbol, word_field};

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the field's standard words")]
pub enum FundRequestStatus {
    Draft,
    InReview,
    ActionRequired,
    Approved,
    /// Approved, and its claim window is closed.
    Closed,
    Rejected,
    Canceled,
}

/// Where a claim stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the field's standard words")]
pub enum FundClaimStatus {
    Submitted,
    Approved,
    Paid,
    Rejected,
}

word_field!(FundRequestStatus {
    Draft = "draft",
    InReview = "in_review",
    ActionRequired = "action_required",
    Approved = "approved",
    Closed = "closed",
    Rejected = "rejected",
    Canceled = "canceled",
});
word_field!(FundClaimStatus { Submitted = "submitted", Approved = "approved", Paid = "paid", Rejected = "rejected" });

row! {
    /// A budget.
    Budget keyed BudgetKey in "mdf_budgets" {
        key {
            /// The budget.
            budget: Symbol,
        }
        /// The currency of the fund.
        currency: Currency,
        /// All of it.
        amount: i64,
        /// The first instant money may be asked for.
        starts_on: Timestamp,
        /// The instant from which it may not.
        ends_on: Timestamp,
    }
}

row! {
    /// What is set aside for a partner.
    FundAllocation keyed FundAllocationKey in "mdf_allocations" {
        key {
            /// The budget.
            budget: Symbol,
            /// The allocation.
            allocation: Symbol,
        }
        /// For whom.
        partner: Symbol,
        /// The currency.
        currency: Currency,
        /// All of it.
        amount: i64,
    }
}

row! {
    /// A request to spend an allocation, and what became of it.
    FundRequest keyed FundRequestKey in "mdf_requests" {
        key {
            /// The budget.
            budget: Symbol,
            /// The request.
            request: CompactString,
        }
        /// Of which allocation.
        allocation: Symbol,
        /// Whose it is.
        partner: Symbol,
        /// The campaign that it pays for.
        campaign: Option<Symbol>,
        /// The currency.
        currency: Currency,
        /// Where it stands.
        status: FundRequestStatus,
        /// What was asked for last.
        requested: i64,
        /// What was approved.
        approved: i64,
        /// From when no claim is taken any more; none before the approval.
        claim_until: Option<Timestamp>,
        /// What went back to the allocation of that.
        released: i64,
        /// What claims that stand hold of it: what was claimed, or approved of that.
        claimed: i64,
        /// What was paid.
        paid: i64,
    }
}

row! {
    /// A claim.
    FundClaim keyed FundClaimKey in "mdf_claims" {
        key {
            /// The budget.
            budget: Symbol,
            /// The claim.
            claim: CompactString,
        }
        /// Under which request.
        request: CompactString,
        /// The currency.
        currency: Currency,
        /// Where it stands.
        status: FundClaimStatus,
        /// What was claimed, or what was approved of it.
        amount: i64,
    }
}
