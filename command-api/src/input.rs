//! What requests carry besides their bodies: headers, media types, sizes.

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderName, StatusCode, header},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use pledger_domain::values::Timestamp;
use pledger_ledger::slices::Position;

use crate::problem::Problem;

/// The longest body, in bytes.
pub const MAX_BODY_LEN: usize = 8 * 1024 * 1024;
/// The most positions in `After`: more than there are reference slices.
pub(crate) const MAX_AFTER: usize = 64;
/// How long a client may take to send its body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// What the headers of a command say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct CommandHeaders<'a> {
    pub(crate) key: Option<&'a str>,
    pub(crate) if_match: Option<u64>,
    pub(crate) effective_at: Option<Timestamp>,
    pub(crate) after: Vec<Position>,
    pub(crate) actor: Option<&'a str>,
}

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const EFFECTIVE_AT: HeaderName = HeaderName::from_static("effective-at");
const AFTER: HeaderName = HeaderName::from_static("after");
const ACTOR: HeaderName = HeaderName::from_static("actor");
const X_ACTOR: HeaderName = HeaderName::from_static("x-actor");

impl<'a> CommandHeaders<'a> {
    /// Reads them in one pass.
    ///
    /// # Errors
    /// 400 `MalformedHeader`, naming the header and what it accepts.
    pub(crate) fn read(headers: &'a HeaderMap) -> Result<Self, Problem> {
        Ok(Self {
            key: text(headers, &IDEMPOTENCY_KEY, "Idempotency-Key")?,
            if_match: text(headers, &header::IF_MATCH, "If-Match")?.map(if_match).transpose()?,
            effective_at: text(headers, &EFFECTIVE_AT, "Effective-At")?.map(effective_at).transpose()?,
            after: text(headers, &AFTER, "After")?.map_or_else(|| Ok(Vec::new()), |given| positions(given, "After"))?,
            actor: match text(headers, &ACTOR, "Actor")? {
                Some(actor) => Some(actor),
                None => text(headers, &X_ACTOR, "X-Actor")?,
            },
        })
    }
}

impl CommandHeaders<'_> {
    /// Refuses what speaks of one command, where there are many: ignored, it would promise what nobody keeps.
    ///
    /// # Errors
    /// 400, naming the header and the member that says it for an item.
    pub(crate) fn none_of_one_command(&self) -> Result<(), Problem> {
        let given = [
            (self.key.is_some(), "Idempotency-Key", "idempotency_key"),
            (self.if_match.is_some(), "If-Match", "if_match"),
            (self.effective_at.is_some(), "Effective-At", "effective_at"),
            (self.actor.is_some(), "Actor", "actor"),
        ];
        match given.into_iter().find(|(given, _, _)| *given) {
            Some((_, header, member)) => {
                Err(Problem::malformed("HeaderForOneCommand", format!("{header} speaks of one command, not of a batch"))
                    .field(header)
                    .accepted(format!("{member} in each item")))
            }
            None => Ok(()),
        }
    }
}

fn malformed_header(name: &'static str, given: &str, accepted: &'static str) -> Problem {
    let given: String = given.chars().take(80).collect();
    Problem::malformed("MalformedHeader", format!("{name}: {given:?} cannot be read; expected {accepted}")).field(name).accepted(accepted)
}

fn text<'a>(headers: &'a HeaderMap, header: &HeaderName, name: &'static str) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(header).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Problem::malformed("MalformedHeader", format!("{name} is given more than once")).field(name));
    }
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => Ok(Some(text.trim())),
        Err(_) => Err(malformed_header(name, "", "UTF-8")),
    }
}

/// The stream's version, plain or as an entity tag.
fn if_match(given: &str) -> Result<u64, Problem> {
    let bare = given.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(given);
    bare.parse().map_err(|_| malformed_header("If-Match", given, "the stream's version, like 3 or \"3\""))
}

fn effective_at(given: &str) -> Result<Timestamp, Problem> {
    let accepted = "an RFC 3339 time like 2026-11-05T14:30:00Z, or a date, between 1900 and 9000";
    Timestamp::parse(given).map_err(|_| malformed_header("Effective-At", given, accepted))
}

/// One or several positions, separated by commas; `name` is the header or parameter that they came in.
pub(crate) fn positions(given: &str, name: &'static str) -> Result<Vec<Position>, Problem> {
    let accepted = "positions like 12:4711, separated by commas";
    let read: Result<Vec<Position>, _> =
        given.split(',').map(str::trim).filter(|part| !part.is_empty()).take(MAX_AFTER + 1).map(str::parse).collect();
    match read {
        Ok(positions) if positions.len() <= MAX_AFTER => Ok(positions),
        _ => Err(malformed_header(name, given, accepted)),
    }
}

/// The media types that a route reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MediaType {
    Json,
    Lines,
    CloudEvent,
    CloudEvents,
    Toml,
}

