//! What every verb knows: where the ledger is, how to speak. Flags win over `PLEDGER_*`, these over `pledger.toml`.

use std::{io::IsTerminal as _, net::SocketAddr, path::PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use serde::Deserialize;
use tracing_subscriber::filter::LevelFilter;

/// Where things are when nobody says so.
const DEFAULT_DATA_DIR: &str = "pledger-data";
const DEFAULT_LISTEN: &str = "127.0.0.1:7400";
const DEFAULT_CONFIG: &str = "pledger.toml";

/// The flags of every verb.
#[derive(Args)]
pub(crate) struct Settings {
    /// The ledger's directory [default: ./pledger-data]
    #[arg(long, global = true, env = "PLEDGER_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// The configuration file [default: ./pledger.toml where there is one]
    #[arg(long, global = true, env = "PLEDGER_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Answer in JSON, for programs
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say more on stderr; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// A mistake of the caller's: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// `pledger.toml`: each by the name of its flag.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Configuration {
    data_dir: Option<PathBuf>,
    listen: Option<SocketAddr>,
    pub(crate) kafka: Option<String>,
    #[serde(alias = "topic-prefix")]
    pub(crate) topic_prefix: Option<String>,
    #[serde(alias = "kafka-config")]
    pub(crate) kafka_config: Vec<String>,
    pub(crate) postgres: Option<String>,
    #[serde(alias = "postgres-schema")]
    pub(crate) postgres_schema: Option<String>,
    #[serde(alias = "postgres-password-file")]
    pub(crate) postgres_password_file: Option<PathBuf>,
    /// With commas between, as the flag.
    pub(crate) roles: Option<String>,
    /// Such as `0-31`, as the flag.
    pub(crate) slices: Option<String>,
    #[serde(alias = "take-over-after")]
    pub(crate) take_over_after: Option<u16>,
    #[serde(alias = "publish-persons")]
    pub(crate) publish_persons: bool,
}

/// What every verb knows.
pub(crate) struct Context {
    pub(crate) data_dir: PathBuf,
    pub(crate) json: bool,
    pub(crate) file: Configuration,
}

impl Context {
    pub(crate) fn new(settings: Settings) -> Result<Self> {
        let file = read_configuration(settings.config)?;
        let data_dir = settings.data_dir.or_else(|| file.data_dir.clone()).unwrap_or_else(|| DEFAULT_DATA_DIR.into());
        Ok(Self { data_dir, json: settings.json, file })
    }

    /// The address to serve on.
    pub(crate) fn listen(&self, flag: Option<SocketAddr>) -> SocketAddr {
        flag.or(self.file.listen).unwrap_or_else(|| DEFAULT_LISTEN.parse().expect("the default is an address"))
    }
}

fn read_configuration(named: Option<PathBuf>) -> Result<Configuration> {
    let path = match named {
        Some(path) => path,
        None if PathBuf::from(DEFAULT_CONFIG).exists() => DEFAULT_CONFIG.into(),
        None => return Ok(Configuration::default()),
    };
    let text = std::fs::read_to_string(&path).with_context(|| format!("the configuration {} cannot be read", path.display()))?;
    toml::from_str(&text).map_err(|error| Usage(format!("{}: {error}", path.display())).into())
}

/// Logs go to stderr.
pub(crate) fn start_logging(verbose: u8) {
    let level = match verbose {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    // Colours are for a terminal: in a file they are only in the way.
    let is_seen = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_ansi(is_seen).with_target(false).init();
}
