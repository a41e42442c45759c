//! `pledger serve --kafka`: a process of a cluster.

use std::{net::SocketAddr, process::ExitCode, sync::Arc};

use anyhow::{Context as _, Result};
use pledger_command_api::{Metrics, Operations, Probe};
use pledger_consumers::cluster::{ClusterSink, Followed, ProcessorStatus};
use pledger_ledger::{commands::CommandSink, kafka::KafkaWatch, log::Log};
use pledger_projections::engine::{Engine, Options};

use super::{
    Cluster, Joining,
    flags::Role,
    keeper::Candidacy,
    node::{ClusterNode, Writes, follow, open, options},
    reading::signing_key,
    services::{Services, as_sample},
    starting::Starting,
    stores::Stores,
    switching::{OtherKeeper, Switching},
};
use crate::{
    context::{Context, Usage},
    front::Front,
    ledger::Ledger,
    served::{Served, serve_until_signalled},
    serving::{Assembly, NoWriter},
};

const SHARED: &str = "this process stands on read models and keys of persons that others keep: name their database with --postgres, or give it \
                      the role projections too where nobody else has it";
const ALONE: &str = "other processes of this cluster see none of them, and may take no commands beside this one";

/// Serves until a signal comes: what the roles ask for.
pub(crate) fn serve(cluster: &Cluster, joining: &Joining, context: &Context, listen: SocketAddr) -> Result<ExitCode> {
    let postgres = joining.postgres(context)?;
    if postgres.is_none() && joining.reads_what_others_keep() {
        return Err(Usage(SHARED.into()).into());
    }
    let starting = Starting::at(Front::bind(listen)?)?;
    starting.wait_for(&format!("Kafka at {}", cluster.brokers), || options(cluster).reach())?;
    let log = open(cluster)?;
    let writes = Writes::of(joining, &log)?;
    let mut stores = match &postgres {
        Some(postgres) => {
            starting.wait_for(&format!("PostgreSQL at {postgres}"), || postgres.reach())?;
            Stores::in_postgres(postgres, &log.created().ledger_id)?
        }
        None => {
            tracing::warn!(
                "without --postgres, {} holds the keys of persons, snapshots and read models: {ALONE}",
                context.data_dir.display()
            );
            Stores::in_directory(&context.data_dir)?
        }
    };
    // The server is found by a file there, wherever the rest is.
    std::fs::create_dir_all(&context.data_dir).with_context(|| format!("{} cannot be made", context.data_dir.display()))?;
    let sends = [Role::Api, Role::Policies, Role::Ingest].into_iter().any(|role| joining.has(role));
    let follower = if sends { Some(follow(&log)?) } else { None };
    // Others take notice of this process.
    starting.begin();
    let node = ClusterNode::start(log, follower, &stores.keys, &stores.snapshots, writes)?;
    let served = serve_node(&node, &mut stores, joining, context, starting, cluster);
    node.stop();
    served.map(|()| ExitCode::SUCCESS)
}

fn serve_node(
    node: &ClusterNode,
    stores: &mut Stores,
    joining: &Joining,
    context: &Context,
    starting: Starting,
    cluster: &Cluster,
) -> Result<()> {
    let log: Arc<dyn Log> = Arc::new(node.log.clone());
    let metrics = Metrics::new(prometheus::Registry::new())?;
    let engine = match (joining.has(Role::Projections), joining.has(Role::Api) || joining.has(Role::Policies)) {
        (true, _) => Some(Candidacy::open(stores, Arc::clone(&log), &metrics)?),
        // The read models live as long as the process: another one keeps them.
        (false, true) => Some(Engine::in_memory(Arc::clone(&log), Options::default())?.into()),
        (false, false) => None,
    };
    let watch = KafkaWatch::start(&options(cluster))?;
    let mut probes = vec![Probe::new("kafka", move || watch.trouble().map_or(Ok(()), Err))];
    if let Some(status) = node.processor() {
        watch_processor(&metrics, &status)?;
        probes.push(Probe::new("slices", move || status.trouble().map_or(Ok(()), Err)));
    }
    if let Some(followed) = node.followed() {
        watch_follower(&metrics, &followed)?;
        probes.push(Probe::new("follower", move || followed.trouble().map_or(Ok(()), Err)));
    }
    if let Some(sending) = &node.sending {
        watch_sink(&metrics, &sending.sink)?;
        let sink = Arc::clone(&sending.sink);
        probes.push(Probe::new("decisions", move || sink.undecided().map_or(Ok(()), Err)));
    }
    let sink: Arc<dyn CommandSink> = match &node.sending {
        Some(sending) => Arc::clone(&sending.sink) as Arc<dyn CommandSink>,
        None => Arc::new(NoWriter::beside("this process sends no commands: it has none of the roles api, policies and ingest")),
    };
    let services = Services::start(node, &sink, joining, &options(cluster), (&metrics, &mut probes))?;
    let label = format!("{cluster}{}", if node.log.created().generated.is_some() { " (a generated history)" } else { "" });
    let served = match engine {
        None => Served::Watched(Operations::new(metrics, probes)),
        Some(engine) => {
            let acting = joining.has(Role::Policies).then(|| (node.edge.clone(), Arc::clone(&sink)));
            let (engine, start) = engine.part();
            let mut assembly = Assembly::of_parts(node.edge.clone(), sink, log, engine, metrics, probes, acting)?;
            assembly.name_topics(&cluster.prefix);
            assembly.keep(start)?;
            let (key_dir, database) = (context.data_dir.clone(), stores.postgres.clone());
            let key = move || signing_key(database.as_ref(), &key_dir);
            assembly.analyse(Ledger { log: Arc::new(node.log.clone()), created: node.log.created().clone() }, Box::new(key));
            assembly.keep_generations(Arc::clone(&stores.generations), &context.data_dir);
            if let Some(postgres) = &stores.postgres {
                assembly.ask_elsewhere(Arc::new(OtherKeeper(postgres.clone())));
                assembly.follow_generations(|engine| Switching::start(engine, postgres.clone()))?;
            }
            if joining.has(Role::Api) { Served::Api(Box::new(assembly)) } else { Served::Folding(Box::new(assembly)) }
        }
    };
    let outcome = serve_until_signalled(served, &context.data_dir, &label, starting.end());
    services.stop();
    outcome
}

fn watch_processor(metrics: &Metrics, status: &Arc<ProcessorStatus>) -> Result<()> {
    let [owned, taken, passed, lost, failed] = [(); 5].map(|()| Arc::clone(status));
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
    metrics.sampled("pledger_processor_failed_decisions", "Decisions that failed by a fault of pledger since the start.", move || {
        as_sample(failed.failed_decisions())
    })?;
    Ok(())
}

fn watch_sink(metrics: &Metrics, sink: &Arc<ClusterSink>) -> Result<()> {
    let sink = Arc::clone(sink);
    metrics.sampled(
        "pledger_commands_undecided_slices",
        "Slices to which commands were sent from here and in which nothing was recorded for 15 s: does a process with the role processor run?",
        move || as_sample(sink.silent_slices().len() as u64),
    )?;
    Ok(())
}

fn watch_follower(metrics: &Metrics, followed: &Arc<Followed>) -> Result<()> {
    let void = Arc::clone(followed);
    metrics.sampled("pledger_ledger_void_records", "Void records that were passed since the start.", move || as_sample(void.void()))?;
    Ok(())
}
