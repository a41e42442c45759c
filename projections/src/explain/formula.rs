//! Formulas of figures, by the names of the fields that they are computed from.

use serde_json::Value;

/// The functions that formulas use.
///
/// `percentile(0.95, fields)` lies at that part of the way from the least value to the greatest, between two neighbours in
/// proportion (`quantile_cont` of SQL). `max(0, a - b)` is the greater one, `count(fields)` how many there are. Of the rules'
/// tiers `highest_tier` is the highest one of which these figures reach every threshold, and `tier_above` the one above both.
/// `apportioned(a * b)` is rounded to the minor unit so that the parts of a deal add up to it: by the largest remainder.
const FUNCTIONS: [&str; 6] = ["percentile", "max", "count", "highest_tier", "tier_above", "apportioned"];

/// The fields that a formula names, each once.
#[must_use]
pub fn operands(formula: &'static str) -> Vec<&'static str> {
    let words = formula.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let mut names: Vec<&'static str> = Vec::new();
    for word in words.filter(|word| word.starts_with(|letter: char| letter.is_ascii_alphabetic())) {
        if !FUNCTIONS.contains(&word) && !names.contains(&word) {
            names.push(word);
        }
    }
    names
}

/// The formula with the fields' values in the place of their names; none where one of them is null.
pub(super) fn with_values<'v>(formula: &'static str, value: impl Fn(&str) -> &'v Value) -> Option<String> {
    let mut text = String::new();
    let mut rest = formula;
    while let Some(start) = rest.find(|letter: char| letter.is_ascii_alphabetic()) {
        let end = rest[start..].find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').map_or(rest.len(), |len| start + len);
        text.push_str(&rest[..start]);
        match &rest[start..end] {
            function if FUNCTIONS.contains(&function) => text.push_str(function),
            name => text.push_str(&number(value(name))?),
        }
        rest = &rest[end..];
    }
    text.push_str(rest);
    Some(text)
}

fn number(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Object(money) => money.get("amount")?.as_str().map(str::to_owned),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(number).collect::<Option<_>>()?;
            (!items.is_empty()).then(|| format!("[{}]", items.join(", ")))
        }
        Value::Null | Value::Bool(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_formula_names_its_fields_and_takes_their_values() {
        let formula = "(gross_margin + cac_saved) / costs";
        assert_eq!(operands(formula), ["gross_margin", "cac_saved", "costs"]);
        let item = json!({"gross_margin": {"amount": "12.50", "currency": "USD"}, "cac_saved": "1", "costs": 3, "none": null});
        assert_eq!(with_values(formula, |name| &item[name]).as_deref(), Some("(12.50 + 1) / 3"));
        assert_eq!(with_values("costs / none", |name| &item[name]), None);
        assert_eq!(operands("won / won"), ["won"]);
        let percentile = "percentile(0.5, minutes) / 60";
        assert_eq!(operands(percentile), ["minutes"]);
        let (minutes, none) = (json!([30, 45]), json!([]));
        assert_eq!(with_values(percentile, |_| &minutes).as_deref(), Some("percentile(0.5, [30, 45]) / 60"));
        assert_eq!(with_values(percentile, |_| &none), None);
    }
}
