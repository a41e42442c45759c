//! A registered deal: what later decisions on it are made from.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Stage;
use crate::values::{Amount, Label, PartnerId, Timestamp};

/// Where the registration of a deal stands (F41). A submission is routed to a reviewer at once, so that Submitted and
/// InReview are one phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the field's standard words")]
pub enum DealPhase {
    Draft,
    InReview,
    ActionRequired,
    Approved,
    Rejected,
    Expired,
    Withdrawn,
    Canceled,
    Won,
    Lost,
}

impl DealPhase {
    /// Submitted, and neither turned down, given up, run out nor closed: it competes with other partners' deals.
    #[must_use]
    pub const fn is_open(self) -> bool {
        match self {
            Self::InReview | Self::ActionRequired | Self::Approved => true,
            Self::Draft | Self::Rejected | Self::Expired | Self::Withdrawn | Self::Canceled | Self::Won | Self::Lost => false,
        }
    }

    /// Whether the partner may change what it registered.
    #[must_use]
    pub const fn is_editable(self) -> bool {
        matches!(self, Self::Draft | Self::ActionRequired)
    }

    /// Whether no reviewer has decided yet.
    #[must_use]
    pub const fn is_undecided(self) -> bool {
        matches!(self, Self::Draft | Self::InReview | Self::ActionRequired)
    }
}

impl fmt::Display for DealPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Draft => "draft",
            Self::InReview => "in_review",
            Self::ActionRequired => "action_required",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
            Self::Canceled => "canceled",
            Self::Won => "won",
            Self::Lost => "lost",
        })
    }
}

/// A deal of an account. An account may have very many: it keeps what decides and nothing else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deal {
    pub(super) partner_id: PartnerId,
    pub(super) phase: DealPhase,
    pub(super) stage: Stage,
    pub(super) product: Label,
    pub(super) amount: Amount,
    pub(super) region: Option<Label>,
    pub(super) expected_close: Option<Timestamp>,
    pub(super) registered_at: Timestamp,
    pub(super) reviewer: Option<Label>,
    pub(super) sla_due: Option<Timestamp>,
    pub(super) sla_breached: bool,
    pub(super) protected_until: Option<Timestamp>,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) extensions: u32,
    pub(super) historical: bool,
    pub(super) has_contact: bool,
}

impl Deal {
    /// Whose it is now.
    #[must_use]
    pub const fn partner_id(&self) -> &PartnerId {
        &self.partner_id
    }

    /// Where its registration stands.
    #[must_use]
    pub const fn phase(&self) -> DealPhase {
        self.phase
    }

    /// Where the opportunity stands.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        self.stage
    }

    /// What is sold.
    #[must_use]
    pub const fn product(&self) -> &Label {
        &self.product
    }

    /// The expected value; of a won deal the value won.
    #[must_use]
    pub const fn amount(&self) -> Amount {
        self.amount
    }

    /// The region copied at the registration.
    #[must_use]
    pub const fn region(&self) -> Option<&Label> {
        self.region.as_ref()
    }

    /// When it was registered (effective).
    #[must_use]
    pub const fn registered_at(&self) -> Timestamp {
        self.registered_at
    }

    /// Until when the last submission was promised a decision.
    #[must_use]
    pub const fn sla_due(&self) -> Option<Timestamp> {
        self.sla_due
    }

    /// When the approval runs out.
    #[must_use]
    pub const fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// Until when protection was granted; in force only while the deal is open and the time has not come.
    #[must_use]
    pub const fn protected_until(&self) -> Option<Timestamp> {
        self.protected_until
    }

    /// Whether the registration is history from before the ledger.
    #[must_use]
    pub const fn historical(&self) -> bool {
        self.historical
    }

    /// Whether it protects its scope from others at `at`.
    #[must_use]
    pub fn protects_at(&self, at: Timestamp) -> bool {
        self.phase.is_open() && self.protected_until.is_some_and(|until| until > at)
    }

    /// When a missing decision is to be raised.
    pub(super) fn sla_pending(&self) -> Option<Timestamp> {
        self.sla_due.filter(|_| self.phase == DealPhase::InReview && !self.sla_breached)
    }

    /// When the approval is to be recorded as run out.
    pub(super) fn expiry_pending(&self) -> Option<Timestamp> {
        self.expires_at.filter(|_| self.phase == DealPhase::Approved)
    }
}
