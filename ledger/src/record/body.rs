//! What a record says, in the types of the domain.

use std::{borrow::Cow, fmt, marker::PhantomData};

use pledger_domain::{
    account::AccountEvent,
    cost::CostEvent,
    facts::Channel,
    fund::FundEvent,
    partner::PartnerEvent,
    program::ProgramEvent,
    rejection::Rejection,
    stream::{StreamKind, StreamName},
    values::Timestamp,
};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeSeed, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::stored::where_it_is;
use crate::slices::Slices;

/// What a record says.
#[derive(Clone, Debug)]
pub enum Body<'a> {
    /// The first record of slice 0: what the ledger is.
    LedgerCreated(LedgerCreated),
    /// A writer took the slice over.
    TermOpened(TermOpened),
    /// Commands were passed that left no record of their own.
    Progress(Progress),
    /// A command was decided.
    Decision(Box<Decision<'a>>),
}

/// What a ledger is; fixed for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerCreated {
    /// The body's format.
    pub v: u32,
    /// A random id, so that evidence of one ledger is none of another.
    pub ledger_id: String,
    /// How many slices it has.
    pub slices: Slices,
    /// When it was created.
    pub created_at: Timestamp,
    /// Present where the history was generated: its seed and the instant it ends at, from which time goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generated: Option<Generated>,
}

/// A generated history says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generated {
    /// The seed it was made from.
    pub seed: u64,
    /// Its last instant.
    pub ends_at: Timestamp,
}

/// A writer took the slice over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TermOpened {
    /// The body's format.
    pub v: u32,
    /// When.
    pub opened_at: Timestamp,
    /// The writer's own random id.
    pub writer: String,
    /// Where a successor goes on in the commands topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_command: Option<u64>,
}

/// Commands were passed that left no record of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The body's format.
    pub v: u32,
    /// When.
    pub recorded_at: Timestamp,
    /// Where a successor goes on in the commands topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_command: Option<u64>,
}

/// One decision.
#[derive(Clone, Debug)]
pub struct Decision<'a> {
    /// The stream it belongs to.
    pub stream: StreamName,
    /// The stream's version after it; a refusal does not raise it.
    pub version: u64,
    /// What was asked.
    pub command: CommandRecord<'a>,
    /// What was decided.
    pub outcome: Outcome<'a>,
    /// The version of the rules that decided; 0 where none was in force yet.
    pub rules: u32,
    /// When it was written; never decreasing in a slice.
    pub recorded_at: Timestamp,
    /// When it is true in the business.
    pub effective_at: Timestamp,
    /// Every fact of another stream that it used, with that stream's version.
    pub relied_on: Vec<(StreamName, u64)>,
    /// Whether it is history from before the ledger.
    pub historical: bool,
    /// Where a successor goes on in the commands topic.
    pub next_command: Option<u64>,
}

/// What was asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CommandRecord<'a> {
    /// The idempotency key, within (sender, stream).
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    /// The command's name.
    #[serde(borrow, rename = "type")]
    pub name: Cow<'a, str>,
    /// The payload, sealed.
    #[serde(borrow, deserialize_with = "where_it_is")]
    pub payload: Cow<'a, RawValue>,
    /// The authenticated principal, `anonymous`, a CloudEvent's source, `import:<mapping>` or a policy's name.
    #[serde(borrow)]
    pub sender: Cow<'a, str>,
    /// Who the sender says acted: an id, declared, never trusted.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Cow<'a, str>>,
    /// How it came in.
    pub channel: Channel,
    /// When it came in.
    pub received_at: Timestamp,
    /// The business time that the sender gave, where it gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_at: Option<Timestamp>,
    /// The hash of the input, 32 hexadecimal digits: what a repeated key is compared by.
    #[serde(borrow)]
    pub input: Cow<'a, str>,
    /// What sent it: a decision's position, a CloudEvent's id, an import's row.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cow<'a, str>>,
}

/// What was decided.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome<'a> {
    /// These events.
    Accepted(Events<'a>),
    /// Refused, and why.
    Rejected(Rejection),
}

/// The events of one decision, by the kind of its stream.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "one variant a kind of stream")]
pub enum Events<'a> {
    Program(Cow<'a, [ProgramEvent]>),
    Partner(Cow<'a, [PartnerEvent]>),
    Account(Cow<'a, [AccountEvent]>),
    Fund(Cow<'a, [FundEvent]>),
    Cost(Cow<'a, [CostEvent]>),
}

impl Outcome<'_> {
    /// The same, with the events where they are.
    #[must_use]
    pub fn borrowed(&self) -> Outcome<'_> {
        match self {
            Self::Accepted(events) => Outcome::Accepted(events.borrowed()),
            Self::Rejected(rejection) => Outcome::Rejected(rejection.clone()),
        }
    }
}

impl Events<'_> {
    /// The same events, where they are.
    #[must_use]
    pub fn borrowed(&self) -> Events<'_> {
        match self {
            Self::Program(events) => Events::Program(Cow::Borrowed(events)),
            Self::Partner(events) => Events::Partner(Cow::Borrowed(events)),
            Self::Account(events) => Events::Account(Cow::Borrowed(events)),
            Self::Fund(events) => Events::Fund(Cow::Borrowed(events)),
            Self::Cost(events) => Events::Cost(Cow::Borrowed(events)),
        }
    }

    /// What happened, by the names of the catalogue.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        (0..self.len()).map(|at| match self {
            Self::Program(events) => events[at].name(),
            Self::Partner(events) => events[at].name(),
            Self::Account(events) => events[at].name(),
            Self::Fund(events) => events[at].name(),
            Self::Cost(events) => events[at].name(),
        })
    }

    /// Reads the events of a stream of this kind.
    ///
    /// # Errors
    /// Where they are none of its catalogue.
    pub fn parse(kind: StreamKind, json: &str) -> Result<Events<'static>, serde_json::Error> {
        let mut json = serde_json::Deserializer::from_str(json);
        let events = EventsOf(kind).deserialize(&mut json)?;
        json.end()?;
        Ok(events)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Program(events) => events.len(),
            Self::Partner(events) => events.len(),
            Self::Account(events) => events.len(),
            Self::Fund(events) => events.len(),
            Self::Cost(events) => events.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Reads the events of a stream of this kind where they stand.
pub(crate) struct EventsOf(pub(crate) StreamKind);

impl<'de> DeserializeSeed<'de> for EventsOf {
    type Value = Events<'static>;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Events<'static>, D::Error> {
        Ok(match self.0 {
            StreamKind::Program => Events::Program(list(d)?),
            StreamKind::Partner => Events::Partner(list(d)?),
            StreamKind::Account => Events::Account(list(d)?),
            StreamKind::Fund => Events::Fund(list(d)?),
            StreamKind::Cost => Events::Cost(list(d)?),
        })
    }
}

/// Events, nearly always one: a `Vec` that grows as it may has room for four at once.
fn list<'de, D: Deserializer<'de>, E: Deserialize<'de> + Clone>(d: D) -> Result<Cow<'static, [E]>, D::Error> {
    struct List<E>(PhantomData<E>);
    impl<'de, E: Deserialize<'de>> Visitor<'de> for List<E> {
        type Value = Vec<E>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a sequence")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut events: A) -> Result<Vec<E>, A::Error> {
            let mut list = Vec::with_capacity(1);
            while let Some(event) = events.next_element()? {
                list.push(event);
            }
            Ok(list)
        }
    }
    d.deserialize_seq(List(PhantomData)).map(Cow::Owned)
}
