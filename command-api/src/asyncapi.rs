//! The AsyncAPI 3 document of the topics that services write to and read, built from the catalogues of commands and events.

use axum::body::Bytes;
use pledger_domain::{
    catalogue::{COMMANDS, CommandSpec},
    command::Origin,
    event_catalogue::{EVENTS, EventSpec},
};
use pledger_ledger::edge::{
    MAX_KEY_LEN, MAX_PAYLOAD_LEN, MAX_SENDER_LEN,
    cloud_events::{SPEC_VERSION, STRUCTURED, TYPE_PREFIX},
};
use serde_json::{Map, Value, json};

use crate::openapi;

/// What topics' names begin with, where nothing else is asked for.
pub(crate) const PREFIX: &str = "pledger.";
/// The version of the Kafka bindings.
const BINDING: &str = "0.5.0";
const DAY_MS: u64 = 86_400_000;

/// The document, as JSON, of topics whose names begin with `prefix`.
#[must_use]
pub fn document(prefix: &str) -> Value {
    let commands = COMMANDS.iter().filter(|spec| is_for_services(spec));
    let messages: Map<String, Value> = commands
        .clone()
        .map(|spec| (command_key(spec), command(spec)))
        .chain(EVENTS.iter().map(|spec| (event_key(spec), event(spec))))
        .chain([("deadLetter".to_owned(), dead_letter())])
        .collect();
    let channel = |name: &str, description, messages: &[String], kafka| channel(format!("{prefix}{name}"), description, messages, kafka);
    let (commands, events): (Vec<_>, Vec<_>) = (commands.map(command_key).collect(), EVENTS.iter().map(event_key).collect());
    json!({
        "asyncapi": "3.0.0",
        "info": {"title": "pledger", "version": env!("CARGO_PKG_VERSION"), "description": about(prefix)},
        "defaultContentType": "application/json",
        "channels": {
            "inbox": channel("inbox", INBOX, &commands, json!({"partitions": 8, "topicConfiguration": {
                "cleanup.policy": ["delete"], "retention.ms": 30 * DAY_MS, "max.message.bytes": 8 << 20}})),
            "events": channel("events", PUBLISHED, &events, json!({})),
            "deadLetters": channel("dead-letters", LETTERS, &["deadLetter".to_owned()], json!({"partitions": 8, "topicConfiguration": {
                "cleanup.policy": ["delete"], "retention.ms": 90 * DAY_MS, "max.message.bytes": 16 << 20}})),
        },
        "operations": {
            "ingest": {
                "action": "receive", "channel": {"$ref": "#/channels/inbox"}, "summary": "Decides what services send.",
                "bindings": {"kafka": {"groupId": {"type": "string", "enum": [format!("{prefix}ingest")]}, "bindingVersion": BINDING}},
            },
            "publish": {"action": "send", "channel": {"$ref": "#/channels/events"}, "summary": "Publishes the events of accepted decisions."},
            "keepLetter": {"action": "send", "channel": {"$ref": "#/channels/deadLetters"}, "summary": "Keeps what became no command."},
        },
        "components": {"messages": messages, "schemas": openapi::payload_schemas()},
    })
}

fn about(prefix: &str) -> String {
    format!(
        "The topics of a partner program's ledger. Services send CloudEvents 1.0 to the inbox, in binary or in structured mode, and read \
         what was decided from the topic of events. Topics' names begin with the prefix that this server was started with: {prefix:?}."
    )
}

const INBOX: &str = "What services send. Any key: events that must keep their order go to one partition, under one key. An event that can \
                     be no command becomes a dead letter; one that a rule refuses is a recorded decision.";
const PUBLISHED: &str = "One message an event, in order within a stream: a partition for every slice of the ledger, the stream as key. An \
                         event that is there twice carries the same id. Personal fields are sealed unless configured otherwise.";
const LETTERS: &str = "What became no command: key, headers and value as they came, and behind these headers that say what, where and why. \
                       A message whose first header is dl_mark is no letter: it says what was done about one.";

/// The document as it is served.
pub(crate) fn json(prefix: &str) -> Bytes {
    document(prefix).to_string().into()
}

