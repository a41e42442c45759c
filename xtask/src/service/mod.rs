//! `cargo xtask kafka` and `cargo xtask postgres`: real services for the tests, on loopback, in a scratch folder.

mod for_tests;
mod jars;
mod kafka;
pub(crate) mod postgres;
mod probe;
pub(crate) mod process;
mod secure;

use std::ffi::OsString;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};

pub(crate) use self::for_tests::{KAFKA_STEP, POSTGRES_STEP, ServiceForTests, variables};
use crate::python::{PYTHON, interpreter};
use crate::tree::Tree;

/// The variable that names a running broker to the tests.
const KAFKA: &str = "PLEDGER_TEST_KAFKA";
/// What says where brokers take SASL_SSL, and which file has the properties of librdkafka for it.
const SECURE: &str = "PLEDGER_TEST_KAFKA_SECURE";
const SECURE_CONFIG: &str = "PLEDGER_TEST_KAFKA_SECURE_CONFIG";
/// What says where whoever stands between brokers and their clients connects to.
const BEHIND: &str = "PLEDGER_TEST_KAFKA_BEHIND";
/// The variable that names a running PostgreSQL to the tests.
const POSTGRES: &str = "PLEDGER_TEST_POSTGRES";
/// The variable that names this program to the tests that stop and start services of their own.
const XTASK: &str = "PLEDGER_XTASK";

/// A service that tests need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Service {
    /// A Kafka broker, which needs Java.
    Kafka,
    /// A PostgreSQL server.
    Postgres,
}

impl Service {
    /// Every service.
    pub(crate) const ALL: [Self; 2] = [Self::Kafka, Self::Postgres];

    /// Its name, as its step and the files of its tests have it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::Postgres => "postgres",
        }
    }

    /// The variable that names a running one to the tests.
    pub(crate) const fn variable(self) -> &'static str {
        match self {
            Self::Kafka => KAFKA,
            Self::Postgres => POSTGRES,
        }
    }
}

/// The variable that is the Java class path of Kafka's console tools.
const TOOLS: &str = "PLEDGER_TEST_KAFKA_TOOLS";

/// What to do with Kafka.
#[derive(Subcommand)]
pub(crate) enum KafkaChore {
    /// Start brokers and wait until they answer; prints the variable to set for the tests.
    Up {
        /// One, or a cluster of three: replication factor 3, two in-sync replicas.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=3))]
        brokers: u8,
        /// To be measured against: with the virtual machine's options of Kafka's own start script, slower to start and twice as
        /// fast once warm.
        #[arg(long, conflicts_with_all = ["secure", "behind"])]
        for_load: bool,
        /// With a second listener for SASL_SSL and SCRAM-SHA-512; also prints where it is and a file of properties for its clients.
        #[arg(long)]
        secure: bool,
        /// With a second listener each, whose clients are told to come to these ports; also prints where it really is. A
        /// program between the two can cut the network.
        #[arg(long, value_name = "PORT", value_delimiter = ',', conflicts_with = "secure")]
        behind: Vec<u16>,
        #[command(flatten)]
        at: At,
    },
    /// Print the variables that name other people's clients to the tests, fetching what is not there yet.
    Clients,
    /// Stop the brokers and remove their folder.
    Down {
        #[command(flatten)]
        at: At,
    },
    /// Kill a broker as a crash would, with SIGKILL; its data stays.
    Kill {
        /// Its number, from 1.
        #[arg(default_value_t = 1)]
        broker: u8,
        #[command(flatten)]
        at: At,
    },
    /// Start what was killed again, on its old data and port, and wait until it answers.
    Start {
        #[command(flatten)]
        at: At,
    },
}

/// What to do with PostgreSQL.
#[derive(Subcommand)]
pub(crate) enum PostgresChore {
    /// Start a server and wait until it answers; prints the variable to set for the tests.
    Up {
        #[command(flatten)]
        at: At,
    },
    /// Stop the server and remove its folder.
    Down {
        #[command(flatten)]
        at: At,
    },
    /// Kill the server as a crash would, with SIGKILL; its data stays.
    Kill {
        #[command(flatten)]
        at: At,
    },
    /// Start what was killed again, on its old data and port, and wait until it answers.
    Start {
        #[command(flatten)]
        at: At,
    },
}

