//! The stream `account/<key>`: the boundary within which partners compete (F40-F48).
//!
//! Protection of a scope - a product, or the whole account by the rules - is in force while the deal that has it is
//! open and the command's received time is before `protected_until`. A decision asks for it under the rules of today.

mod add_note;
mod advance_stage;
mod approve_deal;
mod business_date;
mod cancel_deal;
mod claim_account_direct;
mod close_lost;
mod close_won;
mod deal;
mod described_key;
mod escalate_dispute;
mod event;
mod expire_deal;
mod extend_deal;
mod index;
mod open_dispute;
mod open_protection;
mod reassign_deal;
mod record_revenue;
mod record_sla_breach;
mod record_touchpoint;
mod register_deal;
mod reject_deal;
mod request_deal_information;
mod required_fields;
mod routing;
mod rule_on_dispute;
mod set_next_step;
mod standing;
mod state;
#[cfg(test)]
mod story;
mod update_deal;
mod withdraw_deal;

pub use add_note::AddNote;
pub use advance_stage::AdvanceStage;
pub use approve_deal::ApproveDeal;
pub use cancel_deal::CancelDeal;
pub use claim_account_direct::ClaimAccountDirect;
pub use close_lost::CloseLost;
pub use close_won::CloseWon;
pub use deal::{Deal, DealPhase};
pub use escalate_dispute::EscalateDispute;
pub use event::{AccountEvent, Contact, DealRegistered, Overlap, RevenueKind, Share, Stage, Visibility};
pub use expire_deal::ExpireDeal;
pub use extend_deal::ExtendDeal;
pub use open_dispute::OpenDispute;
pub use open_protection::OpenProtection;
pub use reassign_deal::ReassignDeal;
pub use record_revenue::RecordRevenue;
pub use record_sla_breach::RecordSlaBreach;
pub use record_touchpoint::RecordTouchpoint;
pub use register_deal::RegisterDeal;
pub use reject_deal::RejectDeal;
pub use request_deal_information::RequestDealInformation;
pub use rule_on_dispute::RuleOnDispute;
pub use set_next_step::SetNextStep;
pub use state::Account;
pub use update_deal::UpdateDeal;
pub use withdraw_deal::WithdrawDeal;

use crate::{
    command::Address,
    stream::StreamName,
    values::{AccountRef, DealId, InvalidAccount},
};

/// Where a command on a registered deal goes: to the account where it is given, else to wherever the deal is.
fn deal_address(account: Option<&AccountRef>, deal: &DealId) -> Result<Address, InvalidAccount> {
    match account {
        Some(account) => Ok(Address::Stream(StreamName::account(&account.key()?))),
        None => Ok(Address::Deal(deal.clone())),
    }
}
