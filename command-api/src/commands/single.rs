//! `POST /v1/commands/{CommandName}`: one command, answered when its decision is durable.

use std::{sync::Arc, time::Instant};

use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Response, header},
    response::IntoResponse,
};
use pledger_domain::{
    catalogue::{COMMANDS, Command, CommandSpec},
    facts::Channel,
};
use pledger_ledger::{
    commands::{CommandEnvelope, Decided},
    edge::{Incoming, Refused},
};

use super::{personal::PersonalMembers, submit};
use crate::{
    ApiState,
    answer::{self, Place, Sent},
    input::{self, CommandHeaders, MediaType},
    principal::Principal,
    problem::Problem,
    refused,
    respond::JSON,
};

const IDEMPOTENT_REPLAY: HeaderName = HeaderName::from_static("idempotent-replay");

/// A command's route: what is known of it before any request comes.
#[derive(Clone)]
pub(crate) struct CommandRoute {
    spec: &'static CommandSpec,
    persons: Arc<PersonalMembers>,
}

impl CommandRoute {
    /// The routes of all commands, with their paths.
    pub(crate) fn all() -> impl Iterator<Item = (String, Self)> {
        COMMANDS.iter().map(|spec| (format!("/v1/commands/{}", spec.name), Self { spec, persons: Arc::new(PersonalMembers::of(spec)) }))
    }

    pub(crate) const fn spec(&self) -> &'static CommandSpec {
        self.spec
    }

    pub(crate) async fn post(self, api: ApiState, request: Request) -> Response<Body> {
        let started = Instant::now();
        let (parts, body) = request.into_parts();
        match self.envelope(&api, &parts.headers, body).await {
            Ok(envelope) => {
                let sent = Sent::of(&envelope);
                let decided = submit::one(&api, envelope).await;
                api.metrics.observe_command(started.elapsed());
                respond(&api, &sent, &decided)
            }
            Err(problem) => {
                api.metrics.refused_at_edge(problem.code());
                problem.into_response()
            }
        }
    }

    async fn envelope(&self, api: &ApiState, headers: &HeaderMap, body: Body) -> Result<CommandEnvelope, Problem> {
        let principal = api.principals.principal(headers)?;
        MediaType::of(headers, &[MediaType::Json])?;
        input::declared_length(headers)?;
        let read = CommandHeaders::read(headers)?;
        let payload = input::body(body).await?;
        if self.persons.may_be_in(&payload) {
            return self.prepare_aside(api, headers.clone(), principal, payload).await;
        }
        let patience = submit::Patience::new(api);
        loop {
            let Some(more) = patience.more() else { return self.prepare(api, read, principal, &payload) };
            let prepared = self.prepare(api, CommandHeaders::read(headers)?, principal.clone(), &payload);
            let is_unknown = prepared.as_ref().is_err_and(|problem| problem.code() == "UnknownId");
            if !(is_unknown && patience.wait(more).await) {
                return prepared;
            }
        }
    }

    fn prepare(&self, api: &ApiState, read: CommandHeaders<'_>, principal: Principal, payload: &[u8]) -> Result<CommandEnvelope, Problem> {
        let incoming = Incoming {
            key: read.key,
            actor: read.actor,
            effective_at: read.effective_at,
            backdate: principal.rights.backdate,
            if_match: read.if_match,
            after: submit::seen(api, read.after)?,
            ..Incoming::new(self.spec.name, payload, principal.name, Channel::Api)
        };
        api.edge.prepare(incoming).map_err(|refused| refused::told(api, &refused, Place::Single))
    }

    /// The same where waiting for the disk is allowed.
    async fn prepare_aside(
        &self,
        api: &ApiState,
        headers: HeaderMap,
        principal: Principal,
        payload: Bytes,
    ) -> Result<CommandEnvelope, Problem> {
        let (route, api) = (self.clone(), api.clone());
        let prepared = tokio::task::spawn_blocking(move || route.prepare(&api, CommandHeaders::read(&headers)?, principal, &payload)).await;
        prepared.unwrap_or_else(|failed| Err(Problem::internal(&failed)))
    }
}

/// The response to one command.
pub(crate) fn respond(api: &ApiState, sent: &Sent, decided: &Decided) -> Response<Body> {
    let mut body = Vec::new();
    let written = match decided {
        Ok(answer) => answer::write(&mut body, sent, answer, Place::Single),
        Err(undecided) => Err(answer::undecided(sent, undecided, Place::Single)),
    };
    api.metrics.count(decided, written.as_ref().err());
    let mut response = match written {
        Ok(()) => {
            let mut response = Response::new(Body::from(body));
            response.headers_mut().insert(header::CONTENT_TYPE, JSON);
            response
        }
        Err(problem) => problem.into_response(),
    };
    if decided.as_ref().is_ok_and(|answer| answer.replayed) {
        response.headers_mut().insert(IDEMPOTENT_REPLAY, HeaderValue::from_static("true"));
    }
    response
}

/// Any other name below `/v1/commands/`.
pub(crate) fn unknown(name: &str) -> Problem {
    match Command::parse(name, b"null") {
        Err(unknown) => refused::problem(&Refused::InvalidPayload(unknown), Place::Single),
        Ok(_) => Problem::not_found(format!("the command {name} is not served here")),
    }
}
