//! CloudEvents 1.0 as commands: one reading for what comes over HTTP and what comes over Kafka.
//!
//! `type` is `pledger.<CommandName>`, `source` the sender, `id` the idempotency key, `time` the business time, `data` the
//! payload. A `traceparent` stands as the cause. `subject` stands nowhere: a record is for ever, and a subject may well be
//! somebody's address.

use std::{borrow::Cow, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use pledger_domain::{
    facts::Channel,
    reading::{self, Unreadable},
    values::Timestamp,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Incoming;

/// What the type begins with; the command's name follows.
pub const TYPE_PREFIX: &str = "pledger.";
/// The version that is read.
pub const SPEC_VERSION: &str = "1.0";
/// What the headers of a message in binary mode begin with.
pub const HEADER_PREFIX: &str = "ce_";
/// The header that names the media type, in both modes.
pub const CONTENT_TYPE: &str = "content-type";
/// The media type of structured mode.
pub const STRUCTURED: &str = "application/cloudevents+json";

/// What is expected of a type.
const ACCEPTED_TYPES: &str = "pledger.<CommandName>, such as pledger.RecordTouchpoint";
/// What is expected of an event.
const ACCEPTED: &str = "a CloudEvent 1.0 with specversion, id, source, type, time? and data";

/// A CloudEvent that is meant as a command.
#[derive(Debug, PartialEq, Eq)]
pub struct CloudEvent<'a> {
    id: Cow<'a, str>,
    source: Cow<'a, str>,
    kind: Cow<'a, str>,
    time: Option<Timestamp>,
    traceparent: Option<Cow<'a, str>>,
    data: Cow<'a, [u8]>,
}

/// Why something is no CloudEvent that is meant as a command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEvent {
    /// The bytes are not JSON.
    #[error("the event is not JSON: {0}")]
    Malformed(String),
    /// The message is in neither mode.
    #[error("the message is no CloudEvent: it has neither a header ce_specversion (binary mode) nor content-type {STRUCTURED}")]
    NoEvent,
    /// The data are of a media type that is not read.
    #[error("{0:?} is not read here")]
    MediaType(String),
    /// The type is not one of ours.
    #[error("{0:?} is no event type here")]
    UnknownType(String),
    /// An attribute is missing, given twice or wrong.
    #[error("{}", reading::sentence(.name, .reason))]
    Attribute {
        /// The attribute, as its mode calls it.
        name: Cow<'static, str>,
        /// What is wrong with it.
        reason: String,
    },
}

impl InvalidEvent {
    /// The stable code: the name of the reason.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "MalformedJson",
            Self::NoEvent => "NotACloudEvent",
            Self::MediaType(_) => "UnsupportedMediaType",
            Self::UnknownType(_) => "UnknownEventType",
            Self::Attribute { .. } => "InvalidCloudEvent",
        }
    }

    /// The offending attribute or header, where it is one.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Malformed(_) | Self::NoEvent => None,
            Self::MediaType(_) => Some(CONTENT_TYPE),
            Self::UnknownType(_) => Some("type"),
            Self::Attribute { name, .. } => Some(&**name).filter(|name| !name.is_empty()),
        }
    }

    /// What would be accepted.
    #[must_use]
    pub const fn accepted(&self) -> &'static str {
        match self {
            Self::MediaType(_) => "application/json, or application/cloudevents+json for a whole event",
            Self::UnknownType(_) => ACCEPTED_TYPES,
            Self::Malformed(_) | Self::NoEvent | Self::Attribute { .. } => ACCEPTED,
        }
    }

    fn attribute(name: &'static str, reason: impl Into<String>) -> Self {
        Self::Attribute { name: name.into(), reason: reason.into() }
    }
}

impl From<Unreadable> for InvalidEvent {
    fn from(unreadable: Unreadable) -> Self {
        match unreadable {
            Unreadable::Malformed(reason) => Self::Malformed(reason),
            Unreadable::Field { field, reason } => Self::Attribute { name: field.into(), reason },
        }
    }
}

/// The JSON form. Attributes that say nothing to pledger, extensions among them, are let through.
#[derive(Deserialize)]
struct Structured<'a> {
    specversion: Cow<'a, str>,
    id: Cow<'a, str>,
    source: Cow<'a, str>,
    #[serde(rename = "type")]
    kind: Cow<'a, str>,
    #[serde(default)]
    time: Option<Timestamp>,
    #[serde(default)]
    traceparent: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(default)]
    data_base64: Option<Cow<'a, str>>,
}

