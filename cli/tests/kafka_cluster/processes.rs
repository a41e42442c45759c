//! Processes of one cluster, each with a directory of its own.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use pledger_ledger::kafka::{KafkaLog, KafkaOptions};
use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn pledger() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pledger"));
    command.env_remove("PLEDGER_KAFKA").env_remove("PLEDGER_POSTGRES").stdin(Stdio::null());
    command
}

/// A ledger under a prefix that nobody else has.
pub(crate) struct Cluster {
    pub(crate) brokers: String,
    pub(crate) prefix: String,
}

impl Cluster {
    /// One whose topics are not there.
    pub(crate) fn none(brokers: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_millis();
        Self { brokers: brokers.into(), prefix: format!("process-{now}-{}-{count}.", std::process::id()) }
    }

    pub(crate) fn init(brokers: &str) -> Self {
        let cluster = Self::none(brokers);
        let replicas = if brokers.contains(',') { "3" } else { "1" };
        let made = cluster.run("init", &["--replicas", replicas, "--slices", "8"]);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        cluster
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = pledger();
        command.args(verb.split(' ')).args(["--kafka", &self.brokers, "--topic-prefix", &self.prefix]);
        command
    }

    /// Runs a verb to its end.
    pub(crate) fn run(&self, verb: &str, args: &[&str]) -> Output {
        let dir = TempDir::new().expect("a directory");
        self.command(verb).args(args).arg("--data-dir").arg(dir.path()).output().expect("pledger")
    }

    /// Starts a process, and waits until it serves and is ready.
    pub(crate) fn serve(&self, args: &[&str]) -> Process {
        self.serve_in(TempDir::new().expect("a directory"), args)
    }

    pub(crate) fn serve_in(&self, dir: TempDir, args: &[&str]) -> Process {
        let process = self.begin_in(dir, args);
        until("it is ready", || process.is_ready());
        process
    }

    /// Starts a process, and waits until it says where it is, be it ready or not.
    pub(crate) fn begin_in(&self, dir: TempDir, args: &[&str]) -> Process {
        let mut child = self.server(&dir, args).spawn().expect("pledger");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let said = lines.find_map(|line| {
            let line = line.expect("text");
            let from = line.find("http://")?;
            Some(line[from..].split([' ', '/']).filter(|part| !part.is_empty()).nth(1)?.to_owned())
        });
        // What follows is read by nobody, and may not stop it.
        std::thread::spawn(move || lines.for_each(drop));
        Process { url: format!("http://{}", said.expect("it says where it serves")), child, dir: Some(dir) }
    }

    fn server(&self, dir: &TempDir, args: &[&str]) -> Command {
        let mut command = self.command("serve");
        command.args(args).args(["--listen", "127.0.0.1:0", "--data-dir"]).arg(dir.path()).stdout(Stdio::piped());
        command
    }

    /// Starts a process, tells it to stop after a while, and answers how it ended.
    pub(crate) fn serve_for(&self, while_it_starts: Duration) -> ExitStatus {
        let dir = TempDir::new().expect("a directory");
        let child = self.server(&dir, &[]).stdout(Stdio::null()).spawn().expect("pledger");
        let mut process = Process { url: String::new(), child, dir: Some(dir) };
        std::thread::sleep(while_it_starts);
        process.end()
    }

    pub(crate) fn ledger(&self) -> KafkaLog {
        KafkaLog::open(KafkaOptions { prefix: self.prefix.clone(), ..KafkaOptions::new(&self.brokers) }).expect("the ledger")
    }
}

/// A process, killed when it is dropped.
pub(crate) struct Process {
    pub(crate) url: String,
    child: Child,
    dir: Option<TempDir>,
}

impl Process {
    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().expect("kill");
        assert!(sent.success());
    }

    /// Ends it in order; answers its directory.
    pub(crate) fn stop(mut self) -> TempDir {
        assert!(self.end().success());
        self.dir.take().expect("a process has one")
    }

    fn end(&mut self) -> ExitStatus {
        self.signal("-TERM");
        until("it ends", || self.child.try_wait().expect("asked").is_some());
        self.child.wait().expect("it ended")
    }

    /// The token of whoever started it.
    pub(crate) fn token(&self) -> String {
        let dir = self.dir.as_ref().expect("a process has one");
        let announced: Value =
            serde_json::from_slice(&std::fs::read(dir.path().join("serve.json")).expect("it says where it is")).expect("JSON");
        announced["token"].as_str().expect("a token").to_owned()
    }

    pub(crate) fn is_ready(&self) -> bool {
        agent().get(format!("{}/readyz", self.url)).call().is_ok_and(|answer| answer.status() == 200)
    }

    /// A metric of its own.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = agent().get(format!("{}/metrics", self.url)).call().expect("metrics").body_mut().read_to_string().expect("text");
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).expect(name);
        line.parse().expect("a number")
    }

    /// Sends a command; answers the status and the body.
    pub(crate) fn send(&self, name: &str, payload: &Value, key: &str) -> (u16, Value) {
        let request = agent().post(format!("{}/v1/commands/{name}", self.url)).header("idempotency-key", key);
        let mut response = request.send_json(payload).expect("an answer");
        (response.status().as_u16(), response.body_mut().read_json().expect("JSON"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What asks servers. A refusal is an answer, and one that does not come is not waited for for ever.
pub(crate) fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build().into()
}

/// Waits until something is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "{what}: it never came about");
        std::thread::sleep(Duration::from_millis(20));
    }
}
