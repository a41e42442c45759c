//! How a body is stored, and read for ever.
//!
//! # A later format
//! Records are never rewritten, so a body is read for ever as it was written. An optional field with a default needs no
//! new format. What does, say a field of `Stored` that splits in two, is added like this:
//! 1. `FORMAT` becomes 2, and `Stored` gets the new shape, which is what `encode` writes from then on;
//! 2. the old shape is kept as `StoredV1` with a `From<StoredV1<'a>> for Stored<'a>` that says in one place what the old
//!    record means now (an event that changed is upcast there too, on its JSON, before `Events::parse`);
//! 3. `Body::decode` looks at `v` first, and reads 1 by way of `StoredV1`; `Outline` gets the new shape too, and reads
//!    older bodies through `Body::decode`;
//! 4. `fixtures/v1` stays as it is and its test asks for equal meaning instead of equal bytes; `fixtures/v2` is blessed.
//!
//! A body of a format later than `FORMAT` is `BodyError::FormatAhead`, whatever else stands in it: an older pledger
//! stops there rather than guess.

use std::{borrow::Cow, collections::BTreeMap};

use bytes::Bytes;
use pledger_domain::{rejection::Rejection, stream::StreamName, values::Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeMap};
use serde_json::value::RawValue;

use super::body::{Body, CommandRecord, Decision, Events, LedgerCreated, Outcome, Progress, TermOpened};

/// The format that bodies are written in. Older ones are upcast when they are read.
pub const FORMAT: u32 = 1;

/// Why a body cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is not of a known form.
    #[error("the body of a record cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// It was written by a later pledger.
    #[error("the record is of format {0}; this pledger reads up to {FORMAT}")]
    FormatAhead(u32),
    /// It is of a kind that this pledger does not know.
    #[error("the record is of the unknown kind {0:?}")]
    UnknownKind(String),
    /// It has neither an outcome nor a refusal, or both.
    #[error("the decision has no single outcome")]
    NoOutcome,
}

/// The bytes of a decision, as a rule.
const ABOUT_A_BODY: usize = 1024;

/// The kinds of `Outer`.
const KINDS: [&str; 4] = ["ledger_created", "term_opened", "progress", "decision"];

/// The outer form: one key, which names the kind.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outer<'a> {
    LedgerCreated(LedgerCreated),
    TermOpened(TermOpened),
    Progress(Progress),
    #[serde(borrow)]
    Decision(Box<Stored<'a>>),
}

/// A decision as it is stored. Its field order is part of what is hashed.
#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    v: u32,
    stream: StreamName,
    version: u64,
    #[serde(borrow)]
    command: CommandRecord<'a>,
    #[serde(borrow, default, deserialize_with = "where_they_are", skip_serializing_if = "Option::is_none")]
    accepted: Option<Accepted<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rejected: Option<Rejection>,
    rules: u32,
    recorded_at: Timestamp,
    effective_at: Timestamp,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    relied_on: Vec<(StreamName, u64)>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    historical: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next_command: Option<u64>,
}

/// The events in a body: read in place, written from their types unless they were written out before.
#[derive(Serialize)]
#[serde(untagged)]
enum Accepted<'a> {
    Json(&'a RawValue),
    Typed(Events<'a>),
}

/// JSON that stays in the body: serde would copy it.
pub(super) fn where_it_is<'de: 'a, 'a, D: Deserializer<'de>>(d: D) -> Result<Cow<'a, RawValue>, D::Error> {
    <&RawValue>::deserialize(d).map(Cow::Borrowed)
}

fn where_they_are<'de: 'a, 'a, D: Deserializer<'de>>(d: D) -> Result<Option<Accepted<'a>>, D::Error> {
    Option::<&RawValue>::deserialize(d).map(|events| events.map(Accepted::Json))
}

impl Body<'_> {
    /// The bytes that are hashed and kept.
    ///
    /// # Errors
    /// Where a `Personal` field is still plain.
    pub fn encode(self) -> Result<Bytes, BodyError> {
        let outer = match self {
            Self::LedgerCreated(created) => Outer::LedgerCreated(created),
            Self::TermOpened(opened) => Outer::TermOpened(opened),
            Self::Progress(progress) => Outer::Progress(progress),
            Self::Decision(decision) => return decision.encode(),
        };
        Ok(Bytes::from(serde_json::to_vec(&outer)?))
    }
}

impl<'a> Body<'a> {
    /// Reads a body, upcast to the present format.
    ///
    /// # Errors
    /// `BodyError`: a poisoned record.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, BodyError> {
        // What was checked to be text as a whole need not be checked string by string.
        let outer = match std::str::from_utf8(bytes) {
            Ok(text) => serde_json::from_str(text),
            Err(_) => serde_json::from_slice(bytes),
        };
        let outer = outer.map_err(|error| explain(bytes, error))?;
        if let Outer::LedgerCreated(LedgerCreated { v, .. }) | Outer::TermOpened(TermOpened { v, .. }) | Outer::Progress(Progress { v, .. }) =
            outer
            && v > FORMAT
        {
            return Err(BodyError::FormatAhead(v));
        }
        Ok(match outer {
            Outer::LedgerCreated(created) => Self::LedgerCreated(created),
            Outer::TermOpened(opened) => Self::TermOpened(opened),
            Outer::Progress(progress) => Self::Progress(progress),
            Outer::Decision(stored) => Self::Decision(Box::new(stored.upcast()?)),
        })
    }
}

