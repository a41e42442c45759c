//! Every event and every rejection by name. The matches have no catch-all arm: what is added to the domain and not here
//! breaks the build.

use pledger_domain::{
    account::AccountEvent, cost::CostEvent, fund::FundEvent, partner::PartnerEvent, program::ProgramEvent, rejection::Rejection,
};
use pledger_ledger::record::{Events, Outcome};

/// The name of each variant, and the name of a value.
macro_rules! names {
    ($all:ident, $of:ident, $type:ident: $($variant:ident),* $(,)?) => {
        const $all: &[&str] = &[$(stringify!($variant)),*];

        fn $of(value: &$type) -> &'static str {
            match value {
                $($type::$variant { .. } => stringify!($variant),)*
            }
        }
    };
}

names!(PROGRAM, program, ProgramEvent: RulesPublished);
names!(
    PARTNER, partner, PartnerEvent:
    PartnerNominated, PartnerRegistered, PartnerRoleAssigned, PartnerRoleRevoked, PartnerRegionAssigned, AgreementSigned,
    PartnerActivated, PartnerSuspended, RetirementStarted, RetirementCompleted, PartnerManagerAssigned, CourseCompleted,
    CertificationAwarded, CertificationRenewed, CertificationRevoked, CertificationExpired, TierEvaluated, TierPromoted,
    TierDemoted, TierGraceStarted, TierGraceEnded, TierOverridden,
);
names!(
    ACCOUNT, account, AccountEvent:
    DealRegistered, DealUpdated, DealApproved, DealRejected, DealInformationRequested, DealWithdrawn, DealCanceled,
    DealExtended, DealExpired, ApprovalSlaBreached, StageAdvanced, NextStepSet, NoteAdded, DealWon, DealLost, DirectClaimed,
    ProtectionOpened, DealReassigned, TouchpointRecorded, RevenueRecorded, DisputeOpened, DisputeEscalated, DisputeRuled,
);
names!(
    FUND, fund, FundEvent:
    BudgetOpened, FundsAllocated, FundsRequested, FundRequestAmended, FundRequestRecalled, FundRequestCanceled,
    FundRequestInformationRequested, FundRequestApproved, FundRequestRejected, ClaimSubmitted, ClaimApproved, ClaimRejected,
    ClaimPaid, ClaimWindowClosed,
);
names!(COST, cost, CostEvent: ProgramCostRecorded);
names!(
    REJECTION, rejection, Rejection:
    NoRulesInForce, DateInFuture, WrongCurrency, VersionConflict, FactsBehind, DecisionFailed, RequiredByRules, InvalidRules, PartnerUnknown,
    PartnerExists, PartnerNotActive, WrongPartnerPhase, AgreementNotSigned, RoleHeld, RoleNotHeld, PartnerRetiring,
    RetirementBlocked, CompletionExists, CourseNotCompleted, PrerequisiteMissing, CertificationHeld, CertificationNotHeld,
    UnknownCertificationLevel, NotDue, EndsBeforeItBegins, UnknownTier, TierEvaluated, AccountProtected, AlreadyProtected, DealNotHistorical, DealExists,
    DealUnknown, WrongDealPhase, ExpectedCloseInPast, StageNotAhead, NoExtensionLeft, ClosedBeforeRegistered,
    NoProtectionByRules, OpeningNotHistory, AccountRequired, TouchpointExists, RevenueExists, RefundExceeded, DirectClaimExists, DisputeExists, DisputeNotOpen,
    NotAParty, SharesNotWhole, ShareOutOfRange, NeverExpires, NoDecisionDue, SamePartner, BudgetExists, BudgetUnknown,
    OutsideBudgetPeriod, AllocationExists, AllocationUnknown, BudgetExceeded, AllocationExceeded, RequestExceeded,
    MoreThanAsked, RequestExists, RequestUnknown, WrongRequestPhase, StaleRevision, ClaimExists, ClaimUnknown,
    WrongClaimPhase, PaidBeforeApproved, ProofMissing, ClaimWindowClosed, TierNotEligible, NothingAsked, CostExists,
);

/// Everything that can be recorded, as `partner.PartnerNominated` or `rejected.DealExists`.
pub(crate) fn everything() -> Vec<String> {
    let groups =
        [("program", PROGRAM), ("partner", PARTNER), ("account", ACCOUNT), ("fund", FUND), ("cost", COST), ("rejected", REJECTION)];
    groups.iter().flat_map(|(group, names)| names.iter().map(move |name| format!("{group}.{name}"))).collect()
}

/// What an outcome holds, by the same names.
pub(crate) fn names_of(outcome: &Outcome<'_>) -> Vec<String> {
    fn named<T>(group: &str, events: &[T], name: fn(&T) -> &'static str) -> Vec<String> {
        events.iter().map(|event| format!("{group}.{}", name(event))).collect()
    }
    match outcome {
        Outcome::Accepted(Events::Program(events)) => named("program", events, program),
        Outcome::Accepted(Events::Partner(events)) => named("partner", events, partner),
        Outcome::Accepted(Events::Account(events)) => named("account", events, account),
        Outcome::Accepted(Events::Fund(events)) => named("fund", events, fund),
        Outcome::Accepted(Events::Cost(events)) => named("cost", events, cost),
        Outcome::Rejected(refusal) => vec![format!("rejected.{}", rejection(refusal))],
    }
}
