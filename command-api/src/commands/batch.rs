//! `POST /v1/commands:batch`: up to a thousand commands, answered in their order.

use std::{borrow::Cow, fmt, sync::Arc, time::Instant};

use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderMap, HeaderName, Response, StatusCode, header},
    response::IntoResponse,
};
use pledger_domain::{
    facts::Channel,
    reading::{self, Unreadable},
    values::Timestamp,
};
use pledger_ledger::{
    commands::{CommandEnvelope, Decided},
    edge::{Incoming, senders},
    slices::Position,
};
use serde::{
    Deserialize, Deserializer,
    de::{self, SeqAccess},
};
use serde_json::value::RawValue;

use super::submit;
use crate::{
    ApiState,
    answer::{self, Place, Sent},
    input::{self, CommandHeaders, MediaType},
    principal::Principal,
    problem::Problem,
    refused,
    respond::JSON,
};

/// The most commands in a batch.
pub const MAX_BATCH: usize = 1_000;

/// Names the mapping of an import, whose items are history; for senders with the right `import`.
const IMPORT: HeaderName = HeaderName::from_static("pledger-import");

/// One command of a batch.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Item<'a> {
    #[serde(borrow, rename = "type")]
    name: Cow<'a, str>,
    #[serde(borrow)]
    payload: &'a RawValue,
    #[serde(default)]
    idempotency_key: Option<Cow<'a, str>>,
    #[serde(default)]
    actor: Option<Cow<'a, str>>,
    #[serde(default)]
    effective_at: Option<Timestamp>,
    #[serde(default)]
    if_match: Option<u64>,
    #[serde(default)]
    after: After,
    /// The sender's own id of the row that the item came from.
    #[serde(default)]
    row_id: Option<Cow<'a, str>>,
    /// What sent it, in the sender's words.
    #[serde(default)]
    cause: Option<Cow<'a, str>>,
    /// In an import: false for the opening commands at its end, which are decided under the rules of today.
    #[serde(default)]
    historical: Option<bool>,
}

/// `"0:3,1:4"`, or a list of positions.
#[derive(Default)]
struct After(Vec<Position>);

impl<'de> Deserialize<'de> for After {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = After;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("positions like \"12:4711\", separated by commas or in an array")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<After, E> {
                input::positions(text, "after").map(After).map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<After, A::Error> {
                Vec::deserialize(de::value::SeqAccessDeserializer::new(seq)).map(After)
            }
        }
        d.deserialize_any(Visitor)
    }
}

/// Who sends the batch, and as what.
struct Sender {
    name: Arc<str>,
    channel: Channel,
    /// Whether its business dates may choose older rules.
    backdate: bool,
}

impl Sender {
    fn of(headers: &HeaderMap, principal: Principal) -> Result<Self, Problem> {
        let Some(mapping) = headers.get(&IMPORT) else {
            return Ok(Self { name: principal.name, channel: Channel::Api, backdate: principal.rights.backdate });
        };
        if !principal.rights.import {
            return Err(Problem::new(StatusCode::FORBIDDEN, "ImportNotAllowed", format!("{} may not import history", principal.name))
                .field("Pledger-Import"));
        }
        let mapping = mapping.to_str().ok().map(str::trim).filter(|name| !name.is_empty()).ok_or_else(|| {
            Problem::malformed("MalformedHeader", "Pledger-Import names no mapping").field("Pledger-Import").accepted("the mapping's name")
        })?;
        Ok(Self { name: Arc::from(format!("{}{mapping}", senders::IMPORT)), channel: Channel::Import, backdate: true })
    }
}

/// What becomes of each item: the next prepared command, or a problem.
pub(crate) struct Prepared {
    pub(crate) commands: Vec<CommandEnvelope>,
    pub(crate) problems: Vec<Option<Problem>>,
}

pub(crate) async fn post(api: ApiState, request: Request) -> Response<Body> {
    let started = Instant::now();
    match prepare(&api, request).await {
        Ok(prepared) => {
            api.metrics.observe_batch(prepared.problems.len());
            let response = answer(&api, prepared).await;
            api.metrics.observe_command(started.elapsed());
            response
        }
        Err(problem) => {
            api.metrics.refused_at_edge(problem.code());
            problem.into_response()
        }
    }
}

async fn prepare(api: &ApiState, request: Request) -> Result<Prepared, Problem> {
    let (parts, body) = request.into_parts();
    let sender = Sender::of(&parts.headers, api.principals.principal(&parts.headers)?)?;
    let media = MediaType::of(&parts.headers, &[MediaType::Json, MediaType::Lines])?;
    input::declared_length(&parts.headers)?;
    let headers = CommandHeaders::read(&parts.headers)?;
    headers.none_of_one_command()?;
    let seen = submit::seen(api, headers.after)?;
    let body = input::body(body).await?;
    let api = api.clone();
    // Reading a thousand commands takes a while, and sealing persons may wait for the disk.
    let prepared = tokio::task::spawn_blocking(move || read(&api, &sender, &seen, media, &body)).await;
    prepared.unwrap_or_else(|failed| Err(Problem::internal(&failed)))
}

fn read(api: &ApiState, sender: &Sender, seen: &[Position], media: MediaType, body: &Bytes) -> Result<Prepared, Problem> {
    let items: Vec<Result<Item<'_>, Problem>> = match media {
        MediaType::Lines => lines(body)?.into_iter().map(item_of_line).collect(),
        MediaType::Json | MediaType::CloudEvent | MediaType::CloudEvents | MediaType::Toml => {
            array(body)?.into_iter().map(|raw| item(raw.get().as_bytes())).collect()
        }
    };
    let mut problems: Vec<Option<Problem>> = Vec::with_capacity(items.len());
    let mut incoming = Vec::with_capacity(items.len());
    for item in &items {
        let read = item.as_ref().map_err(Clone::clone).and_then(|item| incoming_of(api, item, sender, seen));
        problems.push(read.map(|read| incoming.push(read)).err());
    }
    Ok(stage(api, incoming, problems))
}