impl MediaType {
    const fn name(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Lines => "application/x-ndjson",
            Self::CloudEvent => "application/cloudevents+json",
            Self::CloudEvents => "application/cloudevents-batch+json",
            Self::Toml => "application/toml",
        }
    }

    fn parse(essence: &str) -> Option<Self> {
        let known = [
            ("application/json", Self::Json),
            ("application/x-ndjson", Self::Lines),
            ("application/ndjson", Self::Lines),
            ("application/jsonl", Self::Lines),
            ("application/x-jsonlines", Self::Lines),
            ("application/cloudevents+json", Self::CloudEvent),
            ("application/cloudevents-batch+json", Self::CloudEvents),
            ("application/toml", Self::Toml),
        ];
        known.iter().find(|(name, _)| name.eq_ignore_ascii_case(essence)).map(|(_, media)| *media)
    }

    /// The body's media type, one of `accepted`; the first of them where the request names none.
    ///
    /// # Errors
    /// 415, naming what is accepted.
    pub(crate) fn of(headers: &HeaderMap, accepted: &[Self]) -> Result<Self, Problem> {
        let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(accepted[0]) };
        let given = value.to_str().unwrap_or_default();
        let essence = given.split(';').next().unwrap_or_default().trim();
        Self::parse(essence).filter(|media| accepted.contains(media)).ok_or_else(|| {
            let names: Vec<&str> = accepted.iter().map(|media| media.name()).collect();
            Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", format!("{essence:?} is not read here"))
                .field("Content-Type")
                .accepted(names)
        })
    }
}

/// The whole body.
///
/// # Errors
/// 413 beyond `MAX_BODY_LEN`, 400 where the client breaks off or is too slow.
pub(crate) async fn body(body: Body) -> Result<Bytes, Problem> {
    match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY_LEN).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(body_too_large()),
        Ok(Err(error)) => Err(Problem::malformed("BodyUnreadable", format!("the body could not be read: {error}"))),
        Err(_) => Err(Problem::malformed("BodyTooSlow", format!("the body did not arrive within {} s", BODY_TIMEOUT.as_secs()))),
    }
}

fn body_too_large() -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "BodyTooLarge", format!("the body is longer than {MAX_BODY_LEN} bytes"))
        .accepted(format!("at most {MAX_BODY_LEN} bytes"))
}

/// Refuses a body whose declared length is too great before any of it is read.
///
/// # Errors
/// 413.
pub(crate) fn declared_length(headers: &HeaderMap) -> Result<(), Problem> {
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(|text| text.parse::<u64>().ok());
    match declared {
        Some(length) if length > MAX_BODY_LEN as u64 => Err(body_too_large()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().expect("a header"))).collect()
    }

    #[test]
    fn headers_are_read() {
        let map = headers(&[
            ("idempotency-key", "k-1"),
            ("if-match", "\"7\""),
            ("effective-at", "2026-11-05"),
            ("after", "0:3, 1:9"),
            ("x-actor", "jo"),
        ]);
        let read = CommandHeaders::read(&map).expect("good headers");
        assert_eq!(read.key, Some("k-1"));
        assert_eq!(read.if_match, Some(7));
        assert_eq!(read.effective_at, Timestamp::parse("2026-11-05").ok());
        assert_eq!(read.after, [Position { slice: 0, pseq: 3 }, Position { slice: 1, pseq: 9 }]);
        assert_eq!(read.actor, Some("jo"));
        assert_eq!(CommandHeaders::read(&HeaderMap::new()), Ok(CommandHeaders::default()));
    }

    #[test]
    fn a_bad_header_is_named() {
        for (name, value, field) in [
            ("if-match", "*", "If-Match"),
            ("if-match", "-1", "If-Match"),
            ("if-match", "\"3", "If-Match"),
            ("effective-at", "yesterday", "Effective-At"),
            ("effective-at", "2026-13-01T00:00:00Z", "Effective-At"),
            ("after", "12", "After"),
            ("after", "1:2;3:4", "After"),
        ] {
            let map = headers(&[(name, value)]);
            let problem = serde_json::to_value(CommandHeaders::read(&map).expect_err(value)).expect("JSON");
            assert_eq!((problem["status"].as_u64(), problem["field"].as_str()), (Some(400), Some(field)), "{value}");
        }
    }

    #[test]
    fn media_types_are_held_to() {
        let of = |value: &'static str| MediaType::of(&headers(&[("content-type", value)]), &[MediaType::Json, MediaType::Lines]);
        assert_eq!(of("application/json; charset=utf-8"), Ok(MediaType::Json));
        assert_eq!(of("Application/X-NDJSON"), Ok(MediaType::Lines));
        assert_eq!(MediaType::of(&HeaderMap::new(), &[MediaType::Json]), Ok(MediaType::Json));
        for wrong in ["text/csv", "application/x-www-form-urlencoded", "application/cloudevents+json", ""] {
            assert_eq!(of(wrong).expect_err(wrong).status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
        }
    }
}
