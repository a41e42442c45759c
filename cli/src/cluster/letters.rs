//! `pledger dead-letters` against the topic.

use std::process::ExitCode;

use anyhow::Result;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use pledger_ledger::{
    edge::{Clock as _, SystemClock},
    inbox::Message,
    kafka::{Entry, KafkaLetters},
};
use serde_json::{Value, json};

use super::{Cluster, node::options};
use crate::{
    context::Context,
    output,
    verbs::dead_letters::{Action, Filters},
};

/// The most of a value that a person is shown.
const SHOWN: usize = 4096;

/// What is said of a message without a value.
const TOMBSTONE: &str = "It has no value: a tombstone, which is not the same as an empty one.";

/// Does what is asked.
pub(crate) fn dead_letters(cluster: &Cluster, action: Action, context: &Context) -> Result<ExitCode> {
    let letters = KafkaLetters::open(options(cluster))?;
    let now = SystemClock::new().now();
    match action {
        Action::List(filters) => list(&letters, &filters, context)?,
        Action::Show { id, raw: true } => raw(&letters.one(id)?.letter.message)?,
        Action::Show { id, raw: false } => show(&letters.one(id)?, context)?,
        Action::Retry { id } => {
            let back = letters.retry(id, now)?;
            told(
                context,
                &json!({"id": id.to_string(), "status": "retried", "inbox": back.to_string()}),
                &format!("{id} is in the inbox again, at {back}."),
            )?;
        }
        Action::Discard { id, reason } => {
            letters.discard(id, &reason, now)?;
            told(context, &json!({"id": id.to_string(), "status": "discarded", "reason": reason}), &format!("{id} is discarded."))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn told(context: &Context, document: &Value, sentence: &str) -> Result<()> {
    if context.json { output::print_json(document) } else { output::print(sentence) }
}

fn raw(message: &Message) -> Result<()> {
    if message.value.is_none() {
        eprintln!("{TOMBSTONE}");
    }
    output::print_bytes(message.bytes())
}

/// What a letter is about, as far as it says.
fn attribute(message: &Message, name: &str) -> Option<String> {
    let header = message.headers.iter().find(|(known, _)| known.strip_prefix("ce_") == Some(name));
    let text = header.and_then(|(_, value)| String::from_utf8(value.clone()?).ok());
    text.or_else(|| serde_json::from_slice::<Value>(message.bytes()).ok()?.get(name)?.as_str().map(str::to_owned))
}

fn document(entry: &Entry) -> Value {
    let Entry { id, topic, letter, cut, retry_of, mark } = entry;
    let (message, objection) = (&letter.message, &letter.objection);
    let get = |name| attribute(message, name);
    let mut document = json!({
        "id": id.to_string(), "at": letter.at, "status": mark.as_ref().map_or("open", |mark| mark.kind.name()),
        "code": objection.code, "field": objection.field, "detail": objection.detail,
        "type": get("type"), "source": get("source"), "event_id": get("id"),
        "from": {"topic": topic, "place": message.place.to_string(), "arrived_at": message.arrived_at},
        "bytes": cut.unwrap_or(message.bytes().len() as u64),
    });
    if let Some(mark) = mark {
        document["mark"] = json!({"at": mark.at, "reason": mark.reason});
    }
    if let Some(of) = retry_of {
        document["retry_of"] = json!(of);
    }
    document
}

fn list(letters: &KafkaLetters, filters: &Filters, context: &Context) -> Result<()> {
    let mut found: Vec<Value> = letters.all()?.iter().map(document).filter(|letter| filters.match_letter(letter)).collect();
    found.sort_by(|a, b| b["at"].as_str().cmp(&a["at"].as_str()));
    let left_out = found.len().saturating_sub(filters.limit);
    found.truncate(filters.limit);
    if context.json {
        return output::print_json(&json!({"items": found, "left_out": left_out}));
    }
    if found.is_empty() {
        return output::print("There are no such letters.");
    }
    let columns = ["id", "at", "status", "code", "type", "source", "detail"];
    let short = |value: &Value| value.as_str().map_or_else(|| value.clone(), |text| json!(text.chars().take(160).collect::<String>()));
    let rows: Vec<Vec<Value>> = found.iter().map(|letter| columns.iter().map(|column| short(&letter[*column])).collect()).collect();
    output::print(output::table(&columns.map(str::to_owned), &rows).to_string())?;
    if left_out > 0 {
        eprintln!("{left_out} more; --limit shows them");
    }
    Ok(())
}

fn show(entry: &Entry, context: &Context) -> Result<()> {
    let message = &entry.letter.message;
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).map_or_else(|_| json!({"base64": STANDARD.encode(bytes)}), |text| json!(text));
    let header = |(name, value): &(String, Option<Vec<u8>>)| json!({"name": name, "value": value.as_deref().map(text)});
    let mut document = document(entry);
    document["key"] = message.key.as_deref().map_or(Value::Null, text);
    document["headers"] = message.headers.iter().map(header).collect();
    document["value"] = message.value.as_deref().map_or(Value::Null, text);
    if context.json { output::print_json(&document) } else { output::print(in_words(&document, message)) }
}

/// A letter for a person.
fn in_words(document: &Value, message: &Message) -> String {
    let mut said = String::new();
    let mut line = |name: &str, value: &Value| {
        if !value.is_null() {
            said.push_str(&format!("{name:<10} {}\n", output::cell(value)));
        }
    };
    for name in ["id", "status", "mark", "retry_of", "at", "code", "field", "detail", "from", "bytes", "key"] {
        line(name, &document[name]);
    }
    for header in document["headers"].as_array().into_iter().flatten() {
        said.push_str(&format!("  {}: {}\n", output::cell(&header["name"]), output::cell(&header["value"])));
    }
    let Some(value) = &message.value else { return said + &format!("\n{TOMBSTONE}\n") };
    let shown = &value[..value.len().min(SHOWN)];
    said.push_str(&format!("\n{}\n", String::from_utf8_lossy(shown)));
    if shown.len() < value.len() {
        said.push_str(&format!("... {} of {} bytes; --raw writes all of them\n", shown.len(), value.len()));
    }
    said
}

#[cfg(test)]
mod tests {
    use pledger_ledger::inbox::Place;

    use super::*;

    #[test]
    fn a_tombstone_is_told_from_an_empty_value() {
        let told = |value: Option<&'static [u8]>| {
            let place = Place { partition: 0, offset: 3 };
            let message = Message { place, key: None, headers: Vec::new(), value: value.map(Into::into), arrived_at: None };
            in_words(&json!({"id": "0-3"}), &message)
        };
        let id = format!("{:<10} 0-3\n\n", "id");
        assert_eq!(told(None), format!("{id}{TOMBSTONE}\n"));
        assert_eq!(told(Some(b"")), format!("{id}\n"));
        assert_eq!(told(Some(b"{")), format!("{id}{{\n"));
    }
}
