//! How a cluster is named, and what a process does in it.

use std::{collections::BTreeMap, fmt, fs, path::PathBuf, str::FromStr, time::Duration};

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
#[cfg(feature = "kafka")]
use pledger_ledger::postgres::{PostgresOptions, PostgresOptionsError};
use pledger_ledger::slices::{SliceId, Slices};

use crate::context::Usage;

/// What topics' names begin with, where nothing else is asked for.
pub(crate) const DEFAULT_PREFIX: &str = "pledger.";

/// Where the cluster is. Values of properties may be secrets.
#[derive(Args, Clone)]
pub(crate) struct ClusterFlags {
    /// Kafka's brokers, host:port, with commas between several: the ledger is kept there, not in the directory
    #[arg(long, env = "PLEDGER_KAFKA", value_name = "BROKERS")]
    kafka: Option<String>,
    /// What the names of the topics begin with
    #[arg(long, env = "PLEDGER_TOPIC_PREFIX", value_name = "TEXT", default_value = DEFAULT_PREFIX, requires = "kafka")]
    topic_prefix: String,
    /// A property of librdkafka, such as security.protocol=SASL_SSL, or @FILE with one a line; may be given several times
    #[arg(long, env = "PLEDGER_KAFKA_CONFIG", hide_env_values = true, value_name = "NAME=VALUE|@FILE", requires = "kafka")]
    kafka_config: Vec<String>,
}

/// A cluster, named.
pub(crate) struct Cluster {
    pub(crate) brokers: String,
    pub(crate) prefix: String,
    #[cfg_attr(not(any(feature = "kafka", test)), expect(dead_code, reason = "only the engine reads them"))]
    pub(crate) properties: BTreeMap<String, String>,
}

impl ClusterFlags {
    /// Whether a cluster is meant.
    pub(crate) const fn is_named(&self) -> bool {
        self.kafka.is_some()
    }

    /// The cluster that is meant; none where the ledger of a directory is.
    pub(crate) fn cluster(self) -> Result<Option<Cluster>> {
        if self.kafka.is_some() { self.named().map(Some) } else { Ok(None) }
    }

    /// These brokers, whatever the verb calls the flags.
    pub(crate) fn of(brokers: String, topic_prefix: String, kafka_config: Vec<String>) -> Self {
        Self { kafka: Some(brokers), topic_prefix, kafka_config }
    }

    /// The cluster that is named.
    pub(crate) fn named(self) -> Result<Cluster> {
        let brokers = self.kafka.unwrap_or_default();
        let mut properties = BTreeMap::new();
        for given in &self.kafka_config {
            match given.strip_prefix('@') {
                Some(file) => {
                    let text = fs::read_to_string(file).with_context(|| format!("Kafka's properties cannot be read from {file}"))?;
                    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
                    lines.map(property).collect::<Result<Vec<_>>>()?.into_iter().for_each(|(name, value)| {
                        properties.insert(name, value);
                    });
                }
                None => {
                    let (name, value) = property(given)?;
                    properties.insert(name, value);
                }
            }
        }
        Ok(Cluster { brokers, prefix: self.topic_prefix, properties })
    }
}

