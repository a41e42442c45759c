//! `POST /v1/generations`: a generation filled beside the one in use, behind the server, one at a time.

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use axum::{
    body::Body,
    extract::Request,
    http::{Response, StatusCode},
    response::IntoResponse,
};
use parking_lot::Mutex;
use pledger_ledger::log::Log;
use pledger_projections::{
    engine::{Begun, Far, FillError, Options, PromoteError, Purpose, fill},
    generation::{GenerationNumber, Generations, Hold},
    query::{VIEWS, find_view},
    store::causes,
};
use serde_json::{Value, json};

use crate::{
    ApiState,
    generations::{answer, held, problem, unreadable},
    input,
    input::MediaType,
    problem::Problem,
    respond, rules,
};

/// What a body is.
const EXPECTED: &str = r#"nothing, or {"projections":["tiers"],"rules_version":3}, both of which may be left out"#;

/// The generation that this process fills, or filled last.
#[derive(Default)]
pub(crate) struct Filling(Mutex<Option<Work>>);

/// A thread that fills a generation. Dropped, it is told to stop and waited for: what it did by then is not lost.
struct Work {
    generation: GenerationNumber,
    told: Arc<Mutex<Told>>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What it says of itself.
#[derive(Default)]
struct Told {
    far: Far,
    /// Why it did not get to the end.
    trouble: Option<String>,
}

pub(crate) async fn begin(api: ApiState, request: Request) -> Response<Body> {
    begun(api, request).await.unwrap_or_else(IntoResponse::into_response)
}

async fn begun(api: ApiState, request: Request) -> Result<Response<Body>, Problem> {
    let (parts, body) = request.into_parts();
    api.principals.operator(&parts.headers)?;
    input::declared_length(&parts.headers)?;
    let body = input::body(body).await?;
    let purpose = if body.is_empty() {
        Purpose::default()
    } else {
        MediaType::of(&parts.headers, &[MediaType::Json])?;
        serde_json::from_slice(&body).map_err(|error| Problem::malformed("InvalidBody", error.to_string()).accepted(EXPECTED))?
    };
    let begun = answer(api, parts.headers, move |api, _| api.filling.start(api, &purpose)).await?;
    let mut response = respond::json(&begun)?;
    *response.status_mut() = StatusCode::ACCEPTED;
    Ok(response)
}

/// What can be known to be wrong before anything is begun.
fn check(api: &ApiState, purpose: &Purpose) -> Result<(), Problem> {
    for name in &purpose.projections {
        find_view(name).map_err(|error| {
            let names: Vec<&str> = VIEWS.iter().map(|view| view.name).collect();
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "UnknownView", error.to_string()).field("projections").accepted(names)
        })?;
    }
    purpose.rules_version.map_or(Ok(()), |version| rules::check_version(api, version))
}

impl Filling {
    /// Begins, or goes on with what was left unfinished.
    fn start(&self, api: &ApiState, purpose: &Purpose) -> Result<Begun, Problem> {
        check(api, purpose)?;
        let kept = api.generations.clone().filter(|_| !api.only_tells_generations);
        let generations = kept.ok_or_else(|| problem(&PromoteError::NotHere))?;
        let mut work = self.0.lock();
        let filled_here = work.as_ref().filter(|work| !work.is_over()).map(|work| work.generation);
        let hold = generations.hold().map_err(unreadable)?.map_err(|holder| held(&holder, filled_here))?;
        let begun = purpose.begin(&*generations).map_err(unreadable)?;
        let started = Work::start(begun.generation, hold, generations, Arc::clone(&api.log));
        *work = Some(started.map_err(|error| Problem::internal(&error))?);
        Ok(begun)
    }

    /// Says of the generation that is filled here how far it is, and of the one that was not filled why.
    pub(crate) fn tell(&self, listed: &mut Value) {
        let work = self.0.lock();
        let Some(work) = &*work else { return };
        let items = listed["items"].as_array_mut().into_iter().flatten();
        for item in items.filter(|item| item["generation"] == json!(work.generation)) {
            // Whoever sees that it is ready may have the next one filled.
            if item["state"] == "ready" && !work.is_over() {
                item["state"] = json!("filling");
            }
            if item["state"] != "filling" {
                continue;
            }
            let Told { far, trouble } = &*work.told.lock();
            match trouble {
                Some(trouble) => item["trouble"] = json!(trouble),
                None if work.is_over() => {}
                None => (item["taken_in"], item["lag"]) = (json!(far.taken_in), json!(far.lag)),
            }
        }
    }

    /// Ends the filling of this generation, where it is filled here. It waits for that.
    pub(crate) fn give_up(&self, generation: GenerationNumber) {
        let work = self.0.lock().take_if(|work| work.generation == generation);
        drop(work);
    }

    /// Ends what is filled here.
    pub(crate) fn stop(&self) {
        let work = self.0.lock().take();
        drop(work);
    }
}

impl Work {
    fn start(
        generation: GenerationNumber,
        hold: Box<dyn Hold>,
        generations: Arc<dyn Generations>,
        log: Arc<dyn Log>,
    ) -> std::io::Result<Self> {
        let (told, stopping) = (Arc::<Mutex<Told>>::default(), Arc::<AtomicBool>::default());
        let (telling, stop) = (Arc::clone(&told), Arc::clone(&stopping));
        let work = move || {
            let filled = fill(&*generations, generation, log, Options::default(), |far| {
                telling.lock().far = far;
                if stop.load(Ordering::Acquire) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            drop(hold);
            match filled {
                Ok(records) => tracing::info!(generation, records, "a generation is filled"),
                Err(FillError::Stopped(_)) => tracing::info!(generation, "a generation is left unfinished"),
                Err(error) => {
                    let trouble = causes(&error);
                    tracing::error!(generation, trouble, "a generation is not filled");
                    telling.lock().trouble = Some(trouble);
                }
            }
        };
        let thread = thread::Builder::new().name("filling".into()).spawn(work)?;
        Ok(Self { generation, told, stopping, thread: Some(thread) })
    }

    fn is_over(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!(generation = self.generation, "the thread that fills a generation panicked");
        }
    }
}
