//! What a broker and its clients need to speak SASL_SSL: an authority, a certificate, and a user with a password.

use std::fs::{OpenOptions, Permissions, set_permissions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use super::postgres::password;

/// The user that may do everything: brokers of tests have no access rules.
const USER: &str = "pledger";
/// How long certificates hold, in days.
const DAYS: &str = "2";

/// Where it all lies.
pub(super) struct Secure {
    dir: PathBuf,
}

impl Secure {
    /// That of the brokers in `dir`.
    pub(super) fn of(dir: &Path) -> Self {
        Self { dir: dir.join("secure") }
    }

    /// Makes the certificates and the client's properties; answers what makes the user when storage is formatted.
    pub(super) fn make(&self) -> anyhow::Result<String> {
        std::fs::create_dir_all(&self.dir).with_context(|| format!("creating {}", self.dir.display()))?;
        set_permissions(&self.dir, Permissions::from_mode(0o700))?;
        let [ca, ca_key, certificate, key] = ["ca.pem", "ca.key", "certificate.pem", "certificate.key"].map(|name| self.path(name));
        openssl(&["-subj", "/CN=pledger tests", "-keyout", &ca_key, "-out", &ca])?;
        let signed = ["-CA", &ca, "-CAkey", &ca_key, "-addext", "basicConstraints=critical,CA:FALSE"];
        let named = ["-subj", "/CN=broker", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", &key, "-out", &certificate];
        openssl(&[signed.as_slice(), &named].concat())?;
        // Kafka reads one file: the key, then the certificate.
        let both = [std::fs::read(&key)?, std::fs::read(&certificate)?].concat();
        std::fs::write(self.path("broker.pem"), both)?;
        let password = password()?;
        let lines = format!(
            "security.protocol=SASL_SSL\nsasl.mechanism=SCRAM-SHA-512\nsasl.username={USER}\nsasl.password={password}\nssl.ca.location={ca}\n"
        );
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(self.client())?;
        file.write_all(lines.as_bytes())?;
        Ok(format!("SCRAM-SHA-512=[name={USER},password={password}]"))
    }

    /// The properties of librdkafka that a client needs, one a line.
    pub(super) fn client(&self) -> PathBuf {
        self.dir.join("client.properties")
    }

    /// The settings of the broker's listener `SECURE`.
    pub(super) fn settings(&self) -> [(&'static str, String); 4] {
        let module = "org.apache.kafka.common.security.scram.ScramLoginModule required;";
        [
            ("listener.name.secure.sasl.enabled.mechanisms", "SCRAM-SHA-512".to_owned()),
            ("listener.name.secure.scram-sha-512.sasl.jaas.config", module.to_owned()),
            ("listener.name.secure.ssl.keystore.type", "PEM".to_owned()),
            ("listener.name.secure.ssl.keystore.location", self.path("broker.pem")),
        ]
    }

    fn path(&self, name: &str) -> String {
        self.dir.join(name).to_string_lossy().into_owned()
    }
}

/// A new key and its certificate.
fn openssl(args: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", DAYS]).args(args);
    let output = command.output().context("running openssl, which makes certificates: apt-get install openssl")?;
    ensure!(output.status.success(), "openssl made no certificate: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
