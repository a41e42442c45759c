//! What a command says that it is decided by, held against what decides it.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{Arc, LazyLock},
};

use pledger_domain::{
    catalogue::{COMMANDS, CommandSpec},
    facts::Facts,
    rules::{ProtectionScope, RequiredField, RoutingRule, RuleSet, Rules},
    values::{Currency, Label, TierName},
};

/// A clause, and how it is changed so that whoever reads it decides otherwise.
type Clause = (&'static str, fn(&mut Rules));

const fn other(number: u32) -> u32 {
    if number == 0 { 7 } else { 0 }
}

fn label(text: &str) -> Label {
    Label::parse(text).expect("a label")
}

/// Every clause that there is.
const CLAUSES: [Clause; 27] = [
    ("name", |rules| rules.name = label("Another")),
    ("reporting_currency", |rules| rules.reporting_currency = Currency::parse("CHF").expect("a currency")),
    ("tiers", |rules| rules.tiers.clear()),
    ("tier_policy.window_days", |rules| rules.tier_policy.window_days = 1),
    ("tier_policy.grace_days", |rules| rules.tier_policy.grace_days = other(rules.tier_policy.grace_days)),
    ("deal_registration.protection_days", |rules| rules.deal_registration.protection_days = other(rules.deal_registration.protection_days)),
    ("deal_registration.protection_scope", |rules| {
        rules.deal_registration.protection_scope = match rules.deal_registration.protection_scope {
            ProtectionScope::Product => ProtectionScope::Account,
            ProtectionScope::Account => ProtectionScope::Product,
        };
    }),
    ("deal_registration.validity_days", |rules| rules.deal_registration.validity_days = other(rules.deal_registration.validity_days)),
    ("deal_registration.extension_days", |rules| rules.deal_registration.extension_days += 1),
    ("deal_registration.max_extensions", |rules| rules.deal_registration.max_extensions = other(rules.deal_registration.max_extensions)),
    ("deal_registration.approval_sla_hours", |rules| {
        rules.deal_registration.approval_sla_hours = other(rules.deal_registration.approval_sla_hours);
    }),
    ("deal_registration.required_fields", |rules| {
        rules.deal_registration.required_fields = vec![RequiredField::Region, RequiredField::ExpectedClose, RequiredField::Contact];
    }),
    ("deal_registration.prerequisite_courses", |rules| {
        rules.deal_registration.prerequisite_courses = vec!["nobody-took-it".parse().expect("a course")];
    }),
    ("deal_registration.duplicate_similarity", |rules| rules.deal_registration.duplicate_similarity = "0.1".parse().expect("a decimal")),
    ("deal_registration.routing", |rules| {
        rules.deal_registration.routing = vec![RoutingRule { region: None, min_amount: None, reviewer: label("somebody else") }];
    }),
    ("deal_registration.default_reviewer", |rules| rules.deal_registration.default_reviewer = label("nobody")),
    ("certifications.validity_days", |rules| rules.certifications.validity_days += 1),
    ("certifications.levels", |rules| rules.certifications.levels = vec![label("unheard of")]),
    ("mdf.eligible_tiers", |rules| rules.mdf.eligible_tiers = vec![TierName::parse("unheard-of").expect("a tier")]),
    ("mdf.claim_window_days", |rules| rules.mdf.claim_window_days += 1),
    ("attribution.window_days", |rules| rules.attribution.window_days = 1),
    ("attribution.kinds", |rules| rules.attribution.kinds.clear()),
    ("attribution.half_life_days", |rules| rules.attribution.half_life_days = 1),
    ("attribution.u_shaped", |rules| rules.attribution.u_shaped.reverse()),
    ("attribution.w_shaped", |rules| rules.attribution.w_shaped.reverse()),
    ("ropi.direct_cac", |rules| rules.ropi.direct_cac = 9.into()),
    ("ropi.partner_cac", |rules| rules.ropi.partner_cac = 8.into()),
];

/// Asserts that a command, asked again under rules that differ in every clause by which it does not say that it is decided, is
/// decided the same.
pub(crate) fn check<D: PartialEq + Debug>(name: &str, facts: &Facts, decided: &D, decide: impl Fn(&Facts) -> D) {
    static SPECS: LazyLock<BTreeMap<&str, &CommandSpec>> = LazyLock::new(|| COMMANDS.iter().map(|spec| (spec.name, spec)).collect());
    let spec = SPECS[name];
    let mut rules = facts.rules.rules.clone();
    CLAUSES.iter().filter(|(clause, _)| !spec.is_decided_by(clause)).for_each(|(_, change)| change(&mut rules));
    let others = Facts { rules: Arc::new(RuleSet { rules, ..(*facts.rules).clone() }), ..facts.clone() };
    assert_eq!(decide(&others), *decided, "{name} is decided by other clauses than {:?}", spec.decided_by);
}
