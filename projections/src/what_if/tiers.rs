//! Who earns another tier, and which figure crosses which threshold.

use std::cmp::Ordering;

use pledger_domain::{
    partner::{TierInputs, tier::rank},
    rules::{Rules, TierRule},
    values::{Currency, TierName},
};
use serde::Serialize;
use serde_json::Value;

use crate::{
    figures::{amount_needed, money},
    tiers::Held,
};

/// A partner whose figures earn another tier.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TierChange {
    /// The partner.
    pub partner: String,
    /// Its legal name.
    pub name: String,
    /// The tier that it was awarded; null before the first award.
    pub tier_awarded: Option<String>,
    /// The tier that its figures earn under the rules in force.
    pub before: Option<TierName>,
    /// The tier that they earn under the draft.
    pub after: Option<TierName>,
    /// Why: at least one.
    pub why: Vec<Crossing>,
}

/// A figure that meets a tier's threshold under one set of rules and misses it under the other.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Crossing {
    /// The tier.
    pub tier: TierName,
    /// `revenue`, `active_certifications` or `net_new_logos`; before these `tier`, where only one of the two sets of rules knows it.
    pub input: &'static str,
    /// The figure over the window of the rules in force: money or a count.
    pub had: Value,
    /// What the rules in force take; null where they do not know the tier.
    pub took: Value,
    /// The figure over the draft's window.
    pub has: Value,
    /// What the draft takes; null where it does not know the tier.
    pub takes: Value,
}

/// Every partner whose earned tier differs, by its id. Both readings are of the same partners.
pub(super) fn changes(before: &Held, after: &Held) -> Vec<TierChange> {
    let mut changes = Vec::new();
    for (id, was) in &before.partners {
        let Some(is) = after.partners.get(id).filter(|is| is.earned != was.earned) else { continue };
        let [rules_before, rules_after] = [&before.rules.rules, &after.rules.rules];
        let passed = passed(rules_before, rules_after, was.earned.as_ref(), is.earned.as_ref());
        let sides = [(rules_before, &was.inputs), (rules_after, &is.inputs)];
        changes.push(TierChange {
            partner: id.clone(),
            name: was.name.clone(),
            tier_awarded: was.awarded.clone(),
            before: was.earned.clone(),
            after: is.earned.clone(),
            why: passed.iter().flat_map(|tier| crossings(tier, sides)).collect(),
        });
    }
    changes
}

/// The tiers that lie between the two, the higher one with them: those that are lost or won.
fn passed(before: &Rules, after: &Rules, was: Option<&TierName>, is: Option<&TierName>) -> Vec<TierName> {
    // A tier that the draft does not know has no rank in it; the rules in force know both where the draft's is known to them.
    let ranks = |rules: &Rules| Some((rank(rules, was?)?, rank(rules, is?)?));
    let ranked = [after, before].into_iter().find_map(|rules| ranks(rules).map(|ranks| (rules, ranks)));
    match ranked {
        Some((rules, (was, is))) => {
            let (low, high) = (was.min(is), was.max(is));
            rules.tiers[low + 1..=high].iter().map(|tier| tier.name.clone()).collect()
        }
        None => [was, is].into_iter().flatten().cloned().collect(),
    }
}

/// Which figures meet the tier's thresholds on one side only; where none does, those that miss them now. Of a tier that only one side
/// knows, that it does, and of a new one every figure that it takes any of.
fn crossings(tier: &TierName, sides: [(&Rules, &TierInputs); 2]) -> Vec<Crossing> {
    let find = |rules: &Rules| rules.tiers.iter().find(|rule| rule.name == *tier).cloned();
    let [had, has] = sides.map(|(rules, inputs)| Side { currency: rules.reporting_currency, rule: find(rules), inputs: inputs.clone() });
    let crossing = |input: &Input| Crossing {
        tier: tier.clone(),
        input: input.name,
        had: (input.figure)(&had.inputs),
        took: (input.threshold)(&had),
        has: (input.figure)(&has.inputs),
        takes: (input.threshold)(&has),
    };
    if had.rule.is_some() != has.rule.is_some() {
        let known = |side: &Side| side.rule.is_some().into();
        let tier = tier.clone();
        let (took, takes) = (known(&had), known(&has));
        let of_one_side = Crossing { tier, input: "tier", had: Value::Null, took, has: Value::Null, takes };
        let asked = INPUTS.iter().filter(|input| (input.asks)(&has));
        return std::iter::once(of_one_side).chain(asked.map(crossing)).collect();
    }
    let all = || INPUTS.iter().map(|input| (input, (input.misses)(&had), (input.misses)(&has)));
    let crossed: Vec<_> = all().filter(|(_, was, is)| was != is).map(|(input, ..)| crossing(input)).collect();
    if crossed.is_empty() { all().filter(|(_, _, is)| *is).map(|(input, ..)| crossing(input)).collect() } else { crossed }
}

/// One set of rules.
struct Side {
    currency: Currency,
    rule: Option<TierRule>,
    inputs: TierInputs,
}

/// A figure that tiers are earned by.
struct Input {
    name: &'static str,
    figure: fn(&TierInputs) -> Value,
    threshold: fn(&Side) -> Value,
    misses: fn(&Side) -> bool,
    /// Whether the tier is known, and takes any of it.
    asks: fn(&Side) -> bool,
}

const INPUTS: [Input; 3] = [
    Input {
        name: "revenue",
        figure: |inputs| money(inputs.revenue.minor().into(), inputs.revenue.currency()),
        threshold: |side| side.rule.as_ref().map_or(Value::Null, |rule| amount_needed(rule.revenue, side.currency)),
        misses: |side| side.rule.as_ref().is_some_and(|rule| side.inputs.revenue.decimal().cmp(&rule.revenue) == Ordering::Less),
        asks: |side| side.rule.as_ref().is_some_and(|rule| !rule.revenue.is_zero()),
    },
    Input {
        name: "active_certifications",
        figure: |inputs| inputs.active_certifications.into(),
        threshold: |side| side.rule.as_ref().map_or(Value::Null, |rule| rule.certifications.into()),
        misses: |side| side.rule.as_ref().is_some_and(|rule| side.inputs.active_certifications < rule.certifications),
        asks: |side| side.rule.as_ref().is_some_and(|rule| rule.certifications > 0),
    },
    Input {
        name: "net_new_logos",
        figure: |inputs| inputs.net_new_logos.into(),
        threshold: |side| side.rule.as_ref().map_or(Value::Null, |rule| rule.net_new_logos.into()),
        misses: |side| side.rule.as_ref().is_some_and(|rule| side.inputs.net_new_logos < rule.net_new_logos),
        asks: |side| side.rule.as_ref().is_some_and(|rule| rule.net_new_logos > 0),
    },
];
