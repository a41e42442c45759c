//! `POST /v1/parked/retry`: streams that are folded no further are tried again, by those who have the right to.

use axum::{
    body::Body,
    http::{HeaderMap, Response},
    response::IntoResponse,
};
use pledger_projections::generation::Order;

use crate::{
    ApiState,
    generations::{answered, ask, retry_parked},
    problem::Problem,
};

pub(crate) async fn retry(api: ApiState, headers: HeaderMap) -> Response<Body> {
    retried(api, &headers).await.unwrap_or_else(IntoResponse::into_response)
}

/// Where several processes fold the ledger, whoever keeps the read models answers, and all of them follow.
async fn retried(api: ApiState, headers: &HeaderMap) -> Result<Response<Body>, Problem> {
    api.principals.operator(headers)?;
    let tried = tokio::task::spawn_blocking(move || {
        let kept = api.elsewhere.as_ref().map(|elsewhere| ask(&**elsewhere, Order::RetryParked));
        // Who asks here finds it done here.
        let here = retry_parked(&api.engine);
        kept.unwrap_or(Ok(here))
    });
    tried.await.map_err(|failed| Problem::internal(&failed))?.map(answered)
}
