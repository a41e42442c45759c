//! `GET /v1/commands`: which commands there are, with an example of each.

use axum::body::Bytes;
use pledger_domain::{
    catalogue::{COMMANDS, CommandSpec},
    command::Origin,
};
use serde::Serialize;
use serde_json::value::RawValue;

/// A command, as the catalogue lists it.
#[derive(Serialize)]
struct Entry<'a> {
    name: &'static str,
    summary: &'static str,
    /// The kind of stream that it is decided in.
    stream: &'static str,
    /// `anyone`, or `system` where pledger alone sends it.
    origin: &'static str,
    method: &'static str,
    path: String,
    /// The payload's JSON schema.
    schema: String,
    example: &'a RawValue,
}

fn entry(spec: &'static CommandSpec) -> Entry<'static> {
    Entry {
        name: spec.name,
        summary: spec.summary,
        stream: spec.stream.prefix(),
        origin: match spec.origin {
            Origin::Anyone => "anyone",
            Origin::System => "system",
        },
        method: "POST",
        path: format!("/v1/commands/{}", spec.name),
        schema: format!("/v1/openapi.json#/components/schemas/{}", spec.name),
        example: serde_json::from_str(spec.example).expect("a test reads every example"),
    }
}

/// The whole catalogue, as JSON: `{items: [...]}`.
pub(crate) fn all() -> Bytes {
    #[derive(Serialize)]
    struct All {
        items: Vec<Entry<'static>>,
    }
    let all = All { items: COMMANDS.iter().map(entry).collect() };
    serde_json::to_vec(&all).expect("a catalogue is plain data, which JSON can hold").into()
}

/// One entry, as JSON.
pub(crate) fn one(spec: &'static CommandSpec) -> Bytes {
    serde_json::to_vec(&entry(spec)).expect("a catalogue is plain data, which JSON can hold").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_is_a_payload_of_its_command() {
        for spec in COMMANDS {
            pledger_domain::catalogue::Command::parse(spec.name, spec.example.as_bytes()).expect(spec.name);
            let one: serde_json::Value = serde_json::from_slice(&one(spec)).expect(spec.name);
            assert_eq!(one["path"], format!("/v1/commands/{}", spec.name));
        }
        let all: serde_json::Value = serde_json::from_slice(&all()).expect("JSON");
        assert_eq!(all["items"].as_array().map(Vec::len), Some(COMMANDS.len()));
    }
}
