//! What each event makes of a fund.

use super::{
    Allocation, Budget, Claim, ClaimPhase, Fund, FundEvent, Grant, Request, RequestPhase,
    state::{minus, plus},
};
use crate::{
    stream::{Stream, StreamKind},
    values::{ClaimId, Money, RequestId, Timestamp},
};

impl Stream for Fund {
    const KIND: StreamKind = StreamKind::Fund;
    type Event = FundEvent;

    fn evolve(&mut self, event: &FundEvent, at: Timestamp) {
        match event {
            FundEvent::BudgetOpened { amount, starts_on, ends_on } => {
                let allocated = Money::zero(amount.currency());
                self.budget = Some(Budget { amount: amount.money(), allocated, starts_on: *starts_on, ends_on: *ends_on, since: at });
            }
            FundEvent::FundsAllocated { allocation_id, partner_id, amount } => {
                if let Some(budget) = &mut self.budget {
                    budget.allocated = plus(budget.allocated, amount.money());
                }
                let allocation = Allocation {
                    partner_id: partner_id.clone(),
                    amount: amount.money(),
                    committed: Money::zero(amount.currency()),
                    since: at,
                };
                self.allocations.insert(allocation_id.clone(), allocation);
            }
            FundEvent::FundsRequested { request_id, allocation_id, partner_id, activity: _, amount, campaign_id, goal: _ } => {
                let request = Request {
                    allocation_id: allocation_id.clone(),
                    partner_id: partner_id.clone(),
                    campaign_id: campaign_id.clone(),
                    amount: amount.money(),
                    revision: 1,
                    phase: RequestPhase::InReview,
                    since: at,
                };
                self.requests.insert(request_id.clone(), request);
            }
            FundEvent::FundRequestAmended { request_id, revision, activity: _, amount, campaign_id, goal: _ } => {
                self.enter(request_id, RequestPhase::InReview, at);
                if let Some(request) = self.requests.get_mut(request_id) {
                    request.revision = *revision;
                    request.amount = amount.money();
                    request.campaign_id.clone_from(campaign_id);
                }
            }
            FundEvent::FundRequestRecalled { request_id } => self.enter(request_id, RequestPhase::Draft, at),
            FundEvent::FundRequestCanceled { request_id } => self.enter(request_id, RequestPhase::Canceled, at),
            FundEvent::FundRequestInformationRequested { request_id, question: _ } => {
                self.enter(request_id, RequestPhase::ActionRequired, at);
            }
            FundEvent::FundRequestApproved { request_id, amount, claim_until, historical } => {
                self.approved(request_id, Grant::of(*amount, *claim_until, *historical), at);
            }
            FundEvent::FundRequestRejected { request_id, reason: _ } => self.enter(request_id, RequestPhase::Rejected, at),
            FundEvent::ClaimSubmitted { claim_id, request_id, partner_id: _, amount, proof: _ } => {
                let claim = Claim { request_id: request_id.clone(), amount: amount.money(), phase: ClaimPhase::Submitted, since: at };
                self.submitted(claim_id, claim);
            }
            FundEvent::ClaimApproved { claim_id, request_id: _, amount } => {
                self.settled(claim_id, ClaimPhase::Approved, amount.money(), at);
            }
            FundEvent::ClaimRejected { claim_id, request_id: _, reason: _ } => {
                if let Some(amount) = self.claim(claim_id).map(|claim| claim.amount) {
                    self.settled(claim_id, ClaimPhase::Rejected, amount, at);
                }
            }
            FundEvent::ClaimPaid { claim_id, request_id: _, partner_id: _, campaign_id: _, amount, paid_at: _ } => {
                self.settled(claim_id, ClaimPhase::Paid, amount.money(), at);
            }
            FundEvent::ClaimWindowClosed { request_id, released, closed_at: _ } => self.closed(request_id, *released, at),
        }
    }
}

impl Fund {
    fn enter(&mut self, id: &RequestId, phase: RequestPhase, at: Timestamp) {
        if let Some(request) = self.requests.get_mut(id) {
            request.phase = phase;
            request.since = at;
        }
    }

    fn approved(&mut self, id: &RequestId, grant: Grant, at: Timestamp) {
        if let Some(allocation) = self.requests.get(id).and_then(|request| self.allocations.get_mut(&request.allocation_id)) {
            allocation.committed = plus(allocation.committed, grant.amount);
        }
        self.enter(id, RequestPhase::Approved(grant), at);
    }

    fn closed(&mut self, id: &RequestId, released: Money, at: Timestamp) {
        if let Some(grant) = self.requests.get(id).and_then(Request::grant).cloned() {
            self.enter(id, RequestPhase::Closed(grant), at);
            self.release(id, released);
        }
    }

    /// Gives part of a grant back to its allocation.
    fn release(&mut self, id: &RequestId, amount: Money) {
        let Some(request) = self.requests.get_mut(id) else { return };
        if let Some(allocation) = self.allocations.get_mut(&request.allocation_id) {
            allocation.committed = minus(allocation.committed, amount);
        }
        if let Some(grant) = request.grant_mut() {
            grant.released = plus(grant.released, amount);
        }
    }

    /// Lets go of what a claim held: it may be claimed again, or goes back to the allocation once the window is closed.
    fn unreserve(&mut self, id: &RequestId, amount: Money) {
        let Some(request) = self.requests.get_mut(id) else { return };
        if let Some(grant) = request.grant_mut() {
            grant.reserved = minus(grant.reserved, amount);
        }
        if matches!(request.phase, RequestPhase::Closed(_)) {
            self.release(id, amount);
        }
    }

    fn submitted(&mut self, id: &ClaimId, claim: Claim) {
        if let Some(grant) = self.requests.get_mut(&claim.request_id).and_then(Request::grant_mut) {
            grant.reserved = plus(grant.reserved, claim.amount);
        }
        self.claims.insert(id.clone(), claim);
    }

    /// Moves a claim on; what it held beyond `amount` is let go of.
    fn settled(&mut self, id: &ClaimId, phase: ClaimPhase, amount: Money, at: Timestamp) {
        let Some(claim) = self.claims.get_mut(id) else { return };
        let (request_id, before) = (claim.request_id.clone(), claim.amount);
        claim.phase = phase;
        claim.since = at;
        match phase {
            ClaimPhase::Submitted => {}
            ClaimPhase::Approved => {
                claim.amount = amount;
                self.unreserve(&request_id, minus(before, amount));
            }
            ClaimPhase::Rejected => self.unreserve(&request_id, before),
            ClaimPhase::Paid => {
                if let Some(grant) = self.requests.get_mut(&request_id).and_then(Request::grant_mut) {
                    grant.reserved = minus(grant.reserved, before);
                    grant.paid = plus(grant.paid, before);
                }
            }
        }
    }
}
