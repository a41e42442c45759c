//! What is recorded in a stream `partner/<partner_id>`.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::Role;
use crate::values::{CertificationId, CompletionId, CourseId, Label, Money, PersonId, Personal, StaffId, Text, TierName, Timestamp};

/// An event of a partner. The stream's name says which.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
#[expect(missing_docs, reason = "the fields are those of the commands, documented there")]
pub enum PartnerEvent {
    /// A candidate was put forward (F02 Prospect).
    PartnerNominated { name: Label },
    /// The partner applied to the program (F02 Applied).
    PartnerRegistered {
        name: Label,
        roles: Vec<Role>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        country: Option<Label>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        region: Option<Label>,
    },
    /// One more role.
    PartnerRoleAssigned { role: Role },
    /// One role less.
    PartnerRoleRevoked { role: Role },
    /// The region that later registrations default to.
    PartnerRegionAssigned { region: Label },
    /// The partner agreement was signed (F02 Onboarding).
    AgreementSigned { signed_at: Timestamp },
    /// The partner may register deals and ask for funds (F02 Active), for the first time or again.
    PartnerActivated {},
    /// The partner may not, for now (F02 Suspended).
    PartnerSuspended { reason: Text },
    /// No new deals, requests or claims from here on.
    RetirementStarted {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Text>,
    },
    /// Nothing was open any more (F02 Retired).
    RetirementCompleted { as_of: Vec<String> },
    /// The one primary partner manager (F07).
    PartnerManagerAssigned {
        manager_id: StaffId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<Personal>,
    },
    /// A person completed a course (F20).
    CourseCompleted {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        completion_id: Option<CompletionId>,
        person_id: PersonId,
        course: CourseId,
        completed_at: Timestamp,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hours: Option<Decimal>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        person_name: Option<Personal>,
    },
    /// A person was certified (F22).
    CertificationAwarded {
        person_id: PersonId,
        certification: CertificationId,
        level: Label,
        awarded_at: Timestamp,
        expires_at: Timestamp,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        person_name: Option<Personal>,
    },
    /// A certification was renewed before or after it expired (F23).
    CertificationRenewed { person_id: PersonId, certification: CertificationId, level: Label, renewed_at: Timestamp, expires_at: Timestamp },
    /// A certification was taken away.
    CertificationRevoked { person_id: PersonId, certification: CertificationId, reason: Text },
    /// A certification ran out; effective when it was due (F23).
    CertificationExpired { person_id: PersonId, certification: CertificationId, expired_at: Timestamp },
    /// The partner's figures were held against the tiers (F30).
    TierEvaluated { period: String, inputs: TierInputs, earned: TierName },
    /// The awarded tier rose; `from` is absent at the first award.
    TierPromoted {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<TierName>,
        to: TierName,
    },
    /// The awarded tier fell after the grace ran out.
    TierDemoted { from: TierName, to: TierName },
    /// The figures no longer earn the tier; it is kept until `until`.
    TierGraceStarted { tier: TierName, earned: TierName, until: Timestamp },
    /// The figures earn the tier again.
    TierGraceEnded { tier: TierName },
    /// A tier was set by hand, with a reason and an approver.
    TierOverridden {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<TierName>,
        to: TierName,
        reason: Text,
        approver: StaffId,
    },
}

/// What a tier is earned with, over the rules' window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TierInputs {
    /// Revenue in the window, in the reporting currency.
    pub revenue: Money,
    /// Certifications in force.
    pub active_certifications: u32,
    /// Accounts whose first won deal in the window was this partner's.
    pub net_new_logos: u32,
}
