//! Formulas of figures, by the names of the fields that they are computed from.

use serde_json::Value;

/// The fields that a formula names, each once.
#[must_use]
pub fn operands(formula: &'static str) -> Vec<&'static str> {
    let words = formula.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let mut names: Vec<&'static str> = Vec::new();
    for word in words.filter(|word| word.starts_with(|letter: char| letter.is_ascii_alphabetic())) {
        if !names.contains(&word) {
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
        text.push_str(&number(value(&rest[start..end]))?);
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
        Value::Null | Value::Bool(_) | Value::Array(_) => None,
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
    }
}
