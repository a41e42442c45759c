//! The outline of a decision: what read models are folded from, and nothing else of it.

use std::{borrow::Cow, fmt};

use pledger_domain::{stream::StreamName, values::Timestamp};
use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

use crate::record::{Body, BodyError, Decision, EventsOf, FORMAT, Outcome};

/// A decision without what it came from: what was asked for, who sent it, when it came in, what it relied on. These are most of
/// a body; they are passed over, which takes half the time that reading them takes, and are not checked, but for what a refusal
/// refuses: a stream is parked by what read models are made from, and by nothing else.
#[derive(Clone, Debug)]
pub struct Outline<'a> {
    /// The stream it belongs to.
    pub stream: StreamName,
    /// What was asked for.
    asked: Asked<'a>,
    /// What was decided.
    pub outcome: Outcome<'a>,
    /// The version of the rules that decided; 0 where none was in force yet.
    pub rules: u32,
    /// When it was written.
    pub recorded_at: Timestamp,
    /// When it is true in the business.
    pub effective_at: Timestamp,
    /// Whether it is history from before the ledger.
    pub historical: bool,
}

/// A command as it is stored: few ask what it was, so it is read when one does.
#[derive(Clone)]
enum Asked<'a> {
    Stored(&'a RawValue),
    Read { name: Cow<'a, str>, payload: Cow<'a, RawValue>, received_at: Timestamp },
}

/// What was asked for.
#[derive(Clone, Debug, Deserialize)]
pub struct Command<'a> {
    /// The command's name.
    #[serde(borrow, rename = "type")]
    pub name: Cow<'a, str>,
    /// The command's payload, sealed.
    #[serde(borrow)]
    pub payload: &'a RawValue,
    /// When the edge received it, where that can be read: what is due in days is reckoned from here.
    #[serde(default, deserialize_with = "if_read")]
    pub received_at: Option<Timestamp>,
}

impl Asked<'_> {
    fn read(&self) -> serde_json::Result<Command<'_>> {
        match self {
            Self::Stored(stored) => serde_json::from_str(stored.get()),
            Self::Read { name, payload, received_at } => {
                Ok(Command { name: Cow::Borrowed(name), payload, received_at: Some(*received_at) })
            }
        }
    }
}

/// A time; none where it cannot be read.
fn if_read<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Timestamp>, D::Error> {
    Ok(Timestamp::parse(&Cow::<str>::deserialize(d)?).ok())
}

/// What it says, however it is kept.
impl fmt::Debug for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.read().fmt(f)
    }
}

/// The outer form. A record of another kind is rare, and read whole.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outer<'a> {
    #[serde(borrow)]
    Decision(Stored<'a>),
}

/// Of `record::Stored` what an outline has, with its events read where they stand: the stream, which says what they are,
/// comes before them in whatever pledger wrote.
struct Stored<'a> {
    v: u32,
    stream: StreamName,
    command: &'a RawValue,
    outcome: Outcome<'a>,
    rules: u32,
    recorded_at: Timestamp,
    effective_at: Timestamp,
    historical: bool,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Field {
    V,
    Stream,
    Command,
    Accepted,
    Rejected,
    Rules,
    RecordedAt,
    EffectiveAt,
    Historical,
    #[serde(other)]
    PassedOver,
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
            && stored.v == FORMAT
        {
            return Ok(Some(stored.into()));
        }
        // Read whole, what cannot be read says why.
        Ok(match Body::decode(body)? {
            Body::Decision(decision) => Some((*decision).into()),
            Body::LedgerCreated(_) | Body::TermOpened(_) | Body::Progress(_) => None,
        })
    }

    /// What was asked for; none where it cannot be read, which a refusal's can.
    #[must_use]
    pub fn command(&self) -> Option<Command<'_>> {
        self.asked.read().ok()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Stored<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_map(StoredVisitor)
    }
}

struct StoredVisitor;

impl<'de> de::Visitor<'de> for StoredVisitor {
    type Value = Stored<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a decision")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Stored<'de>, A::Error> {
        let (mut v, mut stream, mut command, mut outcome) = (None, None::<StreamName>, None, None);
        let (mut rules, mut recorded_at, mut effective_at, mut historical) = (None, None, None, None);
        while let Some(field) = map.next_key()? {
            match field {
                Field::V => once(&mut v, map.next_value()?)?,
                Field::Stream => once(&mut stream, map.next_value()?)?,
                Field::Command => once(&mut command, map.next_value()?)?,
                Field::Accepted => {
                    let stream = stream.as_ref().ok_or_else(|| de::Error::custom("the events come before their stream"))?;
                    let events = map.next_value_seed(EventsOf(stream.kind()))?;
                    once(&mut outcome, Outcome::Accepted(events))?;
                }
                Field::Rejected => once(&mut outcome, Outcome::Rejected(map.next_value()?))?,
                Field::Rules => once(&mut rules, map.next_value()?)?,
                Field::RecordedAt => once(&mut recorded_at, map.next_value()?)?,
                Field::EffectiveAt => once(&mut effective_at, map.next_value()?)?,
                Field::Historical => once(&mut historical, map.next_value()?)?,
                Field::PassedOver => {
                    map.next_value::<de::IgnoredAny>()?;
                }
            }
        }
        let (command, outcome) = (there(command)?, there(outcome)?);
        // Of a refusal there is nothing else to tell.
        if matches!(outcome, Outcome::Rejected(_)) {
            Asked::Stored(command).read().map_err(de::Error::custom)?;
        }
        Ok(Stored {
            v: there(v)?,
            stream: there(stream)?,
            command,
            outcome,
            rules: there(rules)?,
            recorded_at: there(recorded_at)?,
            effective_at: there(effective_at)?,
            historical: historical.unwrap_or(false),
        })
    }
}