fn property(text: &str) -> Result<(String, String)> {
    // What stands behind the sign may be a secret, so it is not shown.
    let (name, value) = text.split_once('=').ok_or_else(|| Usage("a Kafka property is NAME=VALUE, or @FILE".into()))?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// What topics are created with.
#[derive(Args)]
pub(crate) struct NewTopics {
    /// How many of Kafka's brokers keep each record
    #[arg(long, default_value_t = 3, requires = "kafka", value_parser = clap::value_parser!(u8).range(1..))]
    pub(crate) replicas: u8,
    /// How many partitions the inbox of services has: how many of its events are worked on side by side
    #[arg(long, default_value_t = 8, requires = "kafka", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) inbox_partitions: u16,
}

/// Where the database of a cluster is.
#[derive(Args)]
pub(crate) struct PostgresFlags {
    /// The database of the cluster, postgres://USER@HOST/DATABASE: read models, keys of persons and snapshots. Of several
    /// processes that have projections one keeps the read models there; the others answer from memory, and one takes over
    /// when it is gone. Without a database all is in the directory, and only one process may take commands
    #[arg(long, env = "PLEDGER_POSTGRES", value_name = "URL", hide_env_values = true)]
    postgres: Option<String>,
    /// The schema that SQL reads the read models in; others are named after it
    #[arg(long, env = "PLEDGER_POSTGRES_SCHEMA", value_name = "NAME", requires = "postgres")]
    postgres_schema: Option<String>,
    /// A file with the password; PGPASSWORD and PGPASSFILE are read too
    #[arg(long, env = "PLEDGER_POSTGRES_PASSWORD_FILE", value_name = "FILE", requires = "postgres")]
    postgres_password_file: Option<PathBuf>,
}

#[cfg(feature = "kafka")]
impl PostgresFlags {
    /// The database, where one is named.
    pub(crate) fn options(&self) -> Result<Option<PostgresOptions>> {
        let Some(url) = &self.postgres else { return Ok(None) };
        let usage = |error: PostgresOptionsError| Usage(format!("--postgres: {error}"));
        let mut options = PostgresOptions::parse(url).map_err(usage)?;
        if let Some(schema) = &self.postgres_schema {
            options = options.with_schema(schema).map_err(usage)?;
        }
        if let Some(file) = &self.postgres_password_file {
            options = options.with_password_file(file)?;
        }
        if !options.is_private() {
            tracing::warn!(
                "what goes to {options} can be read on its way, or answered by another; add sslmode=verify-full&sslrootcert=FILE"
            );
        }
        Ok(Some(options))
    }
}

/// What a process does in a cluster.
#[derive(Args)]
pub(crate) struct Joining {
    #[command(flatten)]
    postgres: PostgresFlags,
    /// What this process does, with commas between: others do the rest. Several may do the same
    #[arg(long, env = "PLEDGER_ROLES", value_name = "ROLES", value_delimiter = ',', default_value = "all", requires = "kafka")]
    roles: Vec<Role>,
    /// The slices that this process writes, such as 0-31 or 0-3,8; without it processes share them out among themselves
    #[arg(long, env = "PLEDGER_SLICES", value_name = "SLICES", requires = "kafka")]
    slices: Option<SliceList>,
    /// Publish what names persons in plain; without it, that is published sealed
    #[arg(long, env = "PLEDGER_PUBLISH_PERSONS", requires = "kafka")]
    publish_persons: bool,
    /// How many seconds a process may be silent before others take its slices over
    #[arg(long, env = "PLEDGER_TAKE_OVER_AFTER", value_name = "SECONDS", default_value_t = 6, requires = "kafka")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=300))]
    take_over_after: u16,
}

#[cfg_attr(not(feature = "kafka"), expect(dead_code, reason = "only the engine asks"))]
impl Joining {
    pub(crate) fn has(&self, role: Role) -> bool {
        self.roles.iter().any(|given| *given == role || *given == Role::All)
    }

    /// The slices to write, where they are not shared out.
    pub(crate) fn slices(&self, slices: Slices) -> Result<Option<Vec<SliceId>>> {
        let Some(SliceList(given)) = &self.slices else { return Ok(None) };
        match given.iter().find(|slice| **slice >= slices.count) {
            Some(slice) => Err(Usage(format!("the ledger has the slices 0 to {}, and no {slice}", slices.count - 1)).into()),
            None => Ok(Some(given.clone())),
        }
    }

    #[cfg(feature = "kafka")]
    pub(crate) fn postgres(&self) -> Result<Option<PostgresOptions>> {
        self.postgres.options()
    }

    pub(crate) const fn publishes_persons(&self) -> bool {
        self.publish_persons
    }

    pub(crate) fn take_over_after(&self) -> Duration {
        Duration::from_secs(self.take_over_after.into())
    }
}

impl Joining {
    /// Whether there is a database to share, which one machine has no use for.
    pub(crate) const fn names_a_database(&self) -> bool {
        self.postgres.postgres.is_some()
    }
}

/// A part of what a cluster does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Takes commands and answers questions over HTTP
    Api,
    /// Decides commands
    Processor,
    /// Keeps the read models, for all to see; one process of a cluster does, others stand by
    Projections,
    /// Acts on what the read models say
    Policies,
    /// Reads the inbox of services
    Ingest,
    /// Publishes events
    Publisher,
    /// Everything
    All,
}

/// Numbers of slices: `0-31`, `0-3,8`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct SliceList(Vec<SliceId>);

impl FromStr for SliceList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.trim().parse::<SliceId>().map_err(|_| format!("{text:?} is no slice; try 0-31 or 0-3,8"));
        let mut slices = Vec::new();
        for part in text.split(',') {
            match part.split_once('-') {
                Some((first, last)) => slices.extend(number(first)?..=number(last)?),
                None => slices.push(number(part)?),
            }
        }
        slices.sort_unstable();
        slices.dedup();
        if slices.is_empty() { Err(format!("{text:?} names no slice")) } else { Ok(Self(slices)) }
    }
}

#[cfg_attr(not(feature = "kafka"), expect(dead_code, reason = "only the engine tells what to do next"))]
impl Cluster {
    /// The flags that name it, without what may be secret.
    pub(crate) fn flags(&self) -> String {
        let prefix = if self.prefix == DEFAULT_PREFIX { String::new() } else { format!(" --topic-prefix {}", self.prefix) };
        format!("--kafka {}{prefix}", self.brokers)
    }
}

impl fmt::Display for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the ledger {}ledger at {}", self.prefix, self.brokers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_listed_and_ranged() {
        let list = |text: &str| text.parse::<SliceList>().map(|SliceList(slices)| slices);
        assert_eq!(list("0-3,8"), Ok(vec![0, 1, 2, 3, 8]));
        assert_eq!(list("5,5,4-5"), Ok(vec![4, 5]));
        for text in ["", "a", "1-", "-1", "3-1", "70000"] {
            assert!(list(text).is_err(), "{text}");
        }
    }

    #[test]
    fn properties_come_one_by_one_or_from_a_file() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), "# secret\nsasl.password = hush=hush\n\n").expect("written");
        let flags =
            |given: &[String]| ClusterFlags { kafka: Some("b:9092".into()), topic_prefix: "p.".into(), kafka_config: given.to_vec() };
        let given = ["security.protocol=SSL".to_owned(), format!("@{}", file.path().display())];
        let cluster = flags(&given).cluster().expect("properties").expect("a cluster");
        let expected = [("sasl.password", "hush=hush"), ("security.protocol", "SSL")];
        assert_eq!(cluster.properties, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        let error = flags(&["sasl.password".into()]).cluster().map(|_| ()).expect_err("no value");
        assert_eq!(error.to_string(), "a Kafka property is NAME=VALUE, or @FILE");
    }
}
