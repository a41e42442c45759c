//! `[deal_registration]`: what a registration needs, who decides it, and what an approval grants (F40-F46).

use std::{fmt, ops::Range};

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use toml::de::DeValue;

use super::source::{Located, Readable, Section, word};
use crate::values::{CourseId, Label};

/// The most hours in which a decision may be promised: a year.
const MAX_SLA_HOURS: u32 = 8_784;

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

/// As a payload and a `program.toml` name it.
impl fmt::Display for RequiredField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Region => "region",
            Self::ExpectedClose => "expected_close",
            Self::Contact => "contact",
        })
    }
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

impl Readable for ProtectionScope {
    const ACCEPTED: &'static str = "\"product\" or \"account\"";

    fn read(value: &DeValue<'_>) -> Result<Self, Option<String>> {
        word(value, &[("product", Self::Product), ("account", Self::Account)])
    }
}

impl Readable for RequiredField {
    const ACCEPTED: &'static str = "\"region\", \"expected_close\" or \"contact\"";

    fn read(value: &DeValue<'_>) -> Result<Self, Option<String>> {
        word(value, &[("region", Self::Region), ("expected_close", Self::ExpectedClose), ("contact", Self::Contact)])
    }
}

impl DealRegistrationRules {
    pub(super) fn read(mut section: Section<'_, '_>) -> Option<Self> {
        let protection_days = section.days("protection_days", 0);
        let protection_scope = section.read("protection_scope");
        let validity_days = section.days("validity_days", 0);
        let extension_days = section.days("extension_days", 0);
        let max_extensions = section.read("max_extensions");
        let approval_sla_hours = sla_hours(&mut section);
        let required_fields = section.list("required_fields");
        let prerequisite_courses = section.list("prerequisite_courses");
        let duplicate_similarity = similarity(&mut section);
        let routing = routing(&mut section);
        let default_reviewer = section.read("default_reviewer");
        extensions_extend(&section, max_extensions.as_ref(), extension_days.as_ref());
        if let (Some(protection), Some(validity)) = (&protection_days, &validity_days) {
            lasts(&section, protection, validity, max_extensions.as_ref());
        }
        section.warn_of_repeats("required_fields", required_fields.as_ref());
        section.warn_of_repeats("prerequisite_courses", prerequisite_courses.as_ref());
        section.end();
        Some(Self {
            protection_days: protection_days?.value,
            protection_scope: protection_scope?.value,
            validity_days: validity_days?.value,
            extension_days: extension_days?.value,
            max_extensions: max_extensions?.value,
            approval_sla_hours: approval_sla_hours?,
            required_fields: plain(required_fields?),
            prerequisite_courses: plain(prerequisite_courses?),
            duplicate_similarity: duplicate_similarity?,
            routing: routing?,
            default_reviewer: default_reviewer?.value,
        })
    }
}

impl RoutingRule {
    fn read(mut section: Section<'_, '_>) -> Option<(Range<usize>, Self)> {
        let region = section.optional::<Label>("region");
        let min_amount = section.optional::<Decimal>("min_amount");
        let reviewer = section.read("reviewer");
        let span = section.span();
        section.end();
        let rule = Self {
            region: region?.map(|located| located.value),
            min_amount: min_amount?.map(|located| located.value),
            reviewer: reviewer?.value,
        };
        Some((span, rule))
    }

    /// Whether this takes every registration that `later` would take, so that `later` never gets one.
    fn shadows(&self, later: &Self) -> bool {
        let region = self.region.is_none() || self.region == later.region;
        // Amounts are never negative, so no least amount is one of zero.
        region && self.min_amount.unwrap_or_default() <= later.min_amount.unwrap_or_default()
    }
}

/// Reads the routing and refuses a rule that can never match: whoever wrote it expects it to.
fn routing(section: &mut Section<'_, '_>) -> Option<Vec<RoutingRule>> {
    let tables = section.sections("routing")?;
    let read: Vec<_> = tables.value.into_iter().map(RoutingRule::read).collect();
    let rules: Vec<(Range<usize>, RoutingRule)> = read.into_iter().collect::<Option<_>>()?;
    for (span, rule) in &rules {
        if let Some(least) = rule.min_amount.filter(|least| *least <= Decimal::ZERO) {
            section
                .warn(span, &format!("this routing to {} is from {least} on, which every amount is; leave min_amount out", rule.reviewer));
        }
    }
    for (place, (span, rule)) in rules.iter().enumerate() {
        if let Some((earlier, _)) = rules[..place].iter().find(|(_, earlier)| earlier.shadows(rule)) {
            let line = section.line(earlier);
            let message = format!(
                "this routing to {} never matches: the rule on line {line} takes all of it first; put the narrower rule first, or leave it out",
                rule.reviewer
            );
            section.note(span, &message);
        }
    }
    Some(rules.into_iter().map(|(_, rule)| rule).collect())
}

fn sla_hours(section: &mut Section<'_, '_>) -> Option<u32> {
    let hours = section.read::<u32>("approval_sla_hours")?;
    if hours.value > MAX_SLA_HOURS {
        section.note(&hours.span, &format!("approval_sla_hours is {}; 0 to {MAX_SLA_HOURS} hours are accepted", hours.value));
        return None;
    }
    Some(hours.value)
}

fn similarity(section: &mut Section<'_, '_>) -> Option<Decimal> {
    let similarity = section.read::<Decimal>("duplicate_similarity")?;
    if !(Decimal::ZERO..=Decimal::ONE).contains(&similarity.value) {
        section.note(&similarity.span, &format!("duplicate_similarity is {}; \"0\" to \"1\" is accepted", similarity.value));
        return None;
    }
    if similarity.value.is_zero() {
        section.warn(
            &similarity.span,
            "duplicate_similarity is 0: accounts are flagged as duplicates of their neighbours in the alphabet, however little alike",
        );
    }
    Some(similarity.value)
}

fn extensions_extend(section: &Section<'_, '_>, times: Option<&Located<u32>>, days: Option<&Located<u32>>) {
    if let (Some(times), Some(days)) = (times, days)
        && times.value > 0
        && days.value == 0
    {
        section.note(&days.span, "extension_days is 0, yet max_extensions allows extensions; give 1 day or more, or max_extensions = 0");
    }
}

/// Warns where approvals end before what they grant, or where an extension finds nothing to extend.
fn lasts(section: &Section<'_, '_>, protection: &Located<u32>, validity: &Located<u32>, extensions: Option<&Located<u32>>) {
    if validity.value > 0 && protection.value > validity.value {
        let line = section.line(&validity.span);
        let (protection_days, validity_days) = (protection.value, validity.value);
        let message = format!(
            "protection_days is {protection_days}, yet an approval runs out after validity_days = {validity_days} (line {line}), and its protection with it"
        );
        section.warn(&protection.span, &message);
    }
    if let Some(extensions) = extensions.filter(|extensions| extensions.value > 0 && protection.value == 0 && validity.value == 0) {
        let message = "max_extensions allows extensions, yet there is nothing to extend: approvals last for ever (validity_days = 0) and protect nothing \
                       (protection_days = 0)";
        section.warn(&extensions.span, message);
    }
}

fn plain<T>(list: Located<Vec<Located<T>>>) -> Vec<T> {
    list.value.into_iter().map(|located| located.value).collect()
}
