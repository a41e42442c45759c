//! Program rules are data: `program.toml`, published as a command, named by every decision.

mod attribution;
mod certifications;
mod deal_registration;
mod describe;
mod difference;
mod mdf;
mod problem;
mod ropi;
mod source;
mod tiers;

use serde::{Deserialize, Serialize};
use toml::de::DeTable;

pub use attribution::AttributionRules;
pub use certifications::CertificationRules;
pub use deal_registration::{DealRegistrationRules, ProtectionScope, RequiredField, RoutingRule};
pub use difference::RuleChange;
pub(crate) use difference::is_within;
pub use mdf::MdfRules;
pub use problem::{InvalidRules, RuleProblem};
pub use ropi::RopiRules;
pub use tiers::{TierPolicy, TierRule};

use crate::values::{Currency, Label, Timestamp};
use problem::Findings;
use source::Section;

/// The longest `program.toml`, in bytes: every decision's rules are kept, so they stay readable.
pub const MAX_RULES_BYTES: usize = 256 * 1024;

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

/// A `program.toml` that can be published.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedRules {
    /// What it says.
    pub rules: Rules,
    /// What of that was hardly meant, in the order of its lines.
    pub warnings: Vec<RuleProblem>,
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

impl Rules {
    /// The documented default, `program.toml`.
    pub const DEFAULT: &str = include_str!("program.toml");

    /// The text of a file, which has to be UTF-8.
    ///
    /// # Errors
    /// Where it stops being that.
    pub fn text_of(file: &[u8]) -> Result<&str, InvalidRules> {
        str::from_utf8(file).map_err(|_| {
            let read = file.utf8_chunks().next().map_or("", |chunk| chunk.valid());
            InvalidRules::at_the_end_of(read, "not UTF-8: a program.toml must be saved as UTF-8")
        })
    }

    /// Reads a `program.toml`. Every key has to be there: what a version decides by stands in its own text,
    /// so that a later release with other defaults changes nothing that was published.
    ///
    /// # Errors
    /// All that is wrong with it, each with its line; where it is no TOML at all, only that.
    pub fn parse(text: &str) -> Result<Self, InvalidRules> {
        Self::check(text).map(|checked| checked.rules)
    }

    /// The same, with what does in it and was hardly meant: clauses that contradict each other, or never come about. They are no
    /// mistakes, and may be published: a rule that was once read is read for ever.
    ///
    /// # Errors
    /// As `parse`.
    pub fn check(text: &str) -> Result<CheckedRules, InvalidRules> {
        let findings = Findings::new(text);
        if text.len() > MAX_RULES_BYTES {
            findings.note(&(0..0), format!("the file has {} bytes; at most {MAX_RULES_BYTES} are accepted", text.len()));
            return findings.into_result(None);
        }
        let (document, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            // What follows a syntax error is guesswork: telling of missing keys would only distract.
            for error in &errors {
                findings.note(&error.span().unwrap_or(0..0), format!("not TOML: {}", in_words(error.message())));
            }
            return findings.into_result(None);
        }
        let rules = Self::read(Section::root(document.get_ref(), &findings));
        drop(document);
        findings.into_result(rules)
    }

    fn read(mut root: Section<'_, '_>) -> Option<Self> {
        let name = root.read("name");
        let reporting_currency = root.read("reporting_currency");
        let tiers = tiers::read(&mut root);
        let tier_policy = root.section("tier_policy").and_then(TierPolicy::read);
        let deal_registration = root.section("deal_registration").and_then(DealRegistrationRules::read);
        let certifications = root.section("certifications").and_then(CertificationRules::read);
        let mdf = root.section("mdf").and_then(|section| MdfRules::read(section, tiers.as_deref()));
        let attribution = root.section("attribution").and_then(AttributionRules::read);
        let ropi = root.section("ropi").and_then(RopiRules::read);
        root.end();
        Some(Self {
            name: name?.value,
            reporting_currency: reporting_currency?.value,
            tiers: tiers?,
            tier_policy: tier_policy?,
            deal_registration: deal_registration?,
            certifications: certifications?,
            mdf: mdf?,
            attribution: attribution?,
            ropi: ropi?,
        })
    }
}

/// What a parser says of a word without quotes: it took it for the beginning of the one that it expected.
fn in_words(message: &str) -> &str {
    let is_a_guess = ["`nan`", "`inf`", "`true`", "`false`"].iter().any(|word| message.ends_with(&format!("expected {word}")));
    if is_a_guess { "a word is no value; a text stands in quotes" } else { message }
}

#[cfg(test)]
mod tests;
