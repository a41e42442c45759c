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
    toml::from_str(&text).map_err(|error| Usage(format!("{}{}", path.display(), mistake(&text, &error))).into())
}

/// Where the mistake is, and what it is. The file may hold passwords, so nothing that stands in it is said.
fn mistake(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let place = before.map_or_else(String::new, |before| {
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        format!(", line {}, column {column}", before.matches('\n').count() + 1)
    });
    format!("{place}: {}", reason(error.message()))
}

/// What is wrong, and what was expected. What was found stands in quotes between them, and is left out.
fn reason(message: &str) -> String {
    let (wrong, expected) = message.rsplit_once(", expected ").map_or((message, None), |(wrong, expected)| (wrong, Some(expected)));
    let wrong = wrong.split(['"', '`']).next().unwrap_or_default().trim_end();
    expected.map_or_else(|| wrong.to_owned(), |expected| format!("{wrong}, expected {expected}"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_in_the_configuration_is_told_by_its_place_and_without_what_stands_there() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("pledger.toml");
        for (text, expected) in [
            (r#"postgres = "postgres://p:SECRET@db"#, "line 1, column 35: invalid basic string, expected `\"`"),
            ("\npostgres = postgres://p:SECRET@db", "line 2, column 12: string values must be quoted, expected literal string"),
            ("postgres = \"SECRET\"\npostgres = \"SECRET\"", "line 2, column 1: duplicate key"),
            (r#"postgres = "SECRET\q""#, "line 1, column 20: missing escaped value, expected `b`"),
            (r#"postgras = "SECRET""#, "line 1, column 1: unknown field, expected one of `data_dir`, `listen`"),
            (r#"SECRET = 1"#, "line 1, column 1: unknown field, expected one of `data_dir`"),
            (r#"kafka_config = "sasl.password=SECRET""#, "line 1, column 16: invalid type: string, expected a sequence"),
            (r#"kafka_config = "a, expected SECRET""#, "line 1, column 16: invalid type: string, expected a sequence"),
            (r#"kafka_config = [["sasl.password=SECRET"]]"#, "line 1, column 17: invalid type: sequence, expected a string"),
            (r#"listen = "SECRET""#, "line 1, column 10: invalid socket address syntax"),
            (r#"take_over_after = "SECRET""#, "line 1, column 19: invalid type: string, expected u16"),
            ("take_over_after = 5550123", "line 1, column 19: invalid value: integer, expected u16"),
        ] {
            std::fs::write(&path, text).expect("written");
            let Err(error) = read_configuration(Some(path.clone())) else { panic!("{text}: taken") };
            assert!(error.is::<Usage>(), "{text}: {error:?}");
            let told = format!("{error:?}");
            assert!(told.contains(&format!("pledger.toml, {expected}")), "{text}: {told}");
            assert!(!told.contains("SECRET") && !told.contains("5550123"), "{text}: {told}");
        }
    }
}
