//! What happened, in words.

use serde_json::Value;

use crate::output;

/// The longest text that is told: a whole rule set is not.
const MAX_TEXT: usize = 300;

/// `DealApproved: deal d-1, protected until 2026-12-22T05:53:25Z`. What an event leaves open is left out.
pub(crate) fn event(event: &Value) -> String {
    let (kind, told) = (output::cell(&event["type"]), fields(&event["data"]));
    if told.is_empty() { kind } else { format!("{kind}: {told}") }
}

/// What was asked for, of a command's payload: nothing where that says nothing.
pub(crate) fn asked(payload: &str) -> String {
    fields(&serde_json::from_str(payload).unwrap_or_default())
}

fn fields(data: &Value) -> String {
    let parts = data.as_object().into_iter().flatten();
    parts.filter_map(|(name, value)| field(name, value)).collect::<Vec<_>>().join(", ")
}

fn field(name: &str, value: &Value) -> Option<String> {
    let called = name.strip_suffix("_id").unwrap_or(name).replace('_', " ");
    let told = match value {
        Value::Null | Value::Bool(false) => return None,
        Value::Bool(true) => return Some(called),
        Value::Array(items) if items.is_empty() => return None,
        Value::Array(items) => items.iter().map(one).collect::<Vec<_>>().join("; "),
        other => one(other),
    };
    (!told.is_empty()).then(|| format!("{called} {told}"))
}

fn one(value: &Value) -> String {
    match value {
        Value::Object(parts) if !parts.contains_key("currency") && !parts.contains_key("erased") => format!("({})", fields(value)),
        Value::String(text) if text.chars().count() > MAX_TEXT => {
            format!("({} characters: see --json)", output::cell(&text.chars().count().into()))
        }
        other => output::cell(other),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_asked_for_is_told_as_an_event_is() {
        assert_eq!(asked(r#"{"deal_id":"d-2","partner_id":"p-2","draft":false}"#), "deal d-2, partner p-2");
        assert_eq!((asked("{}"), asked("")), (String::new(), String::new()));
    }

    #[test]
    fn an_event_is_told_without_what_it_leaves_open() {
        let told = |data: Value| event(&json!({"type": "DealRegistered", "data": data}));
        assert_eq!(
            told(json!({
                "deal_id": "d-1", "account": {"name": "Acme", "domain": "acme.com", "duns": null}, "amount": {"amount": "1200.50", "currency": "USD"},
                "draft": false, "estimated": true, "overlaps": [{"deal_id": "d-2", "partner_id": "p-2"}, {"deal_id": "d-3"}], "tags": [],
                "expected_close": "2026-12-31T00:00:00Z", "contact": {"erased": true}, "note": "x".repeat(301),
            })),
            "DealRegistered: deal d-1, account (name Acme, domain acme.com), amount 1,200.50 USD, estimated, \
             overlaps (deal d-2, partner p-2); (deal d-3), expected close 2026-12-31T00:00:00Z, contact (erased), \
             note (301 characters: see --json)"
        );
        assert_eq!(event(&json!({"type": "PartnerActivated", "data": {}})), "PartnerActivated");
    }
}
