//! What a process of a cluster does with the topics of services: it reads the inbox, and publishes events.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use pledger_command_api::{Metrics, Probe};
use pledger_consumers::{
    ingest::{Ingest, IngestDesk, IngestFigures, IngestStatus, PARKED_FOR},
    publisher::{Publisher, PublisherDesk, PublisherStatus},
};
use pledger_ledger::{
    commands::CommandSink,
    commands_topic::{Fixed, Membership},
    kafka::{KafkaCommands, KafkaEvents, KafkaInbox, KafkaLetters, KafkaOptions},
    log::Log as _,
};

use super::{Joining, flags::Role, node::ClusterNode};

/// The group of processes that share out whose events each publishes.
const PUBLISHERS: &str = "publishers";

/// At work until they are stopped.
pub(super) struct Services {
    ingest: Option<Ingest>,
    publisher: Option<Publisher>,
}

impl Services {
    /// Starts what the roles ask for, and has it watched.
    pub(super) fn start(
        node: &ClusterNode,
        sink: &Arc<dyn CommandSink>,
        joining: &Joining,
        options: &KafkaOptions,
        (metrics, probes): (&Metrics, &mut Vec<Probe>),
    ) -> Result<Self> {
        let ingest = joining.has(Role::Ingest).then(|| ingest(node, sink, options, metrics, probes)).transpose()?;
        let publisher = joining.has(Role::Publisher).then(|| publisher(node, joining, options, metrics, probes)).transpose()?;
        Ok(Self { ingest, publisher })
    }

    /// Waits for what is on its way.
    pub(super) fn stop(self) {
        if let Some(ingest) = self.ingest {
            ingest.stop();
        }
        if let Some(publisher) = self.publisher {
            publisher.stop();
        }
    }
}

fn ingest(
    node: &ClusterNode,
    sink: &Arc<dyn CommandSink>,
    options: &KafkaOptions,
    metrics: &Metrics,
    probes: &mut Vec<Probe>,
) -> Result<Ingest> {
    let status = Arc::new(IngestStatus::default());
    let letters = Arc::new(KafkaLetters::open(options.clone())?);
    let (edge, sink) = (node.edge.clone(), Arc::clone(sink));
    let desk = IngestDesk { edge, sink, letters, status: Arc::clone(&status), parked_for: PARKED_FOR };
    let options = options.clone();
    let ingest = Ingest::start(desk, move || Ok(Box::new(KafkaInbox::join(options.clone())?))).context("ingest cannot be started")?;
    watch_ingest(metrics, &status)?;
    probes.push(Probe::new("ingest", move || status.trouble().map_or(Ok(()), Err)));
    Ok(ingest)
}

fn watch_ingest(metrics: &Metrics, status: &Arc<IngestStatus>) -> Result<()> {
    let figure = |name, about, of: fn(IngestFigures) -> u64| {
        let status = Arc::clone(status);
        metrics.sampled(name, about, move || as_sample(of(status.figures())))
    };
    figure("pledger_ingest_accepted", "Events of services that were accepted since the start.", |figures| figures.accepted)?;
    figure("pledger_ingest_refused", "Events of services that a rule refused since the start.", |figures| figures.refused)?;
    figure("pledger_ingest_repeated", "Events of services that had been decided before.", |figures| figures.repeated)?;
    figure("pledger_ingest_dead_letters", "Messages of the inbox that became dead letters since the start.", |figures| figures.letters)?;
    figure("pledger_ingest_parked", "Messages of the inbox that wait for an id to become known.", |figures| figures.parked)?;
    figure("pledger_ingest_sent_again", "Commands that were sent once more, since no decision came.", |figures| figures.sent_again)?;
    Ok(())
}

fn publisher(
    node: &ClusterNode,
    joining: &Joining,
    options: &KafkaOptions,
    metrics: &Metrics,
    probes: &mut Vec<Probe>,
) -> Result<Publisher> {
    let (status, slices) = (Arc::new(PublisherStatus::default()), node.log.slices());
    // What does not fit is said at once; what fails later is tried again.
    KafkaEvents::open(options.clone(), slices)?;
    let membership: Box<dyn Membership> = match joining.slices(slices)? {
        Some(slices) => Box::new(Fixed::new(slices)),
        None => KafkaCommands::of(&node.log).join(PUBLISHERS, joining.take_over_after())?,
    };
    let ledger_id = node.log.created().ledger_id.clone();
    let persons = joining.publishes_persons().then(|| Arc::clone(&node.edge.keys));
    let desk = PublisherDesk { log: Arc::new(node.log.clone()), ledger_id, persons, status: Arc::clone(&status) };
    let options = options.clone();
    let publisher = Publisher::start(desk, membership, move || Ok(Box::new(KafkaEvents::open(options.clone(), slices)?)));
    let publisher = publisher.context("the publisher cannot be started")?;
    let (published, watched) = (Arc::clone(&status), status);
    metrics.sampled("pledger_publisher_events", "Events that were published since the start.", move || as_sample(published.published()))?;
    probes.push(Probe::new("publisher", move || watched.trouble().map_or(Ok(()), Err)));
    Ok(publisher)
}

#[expect(clippy::cast_precision_loss, reason = "a sample is a double, and counts of messages are far below 2^53")]
pub(super) fn as_sample(count: u64) -> f64 {
    count as f64
}
