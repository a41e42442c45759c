//! Every reason for which a well-formed command is refused, with the facts it was refused on.

use serde::{Deserialize, Serialize};

use crate::values::{
    AllocationId, BudgetId, CertificationId, ClaimId, CompletionId, CostId, CourseId, Currency, DealId, DirectClaimId, DisputeId, Money,
    PartnerId, PersonId, RequestId, RevenueId, TierName, Timestamp, TouchpointId,
};

/// Why a command was refused. Recorded as `{"code":"AccountProtected","facts":{...}}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "code", content = "facts")]
#[expect(missing_docs, reason = "the message says what each means; the fields are its facts")]
pub enum Rejection {
    // Any stream.
    #[error("no program rules are in force at {at}; publish some with an effective_from that is no later")]
    NoRulesInForce { at: Timestamp },
    #[error("{date} lies in the future (it is {now})")]
    DateInFuture { date: Timestamp, now: Timestamp },
    #[error("{expected} is expected here, not {given}")]
    WrongCurrency { expected: Currency, given: Currency },
    #[error("the stream is at version {actual}, not {expected}")]
    VersionConflict { expected: u64, actual: u64 },
    #[error("the reference facts did not arrive in time; send the command again")]
    FactsBehind {},
    #[error("pledger failed to decide this, which is a fault of its own: {reason}")]
    DecisionFailed { reason: String },
    #[error("the field {field} is required by the program's rules")]
    RequiredByRules { field: String },

    // Program.
    #[error("the program rules are not valid: {reason}")]
    InvalidRules { reason: String },

    // Partner.
    #[error("there is no partner {partner_id}")]
    PartnerUnknown { partner_id: PartnerId },
    #[error("the partner {partner_id} is registered already")]
    PartnerExists { partner_id: PartnerId },
    #[error("the partner {partner_id} is {phase}, not active")]
    PartnerNotActive { partner_id: PartnerId, phase: String },
    #[error("that is not possible while the partner is {phase}")]
    WrongPartnerPhase { partner_id: PartnerId, phase: String },
    #[error("the partner {partner_id} has not signed the agreement")]
    AgreementNotSigned { partner_id: PartnerId },
    #[error("the partner {partner_id} holds the role already")]
    RoleHeld { partner_id: PartnerId },
    #[error("the partner {partner_id} does not hold the role, or it is its last one")]
    RoleNotHeld { partner_id: PartnerId },
    #[error("the partner {partner_id} is retiring since {since}")]
    PartnerRetiring { partner_id: PartnerId, since: Timestamp },
    #[error("retirement has to wait for {} open items", .open.len())]
    RetirementBlocked { partner_id: PartnerId, open: Vec<String> },
    #[error("the course completion {completion_id} is recorded already")]
    CompletionExists { completion_id: CompletionId },
    #[error("{person_id} has not completed the course {course}")]
    CourseNotCompleted { person_id: PersonId, course: CourseId },
    #[error("nobody at {partner_id} has completed the course {course}, which the rules require first")]
    PrerequisiteMissing { partner_id: PartnerId, course: CourseId },
    #[error("{person_id} holds {certification} already, until {expires_at}")]
    CertificationHeld { person_id: PersonId, certification: CertificationId, expires_at: Timestamp },
    #[error("{person_id} does not hold {certification}")]
    CertificationNotHeld { person_id: PersonId, certification: CertificationId },
    #[error("the rules know no certification level {level:?}")]
    UnknownCertificationLevel { level: String },
    #[error("it is not due before {due}")]
    NotDue { due: Timestamp },
    #[error("it expires at {expires_at}, before it begins at {begins_at}")]
    EndsBeforeItBegins { begins_at: Timestamp, expires_at: Timestamp },
    #[error("the rules know no tier {tier}")]
    UnknownTier { tier: TierName },
    #[error("the tier was evaluated for {period} already")]
    TierEvaluated { period: String },