impl<'a> CloudEvent<'a> {
    /// Reads an event in structured mode: all of it is JSON.
    ///
    /// # Errors
    /// `InvalidEvent`.
    pub fn structured(json: &'a [u8]) -> Result<Self, InvalidEvent> {
        let Structured { specversion, id, source, kind, time, traceparent, data, data_base64 } = reading::object(json)?;
        check_version("specversion", &specversion)?;
        check_type(&kind)?;
        let data = match (data, data_base64) {
            (Some(data), None) => Cow::Borrowed(data.get().as_bytes()),
            (None, Some(text)) => {
                let bytes = STANDARD.decode(text.as_bytes());
                Cow::Owned(bytes.map_err(|error| InvalidEvent::attribute("data_base64", format!("it is not base64: {error}")))?)
            }
            (None, None) => return Err(InvalidEvent::attribute("data", "the payload is missing")),
            (Some(_), Some(_)) => return Err(InvalidEvent::attribute("data_base64", "the payload is given twice")),
        };
        Ok(Self { id, source, kind, time, traceparent: traceparent.filter(|text| is_traceparent(text)), data })
    }

    /// Reads an event from a message, in the mode that its headers say.
    ///
    /// # Errors
    /// `InvalidEvent`.
    pub fn message(headers: &'a [(String, Option<Vec<u8>>)], value: &'a [u8]) -> Result<Self, InvalidEvent> {
        let headers = Headers(headers);
        let media = headers.get(CONTENT_TYPE)?.map(essence);
        if media.as_deref().is_some_and(|media| media.starts_with("application/cloudevents")) {
            return match media.as_deref() {
                Some(STRUCTURED) => Self::structured(value),
                other => Err(InvalidEvent::MediaType(shown(other.unwrap_or_default()))),
            };
        }
        if !headers.0.iter().any(|(name, _)| name.starts_with(HEADER_PREFIX)) {
            return Err(InvalidEvent::NoEvent);
        }
        match media.as_deref() {
            None | Some("application/json") => {}
            Some(media) if media.ends_with("+json") => {}
            Some(other) => return Err(InvalidEvent::MediaType(shown(other))),
        }
        Self::binary(&headers, value)
    }

    /// Reads an event in binary mode: attributes are headers, the value is the payload.
    fn binary(headers: &Headers<'a>, value: &'a [u8]) -> Result<Self, InvalidEvent> {
        check_version("ce_specversion", headers.required("ce_specversion")?)?;
        let kind = headers.required("ce_type")?;
        check_type(kind)?;
        let time = headers.get("ce_time")?.map(Timestamp::parse).transpose();
        if value.is_empty() {
            return Err(InvalidEvent::attribute("data", "the payload is missing"));
        }
        // The distributed-tracing extension, or the header that tracers set.
        let traceparent = headers.get("ce_traceparent")?.or(headers.get("traceparent")?);
        Ok(Self {
            id: headers.required("ce_id")?.into(),
            source: headers.required("ce_source")?.into(),
            kind: kind.into(),
            time: time.map_err(|invalid| InvalidEvent::attribute("ce_time", invalid.to_string()))?,
            traceparent: traceparent.filter(|text| is_traceparent(text)).map(Cow::Borrowed),
            data: value.into(),
        })
    }

    /// The command that it is meant as.
    #[must_use]
    pub fn incoming(&self) -> Incoming<'_> {
        let name = self.kind.strip_prefix(TYPE_PREFIX).unwrap_or_default();
        Incoming {
            key: Some(&self.id),
            effective_at: self.time,
            cause: self.traceparent.as_deref(),
            ..Incoming::new(name, &self.data, Arc::from(&*self.source), Channel::Ingest)
        }
    }
}

/// The headers of a message.
struct Headers<'a>(&'a [(String, Option<Vec<u8>>)]);

impl<'a> Headers<'a> {
    /// A header that may be there once.
    fn get(&self, name: &'static str) -> Result<Option<&'a str>, InvalidEvent> {
        let mut values = self.0.iter().filter(|(known, _)| known == name).map(|(_, value)| value);
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(InvalidEvent::attribute(name, "is given twice"));
        }
        match value.as_deref().map(std::str::from_utf8) {
            None => Ok(None),
            Some(Ok(text)) => Ok(Some(text)),
            Some(Err(_)) => Err(InvalidEvent::attribute(name, "is not UTF-8")),
        }
    }