/// Whether somebody outside may send it.
fn is_for_services(spec: &CommandSpec) -> bool {
    match spec.origin {
        Origin::Anyone => true,
        Origin::System => false,
    }
}

fn command_key(spec: &CommandSpec) -> String {
    format!("command.{}", spec.name)
}

fn event_key(spec: &EventSpec) -> String {
    format!("event.{}", spec.name)
}

fn channel(topic: String, description: &str, messages: &[String], mut kafka: Value) -> Value {
    let messages: Map<String, Value> =
        messages.iter().map(|key| (key.clone(), json!({"$ref": format!("#/components/messages/{key}")}))).collect();
    kafka["topic"] = topic.clone().into();
    kafka["bindingVersion"] = BINDING.into();
    json!({"address": topic, "description": description, "messages": messages, "bindings": {"kafka": kafka}})
}

/// The headers of a CloudEvent in binary mode.
fn headers(kind: String, required: &[&str], more: Value) -> Value {
    let mut properties = json!({
        "ce_specversion": {"type": "string", "const": SPEC_VERSION},
        "ce_id": {"type": "string", "minLength": 1},
        "ce_source": {"type": "string", "minLength": 1},
        "ce_type": {"type": "string", "const": kind},
        "ce_time": {"type": "string", "format": "date-time"},
        "content-type": {"type": "string", "const": "application/json"},
    });
    if let (Some(properties), Value::Object(more)) = (properties.as_object_mut(), more) {
        properties.extend(more);
    }
    let required: Vec<&str> = ["ce_specversion", "ce_id", "ce_source", "ce_type"].into_iter().chain(required.iter().copied()).collect();
    json!({"type": "object", "required": required, "properties": properties})
}

fn command(spec: &CommandSpec) -> Value {
    let kind = format!("{TYPE_PREFIX}{}", spec.name);
    let example: Value = serde_json::from_str(spec.example).expect("a test reads every example");
    let more = json!({
        "ce_id": {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LEN, "description": "With the source, the idempotency key."},
        "ce_source": {"type": "string", "minLength": 1, "maxLength": MAX_SENDER_LEN, "description": "Who sends it."},
        "ce_time": {"type": "string", "format": "date-time", "description": "The business time, where the payload has none of its own."},
        "ce_traceparent": {"type": "string", "description": "W3C trace context; kept as the cause of the decision."},
    });
    let headers_of_example = json!({"ce_specversion": SPEC_VERSION, "ce_id": "1", "ce_source": "/crm/eu", "ce_type": kind});
    let structured =
        format!("In structured mode the whole event is the value, as {STRUCTURED}. A payload has at most {MAX_PAYLOAD_LEN} bytes.");
    json!({
        "name": kind, "title": spec.name, "summary": spec.summary, "description": structured, "contentType": "application/json",
        "tags": [{"name": spec.stream.prefix()}],
        "headers": headers(kind.clone(), &[], more),
        "payload": {"$ref": format!("#/components/schemas/{}", spec.name)},
        "bindings": {"kafka": {"key": {"type": "string", "description": "Any; it chooses the partition."}, "bindingVersion": BINDING}},
        "examples": [{"headers": headers_of_example, "payload": example}],
    })
}

fn event(spec: &EventSpec) -> Value {
    let kind = format!("{TYPE_PREFIX}{}", spec.name);
    let text = |description: &str| json!({"type": "string", "description": description});
    let more = json!({
        "ce_id": text("The decision's position and the event's index in it: 12:345:0. The same whenever it is published."),
        "ce_source": text("The ledger's id."),
        "ce_subject": text("The stream."),
        "ce_time": {"type": "string", "format": "date-time", "description": "When it is true in the business."},
        "ce_recordedat": {"type": "string", "format": "date-time", "description": "When it was recorded."},
        "ce_rules": text("The version of the rules that decided."),
        "ce_streamversion": text("The stream's version after the decision."),
        "ce_position": text("The decision's position."),
        "ce_eventcount": text("How many events the decision has."),
        "ce_decisionhash": text("The decision's hash in the ledger."),
        "ce_ledgeroffset": text("The decision's offset in its slice of the ledger."),
        "ce_ledgerterm": text("The term of the decision's writer."),
        "ce_previousid": text("The id of the event before it in its partition."),
        "ce_traceparent": text("The trace of the event that the decision answers to."),
    });
    let required = ["ce_subject", "ce_time", "ce_recordedat", "ce_rules", "ce_position", "content-type"];
    json!({
        "name": kind, "title": spec.name, "contentType": "application/json", "tags": [{"name": spec.stream.prefix()}],
        "headers": headers(kind.clone(), &required, more),
        "payload": {"type": "object", "description": "The event's fields, which are those of the command that it answers to."},
        "bindings": {"kafka": {"key": {"type": "string", "description": "The stream."}, "bindingVersion": BINDING}},
    })
}