    // Account.
    #[error("the account is protected for {holder} until {protected_until} by the deal {deal_id}")]
    AccountProtected { holder: PartnerId, deal_id: DealId, product: String, protected_until: Timestamp, contender: Option<PartnerId> },
    #[error("the partner's deal {deal_id} protects this already, until {protected_until}")]
    AlreadyProtected { deal_id: DealId, protected_until: Timestamp },
    #[error("the deal {deal_id} was registered in this ledger, and is protected by its approval")]
    DealNotHistorical { deal_id: DealId },
    #[error(
        "an opening grants from today on, and is no history: send it without an effective time; an import's mapping says `opening = true`"
    )]
    OpeningNotHistory {},
    #[error("the deal {deal_id} exists on this account already")]
    DealExists { deal_id: DealId },
    #[error("there is no deal {deal_id} on this account")]
    DealUnknown { deal_id: DealId },
    #[error("that is not possible while the deal {deal_id} is {phase}")]
    WrongDealPhase { deal_id: DealId, phase: String },
    #[error("the expected close {expected_close} lies in the past (it is {now})")]
    ExpectedCloseInPast { expected_close: Timestamp, now: Timestamp },
    #[error("the deal {deal_id} is at {current} already")]
    StageNotAhead { deal_id: DealId, current: String },
    #[error("the deal {deal_id} was extended {extensions} times, as often as the rules allow")]
    NoExtensionLeft { deal_id: DealId, extensions: u32 },
    #[error("the close {closed_at} lies before the registration {registered_at}")]
    ClosedBeforeRegistered { deal_id: DealId, closed_at: Timestamp, registered_at: Timestamp },
    #[error("the rules grant no protection")]
    NoProtectionByRules {},
    #[error("an account is needed here; only the registration of an imported deal may leave it out")]
    AccountRequired {},
    #[error("the touchpoint {touchpoint_id} is recorded already")]
    TouchpointExists { touchpoint_id: TouchpointId },
    #[error("the revenue {revenue_id} is recorded already")]
    RevenueExists { revenue_id: RevenueId },
    #[error("{available} of the deal {deal_id} is left to be refunded, {requested} was given back")]
    RefundExceeded { deal_id: DealId, available: Money, requested: Money },
    #[error("the direct claim {claim_id} is recorded already")]
    DirectClaimExists { claim_id: DirectClaimId },
    #[error("the dispute {dispute_id} is open or ruled already")]
    DisputeExists { dispute_id: DisputeId },
    #[error("there is no open dispute {dispute_id} on this account")]
    DisputeNotOpen { dispute_id: DisputeId },
    #[error("the shares of a split add up to {sum}, not 1")]
    SharesNotWhole { sum: String },
    #[error("{partner_id} is no party to the dispute {dispute_id}")]
    NotAParty { dispute_id: DisputeId, partner_id: PartnerId },
    #[error("the share {share} of {partner_id} is not above 0 and at most 1")]
    ShareOutOfRange { partner_id: PartnerId, share: String },
    #[error("the approval of the deal {deal_id} does not run out")]
    NeverExpires { deal_id: DealId },
    #[error("no decision on the deal {deal_id} is due by a promised time, or its breach is recorded already")]
    NoDecisionDue { deal_id: DealId },
    #[error("the deal {deal_id} belongs to {partner_id} already")]
    SamePartner { deal_id: DealId, partner_id: PartnerId },

    // Fund.
    #[error("the budget {budget_id} is open already")]
    BudgetExists { budget_id: BudgetId },
    #[error("there is no budget {budget_id}")]
    BudgetUnknown { budget_id: BudgetId },
    #[error("the budget runs from {starts_on} to {ends_on}")]
    OutsideBudgetPeriod { starts_on: Timestamp, ends_on: Timestamp },
    #[error("the allocation {allocation_id} exists already")]
    AllocationExists { allocation_id: AllocationId },
    #[error("there is no allocation {allocation_id} in this budget")]
    AllocationUnknown { allocation_id: AllocationId },
    #[error("{available} is left in the budget, {requested} was asked for")]
    BudgetExceeded { available: Money, requested: Money },
    #[error("{available} is left in the allocation, {requested} was asked for")]
    AllocationExceeded { available: Money, requested: Money },
    #[error("{available} is left of the approved request, {requested} was claimed")]
    RequestExceeded { available: Money, requested: Money },
    #[error("{asked} was asked for; {given} would be more")]
    MoreThanAsked { asked: Money, given: Money },
    #[error("the request {request_id} exists already")]
    RequestExists { request_id: RequestId },
    #[error("there is no request {request_id} in this budget")]
    RequestUnknown { request_id: RequestId },
    #[error("that is not possible while the request {request_id} is {phase}")]
    WrongRequestPhase { request_id: RequestId, phase: String },
    #[error("the request is at revision {actual}, not {expected}")]
    StaleRevision { expected: u32, actual: u32 },
    #[error("the claim {claim_id} exists already")]
    ClaimExists { claim_id: ClaimId },
    #[error("there is no claim {claim_id} in this budget")]
    ClaimUnknown { claim_id: ClaimId },
    #[error("that is not possible while the claim {claim_id} is {phase}")]
    WrongClaimPhase { claim_id: ClaimId, phase: String },
    #[error("the payment {paid_at} lies before the approval of the claim {approved_at}")]
    PaidBeforeApproved { claim_id: ClaimId, paid_at: Timestamp, approved_at: Timestamp },
    #[error("a claim needs proof of execution")]
    ProofMissing {},
    #[error("the claim window closed at {closed_at}")]
    ClaimWindowClosed { closed_at: Timestamp },
    #[error("{} is not eligible for market development funds", .tier.as_ref().map_or("a partner without a tier".to_owned(), |tier| format!("the tier {tier}")))]
    TierNotEligible { tier: Option<TierName> },
    #[error("an amount of zero changes nothing")]
    NothingAsked {},

    // Cost.
    #[error("the cost {cost_id} is recorded already")]
    CostExists { cost_id: CostId },
}

impl Rejection {
    /// The stable code: the variant's name.
    #[must_use]
    pub fn code(&self) -> String {
        match serde_json::to_value(self) {
            Ok(value) => value["code"].as_str().unwrap_or_default().to_owned(),
            Err(_) => String::new(),
        }
    }

    /// Whether it rests on another stream's facts or on the moment, so that the same request may succeed tomorrow: such
    /// a refusal does not use up its idempotency key. A refund may come before the revenue that it is of.
    #[must_use]
    pub const fn may_pass_later(&self) -> bool {
        matches!(
            self,
            Self::NoRulesInForce { .. }
                | Self::FactsBehind {}
                | Self::DecisionFailed { .. }
                | Self::VersionConflict { .. }
                | Self::PartnerUnknown { .. }
                | Self::PartnerNotActive { .. }
                | Self::AgreementNotSigned { .. }
                | Self::PartnerRetiring { .. }
                | Self::RetirementBlocked { .. }
                | Self::PrerequisiteMissing { .. }
                | Self::TierNotEligible { .. }
                | Self::RefundExceeded { .. }
                | Self::NotDue { .. }
                | Self::OutsideBudgetPeriod { .. }
        )
    }
}
