//! The rows of partners.

use compact_str::CompactString;
use pledger_domain::{
    partner::{PartnerPhase, Role},
    values::{Personal, Timestamp},
};
use pledger_ledger::slices::Position;

use crate::{cell::Json, row, symbol::Symbol, word_field};

word_field!(PartnerPhase {
    Unknown = "unknown",
    Prospect = "prospect",
    Applied = "applied",
    Onboarding = "onboarding",
    Active = "active",
    Suspended = "suspended",
    Retired = "retired",
});

row! {
    /// A partner.
    Partner keyed PartnerKey in "partners" {
        key {
            /// The partner's id.
            partner: Symbol,
        }
        /// Its legal name.
        name: CompactString,
        /// What it does, in the order of the words' catalogue.
        roles: Json<Vec<Role>>,
        /// Where it stands in its life with the program.
        phase: PartnerPhase,
        /// The region that its registrations default to.
        region: Option<Symbol>,
        /// Where it is registered.
        country: Option<Symbol>,
        /// Its partner manager.
        manager: Option<Symbol>,
        /// The manager's name, sealed.
        manager_name: Option<Json<Personal>>,
        /// When it was nominated or registered.
        registered_at: Option<Timestamp>,
        /// When the agreement was signed.
        agreement_at: Option<Timestamp>,
        /// When it was first activated.
        activated_at: Option<Timestamp>,
        /// When the ledger first heard of it (recorded).
        known_at: Timestamp,
        /// Since when it is retiring.
        retiring_since: Option<Timestamp>,
        /// The decision that started its retirement.
        retirement: Option<Position>,
        /// What was open when its retirement was last to be completed.
        retirement_blocked_by: Option<Json<Vec<String>>>,
        /// The awarded tier.
        tier: Option<Symbol>,
        /// Until when the tier is kept although it is no longer earned.
        grace_until: Option<Timestamp>,
        /// Since when the tier is no longer earned.
        at_risk_since: Option<Timestamp>,
        /// The end of the latest period that it was held against the tiers for.
        evaluated_until: Option<Timestamp>,
        /// When something last happened to it.
        last_at: Timestamp,
    }
}

row! {
    /// A certification that a person of a partner holds or held.
    Certification keyed CertificationKey in "certifications" {
        key {
            /// The partner.
            partner: Symbol,
            /// The person.
            person: CompactString,
            /// The certification.
            certification: Symbol,
        }
        /// Its level.
        level: Symbol,
        /// Since when it is held without a gap.
        since: Timestamp,
        /// When it runs out or ran out.
        expires_at: Timestamp,
        /// When it was taken away.
        revoked_at: Option<Timestamp>,
    }
}

impl Certification {
    /// Whether it is in force at `at`.
    #[must_use]
    pub fn in_force_at(&self, at: Timestamp) -> bool {
        self.since <= at && at < self.expires_at && self.revoked_at.is_none_or(|revoked| at < revoked)
    }
}
