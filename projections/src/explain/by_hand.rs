//! Formulas as they are printed, computed anew.

use rust_decimal::Decimal;
use serde_json::Value;

use super::{HeldThreshold, HeldTier};

/// The value of sums, differences, products, a percentile, one quotient, with parentheses, of the greater of two, of a count; none where
/// something is divided by 0.
pub(super) fn value_of(text: &str) -> Option<Decimal> {
    if let Some(counted) = text.strip_prefix("count([").and_then(|text| text.strip_suffix("])")) {
        return Some(counted.split(", ").filter(|name| !name.is_empty()).count().into());
    }
    if let Some(part) = text.strip_prefix("apportioned(").and_then(|text| text.strip_suffix(')')) {
        return Some(sum(part));
    }
    if let Some((one, other)) = text.strip_prefix("max(").and_then(|text| text.strip_suffix(')')?.split_once(", ")) {
        return Some(number(one).max(sum(other)));
    }
    let (above, below) = text.rsplit_once(" / ").map_or((text, None), |(above, below)| (above, Some(below)));
    let above = above.strip_prefix("percentile(").map_or_else(|| sum(above), percentile);
    below.map_or(Some(above), |below| above.checked_div(sum(below)))
}

/// The tier that a formula names, by the thresholds that are printed.
pub(super) fn tier_of(text: &str, tiers: &[HeldTier]) -> Option<String> {
    let (function, operands) = text.strip_suffix(')')?.split_once('(')?;
    let operands: Vec<&str> = operands.split(", ").collect();
    let rank = |name: &&str| tiers.iter().position(|tier| tier.tier == *name).expect(name);
    let needed = |threshold: &HeldThreshold| match &threshold.needed {
        Value::Object(money) => number(money["amount"].as_str().expect("an amount")),
        count => number(&count.to_string()),
    };
    let is_reached = |tier: &HeldTier| {
        let thresholds = tier.thresholds.iter().zip(&operands);
        thresholds.clone().count() == 3 && thresholds.into_iter().all(|(threshold, has)| number(has) >= needed(threshold))
    };
    let tier = match function {
        "highest_tier" => tiers.iter().rev().find(|tier| is_reached(tier)).or(tiers.first()),
        "tier_above" => tiers.get(operands.iter().map(rank).max()? + 1),
        _ => return None,
    };
    Some(tier.map(|tier| tier.tier.clone()).unwrap_or_default())
}

pub(super) fn number(text: &str) -> Decimal {
    text.parse().expect(text)
}

fn sum(text: &str) -> Decimal {
    let terms = text.trim_matches(['(', ')']).replace(" - -", " + ").replace(" - ", " + -");
    terms.split(" + ").map(|term| term.split(" * ").map(number).product::<Decimal>()).sum()
}

/// `0.5, [30, 45])`, as the textbook has it.
fn percentile(text: &str) -> Decimal {
    let (part, values) = text.split_once(", [").expect("a part and values");
    let values: Vec<Decimal> = values.trim_end_matches("])").split(", ").map(number).collect();
    assert!(values.is_sorted(), "{values:?}");
    let along = number(part) * Decimal::from(values.len() - 1);
    let at = |place: Decimal| values[usize::try_from(place).expect("a place")];
    at(along.floor()) + (at(along.ceil()) - at(along.floor())) * along.fract()
}

/// The value of a formula as it is written: sums of products and quotients of numbers, powers and sums in parentheses.
pub(super) fn by_hand(text: &str) -> f64 {
    let signs = ['+', '*', '/', '^', '(', ')'];
    let spaced = signs.iter().fold(text.to_owned(), |text, sign| text.replace(*sign, &format!(" {sign} ")));
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let (value, rest) = total(&words);
    assert!(rest.is_empty(), "{text}: {rest:?}");
    value
}

fn total<'w>(words: &'w [&'w str]) -> (f64, &'w [&'w str]) {
    let (mut value, mut rest) = product(words);
    while let ["+", more @ ..] = rest {
        let (term, left) = product(more);
        (value, rest) = (value + term, left);
    }
    (value, rest)
}

fn product<'w>(words: &'w [&'w str]) -> (f64, &'w [&'w str]) {
    let (mut value, mut rest) = power(words);
    while let [sign @ ("*" | "/"), more @ ..] = rest {
        let (factor, left) = power(more);
        value = if *sign == "*" { value * factor } else { value / factor };
        rest = left;
    }
    (value, rest)
}

fn power<'w>(words: &'w [&'w str]) -> (f64, &'w [&'w str]) {
    let (base, rest) = match words {
        ["(", inner @ ..] => {
            let (value, rest) = total(inner);
            (value, rest.strip_prefix(&[")"]).expect("what is opened is closed"))
        }
        [number, rest @ ..] => (number.parse().expect("a number"), rest),
        [] => panic!("a formula ends too soon"),
    };
    let ["^", exponent @ ..] = rest else { return (base, rest) };
    let (exponent, rest) = power(exponent);
    (f64::powf(base, exponent), rest)
}
