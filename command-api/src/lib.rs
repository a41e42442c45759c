//! HTTP: commands, queries, OpenAPI, metrics.
//!
//! `router` is the API as a service, `serve` the same on a socket. The routes of commands and views follow from their
//! catalogues; every answer that is no success is a problem document.

mod analysis;
mod answer;
mod asyncapi;
mod changes;
mod commands;
mod csv;
mod filling;
mod generations;
mod health;
mod input;
mod landing;
mod linger;
mod metrics;
mod openapi;
mod opened;
mod operations;
mod parked;
mod past;
mod path;
mod persons;
mod principal;
mod problem;
mod query;
mod refused;
mod respond;
mod routes;
mod rules;
mod serve;
mod streams;
mod views;
mod why;

use std::sync::Arc;

use parking_lot::Mutex;
use pledger_ledger::{commands::CommandSink, edge::Edge, log::Log};
use pledger_projections::{engine::Engine, generation::Generations};

pub use analysis::{About, Analyst, Bundle, Draft, Form, Simulated, Simulation};
pub use asyncapi::document as asyncapi_document;
pub use commands::batch::MAX_BATCH;
pub use csv::{Column, columns, write};
pub use generations::{Elsewhere, compared as compared_generations, dropped as drop_generation, listed as listed_generations, switch};
pub use health::Probe;
pub use input::MAX_BODY_LEN;
pub use metrics::Metrics;
pub use openapi::document as openapi_document;
pub use operations::Operations;
pub use principal::{Principal, Principals, Rights};
pub use problem::Problem;
pub use routes::router;
pub use rules::{UnknownRules, checked_rules, compared_rules, find_rules, found_in_rules, listed_rules, shown_rules};
pub use serve::{serve, serve_operations, serve_waiting};

/// What the API stands on.
pub struct Api {
    pub(crate) edge: Edge,
    pub(crate) sink: Arc<dyn CommandSink>,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) metrics: Metrics,
    pub(crate) principals: Principals,
    pub(crate) probes: Vec<Probe>,
    pub(crate) changes: changes::Changes,
    pub(crate) past: past::Past,
    pub(crate) generations: Option<Arc<dyn Generations>>,
    /// Generations are told, and nothing is done to them.
    pub(crate) only_tells_generations: bool,
    pub(crate) desk: Option<analysis::Desk>,
    /// Who explains what many decisions made: one at a time.
    pub(crate) explaining: Arc<tokio::sync::Semaphore>,
    pub(crate) elsewhere: Option<Arc<dyn Elsewhere>>,
    pub(crate) checkpoints: Option<Arc<dyn Generations>>,
    /// Who fills a generation beside the one in use.
    pub(crate) filling: filling::Filling,
    /// Held by whoever compares two generations: each takes as much memory as the read models.
    pub(crate) comparing: Mutex<()>,
    /// What the names of topics begin with.
    pub(crate) topic_prefix: String,
}

/// The API's parts, shared by all requests.
pub type ApiState = Arc<Api>;

impl Api {
    /// An API that prepares commands at `edge`, sends them to `sink`, reads streams from `log` and asks `engine`.
    #[must_use]
    pub fn new(edge: Edge, sink: Arc<dyn CommandSink>, log: Arc<dyn Log>, engine: Arc<Engine>, metrics: Metrics) -> Self {
        Self {
            edge,
            sink,
            log,
            engine,
            metrics,
            principals: Principals::default(),
            probes: Vec::new(),
            changes: changes::Changes::default(),
            past: past::Past::default(),
            generations: None,
            only_tells_generations: false,
            desk: None,
            explaining: Arc::new(tokio::sync::Semaphore::new(1)),
            elsewhere: None,
            checkpoints: None,
            filling: filling::Filling::default(),
            comparing: Mutex::new(()),
            topic_prefix: asyncapi::PREFIX.to_owned(),
        }
    }

    /// Knows these principals.
    #[must_use]
    pub fn with_principals(mut self, principals: Principals) -> Self {
        self.principals = principals;
        self
    }

    /// Puts other generations of the read models in use, from these.
    pub fn keep_generations(&mut self, generations: Arc<dyn Generations>) {
        self.generations = Some(generations);
    }

    /// Says which generations of the read models there are, where nothing may be written.
    pub fn tell_generations(&mut self, generations: Arc<dyn Generations>) {
        (self.generations, self.only_tells_generations) = (Some(generations), true);
    }

    /// Answers what takes the whole ledger by this analyst.
    pub fn analyse_by(&mut self, analyst: Arc<dyn Analyst>) {
        self.desk = Some(analysis::Desk::of(analyst));
    }

    /// Asks whoever keeps the read models, while this process does not, for what is to be put in use.
    pub fn ask_elsewhere(&mut self, elsewhere: Arc<dyn Elsewhere>) {
        self.elsewhere = Some(elsewhere);
    }

    /// Says of topics that their names begin with this.
    pub fn name_topics(&mut self, prefix: &str) {
        prefix.clone_into(&mut self.topic_prefix);
    }

    /// Answers questions to the past from the nearest of these checkpoints.
    pub fn keep_checkpoints(&mut self, checkpoints: Arc<dyn Generations>) {
        self.checkpoints = Some(checkpoints);
    }

    /// Ends the filling of a generation, where one is filled: the same request goes on with it where it was. It waits for that.
    pub fn stop_filling(&self) {
        self.filling.stop();
    }

    /// Is ready only while this works.
    #[must_use]
    pub fn with_probe(mut self, probe: Probe) -> Self {
        self.probes.push(probe);
        self
    }
}
