//! The fold of funds. What each event does to what is approved, claimed and released is `domain::fund`'s.

use compact_str::CompactString;
use pledger_domain::{
    fund::FundEvent,
    values::{AllocationId, Amount, CampaignId, ClaimId, Currency, PartnerId, RequestId},
};
use pledger_ledger::{
    outline::Outline,
    record::{Events, Outcome},
};

use super::row::{
    Budget, BudgetKey, FundAllocation, FundAllocationKey, FundClaim, FundClaimKey, FundClaimStatus, FundRequest, FundRequestKey,
    FundRequestStatus,
};
use crate::{
    deals::Deals,
    shard::{At, Fold},
    symbol::Symbol,
    table::{AnyTable, Table},
};

/// The funds of a shard.
#[derive(Debug, Default)]
pub struct Funds {
    /// By budget.
    pub budgets: Table<Budget>,
    /// By budget and allocation.
    pub allocations: Table<FundAllocation>,
    /// By budget and request.
    pub requests: Table<FundRequest>,
    /// By budget and claim.
    pub claims: Table<FundClaim>,
}

impl Funds {
    fn event(&mut self, event: &FundEvent, at: &At<'_>) {
        match event {
            FundEvent::BudgetOpened { amount, starts_on, ends_on } => {
                let (starts_on, ends_on) = (*starts_on, *ends_on);
                let make = || Budget { currency: amount.currency(), amount: amount.minor(), starts_on, ends_on };
                self.budgets.upsert(BudgetKey { budget: at.key }, at, make);
            }
            FundEvent::FundsAllocated { allocation_id, partner_id, amount } => self.allocated(allocation_id, partner_id, *amount, at),
            FundEvent::FundsRequested { request_id, allocation_id, partner_id, activity: _, amount, campaign_id, goal: _ } => {
                let make = || requested(allocation_id, partner_id, *amount, campaign_id.as_ref());
                self.requests.upsert(request_key(request_id, at), at, make);
            }
            FundEvent::FundRequestAmended { request_id, revision: _, activity: _, amount, campaign_id, goal: _ } => {
                self.change(request_id, at, |request| {
                    request.status = FundRequestStatus::InReview;
                    request.requested = amount.minor();
                    request.campaign = campaign(campaign_id.as_ref());
                });
            }
            FundEvent::FundRequestRecalled { request_id } => self.enter(request_id, FundRequestStatus::Draft, at),
            FundEvent::FundRequestCanceled { request_id } => self.enter(request_id, FundRequestStatus::Canceled, at),
            FundEvent::FundRequestInformationRequested { request_id, question: _ } => {
                self.enter(request_id, FundRequestStatus::ActionRequired, at);
            }
            FundEvent::FundRequestRejected { request_id, reason: _ } => self.enter(request_id, FundRequestStatus::Rejected, at),
            FundEvent::FundRequestApproved { request_id, amount, claim_until, .. } => self.change(request_id, at, |request| {
                request.status = FundRequestStatus::Approved;
                request.approved = amount.minor();
                request.claim_until = Some(*claim_until);
            }),
            FundEvent::ClaimSubmitted { claim_id, request_id, partner_id: _, amount, proof: _ } => {
                let request = CompactString::new(request_id.as_str());

                let claim =
                    || FundClaim { request, currency: amount.currency(), status: FundClaimStatus::Submitted, amount: amount.minor() };
                self.claims.upsert(claim_key(claim_id, at), at, claim);
                self.change(request_id, at, |request| request.claimed = request.claimed.saturating_add(amount.minor()));
            }
            FundEvent::ClaimApproved { claim_id, request_id, amount } => {
                self.settled(claim_id, request_id, FundClaimStatus::Approved, amount.minor(), at);
            }
            FundEvent::ClaimRejected { claim_id, request_id, reason: _ } => {
                self.settled(claim_id, request_id, FundClaimStatus::Rejected, 0, at);
            }
            FundEvent::ClaimPaid { claim_id, request_id, partner_id: _, campaign_id: _, amount, paid_at: _ } => {
                self.settled(claim_id, request_id, FundClaimStatus::Paid, amount.minor(), at);
                self.change(request_id, at, |request| request.paid = request.paid.saturating_add(amount.minor()));
            }
            FundEvent::ClaimWindowClosed { request_id, released, closed_at: _ } => self.change(request_id, at, |request| {
                request.status = FundRequestStatus::Closed;
                request.released = request.released.saturating_add(released.minor());
            }),
        }
    }

    fn allocated(&mut self, allocation: &AllocationId, partner: &PartnerId, amount: Amount, at: &At<'_>) {
        let key = FundAllocationKey { budget: at.key, allocation: Symbol::of(allocation.as_str()) };
        let partner = Symbol::of(partner.as_str());
        self.allocations.upsert(key, at, || FundAllocation { partner, currency: amount.currency(), amount: amount.minor() });
    }

    /// A claim goes on with `amount` of what it held. The rest may be claimed again, or goes back to the allocation once
    /// the window is closed.
    fn settled(&mut self, claim: &ClaimId, request: &RequestId, status: FundClaimStatus, amount: i64, at: &At<'_>) {
        let Some(claim) = self.claims.change(&claim_key(claim, at), at) else { return };
        let let_go = claim.amount.saturating_sub(amount);
        claim.status = status;
        if status != FundClaimStatus::Rejected {
            claim.amount = amount;
        }
        self.change(request, at, |request| {
            request.claimed = request.claimed.saturating_sub(let_go);
            if request.status == FundRequestStatus::Closed {
                request.released = request.released.saturating_add(let_go);
            }
        });
    }

    fn enter(&mut self, request: &RequestId, status: FundRequestStatus, at: &At<'_>) {
        self.change(request, at, |request| request.status = status);
    }

    fn change(&mut self, request: &RequestId, at: &At<'_>, change: impl FnOnce(&mut FundRequest)) {
        if let Some(request) = self.requests.change(&request_key(request, at), at) {
            change(request);
        }
    }
}

fn requested(allocation: &AllocationId, partner: &PartnerId, amount: Amount, campaign_id: Option<&CampaignId>) -> FundRequest {
    let currency: Currency = amount.currency();
    FundRequest {
        allocation: Symbol::of(allocation.as_str()),
        partner: Symbol::of(partner.as_str()),
        campaign: campaign(campaign_id),
        currency,
        status: FundRequestStatus::InReview,
        requested: amount.minor(),
        approved: 0,
        claim_until: None,
        released: 0,
        claimed: 0,
        paid: 0,
    }
}

fn campaign(id: Option<&CampaignId>) -> Option<Symbol> {
    id.map(|id| Symbol::of(id.as_str()))
}

fn request_key(request: &RequestId, at: &At<'_>) -> FundRequestKey {
    FundRequestKey { budget: at.key, request: CompactString::new(request.as_str()) }
}

fn claim_key(claim: &ClaimId, at: &At<'_>) -> FundClaimKey {
    FundClaimKey { budget: at.key, claim: CompactString::new(claim.as_str()) }
}

impl Fold for Funds {
    fn fold(&mut self, decision: &Outline<'_>, at: &At<'_>, _deals: &Deals) {
        if let Outcome::Accepted(Events::Fund(events)) = &decision.outcome {
            events.iter().for_each(|event| self.event(event, at));
        }
    }

    fn tables(&self) -> Vec<&dyn AnyTable> {
        vec![&self.budgets, &self.allocations, &self.requests, &self.claims]
    }

    fn tables_mut(&mut self) -> Vec<&mut dyn AnyTable> {
        vec![&mut self.budgets, &mut self.allocations, &mut self.requests, &mut self.claims]
    }
}
