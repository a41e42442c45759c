//! What is recorded in a stream `account/<key>`.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::values::{
    AccountDescription, Amount, CampaignId, DealId, DirectClaimId, DisputeId, Label, Money, PartnerId, PersonId, Personal, RevenueId,
    StaffId, Text, Timestamp, TouchpointId,
};

/// An event of an account. The stream's name says which.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
#[expect(missing_docs, reason = "the fields are those of the commands, documented there")]
pub enum AccountEvent {
    /// A partner registered a deal (F41).
    DealRegistered(Box<DealRegistered>),
    /// A draft, or a registration sent back for information, was changed; `submitted` where that put it up for decision.
    DealUpdated {
        deal_id: DealId,
        product: Label,
        amount: Amount,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        region: Option<Label>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expected_close: Option<Timestamp>,
        submitted: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sla_due: Option<Timestamp>,
    },
    /// The registration was approved; `protected_until` is absent where no protection was granted.
    DealApproved {
        deal_id: DealId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        protected_until: Option<Timestamp>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<Timestamp>,
    },
    /// The registration was turned down by a reviewer.
    DealRejected { deal_id: DealId, reason: Text },
    /// The reviewer asked the partner for more (ActionRequired).
    DealInformationRequested { deal_id: DealId, question: Text },
    /// The partner gave an approved deal up.
    DealWithdrawn {
        deal_id: DealId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Text>,
    },
    /// The partner took it back before a decision.
    DealCanceled { deal_id: DealId },
    /// Protection and validity were extended (F46).
    DealExtended {
        deal_id: DealId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        protected_until: Option<Timestamp>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<Timestamp>,
    },
    /// The approval ran out; effective when it was due (F46).
    DealExpired { deal_id: DealId, expired_at: Timestamp },
    /// No decision within the rules' hours (F45); raised once a submission.
    ApprovalSlaBreached {
        deal_id: DealId,
        due: Timestamp,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reviewer: Option<Label>,
    },
    /// The opportunity moved on (F47).
    StageAdvanced { deal_id: DealId, from: Stage, to: Stage },
    /// What happens next, and by when.
    NextStepSet {
        deal_id: DealId,
        next_step: Text,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due: Option<Timestamp>,
    },
    /// A note of the channel manager or the partner.
    NoteAdded { deal_id: DealId, note: Text, visibility: Visibility },
    /// The deal was won.
    DealWon {
        deal_id: DealId,
        amount: Amount,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gross_margin: Option<Money>,
        closed_at: Timestamp,
        /// Whether no deal of the account was recorded as won before. The net-new logo of read models (F30) is the one that
        /// was closed first.
        net_new_logo: bool,
    },
    /// The deal was lost.
    DealLost { deal_id: DealId, reason: Text, closed_at: Timestamp },
    /// The vendor's direct sellers claimed an unprotected account (F42).
    DirectClaimed {
        claim_id: DirectClaimId,
        seller: StaffId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        product: Option<Label>,
    },
    /// The end of a deal's protection was set: for a deal from before the ledger, granted on moving day; or to end now,
    /// where the deal was reassigned while others keep the scope for its former partner.
    ProtectionOpened { deal_id: DealId, protected_until: Timestamp },
    /// The deal went to another partner.
    DealReassigned { deal_id: DealId, from: PartnerId, to: PartnerId },
    /// An act of a partner or a channel on the account (F71).
    TouchpointRecorded {
        touchpoint_id: TouchpointId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        partner_id: Option<PartnerId>,
        kind: Label,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        channel: Option<Label>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deal_id: Option<DealId>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        campaign_id: Option<CampaignId>,
        occurred_at: Timestamp,
    },
    /// Revenue was recognised.
    RevenueRecorded {
        revenue_id: RevenueId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        partner_id: Option<PartnerId>,
        amount: Amount,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gross_margin: Option<Money>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deal_id: Option<DealId>,
        kind: RevenueKind,
        recognized_at: Timestamp,
    },
    /// A dispute over a deal was opened (F48).
    DisputeOpened { dispute_id: DisputeId, deal_id: DealId, contender: PartnerId, reason: Text },
    /// The dispute went to the executive sponsor (F08).
    DisputeEscalated { dispute_id: DisputeId, to: StaffId },
    /// The dispute was ruled: one winner, or shares that add up to 1.
    DisputeRuled { dispute_id: DisputeId, deal_id: DealId, shares: Vec<Share>, reason: Text },
}

/// The registration of a deal, as decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DealRegistered {
    /// The deal.
    pub deal_id: DealId,
    /// Whose it is.
    pub partner_id: PartnerId,
    /// The account as described; absent for an imported deal without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountDescription>,
    /// The product: the scope of protection where the rules say so.
    pub product: Label,
    /// The expected value.
    pub amount: Amount,
    /// Whether the amount was estimated by an import.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
    /// The payload's region, else the partner's at the decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Label>,
    /// When the partner expects to close.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_close: Option<Timestamp>,
    /// Whether it was kept as a draft.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub draft: bool,
    /// Whether it is history from before the ledger.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub historical: bool,
    /// Who decides, by the rules' routing (F44).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reviewer: Option<Label>,
    /// Until when a decision is due (F45).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sla_due: Option<Timestamp>,
    /// Deals of other partners open on the same product at registration, at most ten (`overlap_count` has them all).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overlaps: Vec<Overlap>,
    /// How many deals of other partners were open on the same scope.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub overlap_count: u32,
    /// The customer's contact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<Contact>,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// Another partner's open deal on the same account and scope.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Overlap {
    /// The other deal.
    pub deal_id: DealId,
    /// The other partner.
    pub partner_id: PartnerId,
}

/// A person at the customer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    /// The subject of the fields below; made by the key store where the sender has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person_id: Option<PersonId>,
    /// The person's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Personal>,
    /// The person's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Personal>,
}

/// A partner's part of a disputed deal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// Whose.
    pub partner_id: PartnerId,
    /// Between 0 and 1.
    #[schema(value_type = String, example = "0.5")]
    pub share: Decimal,
}

/// The stage of an opportunity (F47).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the field's standard words")]
pub enum Stage {
    Prospect,
    Qualified,
    TechnicalValidation,
    BusinessValidation,
    Committed,
    Launched,
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Prospect => "prospect",
            Self::Qualified => "qualified",
            Self::TechnicalValidation => "technical_validation",
            Self::BusinessValidation => "business_validation",
            Self::Committed => "committed",
            Self::Launched => "launched",
        })
    }
}

/// What kind of revenue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the field's standard words")]
pub enum RevenueKind {
    #[default]
    New,
    Renewal,
    Expansion,
    /// Counts against.
    Refund,
}

/// Who may read a note.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the words say it")]
pub enum Visibility {
    #[default]
    Internal,
    Partner,
}
