//! What stands in the place of sealed values for those who may see persons.

use serde_json::{Value, json};

use super::{KeyStore, Opened};

/// Every sealed value in `value` opened: its text, or `{"erased":true}` once its key is gone. What cannot be read stays sealed.
#[must_use]
pub fn open_all(keys: &dyn KeyStore, value: Value) -> Value {
    match value {
        Value::Object(members) => match members.get("sealed").and_then(Value::as_str) {
            Some(sealed) if members.len() == 1 => match keys.open(sealed) {
                Ok(Opened::Plain(text)) => Value::String(text),
                Ok(Opened::Erased) => json!({"erased": true}),
                Ok(Opened::Unreadable) | Err(_) => Value::Object(members),
            },
            _ => Value::Object(members.into_iter().map(|(name, member)| (name, open_all(keys, member))).collect()),
        },
        Value::Array(items) => Value::Array(items.into_iter().map(|item| open_all(keys, item)).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}
