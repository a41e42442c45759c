//! Three brokers and a database that are killed and come back.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread::JoinHandle,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{processes::until, proxy::Network};

/// How many brokers there are.
pub(crate) const BROKERS: u8 = 3;

/// All of them, taken down when they are dropped.
pub(crate) struct Services {
    xtask: PathBuf,
    dir: TempDir,
    /// Where the brokers are.
    pub(crate) brokers: String,
    /// The way to them for those who go through a network that breaks.
    pub(crate) network: Network,
    /// Where the database is.
    pub(crate) postgres: String,
}

impl Services {
    pub(crate) fn up(xtask: &Path) -> Self {
        let (dir, network) = (TempDir::new().expect("a directory"), Network::new(BROKERS));
        let mut services = Self { xtask: xtask.to_owned(), dir, brokers: String::new(), network, postgres: String::new() };
        // The database's own user has to get to its folder, which lies in ours.
        let open = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o711);
        std::fs::set_permissions(services.dir.path(), open).expect("our own folder");
        let said = services.run("kafka", "up", &["--brokers", &BROKERS.to_string(), "--behind", &services.network.ports()]);
        let value =
            |said: &str, name: &str| said.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).expect(name).to_owned();
        services.brokers = value(&said, "PLEDGER_TEST_KAFKA");
        services.network.open(&value(&said, "PLEDGER_TEST_KAFKA_BEHIND"));
        services.postgres = value(&services.run("postgres", "up", &[]), "PLEDGER_TEST_POSTGRES");
        services
    }

    fn command(&self, service: &str, verb: &str) -> Command {
        let mut command = Command::new(&self.xtask);
        command.args([service, verb, "--dir"]).arg(self.dir.path().join(service)).stderr(Stdio::inherit());
        // Those belong to everybody.
        command.env_remove("PLEDGER_TEST_KAFKA").env_remove("PLEDGER_TEST_POSTGRES");
        command
    }

    fn run(&self, service: &str, verb: &str, args: &[&str]) -> String {
        let output = self.command(service, verb).args(args).output().expect("xtask");
        assert!(output.status.success(), "{service} {verb} failed");
        String::from_utf8(output.stdout).expect("text")
    }

    /// As by `kill -9`.
    pub(crate) fn kill_broker(&self, number: u8) {
        self.run("kafka", "kill", &[&number.to_string()]);
    }

    /// Starts what was killed, and waits until it has all that the others have: a second one may be lost then.
    pub(crate) fn start_brokers(&self) {
        self.run("kafka", "start", &[]);
        until("all replicas are in sync", || self.is_in_sync());
    }

    fn is_in_sync(&self) -> bool {
        let output = Command::new("kcat").args(["-L", "-J", "-b", &self.brokers]).output().expect("kcat");
        let known: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let topics = known["topics"].as_array().into_iter().flatten();
        let mut partitions = topics.filter_map(|topic| topic["partitions"].as_array()).flatten().peekable();
        let count = |partition: &Value, of: &str| partition[of].as_array().map_or(0, Vec::len);
        partitions.peek().is_some() && partitions.all(|partition| count(partition, "isrs") == count(partition, "replicas"))
    }

    /// As by `kill -9`; what is done is joined with when it is back.
    pub(crate) fn kill_postgres(&self) -> JoinHandle<()> {
        self.run("postgres", "kill", &[]);
        let mut start = self.command("postgres", "start");
        std::thread::spawn(move || {
            // Long enough for everybody to notice.
            std::thread::sleep(std::time::Duration::from_secs(2));
            assert!(start.status().expect("xtask").success(), "postgres start failed");
        })
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        for service in ["kafka", "postgres"] {
            if !self.command(service, "down").status().is_ok_and(|status| status.success()) {
                eprintln!("{service} in {} was not taken down", self.dir.path().display());
            }
        }
    }
}
