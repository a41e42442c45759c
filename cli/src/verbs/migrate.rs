//! `pledger migrate`: from one machine to a cluster.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::Args;

use crate::{
    cluster::{self, Cluster, NewTopics, PostgresFlags},
    context::Context,
};

/// Copy the ledger of a directory into Kafka, record by record: the chain, every position and every proof stay as they are
#[derive(Args)]
#[command(
    after_help = "Example:\n  pledger migrate --from ./pledger-data --to-kafka broker-1:9092 --postgres postgres://pledger@db/prm\n\nStop the server first. What was copied is verified, read models of both are compared, and a copy that was cut off goes on."
)]
pub(crate) struct Migrate {
    /// The directory of the ledger; it is left as it is
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// Kafka's brokers, host:port, with commas between several
    #[arg(long, value_name = "BROKERS")]
    to_kafka: String,
    /// What the names of the topics begin with [default: pledger.]
    #[arg(long, env = "PLEDGER_TOPIC_PREFIX", value_name = "TEXT")]
    topic_prefix: Option<String>,
    /// A property of librdkafka, such as security.protocol=SASL_SSL, or @FILE with one a line; may be given several times
    #[arg(long, env = "PLEDGER_KAFKA_CONFIG", hide_env_values = true, value_name = "NAME=VALUE|@FILE")]
    kafka_config: Vec<String>,
    #[command(flatten)]
    topics: NewTopics,
    #[command(flatten)]
    postgres: PostgresFlags,
}

impl Migrate {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode> {
        let cluster = Cluster::named(self.to_kafka, self.topic_prefix, &self.kafka_config, context)?;
        cluster::migrate(&self.from, &cluster, &self.topics, &self.postgres, context)
    }
}
