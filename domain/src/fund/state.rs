//! A fund's state: who was promised how much of the budget, and what became of it.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::CloseClaimWindow;
use crate::{
    command::CommandPayload,
    deadline::Deadline,
    rejection::Rejection,
    values::{AllocationId, Amount, CampaignId, ClaimId, Money, PartnerId, RequestId, Timestamp},
};

/// A fund: one budget, and every allocation, request and claim under it, all in the budget's currency.
///
/// Sums that always hold: budget = allocated + available; allocation = committed + available; approved = paid +
/// reserved + released + available. Nothing is ever below zero, so the fund cannot be overspent at any level.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Fund {
    pub(super) budget: Option<Budget>,
    pub(super) allocations: BTreeMap<AllocationId, Allocation>,
    pub(super) requests: BTreeMap<RequestId, Request>,
    pub(super) claims: BTreeMap<ClaimId, Claim>,
}

/// The money that the fund is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// All of it.
    pub amount: Money,
    /// What is set aside for partners.
    pub allocated: Money,
    /// The first instant money may be asked for.
    pub starts_on: Timestamp,
    /// The instant from which it may not.
    pub ends_on: Timestamp,
    /// When it was opened.
    pub since: Timestamp,
}

/// What is set aside for one partner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Allocation {
    /// For whom.
    pub partner_id: PartnerId,
    /// All of it.
    pub amount: Money,
    /// What approved requests hold of it: their amounts without what they released.
    pub committed: Money,
    /// When it was set aside.
    pub since: Timestamp,
}

/// A request to spend allocated funds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Of which allocation.
    pub allocation_id: AllocationId,
    /// Whose it is.
    pub partner_id: PartnerId,
    /// The campaign that it pays for.
    pub campaign_id: Option<CampaignId>,
    /// What was asked for last.
    pub amount: Money,
    /// 1 as it was made; one more with each amendment.
    pub revision: u32,
    /// Where it stands.
    pub phase: RequestPhase,
    /// When it came to stand there.
    pub since: Timestamp,
}

/// Where a request stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the field's standard words")]
pub enum RequestPhase {
    Draft,
    InReview,
    ActionRequired,
    /// Claims may be made until the window closes.
    Approved(Grant),
    /// The claim window is closed; claims made before may still be open.
    Closed(Grant),
    Rejected,
    Canceled,
}

/// What was approved, and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grant {
    /// What was approved.
    pub amount: Money,
    /// What open claims hold of it, submitted or approved.
    pub reserved: Money,
    /// What was paid.
    pub paid: Money,
    /// What went back to the allocation.
    pub released: Money,
    /// The instant from which no claim is taken.
    pub claim_until: Timestamp,
    /// Whether it was approved before the ledger: no deadline closes its window.
    pub historical: bool,
}

/// A claim for money spent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// Under which request.
    pub request_id: RequestId,
    /// What was claimed, or what was approved of it.
    pub amount: Money,
    /// Where it stands.
    pub phase: ClaimPhase,
    /// When it came to stand there.
    pub since: Timestamp,
}

/// Where a claim stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the field's standard words")]
pub enum ClaimPhase {
    Submitted,
    Approved,
    Paid,
    Rejected,
}

/// The sum. Decisions keep every sum of a fund between zero and its budget, all in one currency.
pub(super) fn plus(a: Money, b: Money) -> Money {
    Money::from_minor(a.minor().saturating_add(b.minor()), a.currency())
}

/// The difference, as `plus`.
pub(super) fn minus(a: Money, b: Money) -> Money {
    Money::from_minor(a.minor().saturating_sub(b.minor()), a.currency())
}

impl Budget {
    /// What may still be set aside.
    #[must_use]
    pub fn available(&self) -> Money {
        minus(self.amount, self.allocated)
    }
}

impl Allocation {
    /// What requests may still be approved for.
    #[must_use]
    pub fn available(&self) -> Money {
        minus(self.amount, self.committed)
    }
}

impl Grant {
    /// What may still be claimed.
    #[must_use]
    pub fn available(&self) -> Money {
        minus(minus(minus(self.amount, self.reserved), self.paid), self.released)
    }
}

impl Request {
    /// What was approved, where it was.
    #[must_use]
    pub const fn grant(&self) -> Option<&Grant> {
        match &self.phase {
            RequestPhase::Approved(grant) | RequestPhase::Closed(grant) => Some(grant),
            RequestPhase::Draft
            | RequestPhase::InReview
            | RequestPhase::ActionRequired
            | RequestPhase::Rejected
            | RequestPhase::Canceled => None,
        }
    }

