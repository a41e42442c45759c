//! Encrypted connections, to a server with a certificate of our own.

use std::path::Path;

use pledger_ledger::postgres::PostgresOptions;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use sqlx::Connection as _;

use crate::{schemas::InPostgres, server::Server};

/// What signs certificates.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("signed").pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// Certificate and key of a server of this name.
    fn certificate(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([name.to_owned()]).expect("a name");
        (params.signed_by(&key, &self.issuer).expect("signed").pem(), key.serialize_pem())
    }
}

/// Has the server use a certificate from now on. The files are written by itself, so that they are its own.
fn use_certificate(home: &InPostgres, (certificate, key): &(String, String)) {
    let write = |pem: &str, file: &str| {
        let path = home.sql("SHOW data_directory").expect("a path")[0][0].clone() + "/" + file;
        let lines: Vec<_> = pem.lines().map(|line| format!("'{line}'")).collect();
        let sql = format!("COPY (SELECT unnest(ARRAY[{}])) TO PROGRAM 'umask 077; cat > {path}'", lines.join(","));
        home.sql(&sql).expect("written");
    };
    write(certificate, "server.crt");
    write(key, "server.key");
    home.sql("ALTER SYSTEM SET ssl = on").expect("altered");
    home.sql("SELECT pg_reload_conf()::text").expect("read again");
}

/// Whether a new connection is encrypted, or why there is none.
fn connect(home: &InPostgres, parameters: &str) -> Result<bool, String> {
    let options = PostgresOptions::parse(&format!("{}?{parameters}", home.url)).expect("a URL");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut connection = options.connect().await.map_err(|error| error.to_string())?;
        let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        let encrypted = sqlx::query_scalar(sql).fetch_one(&mut connection).await.map_err(|error| error.to_string())?;
        connection.close().await.map_err(|error| error.to_string())?;
        Ok(encrypted)
    })
}

/// Waits until the server took its new certificate up, which the connection's error tells.
fn wait_for(home: &InPostgres, parameters: &str, is_expected: impl Fn(&Result<bool, String>) -> bool) {
    let start = std::time::Instant::now();
    loop {
        let connected = connect(home, parameters);
        if is_expected(&connected) {
            return;
        }
        assert!(start.elapsed().as_secs() < 20, "{parameters}: {connected:?}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

pub(crate) fn a_server_is_believed_by_its_certificate_and_its_name(xtask: &Path) {
    let server = Server::up(xtask);
    let home = InPostgres::new(&server.url);
    let refused = connect(&home, "sslmode=verify-full").expect_err("it has no certificate");
    assert!(refused.contains("TLS"), "{refused}");
    let (ours, others) = (Authority::new(), Authority::new());
    let dir = tempfile::tempdir().expect("a directory");
    let file = |name: &str, pem: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, pem).expect("written");
        path.display().to_string()
    };
    let (our_file, other_file) = (file("ours.pem", &ours.pem), file("others.pem", &others.pem));
    let ours_checked = format!("sslmode=verify-full&sslrootcert={our_file}");

    use_certificate(&home, &ours.certificate("127.0.0.1"));
    wait_for(&home, &ours_checked, |connected| *connected == Ok(true));
    let refuses = |what: &'static str| move |connected: &Result<bool, String>| connected.as_ref().is_err_and(|error| error.contains(what));
    // Another authority of the same name.
    wait_for(&home, &format!("sslmode=verify-full&sslrootcert={other_file}"), refuses("BadSignature"));
    wait_for(&home, "sslmode=verify-full", refuses("UnknownIssuer"));

    // The right issuer, and somebody else's name.
    use_certificate(&home, &ours.certificate("db.example"));
    wait_for(&home, &ours_checked, refuses("not valid for name"));
    wait_for(&home, &format!("sslmode=verify-ca&sslrootcert={our_file}"), |connected| *connected == Ok(true));
}
