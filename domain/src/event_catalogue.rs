//! The event catalogue: every event by name. What is added to an event type and not here breaks the build.

use crate::{account::AccountEvent, cost::CostEvent, fund::FundEvent, partner::PartnerEvent, program::ProgramEvent, stream::StreamKind};

/// What the outside needs to know of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventSpec {
    /// Its name, as records and published events say it.
    pub name: &'static str,
    /// The kind of stream it is recorded in.
    pub stream: StreamKind,
}

macro_rules! events {
    ($($kind:ident $type:ident { $($variant:ident),* $(,)? })*) => {
        /// Every event there is.
        pub const EVENTS: &[EventSpec] = &[ $($(EventSpec { name: stringify!($variant), stream: StreamKind::$kind }),*),* ];

        $(
            impl $type {
                /// Its name.
                #[must_use]
                pub const fn name(&self) -> &'static str {
                    match self {
                        $(Self::$variant { .. } => stringify!($variant),)*
                    }
                }
            }
        )*
    };
}

events! {
    Program ProgramEvent { RulesPublished }
    Partner PartnerEvent {
        PartnerNominated, PartnerRegistered, PartnerRoleAssigned, PartnerRoleRevoked, PartnerRegionAssigned, AgreementSigned,
        PartnerActivated, PartnerSuspended, RetirementStarted, RetirementCompleted, PartnerManagerAssigned, CourseCompleted,
        CertificationAwarded, CertificationRenewed, CertificationRevoked, CertificationExpired, TierEvaluated, TierPromoted,
        TierDemoted, TierGraceStarted, TierGraceEnded, TierOverridden,
    }
    Account AccountEvent {
        DealRegistered, DealUpdated, DealApproved, DealRejected, DealInformationRequested, DealWithdrawn, DealCanceled, DealExtended,
        DealExpired, ApprovalSlaBreached, StageAdvanced, NextStepSet, NoteAdded, DealWon, DealLost, DirectClaimed, ProtectionOpened,
        DealReassigned, TouchpointRecorded, RevenueRecorded, DisputeOpened, DisputeEscalated, DisputeRuled,
    }
    Fund FundEvent {
        BudgetOpened, FundsAllocated, FundsRequested, FundRequestAmended, FundRequestRecalled, FundRequestCanceled,
        FundRequestInformationRequested, FundRequestApproved, FundRequestRejected, ClaimSubmitted, ClaimApproved, ClaimRejected,
        ClaimPaid, ClaimWindowClosed,
    }
    Cost CostEvent { ProgramCostRecorded }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::values::{DealId, Timestamp};

    #[test]
    fn an_event_is_recorded_under_its_name() {
        let event = AccountEvent::DealExpired { deal_id: DealId::parse("d-1").expect("an id"), expired_at: Timestamp::from_micros(0) };
        let recorded = serde_json::to_value(&event).expect("JSON");
        assert_eq!((event.name(), recorded["type"].as_str()), ("DealExpired", Some("DealExpired")));
        let names: BTreeSet<&str> = EVENTS.iter().map(|spec| spec.name).collect();
        assert_eq!(names.len(), EVENTS.len(), "no name is used twice");
    }
}
