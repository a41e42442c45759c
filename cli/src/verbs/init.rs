//! `pledger init`: a new, empty ledger.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use pledger_ledger::slices::{DEFAULT_SLICES, MAX_SLICES, Slices};
use serde_json::json;

use crate::{
    cluster::{self, ClusterFlags, NewTopics},
    context::{Context, Usage},
    node::{Node, has_ledger},
    output,
};

/// Create a ledger, and publish the default rules as its first version; or the topics that a ledger in Kafka lacks
#[derive(Args)]
#[command(
    after_help = "Examples:\n  pledger init --data-dir ./acme-program\n  pledger init --kafka broker-1:9092 --replicas 3\n\nThe number of slices is fixed for ever; 64 serve one machine and a cluster of many processors;\n16 are cheaper where one broker and one process do it all (docs/cluster.md)."
)]
pub(crate) struct Init {
    /// How many slices the ledger has, for ever
    #[arg(long, default_value_t = DEFAULT_SLICES, value_parser = clap::value_parser!(u16).range(2..=i64::from(MAX_SLICES)))]
    slices: u16,
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    topics: NewTopics,
}

impl Init {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode> {
        let slices = Slices::new(self.slices).map_err(|error| Usage(error.to_string()))?;
        if let Some(cluster) = self.cluster.cluster(context)? {
            return cluster::init(&cluster, slices, &self.topics, context);
        }
        self.topics.unused()?;
        if has_ledger(&context.data_dir) {
            bail!("{} holds a ledger already", context.data_dir.display());
        }
        let node = Node::create(&context.data_dir, slices)?;
        let ledger_id = node.log.created().ledger_id.clone();
        node.stop();
        if context.json {
            output::print_json(&json!({"data_dir": context.data_dir, "ledger_id": ledger_id, "slices": slices.count}))?;
        } else {
            output::print(format!(
                "Created the ledger {ledger_id} with {} slices in {}.\nThe default rules are published as version 1: pledger rules show\nNext: pledger serve",
                slices.count,
                context.data_dir.display()
            ))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
