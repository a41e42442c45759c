//! `pledger init --kafka`: the topics, the ledger's first record, and the default rules.

use std::{process::ExitCode, sync::Arc};

use anyhow::{Context as _, Result};
use pledger_consumers::processor::{MemorySnapshots, SnapshotStore};
use pledger_ledger::{
    commands::CommandSink as _,
    edge::{Clock as _, SystemClock},
    kafka::{KafkaLog, KafkaOptions},
    keys::{KeyStore, MemoryKeyStore},
    record::{FORMAT, LedgerCreated},
    slices::Slices,
};
use serde_json::json;

use super::{
    Cluster, NewTopics,
    node::{ClusterNode, Writes, follow, options},
};
use crate::{
    context::Context,
    node::{default_rules, random_id, runtime, told},
    output,
};

/// Creates a ledger in Kafka, or the topics that one lacks which is there.
pub(crate) fn init(cluster: &Cluster, slices: Slices, topics: &NewTopics, context: &Context) -> Result<ExitCode> {
    let created_at = SystemClock::new().now();
    let created = LedgerCreated { v: FORMAT, ledger_id: random_id(), slices, created_at, generated: None };
    let options = KafkaOptions { replicas: topics.replicas(), inbox_partitions: topics.inbox_partitions(), ..options(cluster) };
    let missing = KafkaLog::create_missing(options.clone())?.filter(|missing| !missing.is_empty());
    if let Some(missing) = missing {
        return completed(cluster, &missing, context);
    }
    let log = KafkaLog::create(options, created)?;
    let ledger_id = log.created().ledger_id.clone();
    // The rules name nobody, and nothing is worth a snapshot yet.
    let keys: Arc<dyn KeyStore> = Arc::new(MemoryKeyStore::default());
    let snapshots: Arc<dyn SnapshotStore> = Arc::new(MemorySnapshots::default());
    let follower = follow(&log)?;
    let node = ClusterNode::start(log, Some(follower), &keys, &snapshots, Writes::These(slices.references().collect()))?;
    let published = publish(&node);
    node.stop();
    published?;
    if context.json {
        let said = json!({"kafka": cluster.brokers, "topic_prefix": cluster.prefix, "ledger_id": ledger_id, "slices": slices.count});
        output::print_json(&said)?;
    } else {
        output::print(format!(
            "Created the ledger {ledger_id} with {} slices: {cluster}.\nThe default rules are published as version 1.\nNext: {}",
            slices.count,
            cluster.to_serve()
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Says which topics were created of a ledger that is there.
fn completed(cluster: &Cluster, made: &[String], context: &Context) -> Result<ExitCode> {
    if context.json {
        output::print_json(&json!({"kafka": cluster.brokers, "topic_prefix": cluster.prefix, "created_topics": made}))?;
    } else {
        output::print(format!("Created the missing topics {} of the ledger that is there already.", made.join(", ")))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn publish(node: &ClusterNode) -> Result<()> {
    let sending = node.sending.as_ref().context("a ledger is created by a process that sends")?;
    let envelope = default_rules(&node.edge)?;
    let decided = runtime()?.block_on(sending.sink.submit(vec![envelope]));
    told(decided.into_iter().next().context("the processor gave no answer")?)
}
