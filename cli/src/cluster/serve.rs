//! `pledger serve --kafka`: a process of a cluster.

use std::{net::SocketAddr, process::ExitCode, sync::Arc};

use anyhow::Result;
use pledger_command_api::{Metrics, Operations, Probe};
use pledger_consumers::cluster::{Followed, ProcessorStatus};
use pledger_ledger::{commands::CommandSink, log::Log};
use pledger_projections::engine::{Engine, Options};

use super::{
    Cluster, Joining,
    flags::Role,
    node::{ClusterNode, Stores, Writes, open},
};
use crate::{
    context::Context,
    serving::{Assembly, NoWriter},
    verbs::serve::{Served, serve_until_signalled},
};

/// Serves until a signal comes: what the roles ask for.
pub(crate) fn serve(cluster: &Cluster, joining: &Joining, context: &Context, listen: SocketAddr) -> Result<ExitCode> {
    let log = open(cluster)?;
    let stores = Stores::in_directory(&context.data_dir)?;
    let acts = joining.has(Role::Policies);
    let api = joining.has(Role::Api);
    let writes = Writes::of(joining, &log)?;
    let node = ClusterNode::start(log, &stores, api || acts, writes)?;
    let served = serve_node(&node, joining, context, listen, cluster);
    node.stop();
    served.map(|()| ExitCode::SUCCESS)
}

fn serve_node(node: &ClusterNode, joining: &Joining, context: &Context, listen: SocketAddr, cluster: &Cluster) -> Result<()> {
    let log: Arc<dyn Log> = Arc::new(node.log.clone());
    let engine = match (joining.has(Role::Projections), joining.has(Role::Api) || joining.has(Role::Policies)) {
        (true, _) => Some(Engine::open(&context.data_dir, Arc::clone(&log), Options::default())?),
        // The read models live as long as the process: another one keeps them.
        (false, true) => Some(Engine::in_memory(Arc::clone(&log), Options::default())?),
        (false, false) => None,
    };
    let metrics = Metrics::new(prometheus::Registry::new())?;
    let mut probes = Vec::new();
    if let Some(status) = node.processor() {
        watch_processor(&metrics, &status)?;
        probes.push(Probe::new("slices", move || status.trouble().map_or(Ok(()), Err)));
    }
    if let Some(followed) = node.followed() {
        watch_follower(&metrics, &followed)?;
        probes.push(Probe::new("follower", move || followed.trouble().map_or(Ok(()), Err)));
    }
    let sink: Arc<dyn CommandSink> = match &node.sending {
        Some(sending) => Arc::clone(&sending.sink) as Arc<dyn CommandSink>,
        None => Arc::new(NoWriter::beside("this process sends no commands: it has neither the role api nor policies")),
    };
    let label = format!("{cluster}{}", if node.log.created().generated.is_some() { " (a generated history)" } else { "" });
    let served = match engine {
        None => Served::Watched(Operations::new(metrics, probes)),
        Some(engine) => {
            let acting = joining.has(Role::Policies).then(|| (node.edge.clone(), Arc::clone(&sink)));
            let assembly = Assembly::of_parts(node.edge.clone(), sink, log, engine, metrics, probes, acting)?;
            if joining.has(Role::Api) { Served::Api(Box::new(assembly)) } else { Served::Folding(Box::new(assembly)) }
        }
    };
    serve_until_signalled(served, &context.data_dir, &label, listen)
}

fn watch_processor(metrics: &Metrics, status: &Arc<ProcessorStatus>) -> Result<()> {
    let (owned, taken, passed, lost) = (Arc::clone(status), Arc::clone(status), Arc::clone(status), Arc::clone(status));
    metrics.sampled("pledger_processor_slices", "Slices that are written here.", move || as_sample(owned.owned() as u64))?;
    metrics.sampled("pledger_processor_commands_taken", "Messages taken from the commands topic since the start.", move || {
        as_sample(taken.taken())
    })?;
    metrics.sampled("pledger_processor_passed_over", "Messages of the commands topic that held no command.", move || {
        as_sample(passed.passed_over())
    })?;
    metrics.sampled("pledger_processor_terms_lost", "How often terms were lost and the ledger was read again.", move || {
        as_sample(lost.lost_terms())
    })?;
    Ok(())
}

fn watch_follower(metrics: &Metrics, followed: &Arc<Followed>) -> Result<()> {
    let void = Arc::clone(followed);
    metrics.sampled("pledger_ledger_void_records", "Void records that were passed since the start.", move || as_sample(void.void()))?;
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a sample is a double, and counts of commands are far below 2^53")]
fn as_sample(count: u64) -> f64 {
    count as f64
}
