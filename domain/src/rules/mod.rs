//! Program rules are data: `program.toml`, published as a command, named by every decision.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::values::{CourseId, Currency, Label, TierName, Timestamp};

/// A published version of the program's rules.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleSet {
    /// 1, 2, 3, ...: the order of publication.
    pub version: u32,
    /// From when it governs.
    pub effective_from: Timestamp,
    /// The rules themselves.
    pub rules: Rules,
}

/// The content of `program.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// The program's name.
    pub name: Label,
    /// The currency of thresholds and of the read models' sums.
    pub reporting_currency: Currency,
    /// The tiers, lowest first; thresholds rise with rank (F30).
    pub tiers: Vec<TierRule>,
    /// How tiers are evaluated.
    pub tier_policy: TierPolicy,
    /// Deal registration (F40-F46).
    pub deal_registration: DealRegistrationRules,
    /// Certifications (F22, F23).
    pub certifications: CertificationRules,
    /// Market development funds (F67).
    pub mdf: MdfRules,
    /// Attribution (F71).
    pub attribution: AttributionRules,
    /// Return on partner investment (F72).
    pub ropi: RopiRules,
}

/// What a tier takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TierRule {
    /// Such as `gold`.
    pub name: TierName,
    /// Revenue in the window, in the reporting currency.
    pub revenue: Decimal,
    /// Certifications in force.
    pub certifications: u32,
    /// Net-new logos in the window.
    pub net_new_logos: u32,
}

/// How tiers are evaluated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TierPolicy {
    /// The window of revenue and net-new logos, in days before the question's time.
    pub window_days: u32,
    /// How long a tier is kept after its figures are no longer earned, in days.
    pub grace_days: u32,
}

/// Deal registration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DealRegistrationRules {
    /// Days an approval protects; 0 grants no protection (F42).
    pub protection_days: u32,
    /// What one protection covers on an account.
    pub protection_scope: ProtectionScope,
    /// Days an approval lasts without a close; 0 for ever (F46).
    pub validity_days: u32,
    /// Days one extension adds to protection and validity.
    pub extension_days: u32,
    /// How often a deal may be extended.
    pub max_extensions: u32,
    /// Hours in which a registration is to be decided; 0 for no such promise (F45).
    pub approval_sla_hours: u32,
    /// Optional fields of RegisterDeal that this program requires: `region`, `expected_close`, `contact`.
    pub required_fields: Vec<RequiredField>,
    /// Courses of which somebody at the partner must have completed each (F10).
    pub prerequisite_courses: Vec<CourseId>,
    /// Names at least this alike (Jaro-Winkler, 0 to 1) are flagged as duplicates, never refused (F43).
    pub duplicate_similarity: Decimal,
    /// Who decides: the first rule that matches (F44).
    pub routing: Vec<RoutingRule>,
    /// Who decides where no rule matches.
    pub default_reviewer: Label,
}

/// What one protection covers on an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProtectionScope {
    /// The registered product.
    Product,
    /// Everything.
    Account,
}

/// A field of RegisterDeal that rules may require.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the payload's own names")]
pub enum RequiredField {
    Region,
    ExpectedClose,
    Contact,
}

/// Registrations that match go to this reviewer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoutingRule {
    /// Only of this region.
    #[serde(default)]
    pub region: Option<Label>,
    /// Only from this amount on, in any currency's units.
    #[serde(default)]
    pub min_amount: Option<Decimal>,
    /// Who decides.
    pub reviewer: Label,
}

/// Certifications.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificationRules {
    /// Days until a certification runs out where the award names no date (F23).
    pub validity_days: u32,
    /// The levels there are, lowest first.
    pub levels: Vec<Label>,
}

/// Market development funds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MdfRules {
    /// The tiers that may ask; empty for every partner.
    pub eligible_tiers: Vec<TierName>,
    /// Days after the approval in which a claim may be made.
    pub claim_window_days: u32,
}

/// Attribution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttributionRules {
    /// Touchpoints this many days before the close count.
    pub window_days: u32,
    /// Kinds of touchpoints that count; empty for all.
    pub kinds: Vec<Label>,
    /// Days in which a touch loses half its weight (time_decay).
    pub half_life_days: u32,
    /// First, middle, last (u_shaped); adds up to 1.
    pub u_shaped: [Decimal; 3],
    /// First, registration, last, the others (w_shaped); adds up to 1.
    pub w_shaped: [Decimal; 4],
}

/// Return on partner investment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RopiRules {
    /// What winning a customer costs without a partner, in the reporting currency.
    pub direct_cac: Decimal,
    /// What it costs through a partner, in the reporting currency.
    pub partner_cac: Decimal,
}

impl Rules {
    /// The documented default, `program.toml`.
    pub const DEFAULT: &str = include_str!("program.toml");

    /// Reads and checks a `program.toml`.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }
}
