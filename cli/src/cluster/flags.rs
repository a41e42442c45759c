//! How a cluster is named, and what a process does in it.

use std::{collections::BTreeMap, fmt, fs, path::PathBuf, str::FromStr, time::Duration};

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
#[cfg(feature = "kafka")]
use pledger_ledger::postgres::{PostgresOptions, PostgresOptionsError};
use pledger_ledger::slices::{SliceId, Slices};

use crate::context::{Context, Usage};

/// What topics' names begin with, where nothing else is asked for.
pub(crate) const DEFAULT_PREFIX: &str = "pledger.";

/// Where the cluster is. Values of properties may be secrets.
#[derive(Args, Clone, Default)]
pub(crate) struct ClusterFlags {
    /// Kafka's brokers, host:port, with commas between several: the ledger is kept there, not in the directory
    #[arg(long, env = "PLEDGER_KAFKA", value_name = "BROKERS")]
    kafka: Option<String>,
    /// What the names of the topics begin with [default: pledger.]
    #[arg(long, env = "PLEDGER_TOPIC_PREFIX", value_name = "TEXT")]
    topic_prefix: Option<String>,
    /// A property of librdkafka, such as security.protocol=SASL_SSL, or @FILE with one a line; may be given several times
    #[arg(long, env = "PLEDGER_KAFKA_CONFIG", hide_env_values = true, value_name = "NAME=VALUE|@FILE")]
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
    /// The cluster that is meant; none where the ledger of a directory is.
    pub(crate) fn cluster(&self, context: &Context) -> Result<Option<Cluster>> {
        match self.kafka.clone().or_else(|| context.file.kafka.clone()) {
            Some(brokers) => Cluster::named(brokers, self.topic_prefix.clone(), &self.kafka_config, context).map(Some),
            None => self.given().map_or(Ok(None), |flag| Err(without_kafka(flag))),
        }
    }

    /// What is said of a cluster.
    fn given(&self) -> Option<&'static str> {
        let given = [("--topic-prefix", self.topic_prefix.is_some()), ("--kafka-config", !self.kafka_config.is_empty())];
        first(&given)
    }
}

