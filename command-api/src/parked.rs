//! `POST /v1/parked/retry`: streams that are folded no further are tried again, by those who have the right to.

use axum::{
    body::Body,
    http::{HeaderMap, Response, StatusCode},
    response::IntoResponse,
};
use pledger_projections::{
    engine::Engine,
    generation::{Answered, Order},
};
use serde_json::json;

use crate::{
    ApiState,
    generations::{ask, refused, respond},
    problem::Problem,
    streams,
};

pub(crate) async fn retry(api: ApiState, headers: HeaderMap) -> Response<Body> {
    retried(api, &headers).await.unwrap_or_else(IntoResponse::into_response)
}

/// Where several processes fold the ledger, whoever keeps the read models answers, and all of them follow.
async fn retried(api: ApiState, headers: &HeaderMap) -> Result<Response<Body>, Problem> {
    operator(&api, headers)?;
    let tried = tokio::task::spawn_blocking(move || {
        let kept = api.elsewhere.as_ref().map(|elsewhere| ask(&**elsewhere, Order::RetryParked));
        // Who asks here finds it done here.
        let here = retry_here(&api.engine);
        kept.unwrap_or(Ok(here))
    });
    tried.await.map_err(|failed| Problem::internal(&failed))?.map(respond)
}

/// Tries them in this process.
pub(crate) fn retry_here(engine: &Engine) -> Answered {
    match engine.retry_parked() {
        Ok(retried) => Answered { status: StatusCode::OK.as_u16(), body: json!({ "items": retried }).to_string() },
        Err(error) => refused(&streams::log_problem(&error)),
    }
}

/// Whoever may operate the service.
pub(crate) fn operator(api: &ApiState, headers: &HeaderMap) -> Result<(), Problem> {
    let principal = api.principals.principal(headers)?;
    match principal.rights.operate {
        true => Ok(()),
        false => {
            Err(Problem::new(StatusCode::FORBIDDEN, "OperationNotAllowed", format!("{} may not operate this service", principal.name)))
        }
    }
}