    fn required(&self, name: &'static str) -> Result<&'a str, InvalidEvent> {
        self.get(name)?.ok_or_else(|| InvalidEvent::attribute(name, "is missing"))
    }
}

fn check_version(name: &'static str, given: &str) -> Result<(), InvalidEvent> {
    let known = given == SPEC_VERSION;
    if known { Ok(()) } else { Err(InvalidEvent::attribute(name, format!("{:?} is not known; {SPEC_VERSION} is", shown(given)))) }
}

fn check_type(kind: &str) -> Result<(), InvalidEvent> {
    if kind.starts_with(TYPE_PREFIX) { Ok(()) } else { Err(InvalidEvent::UnknownType(shown(kind))) }
}

/// As much of a text as a message needs to name it.
fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

/// A media type without its parameters.
fn essence(media: &str) -> String {
    media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Whether this is a W3C trace context of version 00, and nothing else that would stand in a record for ever.
#[must_use]
pub fn is_traceparent(text: &str) -> bool {
    let is_hex = |part: &str| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let parts: Vec<&str> = text.splitn(5, '-').collect();
    parts.iter().map(|part| part.len()).eq([2, 32, 16, 2]) && parts[0] == "00" && parts.into_iter().all(is_hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(pairs: &[(&str, &str)]) -> Vec<(String, Option<Vec<u8>>)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), Some(value.as_bytes().to_vec()))).collect()
    }

    fn binary() -> Vec<(&'static str, &'static str)> {
        vec![("ce_specversion", "1.0"), ("ce_id", "e-1"), ("ce_source", "/crm"), ("ce_type", "pledger.CloseLost")]
    }

    #[test]
    fn both_modes_say_the_same() {
        let json = format!(
            r#"{{"specversion":"1.0","id":"e-1","source":"/crm","type":"pledger.CloseLost","time":"2026-03-01T10:00:00Z","traceparent":"{TRACE}","subject":"jo@acme.com","data":{{"deal_id":"d"}}}}"#
        );
        let mut pairs = binary();
        pairs.extend([
            ("ce_time", "2026-03-01T11:00:00+01:00"),
            ("ce_traceparent", TRACE),
            ("content-type", "application/json; charset=utf-8"),
        ]);
        let structured = headers(&[("content-type", "Application/CloudEvents+JSON; charset=UTF-8")]);
        let (one, other) = (headers(&pairs), structured);
        let binary = CloudEvent::message(&one, br#"{"deal_id":"d"}"#).expect("binary mode");
        let structured = CloudEvent::message(&other, json.as_bytes()).expect("structured mode");
        assert_eq!(binary, structured);
        let incoming = binary.incoming();
        assert_eq!((incoming.name, incoming.key, &*incoming.sender), ("CloseLost", Some("e-1"), "/crm"));
        assert_eq!(incoming.effective_at, Timestamp::parse("2026-03-01T10:00:00Z").ok());
        assert_eq!((incoming.cause, incoming.payload), (Some(TRACE), &br#"{"deal_id":"d"}"#[..]));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let with = |more: &[(&'static str, &'static str)]| binary().into_iter().chain(more.iter().copied()).collect::<Vec<_>>();
        let without = |name: &str| binary().into_iter().filter(|(known, _)| *known != name).collect::<Vec<_>>();
        for (pairs, value, code, field) in [
            (vec![], "{}", "NotACloudEvent", None),
            (vec![("Ce_id", "1")], "{}", "NotACloudEvent", None),
            (without("ce_id"), "{}", "InvalidCloudEvent", Some("ce_id")),
            (without("ce_specversion"), "{}", "InvalidCloudEvent", Some("ce_specversion")),
            (with(&[("ce_id", "again")]), "{}", "InvalidCloudEvent", Some("ce_id")),
            (with(&[("ce_time", "yesterday")]), "{}", "InvalidCloudEvent", Some("ce_time")),
            (binary(), "", "InvalidCloudEvent", Some("data")),
            (with(&[("content-type", "text/xml")]), "<a/>", "UnsupportedMediaType", Some("content-type")),
            (vec![("content-type", "application/cloudevents-batch+json")], "[]", "UnsupportedMediaType", Some("content-type")),
            (vec![("content-type", STRUCTURED)], "{", "MalformedJson", None),
            (vec![("content-type", STRUCTURED)], "[]", "InvalidCloudEvent", None),
            (
                vec![("content-type", STRUCTURED)],
                r#"{"specversion":"1.0","source":"s","type":"pledger.X"}"#,
                "InvalidCloudEvent",
                Some("id"),
            ),
            (vec![("ce_specversion", "0.3"), ("ce_type", "x")], "{}", "InvalidCloudEvent", Some("ce_specversion")),
            (vec![("ce_specversion", "1.0"), ("ce_type", "com.example.x")], "{}", "UnknownEventType", Some("type")),
        ] {
            let headers = headers(&pairs);
            let invalid = CloudEvent::message(&headers, value.as_bytes()).expect_err(value);
            assert_eq!((invalid.code(), invalid.field()), (code, field), "{pairs:?} {invalid}");
        }
        let mut none = headers(&without("ce_id"));
        none.push(("ce_id".into(), None));
        assert_eq!(CloudEvent::message(&none, b"{}").expect_err("no id").to_string(), "ce_id is missing");
        none.pop();
        none.push(("ce_id".into(), Some(vec![0xff])));
        assert_eq!(CloudEvent::message(&none, b"{}").expect_err("no text").to_string(), "ce_id is not UTF-8");
    }

    #[test]
    fn only_a_trace_passes_for_one() {
        assert!(is_traceparent(TRACE));
        for other in ["", "00-1-2-01", "jo@acme.com", &TRACE.to_uppercase(), &format!("{TRACE}-x"), &TRACE.replace('f', "é")] {
            assert!(!is_traceparent(other), "{other}");
        }
    }
}