    pub(super) fn grant_mut(&mut self) -> Option<&mut Grant> {
        match &mut self.phase {
            RequestPhase::Approved(grant) | RequestPhase::Closed(grant) => Some(grant),
            RequestPhase::Draft
            | RequestPhase::InReview
            | RequestPhase::ActionRequired
            | RequestPhase::Rejected
            | RequestPhase::Canceled => None,
        }
    }
}

impl fmt::Display for RequestPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Draft => "draft",
            Self::InReview => "in_review",
            Self::ActionRequired => "action_required",
            Self::Approved(_) => "approved",
            Self::Closed(_) => "closed",
            Self::Rejected => "rejected",
            Self::Canceled => "canceled",
        })
    }
}

impl fmt::Display for ClaimPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Submitted => "submitted",
            Self::Approved => "approved",
            Self::Paid => "paid",
            Self::Rejected => "rejected",
        })
    }
}

impl Fund {
    /// The budget, once it is open.
    #[must_use]
    pub const fn budget(&self) -> Option<&Budget> {
        self.budget.as_ref()
    }

    /// An allocation.
    #[must_use]
    pub fn allocation(&self, id: &AllocationId) -> Option<&Allocation> {
        self.allocations.get(id)
    }

    /// A request.
    #[must_use]
    pub fn request(&self, id: &RequestId) -> Option<&Request> {
        self.requests.get(id)
    }

    /// A claim.
    #[must_use]
    pub fn claim(&self, id: &ClaimId) -> Option<&Claim> {
        self.claims.get(id)
    }

    /// Every allocation, by id.
    pub fn allocations(&self) -> impl Iterator<Item = (&AllocationId, &Allocation)> {
        self.allocations.iter()
    }

    /// Every request, by id.
    pub fn requests(&self) -> impl Iterator<Item = (&RequestId, &Request)> {
        self.requests.iter()
    }

    /// Every claim, by id.
    pub fn claims(&self) -> impl Iterator<Item = (&ClaimId, &Claim)> {
        self.claims.iter()
    }

    /// What falls due: the claim windows that are open. History arms none.
    pub fn deadlines(&self) -> impl Iterator<Item = Deadline> {
        self.open_windows().map(|(id, until)| Deadline::new(CloseClaimWindow::NAME, id, until, json!({ "request_id": id })))
    }

    /// When the first of `deadlines` falls due.
    #[must_use]
    pub fn first_due(&self) -> Option<Timestamp> {
        self.open_windows().map(|(_, until)| until).min()
    }

    fn open_windows(&self) -> impl Iterator<Item = (&RequestId, Timestamp)> {
        self.requests.iter().filter_map(|(id, request)| match &request.phase {
            RequestPhase::Approved(grant) if !grant.historical => Some((id, grant.claim_until)),
            RequestPhase::Approved(_)
            | RequestPhase::Closed(_)
            | RequestPhase::Draft
            | RequestPhase::InReview
            | RequestPhase::ActionRequired
            | RequestPhase::Rejected
            | RequestPhase::Canceled => None,
        })
    }

    /// The allocation.
    ///
    /// # Errors
    /// `AllocationUnknown`.
    pub(super) fn known_allocation(&self, id: &AllocationId) -> Result<&Allocation, Rejection> {
        self.allocations.get(id).ok_or_else(|| Rejection::AllocationUnknown { allocation_id: id.clone() })
    }

    /// The request.
    ///
    /// # Errors
    /// `RequestUnknown`.
    pub(super) fn known_request(&self, id: &RequestId) -> Result<&Request, Rejection> {
        self.requests.get(id).ok_or_else(|| Rejection::RequestUnknown { request_id: id.clone() })
    }

    /// The claim, where it stands in one of `phases`.
    ///
    /// # Errors
    /// `ClaimUnknown` or `WrongClaimPhase`.
    pub(super) fn claim_in(&self, id: &ClaimId, phases: &[ClaimPhase]) -> Result<&Claim, Rejection> {
        let claim = self.claims.get(id).ok_or_else(|| Rejection::ClaimUnknown { claim_id: id.clone() })?;
        if phases.contains(&claim.phase) {
            return Ok(claim);
        }
        Err(Rejection::WrongClaimPhase { claim_id: id.clone(), phase: claim.phase.to_string() })
    }
}

impl Grant {
    pub(super) fn of(amount: Amount, claim_until: Timestamp, historical: bool) -> Self {
        let nothing = Money::zero(amount.currency());
        Self { amount: amount.money(), reserved: nothing, paid: nothing, released: nothing, claim_until, historical }
    }
}
