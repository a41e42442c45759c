//! Who contends for an account, in the words of a table.

use serde_json::Value;

use crate::output;

/// The letters of a time that are its day.
const DAY: usize = 10;

/// A conflict with its contenders in words, a line each: the one that is protected first, where it is not listed anyway.
pub(crate) fn in_words(conflict: &Value) -> Value {
    let mut told = conflict.clone();
    let listed: Vec<&Value> = conflict["contenders"].as_array().into_iter().flatten().collect();
    if listed.is_empty() {
        return told;
    }
    let until = conflict["protected_until"].as_str().map(|until| format!("protected until {}", until.get(..DAY).unwrap_or(until)));
    let mut is_told = false;
    let mut lines: Vec<String> = Vec::new();
    for contender in listed {
        let holds =
            contender["partner"] == conflict["holder"] && contender["deal_id"] == conflict["deal_id"] && contender["code"].is_null();
        is_told = is_told || holds;
        let stands = until.clone().filter(|_| holds).unwrap_or_else(|| decided(contender));
        lines.push(line(contender, &stands));
    }
    if let Some(until) = until.filter(|_| !is_told) {
        lines.insert(0, format!("{} ({}): {until}", output::cell(&conflict["holder"]), output::cell(&conflict["deal_id"])));
    }
    told["contenders"] = lines.join("\n").into();
    told
}

/// `p-2 (d-2): refused, AccountProtected`.
fn line(contender: &Value, stands: &str) -> String {
    let who = match (contender["partner"].as_str(), contender["seller"].as_str()) {
        (Some(partner), _) => partner.to_owned(),
        (None, Some(seller)) => format!("direct seller {seller}"),
        (None, None) => "direct sales".to_owned(),
    };
    let deal = contender["deal_id"].as_str().map(|deal| format!(" ({deal})")).unwrap_or_default();
    format!("{who}{deal}: {stands}")
}

fn decided(contender: &Value) -> String {
    match (contender["decided"].as_str(), contender["code"].as_str()) {
        (Some("refused"), Some(code)) => format!("refused, {code}"),
        (Some("reassigned"), _) => "was given the deal".to_owned(),
        (Some(decided), _) => decided.to_owned(),
        (None, _) => output::cell(contender),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(conflict: &Value) -> String {
        output::cell(&in_words(conflict)["contenders"])
    }

    #[test]
    fn contenders_say_what_was_decided_on_them() {
        let contender = |partner: Option<&str>, deal: &str, decided: &str, code: Option<&str>| json!({"partner": partner, "seller": null, "deal_id": deal, "decided": decided, "code": code});
        let mut conflict = json!({"holder": "acme-partners", "deal_id": "d-1", "protected_until": "2026-03-01T08:00:00Z", "contenders": [
            contender(Some("north"), "d-2", "refused", Some("AccountProtected")),
            // It asked again for what it has.
            contender(Some("acme-partners"), "d-1", "refused", Some("AlreadyRegistered")),
            contender(None, "c-1", "refused", Some("AccountProtected")),
            contender(Some("south"), "d-3", "reassigned", None),
        ]});
        let refused = "north (d-2): refused, AccountProtected\nacme-partners (d-1): refused, AlreadyRegistered\n\
                       direct sales (c-1): refused, AccountProtected\nsouth (d-3): was given the deal";
        assert_eq!(told(&conflict), format!("acme-partners (d-1): protected until 2026-03-01\n{refused}"));
        conflict["protected_until"] = Value::Null;
        assert_eq!(told(&conflict), refused);
        conflict["protected_until"] = "2026-03-01T08:00:00Z".into();
        conflict["contenders"] =
            json!([contender(Some("acme-partners"), "d-1", "registered", None), contender(Some("east"), "d-4", "registered", None)]);
        assert_eq!(told(&conflict), "acme-partners (d-1): protected until 2026-03-01\neast (d-4): registered");
        conflict["contenders"] = json!([]);
        assert_eq!(in_words(&conflict), conflict);
    }
}
