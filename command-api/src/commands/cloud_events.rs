//! `POST /v1/events`: CloudEvents 1.0 in structured mode, one or a batch: the HTTP twin of the inbox topic.

use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{Response, StatusCode},
    response::IntoResponse,
};
use pledger_ledger::{
    edge::{
        Incoming,
        cloud_events::{CloudEvent, InvalidEvent},
    },
    slices::Position,
};

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

fn problem(invalid: &InvalidEvent) -> Problem {
    let status = match invalid {
        InvalidEvent::Malformed(_) => StatusCode::BAD_REQUEST,
        InvalidEvent::MediaType(_) | InvalidEvent::NoEvent => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        InvalidEvent::UnknownType(_) => StatusCode::NOT_FOUND,
        InvalidEvent::Attribute { .. } => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let problem = Problem::new(status, invalid.code(), invalid.to_string()).accepted(invalid.accepted());
    match invalid.field() {
        Some(field) => problem.field(field),
        None => problem,
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
        MediaType::CloudEvent | MediaType::Lines | MediaType::Toml => false,
        MediaType::Json => body.trim_ascii_start().first() == Some(&b'['),
    };
    let events: Vec<Result<CloudEvent<'_>, InvalidEvent>> = if many {
        batch::array(body)?.into_iter().map(|raw| CloudEvent::structured(raw.get().as_bytes())).collect()
    } else {
        vec![CloudEvent::structured(body)]
    };
    let (mut incoming, mut problems) = (Vec::new(), Vec::new());
    for event in &events {
        let read = event.as_ref().map(CloudEvent::incoming);
        let dated = |read| Incoming { backdate: principal.rights.backdate, after: seen.to_vec(), ..read };
        problems.push(read.map(|read| incoming.push(dated(read))).err().map(problem));
    }
    let form = if many { Form::Many } else { Form::One };
    Ok((form, batch::stage(api, incoming, problems)))
}
