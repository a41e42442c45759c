//! How PostgreSQL is reached.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{
    ConnectOptions, Connection as _, PgConnection,
    postgres::{PgConnectOptions, PgSslMode},
};

/// The schema that read models are shown in, where nothing else is asked for. Others are named after it.
pub const DEFAULT_SCHEMA: &str = "pledger";
/// A schema's name leaves room for what is put behind it: PostgreSQL cuts names at 63 bytes.
const MAX_SCHEMA: usize = 40;
/// How long connecting may take.
const TO_CONNECT: Duration = Duration::from_secs(10);
/// How long the server lets a statement run, and one wait for a lock: nothing of ours takes nearly as long.
const LIMITS: [(&str, &str); 3] = [("statement_timeout", "300s"), ("lock_timeout", "20s"), ("idle_in_transaction_session_timeout", "300s")];
/// What a URL may say after its question mark.
const PARAMETERS: [&str; 19] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
    "schema",
];

/// Why PostgreSQL cannot be reached as it was asked to. No message holds a password.
#[derive(Debug, thiserror::Error)]
pub enum PostgresOptionsError {
    /// It is no URL of PostgreSQL.
    #[error("the URL of PostgreSQL cannot be read ({0}); expected postgres://USER@HOST:PORT/DATABASE?sslmode=verify-full&sslrootcert=FILE")]
    Url(String),
    /// The schema's name is none that we take.
    #[error("{0:?} is no schema of read models; expected up to {MAX_SCHEMA} of a-z, 0-9 and _, beginning with a letter, and not with pg_")]
    Schema(String),
    /// The file with the password cannot be read.
    #[error("the password cannot be read from {path}")]
    PasswordFile {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// How PostgreSQL is reached, and the schema that read models are shown in. `Debug` and `Display` show no password.
#[derive(Clone)]
pub struct PostgresOptions {
    connect: PgConnectOptions,
    schema: String,
}

impl PostgresOptions {
    /// Reads a URL: `postgres://USER@HOST:PORT/DATABASE`, with `sslmode`, `sslrootcert` and what else libpq knows behind a
    /// question mark, and `schema`. What it leaves out comes from `PGHOST`, `PGPASSWORD`, `PGPASSFILE` and the like.
    ///
    /// # Errors
    /// `PostgresOptionsError`.
    pub fn parse(url: &str) -> Result<Self, PostgresOptionsError> {
        let wrong = |what: &str| PostgresOptionsError::Url(what.to_owned());
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(wrong("it does not begin with postgres://"));
        }
        let (base, parameters) = url.split_once('?').unwrap_or((url, ""));
        let (mut kept, mut schema) = (Vec::new(), DEFAULT_SCHEMA.to_owned());
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            // The driver would tell the log of one that it does not know, with its value.
            if !PARAMETERS.contains(&name) && !name.starts_with("options[") {
                return Err(PostgresOptionsError::Url(format!("there is no parameter {name}")));
            }
            if name == "schema" { value.clone_into(&mut schema) } else { kept.push(parameter) }
        }
        let url = format!("{base}?{}", kept.join("&"));
        // What the driver says of a URL may quote it.
        let connect: PgConnectOptions = url.parse().map_err(|error| match error {
            sqlx::Error::Configuration(cause) if kept.is_empty() => PostgresOptionsError::Url(cause.to_string()),
            _ => wrong("one of its parts"),
        })?;
        let connect = connect.options(LIMITS).application_name("pledger").disable_statement_logging();
        Self { connect, schema: String::new() }.with_schema(&schema)
    }

    /// The same with the password that a file holds, without the line's end.
    ///
    /// # Errors
    /// `PostgresOptionsError::PasswordFile`.
    pub fn with_password_file(self, path: &Path) -> Result<Self, PostgresOptionsError> {
        let password =
            std::fs::read_to_string(path).map_err(|source| PostgresOptionsError::PasswordFile { path: path.to_owned(), source })?;
        Ok(Self { connect: self.connect.password(password.trim_end_matches(['\r', '\n'])), ..self })
    }

    /// The same with another schema.
    ///
    /// # Errors
    /// `PostgresOptionsError::Schema`.
    pub fn with_schema(self, schema: &str) -> Result<Self, PostgresOptionsError> {
        let is_legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let begins = schema.starts_with(|c: char| c.is_ascii_lowercase()) && !schema.starts_with("pg_");
        if !begins || schema.len() > MAX_SCHEMA || !schema.chars().all(is_legal) {
            return Err(PostgresOptionsError::Schema(schema.to_owned()));
        }
        Ok(Self { schema: schema.to_owned(), ..self })
    }

