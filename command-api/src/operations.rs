//! The routes of a process that has no API: does it live, is it ready, what are its figures.

use std::sync::Arc;

use axum::{Router, http::Uri, routing::get};

use crate::{Api, Metrics, Probe, health, problem::Problem};

/// What a process without an API is watched by.
#[derive(Clone)]
pub struct Operations(Arc<Watched>);

struct Watched {
    metrics: Metrics,
    probes: Vec<Probe>,
}

impl Operations {
    /// Shows these metrics; is ready while the probes work.
    #[must_use]
    pub fn new(metrics: Metrics, probes: Vec<Probe>) -> Self {
        Self(Arc::new(Watched { metrics, probes }))
    }

    /// What an API is watched by, without the API.
    #[must_use]
    pub fn of(api: &Api) -> Self {
        Self::new(api.metrics.clone(), api.probes.clone())
    }

    pub(crate) fn router(self) -> Router {
        let (ready, metrics) = (self.clone(), self);
        Router::new()
            .route("/healthz", get(|| async { health::healthz() }))
            .route("/readyz", get(move || async move { health::readiness(health::probed(&ready.0.probes)) }))
            .route("/metrics", get(move || async move { metrics.0.metrics.text() }))
            .fallback(|uri: Uri| async move { not_here(uri.path()) })
    }
}

fn not_here(path: &str) -> Problem {
    let shown: String = path.chars().take(200).collect();
    Problem::not_found(format!("there is no {shown} here: this process has no role api, so it takes no commands and answers no questions"))
        .accepted("/healthz, /readyz or /metrics here; everything else at a process with the role api")
}
