//! The stream that a body belongs to, without reading all of it.

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

/// The stream's name where the body begins as all of ours do: `{"decision":{"v":1,"stream":"account/acme.com",`.
fn plain_stream(body: &[u8]) -> Option<&str> {
    let rest = body.strip_prefix(b"{\"decision\":{\"v\":")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let rest = rest[digits..].strip_prefix(b",\"stream\":\"")?;
    let end = rest.iter().position(|byte| *byte == b'"' || *byte == b'\\')?;
    // An escape in the name: somebody has to read it properly.
    if rest[end] == b'\\' { None } else { std::str::from_utf8(&rest[..end]).ok() }
}

/// The same by a full parse: a name with escapes, or fields in another order.
fn parsed_stream(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Outer {
        decision: Named,
    }
    #[derive(Deserialize)]
    struct Named {
        stream: String,
    }
    // `TermOpened` and the like have no stream; do not parse them to find out.
    if !body.starts_with(b"{\"decision\"") {
        return None;
    }
    serde_json::from_slice::<Outer>(body).ok().map(|outer| outer.decision.stream)
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
}
