//! The cluster engine against what its broker and its database can do at all, measured in the same run.

mod append;
mod deciding;
mod folding;
mod raw;
mod serving;
mod take_over;
mod together;

use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use pledger_ledger::{
    edge::{Clock, Randomness, SystemClock, SystemRandomness},
    kafka::{KafkaLog, KafkaOptions},
    postgres::PostgresOptions,
    record::{FORMAT, LedgerCreated},
    slices::Slices,
};
use pledger_projections::{engine::Options, generation::PostgresGenerations};

use crate::Bench;

/// The real parts that a run uses. `cargo xtask kafka up` and `cargo xtask postgres up` start some and say where they are.
#[derive(Args, Clone)]
pub(crate) struct RealParts {
    /// Kafka's brokers: measures the cluster engine too
    #[arg(long, env = "PLEDGER_KAFKA", value_name = "BROKERS")]
    kafka: Option<String>,
    /// How many of them keep each record
    #[arg(long, value_name = "N", default_value_t = 1)]
    replicas: u8,
    /// PostgreSQL for its read models; in memory without it
    #[arg(long, env = "PLEDGER_POSTGRES", value_name = "URL")]
    postgres: Option<String>,
}

/// A broker, and perhaps a database.
struct Broker {
    brokers: String,
    replicas: u8,
    postgres: Option<String>,
    /// Tells the ledgers of this run from those of others.
    run: String,
}

/// Measures all of it, where there is a broker.
pub(crate) fn measure(bench: &mut Bench, parts: &RealParts) -> Result<()> {
    let Some(brokers) = parts.kafka.clone() else {
        eprintln!("The cluster engine is not measured: no --kafka. `cargo xtask kafka up` starts a broker.");
        return Ok(());
    };
    let run: String = SystemRandomness.bytes().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let broker = Broker { brokers, replicas: parts.replicas, postgres: parts.postgres.clone(), run };
    append::measure(bench, &broker)?;
    deciding::measure(bench, &broker)?;
    serving::measure(bench, &broker)?;
    take_over::measure(bench, &broker)
}

impl Broker {
    /// How a ledger of this name is reached.
    fn options(&self, name: &str) -> KafkaOptions {
        KafkaOptions { prefix: format!("bench-{}-{name}.", self.run), replicas: self.replicas, ..KafkaOptions::new(&self.brokers) }
    }

    /// A new ledger.
    fn create(&self, name: &str, slices: Slices) -> Result<KafkaLog> {
        let created_at = SystemClock::new().now();
        let created = LedgerCreated { v: FORMAT, ledger_id: format!("bench-{name}"), slices, created_at, generated: None };
        Ok(KafkaLog::create(self.options(name), created)?)
    }

    /// Where the read models of a ledger go, where there is a database.
    fn generations(&self, name: &str) -> Result<Option<PostgresGenerations>> {
        let Some(url) = &self.postgres else { return Ok(None) };
        let options = PostgresOptions::parse(url).context("the address of PostgreSQL")?;
        let schema = format!("bench_{}_{name}", self.run);
        Ok(Some(PostgresGenerations::of(options.with_schema(&schema)?)))
    }
}

/// How the read models of a cluster are kept.
fn options() -> Options {
    Options { flush_every: Duration::from_millis(50), ..Options::default() }
}
