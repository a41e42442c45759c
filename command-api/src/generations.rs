//! `/v1/generations`: which generations of the read models there are; one put in use, and the one before put back.

use axum::{
    body::Body,
    http::{HeaderMap, Response, StatusCode},
    response::IntoResponse,
};
use pledger_projections::{
    engine::{Comparison, Options, PromoteError},
    generation::{Access, GenerationNumber, Generations, State, fingerprint},
    store::StoreError,
};
use serde_json::{Value, json};

use crate::{ApiState, parked::operator, problem::Problem, views};

/// After how many seconds to try again.
const RETRY_S: u32 = 5;

pub(crate) async fn list(api: ApiState, headers: HeaderMap) -> Response<Body> {
    answer(api, headers, |_, generations| listed(generations)).await
}

pub(crate) async fn promote(api: ApiState, generation: String, headers: HeaderMap) -> Response<Body> {
    let number: Result<GenerationNumber, _> = generation.parse();
    let Ok(number) = number else {
        let problem = Problem::malformed("InvalidGeneration", format!("{:.40} is no generation", generation)).field("generation");
        return problem.accepted("a number that /v1/generations names").into_response();
    };
    answer(api, headers, move |api, generations| {
        let comparison = api.engine.promote(generations, number, Options::default()).map_err(|error| problem(&error))?;
        Ok(json!({"generation": number, "comparison": comparison}))
    })
    .await
}

pub(crate) async fn roll_back(api: ApiState, headers: HeaderMap) -> Response<Body> {
    answer(api, headers, |api, generations| {
        let number = api.engine.roll_back(generations, Options::default()).map_err(|error| problem(&error))?;
        Ok(json!({"generation": number}))
    })
    .await
}

/// Lets an operator do something that takes a while.
async fn answer(
    api: ApiState,
    headers: HeaderMap,
    work: impl FnOnce(&ApiState, &dyn Generations) -> Result<Value, Problem> + Send + 'static,
) -> Response<Body> {
    if let Err(problem) = operator(&api, &headers) {
        return problem.into_response();
    }
    let done = tokio::task::spawn_blocking(move || {
        let generations = api.generations.clone().ok_or_else(|| problem(&PromoteError::NotHere))?;
        work(&api, &*generations)
    });
    let answered = done.await.map_err(|failed| Problem::internal(&failed)).and_then(|done| done);
    answered.and_then(|document| views::json_response(serde_json::to_vec(&document))).unwrap_or_else(IntoResponse::into_response)
}

/// Every generation: whether it is in use, how far it is, and whether these folds made it.
fn listed(generations: &dyn Generations) -> Result<Value, Problem> {
    let unreadable = |error: StoreError| problem(&PromoteError::Store(error));
    let current = generations.current().map_err(unreadable)?;
    let item = |generation: GenerationNumber| -> Result<Value, StoreError> {
        let note = generations.note(generation)?;
        let made_by = generations.open(generation, Access::Read).and_then(|mut store| store.fingerprint());
        let is_ours = made_by.is_ok_and(|made_by| made_by == fingerprint());
        let state = match note.state {
            _ if Some(generation) == current => "in_use",
            State::Followed => "replaced",
            State::Filling => "filling",
            State::Ready => "ready",
        };
        Ok(json!({
            "generation": generation, "state": state, "projections": note.projections, "rules_version": note.rules_version,
            "begun_at": note.begun_at, "replaced": note.replaced, "folds": if is_ours { "these" } else { "others" },
        }))
    };
    let items: Result<Vec<Value>, StoreError> = generations.all().map_err(unreadable)?.into_iter().map(item).collect();
    Ok(json!({ "items": items.map_err(unreadable)? }))
}

fn problem(error: &PromoteError) -> Problem {
    let (status, code) = match error {
        PromoteError::Unknown { .. } => (StatusCode::NOT_FOUND, "UnknownGeneration"),
        PromoteError::InUse(_) => (StatusCode::CONFLICT, "GenerationInUse"),
        PromoteError::NotReady(_) => (StatusCode::CONFLICT, "GenerationNotReady"),
        PromoteError::Stale(_) | PromoteError::Older { .. } => (StatusCode::CONFLICT, "GenerationStale"),
        PromoteError::NothingBefore(_) => (StatusCode::CONFLICT, "NothingBefore"),
        PromoteError::Differs { .. } => (StatusCode::CONFLICT, "GenerationsDiffer"),
        PromoteError::NotHere => (StatusCode::CONFLICT, "NotWrittenHere"),
        PromoteError::Busy | PromoteError::Behind(_) => (StatusCode::SERVICE_UNAVAILABLE, "GenerationBehind"),
        PromoteError::Engine(_) | PromoteError::Store(_) => (StatusCode::SERVICE_UNAVAILABLE, "ReadModelsUnavailable"),
    };
    let problem = Problem::new(status, code, told(error));
    let problem = if status == StatusCode::SERVICE_UNAVAILABLE { problem.retry_after(RETRY_S) } else { problem };
    match error {
        PromoteError::Differs { comparison, .. } => problem.with("comparison", differences(comparison)),
        _ => problem,
    }
}

fn differences(comparison: &Comparison) -> Vec<Value> {
    comparison.differing().map(|table| json!(table)).collect()
}

/// An error with its causes.
fn told(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    std::iter::once(error.to_string()).chain(causes.map(ToString::to_string)).collect::<Vec<_>>().join(": ")
}
