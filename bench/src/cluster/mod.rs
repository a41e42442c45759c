//! The cluster engine against what its broker and its database can do at all, measured in the same run.

mod append;
mod deciding;
mod folding;
mod pace;
mod raw;
mod serving;
mod take_over;
mod together;

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use pledger_ledger::{
    edge::{Clock, Randomness, SystemClock, SystemRandomness},
    kafka::{KafkaLog, KafkaOptions},
    postgres::PostgresOptions,
    record::{FORMAT, LedgerCreated},
    slices::Slices,
};
use pledger_projections::{engine::Options, generation::PostgresGenerations};

use crate::Bench;

/// The real parts that a run uses. `cargo xtask kafka up --for-load` and `cargo xtask postgres up` start some and say where
/// they are.
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
    /// A property of librdkafka for every client of the engine: what another setting would change
    #[arg(long, value_name = "NAME=VALUE")]
    kafka_property: Vec<String>,
    /// The slices of the ledgers that are made: their partitions
    #[arg(long, value_name = "N", default_value_t = Slices::default().count)]
    slices: u16,
    /// Of the cluster engine, only these
    #[arg(long, value_name = "NAME")]
    cluster: Vec<Part>,
}

/// What can be measured of the cluster engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Decided batches appended.
    Append,
    /// The commands topic decided into the ledger, then all read models from it.
    Deciding,
    /// Commands over HTTP, and when SQL shows them.
    Serving,
    /// A slice taken over.
    TakeOver,
}

/// A broker, and perhaps a database.
struct Broker {
    brokers: String,
    replicas: u8,
    postgres: Option<String>,
    properties: BTreeMap<String, String>,
    slices: Slices,
    /// Tells the ledgers of this run from those of others.
    run: String,
}

/// Measures all of it, where there is a broker.
pub(crate) fn measure(bench: &mut Bench, parts: &RealParts) -> Result<()> {
    let Some(brokers) = parts.kafka.clone() else {
        eprintln!("The cluster engine is not measured: no --kafka. `cargo xtask kafka up --for-load` starts a broker.");
        return Ok(());
    };
    let run: String = SystemRandomness.bytes().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let property = |text: &String| -> Result<_> {
        let (name, value) = text.split_once('=').with_context(|| format!("{text:?} is not of the form NAME=VALUE"))?;
        Ok((name.to_owned(), value.to_owned()))
    };
    let properties = parts.kafka_property.iter().map(property).collect::<Result<_>>()?;
    let slices = Slices::new(parts.slices)?;
    let broker = Broker { brokers, replicas: parts.replicas, postgres: parts.postgres.clone(), properties, slices, run };
    let asked = |part| parts.cluster.is_empty() || parts.cluster.contains(&part);
    if asked(Part::Append) {
        append::measure(bench, &broker)?;
    }
    if asked(Part::Deciding) {
        deciding::measure(bench, &broker)?;
    }
    if asked(Part::Serving) {
        serving::measure(bench, &broker)?;
    }
    if asked(Part::TakeOver) {
        take_over::measure(bench, &broker)?;
    }
    Ok(())
}

impl Broker {
    /// How a ledger of this name is reached.
    fn options(&self, name: &str) -> KafkaOptions {
        KafkaOptions {
            prefix: format!("bench-{}-{name}.", self.run),
            replicas: self.replicas,
            properties: self.properties.clone(),
            ..KafkaOptions::new(&self.brokers)
        }
    }

    /// A new ledger.
    fn create(&self, name: &str, slices: Slices) -> Result<KafkaLog> {
        let created_at = SystemClock::new().now();
        let created = LedgerCreated { v: FORMAT, ledger_id: format!("bench-{name}"), slices, created_at, generated: None };
        Ok(KafkaLog::create(self.options(name), created)?)
    }

    /// Where the read models of a ledger go, where there is a database.
    fn generations(&self, name: &str) -> Result<Option<PostgresGenerations>> {
        Ok(self.options_of_postgres(name)?.map(PostgresGenerations::of))
    }

    /// The database of a ledger, where there is one.
    fn options_of_postgres(&self, name: &str) -> Result<Option<PostgresOptions>> {
        let Some(url) = &self.postgres else { return Ok(None) };
        let options = PostgresOptions::parse(url).context("the address of PostgreSQL")?;
        let schema = format!("bench_{}_{}", self.run, name.replace('-', "_"));
        Ok(Some(options.with_schema(&schema)?))
    }
}

/// How the read models of a cluster are kept.
fn options() -> Options {
    Options { flush_every: Duration::from_millis(50), ..Options::default() }
}