fn dead_letter() -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    let properties = json!({
        "dl_original_headers": text("How many headers the original has; they stand before this one."),
        "dl_topic": text("The topic it came from."),
        "dl_place": text("Its partition and offset there: 3-4711."),
        "dl_arrived_at": {"type": "string", "format": "date-time", "description": "When the broker took it."},
        "dl_code": text("Why, for programs: as the problem documents of HTTP name it."),
        "dl_detail": text("Why, in a sentence."),
        "dl_field": text("The offending header, attribute or field."),
        "dl_at": {"type": "string", "format": "date-time", "description": "When that was found."},
        "dl_cut": text("The length of the original's value, where only its beginning could be kept."),
    });
    let required = ["dl_original_headers", "dl_topic", "dl_place", "dl_code", "dl_detail", "dl_at"];
    json!({
        "name": "deadLetter", "title": "A dead letter", "contentType": "application/octet-stream",
        "headers": {"type": "object", "required": required, "properties": properties},
        "payload": {"description": "The original value, byte for byte."},
        "bindings": {"kafka": {"key": {"type": "string", "description": "The original key."}, "bindingVersion": BINDING}},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(value: &Value, visit: &mut dyn FnMut(&str)) {
        match value {
            Value::Object(members) => members.iter().for_each(|(name, member)| match member.as_str() {
                Some(target) if name == "$ref" => visit(target),
                _ => walk(member, visit),
            }),
            Value::Array(items) => items.iter().for_each(|item| walk(item, visit)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document: Value = serde_json::from_slice(&json(PREFIX)).expect("JSON");
        let mut references = 0;
        walk(&document, &mut |target| {
            let pointer = target.strip_prefix('#').expect(target);
            assert!(document.pointer(pointer).is_some(), "{target} leads nowhere");
            references += 1;
        });
        assert!(references > COMMANDS.len() + EVENTS.len(), "{references}");
    }

    #[test]
    fn topics_are_named_as_the_server_names_them() {
        let document = document("acme.prm.");
        for (channel, topic) in [("inbox", "acme.prm.inbox"), ("events", "acme.prm.events"), ("deadLetters", "acme.prm.dead-letters")] {
            let told = &document["channels"][channel];
            assert_eq!((&told["address"], &told["bindings"]["kafka"]["topic"]), (&json!(topic), &json!(topic)));
        }
        let group = &document["operations"]["ingest"]["bindings"]["kafka"]["groupId"]["enum"][0];
        assert_eq!(*group, "acme.prm.ingest");
        let about = document["info"]["description"].as_str().expect("a description");
        assert!(about.ends_with("was started with: \"acme.prm.\"."), "{about}");
    }

    #[test]
    fn services_are_told_of_what_they_may_send_and_of_every_event() {
        let document = document(PREFIX);
        let inbox = document["channels"]["inbox"]["messages"].as_object().expect("messages");
        assert!(inbox.contains_key("command.RecordTouchpoint") && !inbox.contains_key("command.CompleteRetirement"));
        assert_eq!(document["channels"]["events"]["messages"].as_object().map(Map::len), Some(EVENTS.len()));
        let message = &document["components"]["messages"]["command.RecordTouchpoint"];
        assert_eq!(message["headers"]["properties"]["ce_type"]["const"], "pledger.RecordTouchpoint");
        assert_eq!(message["examples"][0]["payload"]["touchpoint_id"], "t-1");
        let kafka = &document["channels"]["inbox"]["bindings"]["kafka"];
        assert_eq!((&kafka["topic"], &kafka["topicConfiguration"]["retention.ms"]), (&json!("pledger.inbox"), &json!(2_592_000_000_u64)));
    }
}
