//! The stream `fund/<budget_id>`: budget, allocations, requests, claims (F67). It cannot be overspent.
//!
//! History from before the ledger keeps its own figures: its budgets, allocations, requests and claims are held to the
//! same sums, under the times they had, but no deadline closes its claim windows, and of its partners only what a
//! ledger can know is asked. What is left of it on moving day is opened anew, as a budget and allocations of today.

mod allocate_funds;
mod amend_fund_request;
mod approve_claim;
mod approve_fund_request;
mod cancel_fund_request;
mod claim_mdf;
mod close_claim_window;
mod event;
mod evolve;
mod guard;
mod open_budget;
mod pay_claim;
mod proof;
mod recall_fund_request;
mod reject_claim;
mod reject_fund_request;
mod request_fund_information;
mod request_funds;
#[cfg(test)]
mod scenario;
mod state;

pub use allocate_funds::AllocateFunds;
pub use amend_fund_request::AmendFundRequest;
pub use approve_claim::ApproveClaim;
pub use approve_fund_request::ApproveFundRequest;
pub use cancel_fund_request::CancelFundRequest;
pub use claim_mdf::ClaimMDF;
pub use close_claim_window::CloseClaimWindow;
pub use event::FundEvent;
pub use open_budget::OpenBudget;
pub use pay_claim::PayClaim;
pub use proof::{InvalidProof, MAX_PROOFS, MAX_URI_LEN, Proof, ProofUri, Sha256Hex};
pub use recall_fund_request::RecallFundRequest;
pub use reject_claim::RejectClaim;
pub use reject_fund_request::RejectFundRequest;
pub use request_fund_information::RequestFundInformation;
pub use request_funds::RequestFunds;
pub use state::{Allocation, Budget, Claim, ClaimPhase, Fund, Grant, Request, RequestPhase};
