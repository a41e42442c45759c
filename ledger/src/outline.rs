//! The outline of a decision: what read models are folded from, and nothing else of it.

use std::borrow::Cow;

use pledger_domain::{rejection::Rejection, stream::StreamName, values::Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::record::{Body, BodyError, Decision, Events, FORMAT, Outcome};

/// A decision without what it came from: who sent it, when it came in, what it relied on. These are most of a body; they
/// are passed over, which takes half the time that reading them takes, and are not checked.
#[derive(Clone, Debug)]
pub struct Outline<'a> {
    /// The stream it belongs to.
    pub stream: StreamName,
    /// The command's name.
    pub command: Cow<'a, str>,
    /// The command's payload, sealed.
    pub payload: Cow<'a, RawValue>,
    /// What was decided.
    pub outcome: Outcome<'a>,
    /// The version of the rules that decided; 0 where none was in force yet.
    pub rules: u32,
    /// When it was written.
    pub recorded_at: Timestamp,
    /// When it is true in the business.
    pub effective_at: Timestamp,
}

/// The outer form. A record of another kind is rare, and read whole.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outer<'a> {
    #[serde(borrow)]
    Decision(Stored<'a>),
}

/// Of `record::Stored` what an outline has.
#[derive(Deserialize)]
struct Stored<'a> {
    v: u32,
    stream: StreamName,
    #[serde(borrow)]
    command: Command<'a>,
    #[serde(borrow, default)]
    accepted: Option<&'a RawValue>,
    #[serde(default)]
    rejected: Option<Rejection>,
    rules: u32,
    recorded_at: Timestamp,
    effective_at: Timestamp,
}

#[derive(Deserialize)]
struct Command<'a> {
    #[serde(borrow, rename = "type")]
    name: Cow<'a, str>,
    #[serde(borrow)]
    payload: &'a RawValue,
}

impl<'a> Outline<'a> {
    /// Reads the outline of a body; none of a record that is no decision. It says what `Body::decode` says of whatever
    /// that can read.
    ///
    /// # Errors
    /// `BodyError`: a poisoned record.
    pub fn decode(body: &'a [u8]) -> Result<Option<Self>, BodyError> {
        // What was checked to be text as a whole need not be checked string by string.
        if let Some(Outer::Decision(stored)) = std::str::from_utf8(body).ok().and_then(|text| serde_json::from_str(text).ok())
            && let Some(outline) = stored.outline()
        {
            return Ok(Some(outline));
        }
        // Read whole, what cannot be read says why.
        Ok(match Body::decode(body)? {
            Body::Decision(decision) => Some((*decision).into()),
            Body::LedgerCreated(_) | Body::TermOpened(_) | Body::Progress(_) => None,
        })
    }
}

impl<'a> Stored<'a> {
    /// The outline in the present types; none of another format, and where the outcome cannot be read.
    fn outline(self) -> Option<Outline<'a>> {
        let outcome = match (self.accepted, self.rejected) {
            (Some(events), None) => Outcome::Accepted(Events::parse(self.stream.kind(), events.get()).ok()?),
            (None, Some(rejection)) => Outcome::Rejected(rejection),
            _ => return None,
        };
        let Self { v, stream, command: Command { name: command, payload }, rules, recorded_at, effective_at, .. } = self;
        (v == FORMAT).then_some(Outline { stream, command, payload: Cow::Borrowed(payload), outcome, rules, recorded_at, effective_at })
    }
}

impl<'a> From<Decision<'a>> for Outline<'a> {
    fn from(decision: Decision<'a>) -> Self {
        let Decision { stream, command, outcome, rules, recorded_at, effective_at, .. } = decision;
        Self { stream, command: command.name, payload: command.payload, outcome, rules, recorded_at, effective_at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"decision":{"v":1,"stream":"account/a.com","version":1,"command":{"id":"k","type":"C","payload":{},"sender":"s","channel":"api","received_at":"2026-01-01T00:00:00Z","input":"0"},"accepted":[],"rules":1,"recorded_at":"2026-01-01T00:00:00Z","effective_at":"2026-01-01T00:00:00Z"}}"#;

    #[test]
    fn what_no_outline_has_is_passed_over() {
        for body in [BODY.to_owned(), BODY.replacen("2026-01-01T00:00:00Z", "once", 1)] {
            let outline = Outline::decode(body.as_bytes()).expect("read").expect("a decision");
            assert_eq!((outline.stream.as_str(), &*outline.command, outline.payload.get()), ("account/a.com", "C", "{}"));
        }
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        for (was, is, why) in [
            ("\"v\":1", "\"v\":9", "the record is of format 9; this pledger reads up to 1"),
            ("\"accepted\":[],", "", "the decision has no single outcome"),
            ("account/a.com", "nowhere", "the body of a record cannot be read: \"nowhere\" is not a stream"),
            ("[]", "[{}]", "the body of a record cannot be read: missing field `type`"),
            ("decision", "riddle", "the record is of the unknown kind \"riddle\""),
        ] {
            let body = BODY.replace(was, is);
            let error = Outline::decode(body.as_bytes()).expect_err(&body).to_string();
            assert!(error.starts_with(why), "{error}");
        }
    }
}
