//! `/healthz`: the process answers. `/readyz`: everything behind it does.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{Response, StatusCode},
    response::IntoResponse,
};
use serde_json::{Value, json};

use crate::{ApiState, problem::Problem, respond};

/// After how many seconds to look again where something is not ready.
const RETRY_S: u32 = 2;

/// Something that has to work before requests should come, besides the processor: the projections go on.
#[derive(Clone)]
pub struct Probe {
    name: &'static str,
    check: Arc<dyn Fn() -> Result<(), String> + Send + Sync>,
}

impl Probe {
    /// `check` says why it does not work; it is called for every `/readyz` and must not wait.
    #[must_use]
    pub fn new(name: &'static str, check: impl Fn() -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self { name, check: Arc::new(check) }
    }
}

pub(crate) fn healthz() -> Response<Body> {
    respond::json(&json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")})).into_response()
}

pub(crate) fn readyz(api: &ApiState) -> Response<Body> {
    let processor = ("processor", api.sink.halted().map_or(Ok(()), |reason| Err(reason.to_string())));
    readiness(std::iter::once(processor).chain(probed(&api.probes)))
}

/// What the probes say.
pub(crate) fn probed(probes: &[Probe]) -> impl Iterator<Item = Checked> + '_ {
    probes.iter().map(|probe| (probe.name, (probe.check)()))
}

/// Something that was checked, and why it does not work.
type Checked = (&'static str, Result<(), String>);

pub(crate) fn readiness(results: impl Iterator<Item = Checked>) -> Response<Body> {
    let results: Vec<Checked> = results.collect();
    let checks: Vec<Value> = results
        .iter()
        .map(|(name, result)| match result {
            Ok(()) => json!({"name": name, "ok": true}),
            Err(reason) => json!({"name": name, "ok": false, "reason": reason}),
        })
        .collect();
    let failing: Vec<String> =
        results.iter().filter_map(|(name, result)| result.as_ref().err().map(|reason| format!("{name}: {reason}"))).collect();
    if failing.is_empty() {
        respond::json(&json!({"status": "ready", "checks": checks})).into_response()
    } else {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "NotReady", failing.join("; "))
            .with("checks", checks)
            .retry_after(RETRY_S)
            .into_response()
    }
}