/// The first flag that is given.
fn first(given: &[(&'static str, bool)]) -> Option<&'static str> {
    given.iter().find(|(_, is_given)| *is_given).map(|(flag, _)| *flag)
}

/// A mistake: a flag of a cluster, and no cluster.
fn without_kafka(flag: &str) -> anyhow::Error {
    Usage(format!("{flag} is of a cluster: it goes with --kafka")).into()
}

impl Cluster {
    /// The cluster of these brokers; what is not given of it is as the configuration has it.
    pub(crate) fn named(brokers: String, prefix: Option<String>, kafka_config: &[String], context: &Context) -> Result<Self> {
        let file = &context.file;
        let given = if kafka_config.is_empty() { &file.kafka_config } else { kafka_config };
        Self::of(brokers, prefix.or_else(|| file.topic_prefix.clone()), given)
    }

    fn of(brokers: String, prefix: Option<String>, kafka_config: &[String]) -> Result<Self> {
        let mut properties = BTreeMap::new();
        for given in kafka_config {
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
        Ok(Self { brokers, prefix: prefix.unwrap_or_else(|| DEFAULT_PREFIX.to_owned()), properties })
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
    /// How many of Kafka's brokers keep each record [default: 3]
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..))]
    replicas: Option<u8>,
    /// How many partitions the inbox of services has: how many of its events are worked on side by side [default: 8]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    inbox_partitions: Option<u16>,
}

impl NewTopics {
    /// Says that they are of a cluster, where they are given.
    pub(crate) fn unused(&self) -> Result<()> {
        let given = [("--replicas", self.replicas.is_some()), ("--inbox-partitions", self.inbox_partitions.is_some())];
        first(&given).map_or(Ok(()), |flag| Err(without_kafka(flag)))
    }

    #[cfg(feature = "kafka")]
    pub(crate) fn replicas(&self) -> u8 {
        self.replicas.unwrap_or(3)
    }

    #[cfg(feature = "kafka")]
    pub(crate) fn inbox_partitions(&self) -> u16 {
        self.inbox_partitions.unwrap_or(8)
    }
}

/// Where the database of a cluster is.
#[derive(Args, Clone)]
pub(crate) struct PostgresFlags {
    /// The database of the cluster, postgres://USER@HOST/DATABASE: read models, keys of persons and snapshots
    #[arg(long, env = "PLEDGER_POSTGRES", value_name = "URL", hide_env_values = true)]
    postgres: Option<String>,
    /// The schema that SQL reads the read models in; others are named after it
    #[arg(long, env = "PLEDGER_POSTGRES_SCHEMA", value_name = "NAME")]
    postgres_schema: Option<String>,
    /// A file with the password; PGPASSWORD and PGPASSFILE are read too
    #[arg(long, env = "PLEDGER_POSTGRES_PASSWORD_FILE", value_name = "FILE")]
    postgres_password_file: Option<PathBuf>,
}

impl PostgresFlags {
    /// What is said of a database by flags.
    pub(crate) fn given(&self) -> Option<&'static str> {
        first(&[
            ("--postgres", self.postgres.is_some()),
            ("--postgres-schema", self.postgres_schema.is_some()),
            ("--postgres-password-file", self.postgres_password_file.is_some()),
        ])
    }

    /// The database, where one is named.
    #[cfg(feature = "kafka")]
    pub(crate) fn options(&self, context: &Context) -> Result<Option<PostgresOptions>> {
        let file = &context.file;
        let Some(url) = self.postgres.as_ref().or(file.postgres.as_ref()) else {
            return self.given().map_or(Ok(None), |flag| Err(Usage(format!("{flag} goes with --postgres")).into()));
        };
        let usage = |error: PostgresOptionsError| Usage(format!("--postgres: {error}"));
        let mut options = PostgresOptions::parse(url).map_err(usage)?;
        if let Some(schema) = self.postgres_schema.as_ref().or(file.postgres_schema.as_ref()) {
            options = options.with_schema(schema).map_err(usage)?;
        }
        if let Some(file) = self.postgres_password_file.as_ref().or(file.postgres_password_file.as_ref()) {
            options = options.with_password_file(file)?;
        }
        if !options.is_private() {
            // A verb asks for the options several times.
            static SAID: std::sync::Once = std::sync::Once::new();
            SAID.call_once(|| {
                tracing::warn!(
                    "what goes to {options} can be read on its way, or answered by another; add sslmode=verify-full&sslrootcert=FILE"
                );
            });
        }
        Ok(Some(options))
    }
}

/// Where a verb finds the ledger and its read models: in the data directory, or in Kafka and PostgreSQL.
#[derive(Args, Clone)]
pub(crate) struct PlaceFlags {
    #[command(flatten)]
    pub(crate) cluster: ClusterFlags,
    #[command(flatten)]
    pub(crate) postgres: PostgresFlags,
}

impl PlaceFlags {
    /// Whether a database is named.
    pub(crate) fn names_a_database(&self, context: &Context) -> bool {
        self.postgres.postgres.is_some() || context.file.postgres.is_some()
    }

    /// The cluster that is meant; none where the directory is.
    pub(crate) fn cluster(&self, context: &Context) -> Result<Option<Cluster>> {
        match (self.cluster.cluster(context)?, self.postgres.given()) {
            (None, Some(flag)) => Err(without_kafka(flag)),
            (cluster, _) => Ok(cluster),
        }
    }
}

/// What a process does in a cluster.
#[derive(Args)]
pub(crate) struct Joining {
    #[command(flatten)]
    postgres: PostgresFlags,
    /// What this process does, with commas between: others do the rest. Several may do the same [default: all]
    #[arg(long, env = "PLEDGER_ROLES", value_name = "ROLES", value_delimiter = ',')]
    roles: Vec<Role>,
    /// The slices that this process writes, such as 0-31 or 0-3,8; without it processes share them out among themselves
    #[arg(long, env = "PLEDGER_SLICES", value_name = "SLICES")]
    slices: Option<SliceList>,
    /// Publish what names persons in plain; without it, that is published sealed
    #[arg(long, env = "PLEDGER_PUBLISH_PERSONS")]
    publish_persons: bool,
    /// How many seconds a process may be silent before others take its slices over [default: 6]
    #[arg(long, env = "PLEDGER_TAKE_OVER_AFTER", value_name = "SECONDS", value_parser = clap::value_parser!(u16).range(TAKE_OVER_S))]
    take_over_after: Option<u16>,
}

/// How many seconds a process may be said to be silent.
const TAKE_OVER_S: std::ops::RangeInclusive<i64> = 1..=300;

impl Joining {
    /// Says what is of a cluster, where it is given: there is none.
    ///
    /// # Errors
    /// `Usage`, which names the flag or the key of the configuration.
    pub(crate) fn unused(&self, context: &Context) -> Result<()> {
        let given = [
            ("--roles", !self.roles.is_empty()),
            ("--slices", self.slices.is_some()),
            ("--publish-persons", self.publish_persons),
            ("--take-over-after", self.take_over_after.is_some()),
        ];
        self.postgres.given().or_else(|| first(&given)).map_or(Ok(()), |flag| Err(without_kafka(flag)))?;
        let file = &context.file;
        let configured = [
            ("roles", file.roles.is_some()),
            ("slices", file.slices.is_some()),
            ("publish_persons", file.publish_persons),
            ("take_over_after", file.take_over_after.is_some()),
        ];
        let unused = |key: &str| Usage(format!("{key} in the configuration is of a cluster: it goes with kafka, or --kafka"));
        first(&configured).map_or(Ok(()), |key| Err(unused(key).into()))
    }

    /// Takes from the configuration what no flag says.
    ///
    /// # Errors
    /// `Usage` where the configuration has a role, slices or seconds that there are not.
    pub(crate) fn completed(mut self, context: &Context) -> Result<Self> {
        let file = &context.file;
        let wrong = |key: &str, error: String| Usage(format!("{key} in the configuration: {error}"));
        if self.roles.is_empty() {
            let given = file.roles.as_deref().unwrap_or("all").split(',');
            let role = |name: &str| Role::from_str(name.trim(), false).map_err(|error| wrong("roles", format!("{error}: {name}")));
            self.roles = given.map(role).collect::<Result<_, _>>()?;
        }
        if let (None, Some(given)) = (&self.slices, &file.slices) {
            self.slices = Some(given.parse().map_err(|error| wrong("slices", error))?);
        }
        if let (None, Some(given)) = (self.take_over_after, file.take_over_after) {
            if !TAKE_OVER_S.contains(&i64::from(given)) {
                return Err(wrong("take_over_after", format!("{given} is not in 1..=300")).into());
            }
            self.take_over_after = Some(given);
        }
        self.publish_persons |= file.publish_persons;
        Ok(self)
    }
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
    pub(crate) fn postgres(&self, context: &Context) -> Result<Option<PostgresOptions>> {
        self.postgres.options(context)
    }

    /// Whether it stands on read models that another process keeps.
    pub(crate) fn reads_what_others_keep(&self) -> bool {
        !self.has(Role::Projections) && (self.has(Role::Api) || self.has(Role::Policies))
    }

    pub(crate) const fn publishes_persons(&self) -> bool {
        self.publish_persons
    }

    pub(crate) fn take_over_after(&self) -> Duration {
        Duration::from_secs(self.take_over_after.unwrap_or(6).into())
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
    /// What starts a process of it; a database is named, since processes that share none cannot share the rest.
    pub(crate) fn to_serve(&self) -> String {
        format!("pledger serve {} --postgres postgres://USER@HOST/DATABASE", self.flags())
    }

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
    fn what_is_of_a_cluster_is_refused_without_one_wherever_it_stands() {
        let postgres = || PostgresFlags { postgres: None, postgres_schema: None, postgres_password_file: None };
        let nothing = || Joining { postgres: postgres(), roles: Vec::new(), slices: None, publish_persons: false, take_over_after: None };
        let told = |joining: &Joining, text: &str| {
            let context = Context { data_dir: PathBuf::new(), json: false, file: toml::from_str(text).expect(text) };
            joining.unused(&context).err().map(|error| error.to_string())
        };
        for (text, key) in [
            ("roles = \"nix\"", "roles"),
            ("slices = \"0-999\"", "slices"),
            ("publish_persons = true", "publish_persons"),
            ("take-over-after = 900", "take_over_after"),
        ] {
            let expected = format!("{key} in the configuration is of a cluster: it goes with kafka, or --kafka");
            assert_eq!(told(&nothing(), text), Some(expected));
        }
        assert_eq!(told(&nothing(), "publish_persons = false\nlisten = \"127.0.0.1:0\""), None);
        let flag = Joining { take_over_after: Some(6), ..nothing() };
        assert_eq!(told(&flag, "").as_deref(), Some("--take-over-after is of a cluster: it goes with --kafka"));
    }

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
        let of = |given: &[String]| Cluster::of("b:9092".into(), None, given);
        let given = ["security.protocol=SSL".to_owned(), format!("@{}", file.path().display())];
        let cluster = of(&given).expect("properties");
        let expected = [("sasl.password", "hush=hush"), ("security.protocol", "SSL")];
        assert_eq!(cluster.properties, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        let error = of(&["sasl.password".into()]).map(|_| ()).expect_err("no value");
        assert_eq!(error.to_string(), "a Kafka property is NAME=VALUE, or @FILE");
    }
}
