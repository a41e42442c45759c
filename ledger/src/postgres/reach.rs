//! Whether PostgreSQL takes us in: where it does not, whether it is worth waiting for.

use std::io::ErrorKind;

use sqlx::Connection as _;
use tokio::runtime::Builder;

use super::PostgresOptions;
use crate::reach::Unreached;

/// What a server answers that starts, stops, or is full: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
const PASSES: [&str; 4] = ["57P01", "57P02", "57P03", "53300"];
/// What the codes of lost connections begin with.
const CONNECTION: &str = "08";
/// What a server answers to a password that is not the user's.
const WRONG_PASSWORD: &str = "28P01";
/// Where passwords come from.
const TO_PASSWORDS: &str = "; the password is that of --postgres-password-file, else of the URL, PGPASSWORD or PGPASSFILE";

impl PostgresOptions {
    /// Connects once, and lets go of the connection. It blocks, for ten seconds at most.
    ///
    /// # Errors
    /// `Unreached`: a wrong password, an unknown database and trouble with certificates are refusals.
    pub fn reach(&self) -> Result<(), Unreached> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| Unreached::Refused(error.to_string()))?;
        runtime.block_on(async {
            let connection = self.connect().await.map_err(|error| unreached(&error))?;
            // It is there: how the connection ends says nothing about that.
            drop(connection.close().await);
            Ok(())
        })
    }
}

fn unreached(error: &sqlx::Error) -> Unreached {
    let is_away = match error {
        // A name that nobody knows yet is one, too. What is wrong with a certificate comes as invalid data.
        sqlx::Error::Io(error) => !matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::PermissionDenied),
        sqlx::Error::Database(error) => error.code().is_some_and(|code| PASSES.contains(&&*code) || code.starts_with(CONNECTION)),
        _ => false,
    };
    if is_away { Unreached::Away(said(error)) } else { Unreached::Refused(said(error)) }
}

/// What the server says, without where in its own code; and where a password that is wrong may have come from.
pub(super) fn said(error: &sqlx::Error) -> String {
    let Some(answer) = error.as_database_error() else { return error.to_string() };
    let advice = if answer.code().as_deref() == Some(WRONG_PASSWORD) { TO_PASSWORDS } else { "" };
    format!("{}{advice}", answer.message())
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::TcpListener,
        thread,
    };

    use super::*;

    /// What is made of a server that takes one client, and refuses it with this code.
    fn refused_with(code: &str) -> Unreached {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("postgres://ada@{}/prm?sslmode=disable", listener.local_addr().expect("bound"));
        let fields = format!("SFATAL\0VFATAL\0C{code}\0Mthe reason\0\0");
        let server = thread::spawn(move || {
            let (mut client, _) = listener.accept().expect("a client");
            assert!(client.read(&mut [0; 1024]).expect("it says who it is") > 0);
            let length = u32::try_from(fields.len() + 4).expect("short").to_be_bytes();
            client.write_all(&[b"E", &length[..], fields.as_bytes()].concat()).expect("it listens");
        });
        let unreached = PostgresOptions::parse(&url).expect("a URL").reach().expect_err("it is refused");
        server.join().expect("it answered");
        unreached
    }

    #[test]
    fn a_server_that_starts_or_is_full_is_waited_for_and_one_that_refuses_is_not() {
        for code in ["57P03", "57P01", "57P02", "53300", "08006"] {
            assert!(matches!(refused_with(code), Unreached::Away(reason) if reason.contains("the reason")), "{code}");
        }
        for code in ["28P01", "28000", "3D000", "42501"] {
            assert!(matches!(refused_with(code), Unreached::Refused(reason) if reason.contains("the reason")), "{code}");
        }
        assert_eq!(refused_with("28P01"), Unreached::Refused(format!("the reason{TO_PASSWORDS}")));
    }

    #[test]
    fn nobody_there_may_come() {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port();
        for host in ["127.0.0.1", "nobody.invalid"] {
            let reached = PostgresOptions::parse(&format!("postgres://ada@{host}:{port}/prm")).expect("a URL").reach();
            assert!(matches!(reached, Err(Unreached::Away(_))), "{host}: {reached:?}");
        }
    }
}
