//! Where a partner stands in its life with the program (F02).

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a partner stands (F02): Prospect -> Applied -> Onboarding -> Active <-> Suspended -> Retired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the field's standard words")]
pub enum PartnerPhase {
    /// Nothing is known of it.
    #[default]
    Unknown,
    Prospect,
    Applied,
    Onboarding,
    Active,
    Suspended,
    Retired,
}

impl PartnerPhase {
    /// Whether a partner may go from here to `next` in one step. Whoever signed the agreement may leave the program,
    /// so retirement is reached from Onboarding and Active as well as from Suspended.
    #[must_use]
    pub const fn leads_to(self, next: Self) -> bool {
        match self {
            Self::Unknown => matches!(next, Self::Prospect | Self::Applied),
            Self::Prospect => matches!(next, Self::Applied),
            Self::Applied => matches!(next, Self::Onboarding),
            Self::Onboarding => matches!(next, Self::Active | Self::Retired),
            Self::Active => matches!(next, Self::Suspended | Self::Retired),
            Self::Suspended => matches!(next, Self::Active | Self::Retired),
            Self::Retired => false,
        }
    }
}

impl fmt::Display for PartnerPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown",
            Self::Prospect => "prospect",
            Self::Applied => "applied",
            Self::Onboarding => "onboarding",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Retired => "retired",
        })
    }
}