    /// The schema that read models are shown in. It needs no quotes.
    #[must_use]
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// Whether what is sent cannot be read or answered by somebody between: it is encrypted to a server whose name was
    /// checked, or does not leave this machine.
    #[must_use]
    pub fn is_private(&self) -> bool {
        let host = self.connect.get_host();
        let is_here = self.connect.get_socket().is_some() || host.starts_with('/') || matches!(host, "localhost" | "127.0.0.1" | "::1");
        is_here || matches!(self.connect.get_ssl_mode(), PgSslMode::VerifyFull)
    }

    /// A new connection.
    ///
    /// # Errors
    /// `sqlx::Error`, also where connecting takes longer than ten seconds.
    pub async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let connected = tokio::time::timeout(TO_CONNECT, PgConnection::connect_with(&self.connect)).await;
        connected.unwrap_or_else(|_| Err(std::io::Error::new(std::io::ErrorKind::TimedOut, "it does not answer").into()))
    }
}

impl fmt::Display for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let connect = &self.connect;
        write!(f, "postgres://{}@", connect.get_username())?;
        match connect.get_socket() {
            Some(socket) => write!(f, "{}", socket.display())?,
            None => write!(f, "{}:{}", connect.get_host(), connect.get_port())?,
        }
        write!(f, "/{}, schema {}", connect.get_database().unwrap_or(connect.get_username()), self.schema)
    }
}

impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresOptions({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "hunter2AndMore";

    #[test]
    fn no_password_is_shown() {
        let options = PostgresOptions::parse(&format!("postgres://ada:{SECRET}@db.example:5433/prm?sslmode=verify-full")).expect("a URL");
        assert_eq!(options.to_string(), "postgres://ada@db.example:5433/prm, schema pledger");
        assert_eq!(format!("{options:?}"), "PostgresOptions(postgres://ada@db.example:5433/prm, schema pledger)");
        let wrong = [
            format!("mysql://ada:{SECRET}@db.example"),
            format!("postgres://ada:{SECRET}@db.example:port/prm"),
            format!("postgres://ada:{SECRET}@[db"),
            format!("postgres://db.example?passwort={SECRET}"),
            format!("postgres://db.example?sslmode={SECRET}"),
            format!("postgres://db.example?port={SECRET}"),
        ];
        for url in wrong {
            let error = PostgresOptions::parse(&url).expect_err(&url);
            let all = format!("{error} {error:?}");
            assert!(!all.contains(SECRET), "{all}");
        }
    }

    #[test]
    fn a_schema_is_a_plain_name() {
        let of = |url: &str| PostgresOptions::parse(url).map(|options| options.schema().to_owned()).ok();
        assert_eq!(of("postgres://db"), Some("pledger".into()));
        assert_eq!(of("postgres://db?schema=emea_2&sslmode=disable"), Some("emea_2".into()));
        for schema in ["", "Emea", "2emea", "pg_x", "a-b", "a;b", "a\"b", &"a".repeat(41)] {
            assert_eq!(of(&format!("postgres://db?schema={schema}")), None, "{schema:?}");
        }
    }

    #[test]
    fn what_leaves_the_machine_unchecked_is_not_private() {
        for (url, private) in [
            ("postgres://127.0.0.1", true),
            ("postgres://localhost?sslmode=disable", true),
            ("postgres://db.example?sslmode=verify-full", true),
            ("postgres://db.example?sslmode=require", false),
            ("postgres://db.example", false),
        ] {
            assert_eq!(PostgresOptions::parse(url).expect(url).is_private(), private, "{url}");
        }
    }

    #[test]
    fn a_password_comes_from_a_file() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), format!("{SECRET}\n")).expect("written");
        let options = PostgresOptions::parse("postgres://ada@db.example").expect("a URL").with_password_file(file.path()).expect("read");
        assert!(options.connect.to_url_lossy().as_str().contains(&format!(":{SECRET}@")));
        let missing = PostgresOptions::parse("postgres://db").expect("a URL").with_password_file(Path::new("/nowhere"));
        assert_eq!(missing.expect_err("it is not there").to_string(), "the password cannot be read from /nowhere");
    }
}