/// Where a service keeps its data.
#[derive(Args)]
pub(crate) struct At {
    /// The scratch folder; one of this checkout's own below the system's temporary folder if not given.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl At {
    fn dir(self, service: &str) -> anyhow::Result<PathBuf> {
        match self.dir {
            Some(dir) => std::path::absolute(&dir).with_context(|| format!("the folder {}", dir.display())),
            None => Ok(scratch(&Tree::here()?, service)),
        }
    }
}

/// The scratch folder of this checkout's service. Outside of the tree, as PostgreSQL's own user has to reach it.
fn scratch(tree: &Tree, service: &str) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    tree.root().hash(&mut hasher);
    std::env::temp_dir().join(format!("pledger-{service}-{:08x}", hasher.finish() as u32))
}

/// Where what is fetched once is kept.
pub(crate) fn cache() -> anyhow::Result<PathBuf> {
    cache_of(|name| std::env::var_os(name))
}

/// The same, by the variables that `var` knows.
fn cache_of(var: impl Fn(&str) -> Option<OsString>) -> anyhow::Result<PathBuf> {
    let base = var("XDG_CACHE_HOME").map(PathBuf::from).or_else(|| Some(PathBuf::from(var("HOME")?).join(".cache")));
    let base = base.context("neither XDG_CACHE_HOME nor HOME says where to keep what the tests fetch")?;
    Ok(base.join("pledger"))
}

/// Runs a chore of Kafka.
pub(crate) fn run_kafka(chore: KafkaChore) -> anyhow::Result<ExitCode> {
    match chore {
        KafkaChore::Up { brokers, behind, at, .. } if !behind.is_empty() => {
            let up = kafka::up_behind(&at.dir("kafka")?, brokers, &behind)?;
            println!("{KAFKA}={}\n{BEHIND}={}", up.plain, up.behind);
        }
        KafkaChore::Up { brokers, secure: false, for_load, at, .. } => {
            let jvm = if for_load { kafka::Jvm::AsShipped } else { kafka::Jvm::SoonUp };
            println!("{KAFKA}={}", kafka::up(&at.dir("kafka")?, brokers, jvm, process::Group::Own)?);
        }
        KafkaChore::Up { brokers, secure: true, at, .. } => {
            let up = kafka::up_secure(&at.dir("kafka")?, brokers)?;
            println!("{KAFKA}={}\n{SECURE}={}\n{SECURE_CONFIG}={}", up.plain, up.secure, up.client.display());
        }
        KafkaChore::Clients => println!("{TOOLS}={}\n{PYTHON}={}", jars::class_path()?, interpreter()?.display()),
        KafkaChore::Down { at } => kafka::down(&at.dir("kafka")?)?,
        KafkaChore::Kill { broker, at } => kafka::kill(&at.dir("kafka")?, broker)?,
        KafkaChore::Start { at } => kafka::start(&at.dir("kafka")?)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs a chore of PostgreSQL.
pub(crate) fn run_postgres(chore: PostgresChore) -> anyhow::Result<ExitCode> {
    match chore {
        PostgresChore::Up { at } => println!("{POSTGRES}={}", postgres::up(&at.dir("postgres")?)?),
        PostgresChore::Down { at } => postgres::down(&at.dir("postgres")?)?,
        PostgresChore::Kill { at } => postgres::kill(&at.dir("postgres")?)?,
        PostgresChore::Start { at } => postgres::start(&at.dir("postgres")?)?,
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_cache_lies_outside_of_the_tree() {
        let with =
            |set: &'static [(&str, &str)]| cache_of(|name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into()));
        assert_eq!(with(&[("HOME", "/h")]).expect("a folder"), Path::new("/h/.cache/pledger"));
        assert!(with(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/c")]).expect("a folder").starts_with("/c/pledger"));
        assert!(with(&[]).is_err());
    }
}