/// Why a body of no known form is none: a later pledger may have written it.
fn explain(bytes: &[u8], error: serde_json::Error) -> BodyError {
    #[derive(Deserialize)]
    struct Format {
        v: u32,
    }
    let Ok(kinds) = serde_json::from_slice::<BTreeMap<String, &RawValue>>(bytes) else { return error.into() };
    let ahead = |body: &&RawValue| serde_json::from_str(body.get()).ok().filter(|Format { v }| *v > FORMAT);
    if let Some(Format { v }) = kinds.values().find_map(ahead) {
        return BodyError::FormatAhead(v);
    }
    match kinds.keys().find(|kind| !KINDS.contains(&kind.as_str())) {
        Some(kind) => BodyError::UnknownKind(kind.clone()),
        None => error.into(),
    }
}

impl<'a> Stored<'a> {
    /// The decision in the present types. A later format adds its steps here: `v` says where to begin.
    fn upcast(self) -> Result<Decision<'a>, BodyError> {
        if self.v > FORMAT {
            return Err(BodyError::FormatAhead(self.v));
        }
        let outcome = match (self.accepted, self.rejected) {
            (Some(Accepted::Json(events)), None) => Outcome::Accepted(Events::parse(self.stream.kind(), events.get())?),
            (Some(Accepted::Typed(events)), None) => Outcome::Accepted(events),
            (None, Some(rejection)) => Outcome::Rejected(rejection),
            _ => return Err(BodyError::NoOutcome),
        };
        Ok(Decision {
            stream: self.stream,
            version: self.version,
            command: self.command,
            outcome,
            rules: self.rules,
            recorded_at: self.recorded_at,
            effective_at: self.effective_at,
            relied_on: self.relied_on,
            historical: self.historical,
            next_command: self.next_command,
        })
    }
}

impl Decision<'_> {
    /// The bytes that are hashed and kept.
    ///
    /// # Errors
    /// Where a `Personal` field is still plain.
    pub fn encode(self) -> Result<Bytes, BodyError> {
        let mut bytes = Vec::with_capacity(ABOUT_A_BODY);
        self.write(None, &mut bytes)?;
        Ok(bytes.into())
    }

    /// Appends the same bytes to `into`. `events` are the accepted events where they were written out before.
    ///
    /// # Errors
    /// Where a `Personal` field is still plain.
    pub fn write(self, events: Option<&RawValue>, into: &mut Vec<u8>) -> Result<(), BodyError> {
        let (accepted, rejected) = match self.outcome {
            Outcome::Rejected(rejection) => (None, Some(rejection)),
            Outcome::Accepted(typed) => (Some(events.map_or(Accepted::Typed(typed), Accepted::Json)), None),
        };
        let stored = Stored {
            v: FORMAT,
            stream: self.stream,
            version: self.version,
            command: self.command,
            accepted,
            rejected,
            rules: self.rules,
            recorded_at: self.recorded_at,
            effective_at: self.effective_at,
            relied_on: self.relied_on,
            historical: self.historical,
            next_command: self.next_command,
        };
        Ok(serde_json::to_writer(into, &OuterDecision(&stored))?)
    }

    /// Whether it was accepted.
    #[must_use]
    pub const fn is_accepted(&self) -> bool {
        matches!(self.outcome, Outcome::Accepted(_))
    }
}

/// `{"decision": ...}` of a borrowed decision.
struct OuterDecision<'a, 'b>(&'b Stored<'a>);

impl Serialize for OuterDecision<'_, '_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(Some(1))?;
        map.serialize_entry("decision", self.0)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &str) -> BodyError {
        Body::decode(body.as_bytes()).map(|body| panic!("{body:?}")).expect_err("refused")
    }

    #[test]
    fn a_body_that_cannot_be_read_says_why() {
        assert!(matches!(refused(r#"{"riddle":{"v":1}}"#), BodyError::UnknownKind(kind) if kind == "riddle"));
        assert!(matches!(refused(r#"{"riddle":{"v":99}}"#), BodyError::FormatAhead(99)));
        assert!(matches!(refused(r#"{"progress":{"v":99,"recorded_at":"2026-01-01T00:00:00Z"}}"#), BodyError::FormatAhead(99)));
        assert!(matches!(refused(r#"{"progress":{"v":1}}"#), BodyError::Json(_)));
        assert!(matches!(refused("[]"), BodyError::Json(_)));
    }

    #[test]
    fn a_decision_has_one_outcome() {
        let decision = |outcome: &str| {
            let at = "2026-01-01T00:00:00Z";
            format!(
                r#"{{"decision":{{"v":1,"stream":"account/a.com","version":1,"command":{{"id":"k","type":"C","payload":{{}},"sender":"s","channel":"api","received_at":"{at}","input":"0"}},{outcome}"rules":1,"recorded_at":"{at}","effective_at":"{at}"}}}}"#
            )
        };
        assert!(matches!(refused(&decision("")), BodyError::NoOutcome));
        let both = r#""accepted":[],"rejected":{"code":"NothingAsked","facts":{}},"#;
        assert!(matches!(refused(&decision(both)), BodyError::NoOutcome));
        assert!(Body::decode(decision(r#""accepted":[],"#).as_bytes()).is_ok());
    }
}
