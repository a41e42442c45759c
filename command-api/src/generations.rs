//! `/v1/generations`: which generations of the read models there are; compared, put in use, put back, taken away.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{HeaderMap, Response, StatusCode, header},
    response::IntoResponse,
};
use pledger_ledger::log::Log;
use pledger_projections::{
    engine::{self, Comparison, Engine, Options, PromoteError},
    generation::{Access, Answered, GenerationNumber, Generations, Holder, Order, State, fingerprint},
    store::{StoreError, causes},
};
use serde_json::{Value, json};

use crate::{
    ApiState,
    problem::{PROBLEM_JSON, Problem},
    respond,
};

/// After how many seconds to try again.
const RETRY_S: u32 = 5;

/// After how many seconds to ask again while others are compared.
const COMPARING_S: u32 = 10;

pub(crate) async fn list(api: ApiState, headers: HeaderMap) -> Response<Body> {
    let listed = answer(api, headers, |api, generations| {
        let mut document = listed(generations)?;
        api.filling.tell(&mut document);
        Ok(document)
    });
    respond_json(listed.await)
}

pub(crate) async fn promote(api: ApiState, generation: String, headers: HeaderMap) -> Response<Body> {
    match number(&generation) {
        Ok(generation) => order(api, headers, Order::Promote(generation)).await,
        Err(problem) => problem.into_response(),
    }
}

pub(crate) async fn compare(api: ApiState, one: String, other: String, headers: HeaderMap) -> Response<Body> {
    let comparison = answer(api, headers, move |api, generations| {
        let (one, other) = (number(&one)?, number(&other)?);
        let Some(_alone) = api.comparing.try_lock() else {
            let detail = "two generations are just compared, and that is done one at a time";
            return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "AnalysisRunning", detail).retry_after(COMPARING_S));
        };
        compared(generations, &api.log, one, other).map(|comparison| json!(comparison))
    });
    respond_json(comparison.await)
}

pub(crate) async fn drop_one(api: ApiState, generation: String, headers: HeaderMap) -> Response<Body> {
    let done = answer(api, headers, move |api, generations| {
        let generation = number(&generation)?;
        if api.only_tells_generations {
            return Err(problem(&PromoteError::NotHere));
        }
        api.filling.give_up(generation);
        dropped(generations, generation).map(|()| json!({"dropped": generation}))
    });
    respond_json(done.await)
}

fn number(text: &str) -> Result<GenerationNumber, Problem> {
    text.parse().map_err(|_| {
        Problem::malformed("InvalidGeneration", format!("{text:.40} is no generation"))
            .field("generation")
            .accepted("a number that /v1/generations names")
    })
}

fn respond_json(answered: Result<Value, Problem>) -> Response<Body> {
    answered.and_then(|document| respond::json(&document)).unwrap_or_else(IntoResponse::into_response)
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
    let done = answer(api, headers, move |api, generations| match &api.elsewhere {
        Some(elsewhere) if api.engine.generation().is_none() => ask(&**elsewhere, order),
        Some(_) | None => Ok(switch(&api.engine, generations, order)),
    });
    done.await.map_or_else(IntoResponse::into_response, answered)
}

/// The answer to an order, over HTTP.
pub(crate) fn answered(answered: Answered) -> Response<Body> {
    let status = StatusCode::from_u16(answered.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let kind = if status.is_success() { respond::JSON } else { PROBLEM_JSON };
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
        Order::RetryParked => return retry_parked(engine),
    };
    match done {
        Ok(document) => Answered { status: StatusCode::OK.as_u16(), body: document.to_string() },
        Err(error) => refused(&problem(&error)),
    }
}

/// Tries parked streams again in this process.
pub(crate) fn retry_parked(engine: &Engine) -> Answered {
    match engine.retry_parked() {
        Ok(retried) => Answered { status: StatusCode::OK.as_u16(), body: json!({ "items": retried }).to_string() },
        Err(error) => refused(&Problem::of_log(&error)),
    }
}

/// A problem as an answer to an order.
pub(crate) fn refused(problem: &Problem) -> Answered {
    Answered { status: problem.status().as_u16(), body: json!(problem).to_string() }
}

/// Lets an operator do something that takes a while.
pub(crate) async fn answer<T: Send + 'static>(
    api: ApiState,
    headers: HeaderMap,
    work: impl FnOnce(&ApiState, &dyn Generations) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    api.principals.operator(&headers)?;
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

/// Compares two, beside whoever writes them: both stand still at one vector of positions meanwhile. It blocks.
///
/// # Errors
/// A problem where one is not there, cannot be read, or does not get to the ledger's end.
pub fn compared(
    generations: &dyn Generations,
    log: &Arc<dyn Log>,
    one: GenerationNumber,
    other: GenerationNumber,
) -> Result<Comparison, Problem> {
    let open = |generation: GenerationNumber| -> Result<Engine, PromoteError> {
        let engine = Engine::beside(generations, generation, Arc::clone(log), Options::default())?;
        engine.ok_or(PromoteError::Stale(generation))
    };
    [one, other].into_iter().try_for_each(|generation| comparable(generations, generation))?;
    let compared = open(one).and_then(|one| engine::compare(&one, &open(other)?));
    compared.map_err(|error| problem(&error))
}

/// Takes one away for ever that is not in use, and that nobody is just filling.
///
/// # Errors
/// A problem where it is.
pub fn dropped(generations: &dyn Generations, generation: GenerationNumber) -> Result<(), Problem> {
    known(generations, generation)?;
    let current = generations.current().map_err(unreadable)?;
    if current == Some(generation) {
        return Err(Problem::new(StatusCode::CONFLICT, "GenerationInUse", format!("generation {generation} is in use")));
    }
    let is_newer = current.is_none_or(|current| generation > current);
    // Held while it is taken away, so that nobody begins to fill it.
    let _held = match is_newer.then(|| generations.hold()).transpose().map_err(unreadable)? {
        Some(Err(holder)) => return Err(held(&holder, None)),
        Some(Ok(held)) => Some(held),
        None => None,
    };
    generations.remove(generation).map_err(unreadable)
}

/// Whether it is there and not half filled: then all of the ledger would have to be folded to compare it.
fn comparable(generations: &dyn Generations, generation: GenerationNumber) -> Result<(), Problem> {
    known(generations, generation)?;
    match generations.note(generation).map_err(unreadable)?.state {
        State::Followed | State::Ready => Ok(()),
        State::Filling => Err(problem(&PromoteError::NotReady(generation))),
    }
}

fn known(generations: &dyn Generations, generation: GenerationNumber) -> Result<(), Problem> {
    let there = generations.all().map_err(unreadable)?;
    if there.contains(&generation) { Ok(()) } else { Err(problem(&PromoteError::Unknown { generation, there })) }
}

/// Somebody fills a generation; which one, where this process does.
pub(crate) fn held(holder: &Holder, generation: Option<GenerationNumber>) -> Problem {
    let since = &holder.since;
    match generation {
        Some(generation) => {
            let detail = format!("this server has been filling generation {generation} since {since}; /v1/generations says how far it is");
            Problem::new(StatusCode::CONFLICT, "GenerationFilling", detail).with("generation", generation)
        }
        None => {
            let detail =
                format!("{holder} has been filling a generation since {since}; wait for it, or end it first: what it did is not lost");
            Problem::new(StatusCode::CONFLICT, "GenerationFilling", detail)
        }
    }
}

pub(crate) fn unreadable(error: StoreError) -> Problem {
    problem(&PromoteError::Store(error))
}

pub(crate) fn problem(error: &PromoteError) -> Problem {
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
