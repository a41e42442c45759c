//! The row of a deal.

use compact_str::CompactString;
use pledger_domain::{
    account::Stage,
    values::{Currency, Timestamp},
};
use pledger_ledger::slices::Position;

use crate::{row, symbol::Symbol, word_field};

/// How a deal stands, in the words of `pipeline`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DealStatus {
    /// Registered and neither closed nor given up; a draft too.
    Open,
    /// Closed and won.
    Won,
    /// Closed and lost.
    Lost,
    /// Turned down by a reviewer.
    Rejected,
    /// Its approval ran out.
    Expired,
    /// Given up by the partner: withdrawn after the approval, or canceled before a decision.
    Withdrawn,
}

/// Where the registration of a deal stands (F41).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the field's standard words")]
pub enum Registration {
    Draft,
    InReview,
    ActionRequired,
    Approved,
    Rejected,
}

word_field!(DealStatus {
    Open = "open",
    Won = "won",
    Lost = "lost",
    Rejected = "rejected",
    Expired = "expired",
    Withdrawn = "withdrawn",
});
word_field!(Registration {
    Draft = "draft",
    InReview = "in_review",
    ActionRequired = "action_required",
    Approved = "approved",
    Rejected = "rejected",
});
word_field!(Stage {
    Prospect = "prospect",
    Qualified = "qualified",
    TechnicalValidation = "technical_validation",
    BusinessValidation = "business_validation",
    Committed = "committed",
    Launched = "launched",
});

row! {
    /// A deal.
    Deal keyed DealKey in "deals" {
        key {
            /// The account's key.
            account: Symbol,
            /// The deal's id.
            deal: CompactString,
        }
        /// Whose it is now.
        partner: Symbol,
        /// Whose registration it was: who sourced it.
        sourced_by: Symbol,
        /// The product.
        product: Symbol,
        /// The region, as recorded at the registration.
        region: Option<Symbol>,
        /// The currency of the amounts.
        currency: Currency,
        /// The expected value, of a won deal the value won, in minor units.
        amount: i64,
        /// The value as registered, in minor units.
        registered_amount: i64,
        /// The gross margin of a won deal, in minor units of `currency`.
        gross_margin: Option<i64>,
        /// Whether the amount was estimated by an import.
        estimated: bool,
        /// The stage of the opportunity.
        stage: Stage,
        /// How it stands.
        status: DealStatus,
        /// Where its registration stands.
        registration: Registration,
        /// Whether its registration was ever approved.
        approved: bool,
        /// Whether the registration is history from before the ledger.
        historical: bool,
        /// When it was registered (effective).
        registered_at: Timestamp,
        /// The decision that registered it.
        registered_by: Position,
        /// The version of the rules of that decision; 0 where none was in force.
        registered_rules: u32,
        /// When it was put up for decision, the last time.
        submitted_at: Option<Timestamp>,
        /// When it was approved or rejected, the last time.
        decided_at: Option<Timestamp>,
        /// When it was won or lost.
        closed_at: Option<Timestamp>,
        /// Until when a decision is due.
        sla_due: Option<Timestamp>,
        /// Whether no decision came in time.
        sla_breached: bool,
        /// Until when it is protected.
        protected_until: Option<Timestamp>,
        /// Until when its protection was granted last, also once the deal is closed or given up.
        granted_until: Option<Timestamp>,
        /// When its approval runs out.
        expires_at: Option<Timestamp>,
        /// When the partner expects to close.
        expected_close: Option<Timestamp>,
        /// Who decides.
        reviewer: Option<Symbol>,
        /// Whether a won deal is the first of the account to be closed (F30).
        net_new_logo: bool,
        /// The version of the rules that its credit is shared under; 0 where none was in force, or it is not won.
        won_rules: u32,
        /// How many records of revenue name it, refunds left out: with the first, its own amount counts no more.
        revenues: u32,
    }
}

impl DealKey {
    /// The account; none for an imported deal without one.
    #[must_use]
    pub fn matched_account(&self) -> Option<Symbol> {
        // Domains hold no colon, and no other key begins like this: `AccountKey::none` made it.
        (!self.account.name().starts_with("none:")).then_some(self.account)
    }
}

impl Deal {
    /// Whether it competes with other partners' deals: it is open, and was put up for decision.
    #[must_use]
    pub fn competes(&self) -> bool {
        self.status == DealStatus::Open && self.registration != Registration::Draft
    }
}
