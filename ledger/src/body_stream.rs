//! The stream that a body belongs to and the command that it decides, without reading all of it.

use std::borrow::Cow;

use pledger_domain::stream::StreamName;
use serde::Deserialize;

/// The name of the stream that a body belongs to; none for a record without a stream.
#[must_use]
pub fn stream_of(body: &[u8]) -> Option<Cow<'_, str>> {
    plain_stream(body).map(Cow::Borrowed).or_else(|| parsed_stream(body).map(Cow::Owned))
}

/// Whether a body belongs to `stream`.
pub(crate) fn is_of(body: &[u8], stream: &StreamName) -> bool {
    stream_of(body).is_some_and(|name| name == stream.as_str())
}

/// The name of the command that a body decides; none for a record without one.
#[must_use]
pub fn command_of(body: &[u8]) -> Option<Cow<'_, str>> {
    plain_command(body).map(Cow::Borrowed).or_else(|| parsed_command(body).map(Cow::Owned))
}

/// The stream's name where the body begins as all of ours do: `{"decision":{"v":1,"stream":"account/acme.com",`.
fn plain_stream(body: &[u8]) -> Option<&str> {
    plain_text(after_number(body, b"{\"decision\":{\"v\":")?, b",\"stream\":").map(|(stream, _)| stream)
}

/// The command's name where the body goes on as all of ours do: `"version":7,"command":{"id":"k-1","type":"ApproveDeal",`.
fn plain_command(body: &[u8]) -> Option<&str> {
    let (_, rest) = plain_text(after_number(body, b"{\"decision\":{\"v\":")?, b",\"stream\":")?;
    let (_, rest) = plain_text(after_number(rest, b",\"version\":")?, b",\"command\":{\"id\":")?;
    plain_text(rest, b",\"type\":").map(|(name, _)| name)
}

/// What follows a number that follows `before`.
fn after_number<'a>(bytes: &'a [u8], before: &[u8]) -> Option<&'a [u8]> {
    let rest = bytes.strip_prefix(before)?;
    Some(&rest[rest.iter().take_while(|byte| byte.is_ascii_digit()).count()..])
}

/// The text that follows `before`, and what follows that. None where an escape is in it: somebody has to read it properly.
fn plain_text<'a>(bytes: &'a [u8], before: &[u8]) -> Option<(&'a str, &'a [u8])> {
    let rest = bytes.strip_prefix(before)?.strip_prefix(b"\"")?;
    let end = rest.iter().position(|byte| *byte == b'"' || *byte == b'\\')?;
    if rest[end] == b'\\' { None } else { Some((std::str::from_utf8(&rest[..end]).ok()?, &rest[end + 1..])) }
}

/// The same by a full parse: a name with escapes, or fields in another order.
fn parsed_stream(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        stream: String,
    }
    parsed(body).map(|Named { stream }| stream)
}

/// The same of the command.
fn parsed_command(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Asking {
        command: Named,
    }
    #[derive(Deserialize)]
    struct Named {
        #[serde(rename = "type")]
        name: String,
    }
    parsed(body).map(|Asking { command }| command.name)
}

/// A decision's body. `TermOpened` and the like have neither stream nor command: they are not parsed to find out.
fn parsed<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Option<T> {
    #[derive(Deserialize)]
    struct Outer<T> {
        decision: T,
    }
    if !body.starts_with(b"{\"decision\"") {
        return None;
    }
    serde_json::from_slice::<Outer<T>>(body).ok().map(|outer| outer.decision)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_escapes_read_like_plain_ones() {
        let plain = br#"{"decision":{"v":1,"stream":"account/a/b","x":1}}"#;
        let escaped = br#"{"decision":{"v":1,"stream":"account\/a/b","x":1}}"#;
        let reordered = br#"{"decision":{"x":1,"v":12,"stream":"account/a/b"}}"#;
        let stream = |name: &str| serde_json::from_value(serde_json::json!(name)).expect("a stream");
        for body in [plain.as_slice(), escaped, reordered] {
            assert_eq!(stream_of(body).as_deref(), Some("account/a/b"));
            assert!(is_of(body, &stream("account/a/b")));
            assert!(!is_of(body, &stream("account/a")));
        }
        assert_eq!(stream_of(b"{\"decision\":{\"v\":1,\"stream\":\"account"), None);
        assert_eq!(stream_of(b"{\"progress\":{}}"), None);
    }

    #[test]
    fn commands_read_alike_wherever_they_stand() {
        let plain = br#"{"decision":{"v":1,"stream":"program","version":12,"command":{"id":"k","type":"AddNote","payload":{"type":"x"}}}}"#;
        let escaped = br#"{"decision":{"v":1,"stream":"program","version":12,"command":{"id":"k","type":"Add\u004eote"}}}"#;
        let reordered = br#"{"decision":{"command":{"payload":{"type":"x"},"type":"AddNote"},"v":12,"stream":"program"}}"#;
        for body in [plain.as_slice(), escaped, reordered] {
            assert_eq!(command_of(body).as_deref(), Some("AddNote"));
        }
        for none in [&br#"{"decision":{"v":1,"stream":"program","version":12,"command":{}}}"#[..], b"{\"progress\":{}}", b""] {
            assert_eq!(command_of(none), None);
        }
    }
}