/// Lets the edge prepare the items that could be read, and fills its refusals in between the problems of the others.
pub(crate) fn stage(api: &ApiState, incoming: Vec<Incoming<'_>>, mut problems: Vec<Option<Problem>>) -> Prepared {
    let mut commands = Vec::with_capacity(incoming.len());
    let mut prepared = submit::prepare(api, incoming).into_iter();
    for problem in problems.iter_mut().filter(|problem| problem.is_none()) {
        match prepared.next().expect("the edge answers every item") {
            Ok(envelope) => commands.push(envelope),
            Err(refused) => *problem = Some(refused::told(api, &refused, Place::Item)),
        }
    }
    Prepared { commands, problems }
}

fn incoming_of<'a>(api: &ApiState, item: &'a Item<'_>, sender: &Sender, seen: &[Position]) -> Result<Incoming<'a>, Problem> {
    let after = &item.after.0;
    let after = if after.is_empty() { seen.to_vec() } else { [submit::seen(api, after.clone())?.as_slice(), seen].concat() };
    Ok(Incoming {
        key: item.idempotency_key.as_deref(),
        actor: item.actor.as_deref(),
        effective_at: item.effective_at,
        backdate: sender.backdate && item.historical.unwrap_or(true),
        if_match: item.if_match,
        after,
        cause: item.cause.as_deref(),
        row_id: item.row_id.as_deref(),
        ..Incoming::new(&item.name, item.payload.get().as_bytes(), Arc::clone(&sender.name), sender.channel)
    })
}

/// One item, or what is wrong with it.
fn item(json: &[u8]) -> Result<Item<'_>, Problem> {
    reading::object(json).map_err(|unreadable| match unreadable {
        Unreadable::Malformed(reason) => Problem::malformed("MalformedJson", format!("the item is not JSON: {reason}")),
        Unreadable::Field { field, reason } => {
            let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "InvalidItem", reading::sentence(&field, &reason))
                .accepted("{type, payload, idempotency_key?, actor?, effective_at?, if_match?, after?}");
            if field.is_empty() { problem } else { problem.field(field) }
        }
    })
}

/// The item of a line, or what is wrong with it, and in which line of the body.
fn item_of_line((number, line): (usize, &[u8])) -> Result<Item<'_>, Problem> {
    item(line).map_err(|problem| problem.with("line", number))
}

/// The lines that are not blank, with their numbers from 1 on.
fn lines(body: &[u8]) -> Result<Vec<(usize, &[u8])>, Problem> {
    let numbered = (1..).zip(body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii));
    let lines: Vec<(usize, &[u8])> = numbered.filter(|(_, line)| !line.is_empty()).take(MAX_BATCH + 1).collect();
    if lines.len() > MAX_BATCH { Err(too_many()) } else { Ok(lines) }
}

/// The elements of the array, unread.
pub(crate) fn array(body: &[u8]) -> Result<Vec<&RawValue>, Problem> {
    match serde_json::from_slice(body) {
        Ok(AtMost(items)) if items.len() > MAX_BATCH => Err(too_many()),
        Ok(AtMost(items)) => Ok(items),
        Err(error) if error.is_data() => {
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "InvalidBatch", "the body is JSON, but not an array")
                .accepted("a JSON array of commands, or one command a line as application/x-ndjson"))
        }
        Err(error) => Err(Problem::malformed("MalformedJson", format!("the body is not JSON: {error}"))),
    }
}

fn too_many() -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "BatchTooLarge", format!("the batch has more than {MAX_BATCH} items"))
        .accepted(format!("at most {MAX_BATCH} items"))
}

/// Stops keeping elements once there are too many of them.
struct AtMost<'a>(Vec<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for AtMost<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = AtMost<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<AtMost<'de>, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    if items.len() <= MAX_BATCH {
                        items.push(item);
                    }
                }
                Ok(AtMost(items))
            }
        }
        d.deserialize_seq(Visitor)
    }
}

/// Has the prepared items decided, and answers them all.
pub(crate) async fn answer(api: &ApiState, prepared: Prepared) -> Response<Body> {
    let sent: Vec<Sent> = prepared.commands.iter().map(Sent::of).collect();
    let decided = submit::many(api, prepared.commands).await;
    let mut answered = sent.iter().zip(&decided);
    let mut body = Vec::with_capacity(prepared.problems.len() * 640 + 16);
    body.extend_from_slice(b"{\"items\":[");
    for (n, problem) in prepared.problems.into_iter().enumerate() {
        if n > 0 {
            body.push(b',');
        }
        match problem {
            Some(problem) => {
                api.metrics.refused_at_edge(problem.code());
                write_problem(&mut body, &problem);
            }
            None => {
                let (sent, decided) = answered.next().expect("every item without a problem was decided, or is not known to be");
                write_item(api, &mut body, sent, decided);
            }
        }
    }
    body.extend_from_slice(b"]}");
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

fn write_item(api: &ApiState, body: &mut Vec<u8>, sent: &Sent, decided: &Decided) {
    let written = match decided {
        Ok(answer) => answer::write(body, sent, answer, Place::Item),
        Err(undecided) => Err(answer::undecided(sent, undecided, Place::Item)),
    };
    api.metrics.count(decided, written.as_ref().err());
    if let Err(problem) = written {
        write_problem(body, &problem);
    }
}

fn write_problem(body: &mut Vec<u8>, problem: &Problem) {
    serde_json::to_writer(body, problem).expect("a problem is plain data, which JSON can hold");
}
