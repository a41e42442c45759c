//! `/v1/generations`: which generations of the read models there are; one put in use, and the one before put back.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Response, StatusCode, header},
    response::IntoResponse,
};
use pledger_projections::{
    engine::{Comparison, Engine, PromoteError},
    generation::{Access, Answered, GenerationNumber, Generations, Order, State, fingerprint},
    store::{StoreError, causes},
};
use serde_json::{Value, json};

use crate::{
    ApiState,
    parked::{operator, retry_here},
    problem::{PROBLEM_JSON, Problem},
    views,
};

/// After how many seconds to try again.
const RETRY_S: u32 = 5;

pub(crate) async fn list(api: ApiState, headers: HeaderMap) -> Response<Body> {
    let listed = answer(api, headers, |_, generations| listed(generations)).await;
    listed.and_then(|document| views::json_response(serde_json::to_vec(&document))).unwrap_or_else(IntoResponse::into_response)
}

pub(crate) async fn promote(api: ApiState, generation: String, headers: HeaderMap) -> Response<Body> {
    let number: Result<GenerationNumber, _> = generation.parse();
    let Ok(number) = number else {
        let problem = Problem::malformed("InvalidGeneration", format!("{:.40} is no generation", generation)).field("generation");
        return problem.accepted("a number that /v1/generations names").into_response();
    };
    order(api, headers, Order::Promote(number)).await
}

pub(crate) async fn roll_back(api: ApiState, headers: HeaderMap) -> Response<Body> {
    order(api, headers, Order::RollBack).await
}

/// Whoever keeps the read models, where that is another process.
pub trait Elsewhere: Send + Sync {
    /// Asks for it, and waits for the answer.
    ///
    /// # Errors
    /// Why nobody answers, in a sentence.
    fn ask(&self, order: Order) -> Result<Answered, String>;
}

/// Asks it; nobody who answers is a problem that passes.
pub(crate) fn ask(elsewhere: &dyn Elsewhere, order: Order) -> Result<Answered, Problem> {
    let unanswered = |reason| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "ReadModelsUnavailable", reason).retry_after(RETRY_S);
    elsewhere.ask(order).map_err(unanswered)
}

/// Does what an operator asks, here or where the read models are kept.
async fn order(api: ApiState, headers: HeaderMap, order: Order) -> Response<Body> {
    let answered = answer(api, headers, move |api, generations| match &api.elsewhere {
        Some(elsewhere) if api.engine.generation().is_none() => ask(&**elsewhere, order),
        Some(_) | None => Ok(switch(&api.engine, generations, order)),
    });
    answered.await.map_or_else(IntoResponse::into_response, respond)
}

/// The answer to an order, over HTTP.
pub(crate) fn respond(answered: Answered) -> Response<Body> {
    let status = StatusCode::from_u16(answered.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let kind = if status.is_success() { HeaderValue::from_static("application/json") } else { PROBLEM_JSON };
    let mut response = Response::new(Body::from(answered.body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_S.into());
    }
    response
}

/// Does what is asked in this process, which keeps the read models. It blocks while it does.
pub fn switch(engine: &Engine, generations: &dyn Generations, order: Order) -> Answered {
    let done = match order {
        Order::Promote(number) => {
            engine.promote(generations, number, engine.options()).map(|comparison| json!({"generation": number, "comparison": comparison}))
        }
        Order::RollBack => engine.roll_back(generations, engine.options()).map(|number| json!({"generation": number})),
        Order::RetryParked => return retry_here(engine),
    };
    match done {
        Ok(document) => Answered { status: StatusCode::OK.as_u16(), body: document.to_string() },
        Err(error) => refused(&problem(&error)),
    }
}

/// A problem as an answer to an order.
pub(crate) fn refused(problem: &Problem) -> Answered {
    Answered { status: problem.status().as_u16(), body: json!(problem).to_string() }
}

/// Lets an operator do something that takes a while.
async fn answer<T: Send + 'static>(
    api: ApiState,
    headers: HeaderMap,
    work: impl FnOnce(&ApiState, &dyn Generations) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    operator(&api, &headers)?;
    let done = tokio::task::spawn_blocking(move || {
        let generations = api.generations.clone().ok_or_else(|| problem(&PromoteError::NotHere))?;
        work(&api, &*generations)
    });
    done.await.map_err(|failed| Problem::internal(&failed))?
}

/// Every generation: whether it is in use, how far it is, and whether these folds made it.
///
/// # Errors
/// A problem where they cannot be read.
pub fn listed(generations: &dyn Generations) -> Result<Value, Problem> {
    let unreadable = |error: StoreError| problem(&PromoteError::Store(error));
    let current = generations.current().map_err(unreadable)?;
    let item = |generation: GenerationNumber| -> Result<Value, StoreError> {
        let note = generations.note(generation)?;
        let made_by = generations.open(generation, Access::Read).and_then(|mut store| store.fingerprint());
        let is_ours = made_by.is_ok_and(|made_by| made_by == fingerprint());
        let state = match note.state {
            _ if Some(generation) == current => "in_use",
            State::Followed => "replaced",
            // Put in use once, and a newer one is now. What is newer than that one may be put in use, were it once more.
            State::Ready if note.replaced.is_some() && Some(generation) < current => "replaced",
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
    let problem = Problem::new(status, code, causes(error));
    let problem = if status == StatusCode::SERVICE_UNAVAILABLE { problem.retry_after(RETRY_S) } else { problem };
    match error {
        PromoteError::Differs { comparison, .. } => problem.with("comparison", differences(comparison)),
        _ => problem,
    }
}

fn differences(comparison: &Comparison) -> Vec<Value> {
    comparison.differing().map(|table| json!(table)).collect()
}
