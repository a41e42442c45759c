//! What every verb knows: where the ledger is, how to speak. Flags win over `PLEDGER_*`, these over `pledger.toml`.

use std::{net::SocketAddr, path::PathBuf};

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

/// `pledger.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Configuration {
    data_dir: Option<PathBuf>,
    listen: Option<SocketAddr>,
}

/// What every verb knows.
pub(crate) struct Context {
    pub(crate) data_dir: PathBuf,
    pub(crate) json: bool,
    listen: Option<SocketAddr>,
}

impl Context {
    pub(crate) fn new(settings: Settings) -> Result<Self> {
        let configuration = read_configuration(settings.config)?;
        Ok(Self {
            data_dir: settings.data_dir.or(configuration.data_dir).unwrap_or_else(|| DEFAULT_DATA_DIR.into()),
            json: settings.json,
            listen: configuration.listen,
        })
    }

    /// The address to serve on.
    pub(crate) fn listen(&self, flag: Option<SocketAddr>) -> SocketAddr {
        flag.or(self.listen).unwrap_or_else(|| DEFAULT_LISTEN.parse().expect("the default is an address"))
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
    tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_target(false).init();
}
