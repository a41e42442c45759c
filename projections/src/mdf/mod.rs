//! `mdf`: market development funds, from the budget to what was paid, and what campaigns brought (F67).

mod campaigns;
mod figures;
mod fold;
mod row;
#[cfg(test)]
mod tests;
mod view;

pub use fold::Funds;
pub use row::{
    Budget, BudgetKey, FundAllocation, FundAllocationKey, FundClaim, FundClaimKey, FundClaimStatus, FundRequest, FundRequestKey,
    FundRequestStatus,
};
pub use view::VIEW;
