//! `POST /v1/parked/retry`: streams that are folded no further are tried again, by those who have the right to.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{HeaderMap, Response, StatusCode},
    response::IntoResponse,
};
use serde_json::json;

use crate::{ApiState, problem::Problem, streams, views};

pub(crate) async fn retry(api: ApiState, headers: HeaderMap) -> Response<Body> {
    retried(&api, &headers).await.unwrap_or_else(IntoResponse::into_response)
}

async fn retried(api: &ApiState, headers: &HeaderMap) -> Result<Response<Body>, Problem> {
    operator(api, headers)?;
    let engine = Arc::clone(&api.engine);
    let retried = tokio::task::spawn_blocking(move || engine.retry_parked()).await.map_err(|failed| Problem::internal(&failed))?;
    let retried = retried.map_err(|error| streams::log_problem(&error))?;
    views::json_response(serde_json::to_vec(&json!({ "items": retried })))
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
