//! The routes of a process that has no API: does it live, is it ready, what are its figures.

use std::sync::Arc;

use axum::{Router, routing::get};

use crate::{Api, Metrics, Probe, health};

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
    }
}
