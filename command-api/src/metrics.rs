//! Prometheus metrics. What the hot path touches is resolved beforehand: it looks no label up.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
};
use prometheus::{Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, PullingGauge, Registry, TextEncoder};

use pledger_ledger::commands::{CommandSink, Decided};
use pledger_projections::engine::Engine;

use crate::problem::Problem;

/// From 0.1 ms to 10 s.
const LATENCY_BUCKETS_S: [f64; 14] = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0];

/// The metrics of the HTTP API, in a registry that other parts add theirs to.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    rejected: IntCounterVec,
    accepted: IntCounter,
    replayed: IntCounter,
    refused_at_edge: IntCounterVec,
    command_seconds: Histogram,
    batch_items: Histogram,
}

impl Metrics {
    /// Registers the API's metrics.
    ///
    /// # Errors
    /// Where the registry holds some of them already.
    pub fn new(registry: Registry) -> Result<Self, prometheus::Error> {
        let counters = |name: &str, help: &str, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
        let metrics = Self {
            requests: counters("pledger_http_requests_total", "HTTP requests by route and status.", &["route", "status"])?,
            rejected: counters("pledger_decisions_rejected_total", "Commands refused by a decision, by code.", &["code"])?,
            refused_at_edge: counters("pledger_commands_refused_total", "Commands that never reached the ledger, by code.", &["code"])?,
            accepted: IntCounter::new("pledger_decisions_accepted_total", "Commands accepted.")?,
            replayed: IntCounter::new("pledger_commands_replayed_total", "Commands answered from history.")?,
            command_seconds: Histogram::with_opts(
                HistogramOpts::new("pledger_command_duration_seconds", "From a command's bytes to its durable decision.")
                    .buckets(LATENCY_BUCKETS_S.to_vec()),
            )?,
            batch_items: Histogram::with_opts(
                HistogramOpts::new("pledger_batch_items", "Commands in a batch.")
                    .buckets(vec![1.0, 10.0, 50.0, 100.0, 250.0, 500.0, 1000.0]),
            )?,
            registry,
        };
        for collector in [&metrics.requests, &metrics.rejected, &metrics.refused_at_edge] {
            metrics.registry.register(Box::new(collector.clone()))?;
        }
        metrics.registry.register(Box::new(metrics.accepted.clone()))?;
        metrics.registry.register(Box::new(metrics.replayed.clone()))?;
        metrics.registry.register(Box::new(metrics.command_seconds.clone()))?;
        metrics.registry.register(Box::new(metrics.batch_items.clone()))?;
        Ok(metrics)
    }

    /// The registry, for others to add to.
    #[must_use]
    pub const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Adds a gauge that is read when it is asked for: a queue's depth, a projection's lag.
    ///
    /// # Errors
    /// Where the registry holds it already.
    pub fn sampled(&self, name: &str, help: &str, sample: impl Fn() -> f64 + Send + Sync + 'static) -> Result<(), prometheus::Error> {
        self.registry.register(Box::new(PullingGauge::new(name, help, Box::new(sample))?))
    }

    /// Adds what is to be watched of the writing and the reading half: the queue's depth, whether commands are decided,
    /// how far the read models are behind.
    ///
    /// # Errors
    /// Where the registry holds them already.
    pub fn watch(&self, sink: &Arc<dyn CommandSink>, engine: &Arc<Engine>) -> Result<(), prometheus::Error> {
        let (queued, halted, engine) = (Arc::clone(sink), Arc::clone(sink), Arc::clone(engine));
        self.sampled("pledger_commands_queued", "Commands that wait to be decided.", move || as_sample(queued.queued() as u64))?;
        self.sampled(
            "pledger_commands_halted",
            "1 where no command is decided until pledger is started again: the ledger is damaged, or the processor has failed.",
            move || f64::from(u8::from(halted.halted().is_some())),
        )?;
        self.sampled(
            "pledger_projections_lag_records",
            "Records between the ledger's end and what the read models stand at; NaN where the ledger's end cannot be read.",
            move || engine.lag().map_or(f64::NAN, as_sample),
        )
    }

    /// Counts what became of a command that was handed over; `problem` is what its sender is told, where it is one.
    pub(crate) fn count(&self, decided: &Decided, problem: Option<&Problem>) {
        match (decided, problem) {
            (Ok(answer), _) if answer.replayed => self.replayed.inc(),
            (Ok(_), None) => self.accepted.inc(),
            (Ok(_), Some(problem)) => self.rejected.with_label_values(&[problem.code()]).inc(),
            (Err(_), problem) => self.refused_at_edge(problem.map_or("", Problem::code)),
        }
    }

    pub(crate) fn refused_at_edge(&self, code: &str) {
        self.refused_at_edge.with_label_values(&[code]).inc();
    }

    pub(crate) fn observe_command(&self, took: Duration) {
        self.command_seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn observe_batch(&self, items: usize) {
        #[expect(clippy::cast_precision_loss, reason = "a batch has at most 1,000 items")]
        self.batch_items.observe(items as f64);
    }

    /// The counters of one route.
    pub(crate) fn route(&self, route: &str) -> RouteMeter {
        RouteMeter(Arc::new(Counters {
            route: route.into(),
            requests: self.requests.clone(),
            by_status: [const { OnceLock::new() }; STATUSES.len()],
        }))
    }

    /// The text that Prometheus scrapes.
    pub(crate) fn text(&self) -> Result<Response<Body>, Problem> {
        let mut text = Vec::with_capacity(16 * 1024);
        TextEncoder::new()
            .encode(&self.registry.gather(), &mut text)
            .map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "MetricsUnavailable", error.to_string()))?;
        let mut response = Response::new(Body::from(text));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"));
        Ok(response)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a sample is a double, and counts of records are far below 2^53")]
fn as_sample(count: u64) -> f64 {
    count as f64
}

/// Every status that the API gives.
const STATUSES: [u16; 17] = [200, 303, 304, 400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 429, 500, 503, 504];

/// The request counters of one route, by status.
#[derive(Clone)]
pub(crate) struct RouteMeter(Arc<Counters>);

struct Counters {
    route: Box<str>,
    requests: IntCounterVec,
    by_status: [OnceLock<IntCounter>; STATUSES.len()],
}

impl RouteMeter {
    pub(crate) fn count(&self, status: StatusCode) {
        let counters = &*self.0;
        let resolve = || counters.requests.with_label_values(&[&*counters.route, status.as_str()]);
        match STATUSES.iter().position(|known| *known == status.as_u16()) {
            Some(at) => counters.by_status[at].get_or_init(resolve).inc(),
            None => resolve().inc(),
        }
    }
}
