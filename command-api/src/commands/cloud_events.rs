//! `POST /v1/events`: CloudEvents 1.0 in structured mode, one or a batch: the HTTP twin of the inbox topic.

use std::{borrow::Cow, sync::Arc};

use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{Response, StatusCode},
    response::IntoResponse,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use pledger_domain::{
    facts::Channel,
    reading::{self, Unreadable},
    values::Timestamp,
};
use pledger_ledger::{edge::Incoming, slices::Position};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    batch::{self, Prepared},
    single, submit,
};
use crate::{
    ApiState,
    answer::Sent,
    input::{self, MediaType},
    principal::Principal,
    problem::Problem,
};

/// What a CloudEvent's type begins with; the command's name follows.
pub(crate) const TYPE_PREFIX: &str = "pledger.";
const SPEC_VERSION: &str = "1.0";

/// A CloudEvent. Attributes that say nothing to pledger, extensions among them, are let through.
#[derive(Deserialize)]
struct CloudEvent<'a> {
    specversion: Cow<'a, str>,
    id: Cow<'a, str>,
    source: Cow<'a, str>,
    #[serde(rename = "type")]
    kind: Cow<'a, str>,
    #[serde(default)]
    time: Option<Timestamp>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(default)]
    data_base64: Option<Cow<'a, str>>,
}

/// A CloudEvent that is one of ours.
struct Event<'a> {
    event: CloudEvent<'a>,
    payload: Cow<'a, [u8]>,
}

impl<'a> Event<'a> {
    fn read(json: &'a [u8]) -> Result<Self, Problem> {
        let event: CloudEvent<'a> = reading::object(json).map_err(unreadable)?;
        if event.specversion != SPEC_VERSION {
            return Err(invalid("specversion", format!("{:?} is not known", event.specversion)).accepted(SPEC_VERSION));
        }
        if !event.kind.starts_with(TYPE_PREFIX) {
            let problem = Problem::new(StatusCode::NOT_FOUND, "UnknownEventType", format!("{:?} is no event type here", event.kind));
            return Err(problem.field("type").accepted("pledger.<CommandName>, such as pledger.RecordTouchpoint"));
        }
        let payload = match (event.data, &event.data_base64) {
            (Some(data), None) => Cow::Borrowed(data.get().as_bytes()),
            (None, Some(text)) => {
                let bytes = STANDARD.decode(text.as_bytes());
                Cow::Owned(bytes.map_err(|error| invalid("data_base64", format!("it is not base64: {error}")))?)
            }
            (None, None) => return Err(invalid("data", "the payload is missing".to_owned())),
            (Some(_), Some(_)) => return Err(invalid("data_base64", "the payload is given twice".to_owned())),
        };
        Ok(Self { event, payload })
    }

    /// The command: key and sender are the event's id and source, its time is the business time.
    fn incoming(&'a self, principal: &Principal, seen: &[Position]) -> Incoming<'a> {
        let name = self.event.kind.strip_prefix(TYPE_PREFIX).unwrap_or_default();
        Incoming {
            key: Some(&self.event.id),
            effective_at: self.event.time,
            backdate: principal.rights.backdate,
            after: seen.to_vec(),
            ..Incoming::new(name, &self.payload, Arc::from(&*self.event.source), Channel::Ingest)
        }
    }
}

fn invalid(attribute: &'static str, detail: String) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "InvalidCloudEvent", format!("{attribute}: {detail}")).field(attribute)
}

fn unreadable(unreadable: Unreadable) -> Problem {
    match unreadable {
        Unreadable::Malformed(reason) => Problem::malformed("MalformedJson", format!("the event is not JSON: {reason}")),
        Unreadable::Field { field, reason } => {
            let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "InvalidCloudEvent", reading::sentence(&field, &reason))
                .accepted("a CloudEvent 1.0 with specversion, id, source, type, time? and data");
            if field.is_empty() { problem } else { problem.field(field) }
        }
    }
}

/// Events that came together, and how they are to be answered.
enum Form {
    One,
    Many,
}

pub(crate) async fn post(api: ApiState, request: Request) -> Response<Body> {
    match prepare(&api, request).await {
        Ok((Form::Many, prepared)) => batch::answer(&api, prepared).await,
        Ok((Form::One, prepared)) => one(&api, prepared).await,
        Err(problem) => {
            api.metrics.refused_at_edge(problem.code());
            problem.into_response()
        }
    }
}

async fn one(api: &ApiState, mut prepared: Prepared) -> Response<Body> {
    match (prepared.commands.pop(), prepared.problems.pop().flatten()) {
        (Some(envelope), _) => {
            let sent = Sent::of(&envelope);
            let decided = submit::one(api, envelope).await;
            single::respond(api, &sent, &decided)
        }
        (None, problem) => {
            let problem = problem.expect("an event without a command has a problem");
            api.metrics.refused_at_edge(problem.code());
            problem.into_response()
        }
    }
}

async fn prepare(api: &ApiState, request: Request) -> Result<(Form, Prepared), Problem> {
    let (parts, body) = request.into_parts();
    let principal = api.principals.principal(&parts.headers)?;
    if parts.headers.contains_key("ce-specversion") {
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", "events in binary mode are not read here")
            .field("ce-specversion")
            .accepted("structured mode: the whole event in the body, as application/cloudevents+json"));
    }
    let media = MediaType::of(&parts.headers, &[MediaType::CloudEvent, MediaType::CloudEvents, MediaType::Json])?;
    input::declared_length(&parts.headers)?;
    let seen = submit::seen(api, Vec::new())?;
    let body = input::body(body).await?;
    let api = api.clone();
    let prepared = tokio::task::spawn_blocking(move || read(&api, media, &principal, &seen, &body)).await;
    prepared.unwrap_or_else(|failed| Err(Problem::internal(&failed)))
}

fn read(api: &ApiState, media: MediaType, principal: &Principal, seen: &[Position], body: &Bytes) -> Result<(Form, Prepared), Problem> {
    let many = match media {
        MediaType::CloudEvents => true,
        MediaType::CloudEvent | MediaType::Lines => false,
        MediaType::Json => body.trim_ascii_start().first() == Some(&b'['),
    };
    let events: Vec<Result<Event<'_>, Problem>> =
        if many { batch::array(body)?.into_iter().map(|raw| Event::read(raw.get().as_bytes())).collect() } else { vec![Event::read(body)] };
    let (mut incoming, mut problems) = (Vec::new(), Vec::new());
    for event in &events {
        let read = event.as_ref().map(|event| event.incoming(principal, seen));
        problems.push(read.map(|read| incoming.push(read)).err().cloned());
    }
    let form = if many { Form::Many } else { Form::One };
    Ok((form, batch::stage(api, incoming, problems)))
}
