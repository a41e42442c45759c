//! Brokers that take nobody without a password, and prove who they are.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    load::{open, under_load},
    processes::{Cluster, agent, until},
    told::more,
};

/// A password that nobody has, which must not be shown any more than the right one.
const WRONG: &str = "hush-wrong-word";
/// How soon a process says what is wrong.
const TOLD: Duration = Duration::from_secs(15);

/// A broker of our own, with a listener for SASL_SSL and SCRAM-SHA-512.
struct Broker {
    xtask: PathBuf,
    dir: TempDir,
    address: String,
    /// The file with what a client needs.
    client: String,
}

impl Broker {
    fn up(xtask: &Path) -> Self {
        let dir = TempDir::new().expect("a directory");
        let mut broker = Self { xtask: xtask.to_owned(), dir, address: String::new(), client: String::new() };
        let up = broker.command("up").arg("--secure").output().expect("xtask");
        assert!(up.status.success(), "kafka up failed");
        let said = String::from_utf8(up.stdout).expect("text");
        let value = |name: &str| said.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).expect(name).to_owned();
        (broker.address, broker.client) = (value("PLEDGER_TEST_KAFKA_SECURE"), value("PLEDGER_TEST_KAFKA_SECURE_CONFIG"));
        broker
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.xtask);
        command.args(["kafka", verb, "--dir"]).arg(self.dir.path().join("kafka")).env_remove("PLEDGER_TEST_KAFKA").stderr(Stdio::inherit());
        command
    }

    /// The client's properties with every line changed, or left out; answers how to name them.
    fn properties(&self, name: &str, change: impl Fn(&str) -> Option<String>) -> String {
        let (file, text) = (self.dir.path().join(name), fs::read_to_string(&self.client).expect("properties"));
        fs::write(&file, text.lines().filter_map(change).collect::<Vec<_>>().join("\n")).expect("written");
        format!("@{}", file.display())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if !self.command("down").status().is_ok_and(|status| status.success()) {
            eprintln!("the broker in {} was not taken down", self.dir.path().display());
        }
    }
}

/// Everything that a process said, in which no password stands.
fn said(output: &Output, password: &str) -> String {
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!text.contains(password) && !text.contains(WRONG), "a password is shown");
    text
}

pub(crate) fn a_client_needs_a_password_and_a_known_authority(xtask: &str) {
    let broker = Broker::up(Path::new(xtask));
    let text = fs::read_to_string(&broker.client).expect("properties");
    let password = text.lines().find_map(|line| line.strip_prefix("sasl.password=")).expect("a password");
    let cluster = Cluster::none(&broker.address);

    let right = ["--kafka-config", &format!("@{}", broker.client)];
    let made = cluster.run("init", &[&right[..], &["--replicas", "1", "--slices", "8", "-vvv"]].concat());
    assert!(made.status.success(), "{}", said(&made, password));
    said(&made, password);
    let process = cluster.serve(&right);
    open(&process);
    let told = under_load(&process, |told| more(told, 30));
    assert!(told.count() >= 30);
    drop(process.stop());

    let wrong = broker.properties("wrong", |line| {
        Some(if line.starts_with("sasl.password=") { format!("sasl.password={WRONG}") } else { line.to_owned() })
    });
    // Without a file of authorities those of the system count, and ours is none.
    let unknown = broker.properties("unknown", |line| (!line.starts_with("ssl.ca.location=")).then(|| line.to_owned()));
    for (properties, what) in [(&wrong, "Authentication failed"), (&unknown, "certificate verify failed")] {
        for verb in ["serve", "init"] {
            let begun = Instant::now();
            let refused = cluster.run(verb, &["--kafka-config", properties, "-vvv"]);
            let text = said(&refused, password);
            assert_eq!(refused.status.code(), Some(1), "{text}");
            assert!(text.contains("does not let pledger in") && text.contains(what), "{what}: {text}");
            assert!(begun.elapsed() < TOLD, "{:?}", begun.elapsed());
        }
    }

    // A broker that goes away is told, also by a process that has nothing to do.
    let idle = cluster.serve(&right);
    assert!(broker.command("kill").status().expect("xtask").success());
    let reason = || agent().get(format!("{}/readyz", idle.url)).call().expect("an answer").body_mut().read_to_string().expect("text");
    until("it is told", || reason().contains(&format!("kafka: Kafka at {} does not answer", broker.address)));
}