/// Which field is there twice nobody is told here: what cannot be read is read whole, and that says it.
fn once<T, E: de::Error>(field: &mut Option<T>, value: T) -> Result<(), E> {
    if field.replace(value).is_some() { Err(E::custom("a field is there twice")) } else { Ok(()) }
}

fn there<T, E: de::Error>(field: Option<T>) -> Result<T, E> {
    field.ok_or_else(|| E::custom("a field is missing"))
}

impl<'a> From<Stored<'a>> for Outline<'a> {
    fn from(stored: Stored<'a>) -> Self {
        let Stored { stream, command, outcome, rules, recorded_at, effective_at, historical, v: _ } = stored;
        Self { stream, asked: Asked::Stored(command), outcome, rules, recorded_at, effective_at, historical }
    }
}

impl<'a> From<Decision<'a>> for Outline<'a> {
    fn from(decision: Decision<'a>) -> Self {
        let Decision { stream, command, outcome, rules, recorded_at, effective_at, historical, .. } = decision;
        let asked = Asked::Read { name: command.name, payload: command.payload, received_at: command.received_at };
        Self { stream, asked, outcome, rules, recorded_at, effective_at, historical }
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
            let command = outline.command().expect("a command");
            assert_eq!((outline.stream.as_str(), &*command.name, command.payload.get()), ("account/a.com", "C", "{}"));
        }
    }

    #[test]
    fn what_was_asked_for_is_read_of_refusals_only() {
        let nameless = BODY.replace("\"type\":\"C\",", "");
        let accepted = Outline::decode(nameless.as_bytes()).expect("read").expect("a decision");
        assert!(accepted.command().is_none());
        let refused = nameless.replace("\"accepted\":[]", "\"rejected\":{\"code\":\"FactsBehind\",\"facts\":{}}");
        let error = Outline::decode(refused.as_bytes()).expect_err("a refusal of nothing").to_string();
        assert!(error.contains("missing field `type`"), "{error}");
    }

    #[test]
    fn whatever_a_body_can_be_read_from_is_read() {
        let refused = BODY.replace("\"accepted\":[]", "\"rejected\":{\"code\":\"FactsBehind\",\"facts\":{}}");
        for body in [
            BODY.to_owned(),
            BODY.replace("\"accepted\":[],", "").replace("{\"v\"", "{\"accepted\":[],\"v\""),
            BODY.replace("\"rules\"", "\"rejected\":null,\"rules\""),
            refused.replace("\"rules\"", "\"accepted\":null,\"rules\""),
            BODY.replace("\"rules\"", "\"later\":{\"a\":[1]},\"rules\""),
            BODY.replace("\"rules\"", "\"historical\":true,\"rules\""),
            refused,
        ] {
            let outline = Outline::decode(body.as_bytes()).expect(&body).expect("a decision");
            let Ok(Body::Decision(whole)) = Body::decode(body.as_bytes()) else { panic!("{body} is no decision") };
            let told = |outline: &Outline<'_>| {
                let Outline { stream, outcome, rules, recorded_at, effective_at, historical, asked: _ } = outline;
                format!("{stream} {outcome:?} {rules} {recorded_at} {effective_at} {historical} {:?}", outline.command())
            };
            assert_eq!(told(&outline), told(&Outline::from(*whole)), "{body}");
        }
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        for (was, is, why) in [
            ("\"v\":1", "\"v\":9", "the record is of format 9; this pledger reads up to 1"),
            ("\"accepted\":[],", "", "the decision has no single outcome"),
            ("\"rules\"", "\"rejected\":{\"code\":\"FactsBehind\",\"facts\":{}},\"rules\"", "the decision has no single outcome"),
            ("\"rules\"", "\"rules\":1,\"rules\"", "the body of a record cannot be read: duplicate field `rules`"),
            ("\"accepted\"", "\"accepted\":[],\"accepted\"", "the body of a record cannot be read: duplicate field `accepted`"),
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
