//! `POST /v1/persons/{id}/erase`: destroys a person's key, for those who have the right to.

use axum::{
    body::Body,
    extract::Request,
    http::{Response, StatusCode},
    response::IntoResponse,
};
use pledger_domain::values::{PersonId, Timestamp};
use pledger_ledger::keys::Erasure;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{ApiState, input, problem::Problem, respond};

/// After how many seconds to ask again where the key store fails.
const RETRY_S: u32 = 5;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reason {
    reason: String,
}

pub(crate) async fn erase(api: ApiState, person: String, request: Request) -> Response<Body> {
    erased(api, &person, request).await.and_then(|document| respond::json(&document)).into_response()
}

async fn erased(api: ApiState, person: &str, request: Request) -> Result<Value, Problem> {
    let (parts, body) = request.into_parts();
    let principal = api.principals.principal(&parts.headers)?;
    if !principal.rights.erase {
        return Err(Problem::new(StatusCode::FORBIDDEN, "ErasureNotAllowed", format!("{} may not erase persons", principal.name)));
    }
    let subject = PersonId::parse(person).map_err(|error| Problem::malformed("InvalidPerson", error.to_string()).field("id"))?;
    let body = input::body(body).await?;
    let Reason { reason } = serde_json::from_slice(&body)
        .map_err(|error| Problem::malformed("InvalidBody", error.to_string()).accepted(r#"{"reason":"why, kept with the tombstone"}"#))?;
    if reason.trim().is_empty() {
        return Err(Problem::malformed("InvalidBody", "must not be empty").field("reason"));
    }
    let now = api.edge.clock.now();
    let answer = move || api.edge.keys.erase(&subject, &reason, now).map(|erasure| (subject, erasure));
    let erasure = tokio::task::spawn_blocking(answer).await.map_err(|failed| Problem::internal(&failed))?;
    let (subject, erasure) = erasure
        .map_err(|error| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "KeysUnavailable", error.to_string()).retry_after(RETRY_S))?;
    let document = |at: Timestamp, before: bool| json!({"person_id": subject, "erased_at": at, "erased_before": before});
    match erasure {
        Erasure::Erased => Ok(document(now, false)),
        Erasure::ErasedBefore { at, .. } => Ok(document(at, true)),
        Erasure::UnknownSubject => Err(Problem::new(StatusCode::NOT_FOUND, "UnknownPerson", format!("no key was ever made for {subject}"))),
    }
}
