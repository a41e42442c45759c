//! Kafka brokers for the tests: one, or a cluster of three, each broker and controller in one process.

use std::env;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};

pub(crate) use super::process::Group;
use super::{KAFKA, jars, probe, process, secure::Secure};

/// How long brokers may take to answer, on a busy machine.
const TO_ANSWER: Duration = Duration::from_secs(90);
/// The file that says what was started.
const STATE: &str = "kafka.json";

/// How the brokers' virtual machines run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Jvm {
    /// Up in two seconds, in little memory; under load half as fast.
    #[default]
    SoonUp,
    /// As Kafka's own `kafka-server-start.sh` has it: what users run.
    AsShipped,
}

impl Jvm {
    fn options(self, brokers: usize) -> &'static [&'static str] {
        match self {
            Self::SoonUp if brokers == 1 => &["-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"],
            Self::SoonUp => &["-Xms256m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"],
            Self::AsShipped => &[
                "-Xms1G",
                "-Xmx1G",
                "-server",
                "-XX:+UseG1GC",
                "-XX:MaxGCPauseMillis=20",
                "-XX:InitiatingHeapOccupancyPercent=35",
                "-XX:+ExplicitGCInvokesConcurrent",
            ],
        }
    }
}

/// What was started.
#[derive(Serialize, Deserialize)]
struct Cluster {
    class_path: String,
    #[serde(default)]
    jvm: Jvm,
    brokers: Vec<Broker>,
}

#[derive(Serialize, Deserialize)]
struct Broker {
    id: u8,
    pid: u32,
    port: u16,
    controller_port: u16,
    /// Where it takes SASL_SSL, if it does.
    #[serde(default)]
    secure_port: Option<u16>,
    /// What it says of another listener, if it has one.
    #[serde(default)]
    behind: Option<Behind>,
}

/// A listener that says to be at another port, where somebody stands between a broker and its clients.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Behind {
    listens: u16,
    says: u16,
}

impl Broker {
    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn folder(&self, dir: &Path) -> PathBuf {
        dir.join(format!("broker-{}", self.id))
    }

    /// Named on its command line, which tells it from whoever gets its id later.
    fn properties(&self, dir: &Path) -> PathBuf {
        self.folder(dir).join("server.properties")
    }

    fn log(&self, dir: &Path) -> PathBuf {
        self.folder(dir).join("broker.log")
    }

    fn runs(&self, dir: &Path) -> bool {
        process::is_ours(self.pid, &self.properties(dir))
    }
}

impl Cluster {
    fn load(dir: &Path) -> anyhow::Result<Option<Self>> {
        let file = dir.join(STATE);
        if !file.exists() {
            return Ok(None);
        }
        let text = std::fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} does not say what was started", file.display())).map(Some)
    }

    fn save(&self, dir: &Path) -> anyhow::Result<()> {
        let file = dir.join(STATE);
        std::fs::write(&file, serde_json::to_vec_pretty(self)?).with_context(|| format!("writing {}", file.display()))
    }

    fn addresses(&self) -> String {
        self.brokers.iter().map(Broker::address).collect::<Vec<_>>().join(",")
    }

    /// Every broker answers, and knows all of them.
    fn wait(&self, dir: &Path) -> anyhow::Result<()> {
        let all = self.brokers.len() as u32;
        self.brokers.iter().try_for_each(|broker| {
            let knows_all = || probe::brokers(&broker.address()).is_ok_and(|known| known == all);
            let what = format!("broker {}", broker.id);
            process::wait_until(&what, &broker.log(dir), TO_ANSWER, || broker.runs(dir), knows_all)
        })
    }

    /// Starts the brokers that do not run.
    fn launch(&mut self, dir: &Path, group: Group) -> anyhow::Result<()> {
        let options = self.jvm.options(self.brokers.len());
        for at in 0..self.brokers.len() {
            let broker = &self.brokers[at];
            if broker.runs(dir) {
                continue;
            }
            let mut java = Command::new("java");
            java.args(options).args(["-cp", &self.class_path, "kafka.Kafka"]);
            let pid = process::launch(java.arg(broker.properties(dir)), &broker.log(dir), group)?;
            self.brokers[at].pid = pid;
            // One by one, so that `down` finds what was started before something failed.
            self.save(dir)?;
        }
        Ok(())
    }
}

/// Starts brokers in `dir` and waits until they answer; answers their addresses. Uses those of `PLEDGER_TEST_KAFKA` where
/// it names any.
pub(crate) fn up(dir: &Path, brokers: u8, jvm: Jvm, group: Group) -> anyhow::Result<String> {
    if let Ok(given) = env::var(KAFKA)
        && !given.is_empty()
    {
        let answers = |address: &str| probe::brokers(address).with_context(|| format!("{KAFKA} names {address}, which does not answer"));
        given.split(',').try_for_each(|address| answers(address).map(drop))?;
        return Ok(given);
    }
    bring_up(dir, brokers, jvm, &Listeners::default(), group).map(|cluster| cluster.addresses())
}

/// Brokers whose clients may come through somebody else.
pub(super) struct BehindOthers {
    pub(super) plain: String,
    /// Where whoever stands between connects to, broker by broker.
    pub(super) behind: String,
}

/// The same with a second listener each, which tells its clients to come to one of the ports `says`; never brokers that
/// somebody else started.
pub(super) fn up_behind(dir: &Path, brokers: u8, says: &[u16]) -> anyhow::Result<BehindOthers> {
    ensure!(says.len() == usize::from(brokers), "a port for each of the {brokers} brokers is needed");
    let cluster = bring_up(dir, brokers, Jvm::SoonUp, &Listeners { says: says.to_vec(), secure: None }, Group::Own)?;
    let ports = cluster.brokers.iter().filter_map(|broker| broker.behind);
    let behind = ports.map(|Behind { listens, .. }| format!("127.0.0.1:{listens}")).collect::<Vec<_>>().join(",");
    Ok(BehindOthers { plain: cluster.addresses(), behind })
}

/// The listeners that brokers have besides the plain one.
#[derive(Default)]
struct Listeners {
    secure: Option<Secure>,
    /// Of each broker, where its other listener says to be.
    says: Vec<u16>,
}

/// Brokers with a second listener.
pub(super) struct SecureBrokers {
    pub(super) plain: String,
    /// Where they take SASL_SSL.
    pub(super) secure: String,
    /// The file with what clients need for it.
    pub(super) client: PathBuf,
}

/// The same with listeners for SASL_SSL, never brokers that somebody else started.
pub(super) fn up_secure(dir: &Path, brokers: u8) -> anyhow::Result<SecureBrokers> {
    let cluster = bring_up(dir, brokers, Jvm::SoonUp, &Listeners { secure: Some(Secure::of(dir)), says: Vec::new() }, Group::Own)?;
    let ports = cluster.brokers.iter().filter_map(|broker| broker.secure_port);
    let addresses = ports.map(|port| format!("127.0.0.1:{port}")).collect::<Vec<_>>().join(",");
    Ok(SecureBrokers { plain: cluster.addresses(), secure: addresses, client: Secure::of(dir).client() })
}

fn bring_up(dir: &Path, brokers: u8, jvm: Jvm, listeners: &Listeners, group: Group) -> anyhow::Result<Cluster> {
    ensure!(brokers != 2, "one broker or three: two cannot outvote one that fell silent");
    if let Some(cluster) = Cluster::load(dir)? {
        if cluster.brokers.iter().any(|broker| broker.runs(dir)) {
            bail!("already up: {KAFKA}={}; `cargo xtask kafka down` stops it", cluster.addresses());
        }
        std::fs::remove_dir_all(dir).with_context(|| format!("clearing {}", dir.display()))?;
    }
    let started = set_up(dir, brokers, jvm, listeners).and_then(|mut cluster| {
        cluster.launch(dir, group)?;
        cluster.wait(dir)?;
        Ok(cluster)
    });
    if started.is_err() {
        // The error says why; what runs all the same is not left behind.
        drop(down(dir));
    }
    started
}

/// Writes the configuration of every broker and formats its storage.
fn set_up(dir: &Path, count: u8, jvm: Jvm, listeners: &Listeners) -> anyhow::Result<Cluster> {
    let class_path = jars::class_path()?;
    let ports = process::free_ports(4 * usize::from(count))?;
    let broker = |(id, ports): (u8, &[u16])| Broker {
        id,
        pid: 0,
        port: ports[0],
        controller_port: ports[1],
        secure_port: listeners.secure.as_ref().map(|_| ports[2]),
        behind: listeners.says.get(usize::from(id) - 1).map(|says| Behind { listens: ports[3], says: *says }),
    };
    let cluster = Cluster { class_path, jvm, brokers: (1..=count).zip(ports.chunks(4)).map(broker).collect() };
    let user = listeners.secure.as_ref().map(Secure::make).transpose()?;
    let users: Vec<_> = user.iter().flat_map(|user| ["--add-scram", user]).collect();
    let id = storage_tool(&cluster.class_path, &["random-uuid"])?;
    for broker in &cluster.brokers {
        std::fs::create_dir_all(broker.folder(dir)).with_context(|| format!("creating {}", broker.folder(dir).display()))?;
        let file = broker.properties(dir);
        std::fs::write(&file, properties(&cluster, broker, dir)).with_context(|| format!("writing {}", file.display()))?;
        storage_tool(&cluster.class_path, &[&["format", "-t", id.trim(), "-c", &file.to_string_lossy()], users.as_slice()].concat())?;
    }
    cluster.save(dir)?;
    Ok(cluster)
}

fn storage_tool(class_path: &str, args: &[&str]) -> anyhow::Result<String> {
    let mut java = Command::new("java");
    java.args(["-XX:TieredStopAtLevel=1", "-cp", class_path, "kafka.tools.StorageTool"]).args(args);
    let output = java.output().context("running Kafka's StorageTool")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "Kafka's StorageTool failed: {said}{}", String::from_utf8_lossy(&output.stderr));
    Ok(said)
}

/// The configuration of one broker.
fn properties(cluster: &Cluster, broker: &Broker, dir: &Path) -> String {
    let voter = |broker: &Broker| format!("{}@127.0.0.1:{}", broker.id, broker.controller_port);
    let voters = cluster.brokers.iter().map(voter).collect::<Vec<_>>().join(",");
    let (replicas, in_sync) = if cluster.brokers.len() == 3 { ("3", "2") } else { ("1", "1") };
    let data = broker.folder(dir).join("data").to_string_lossy().into_owned();
    let secure = broker.secure_port.map(|port| format!(",SECURE://127.0.0.1:{port}")).unwrap_or_default();
    let [behind, says] = [|behind: Behind| behind.listens, |behind: Behind| behind.says]
        .map(|port| broker.behind.map(|behind| format!(",BEHIND://127.0.0.1:{}", port(behind))).unwrap_or_default());
    let listeners = format!("PLAINTEXT://{}{secure}", broker.address());
    let settings: [(&str, &str); 25] = [
        ("process.roles", "broker,controller"),
        ("node.id", &broker.id.to_string()),
        ("controller.quorum.voters", &voters),
        ("listeners", &format!("{listeners}{behind},CONTROLLER://127.0.0.1:{}", broker.controller_port)),
        ("advertised.listeners", &format!("{listeners}{says}")),
        ("controller.listener.names", "CONTROLLER"),
        ("inter.broker.listener.name", "PLAINTEXT"),
        ("listener.security.protocol.map", "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,BEHIND:PLAINTEXT,SECURE:SASL_SSL"),
        ("log.dirs", &data),
        ("auto.create.topics.enable", "false"),
        ("default.replication.factor", replicas),
        ("min.insync.replicas", in_sync),
        ("offsets.topic.replication.factor", replicas),
        ("offsets.topic.num.partitions", "4"),
        ("transaction.state.log.replication.factor", replicas),
        ("transaction.state.log.min.isr", in_sync),
        ("transaction.state.log.num.partitions", "4"),
        ("group.initial.rebalance.delay.ms", "0"),
        // A member may be silent for 6 s by default at least, too long for tests.
        ("group.min.session.timeout.ms", "1000"),
        // How long a broker may be silent before it counts as lost: 9 s by default, too long for tests.
        ("broker.session.timeout.ms", "3000"),
        ("broker.heartbeat.interval.ms", "500"),
        // 128 MB by default, which does not fit into a small heap.
        ("log.cleaner.dedupe.buffer.size", "4194304"),
        ("num.network.threads", "2"),
        ("num.io.threads", "4"),
        ("controlled.shutdown.enable", "false"),
    ];
    let mut text = String::new();
    for (name, value) in settings {
        writeln!(text, "{name}={value}").expect("a string takes any text");
    }
    if broker.secure_port.is_some() {
        for (name, value) in Secure::of(dir).settings() {
            writeln!(text, "{name}={value}").expect("a string takes any text");
        }
    }
    text
}

/// Stops the brokers that were started in `dir` and removes it.
pub(crate) fn down(dir: &Path) -> anyhow::Result<()> {
    let Some(cluster) = Cluster::load(dir)? else { return Ok(()) };
    for broker in &cluster.brokers {
        process::end(broker.pid, &broker.properties(dir))?;
    }
    std::fs::remove_dir_all(dir).with_context(|| format!("removing {}", dir.display()))
}

/// Kills a broker as a crash would.
pub(crate) fn kill(dir: &Path, id: u8) -> anyhow::Result<()> {
    let cluster = running(dir)?;
    let broker = cluster.brokers.iter().find(|broker| broker.id == id).with_context(|| format!("there is no broker {id}"))?;
    ensure!(broker.runs(dir), "broker {id} does not run");
    process::end(broker.pid, &broker.properties(dir))
}

/// Starts what was killed.
pub(crate) fn start(dir: &Path) -> anyhow::Result<()> {
    let mut cluster = running(dir)?;
    cluster.launch(dir, Group::Own)?;
    cluster.wait(dir)
}

fn running(dir: &Path) -> anyhow::Result<Cluster> {
    Cluster::load(dir)?.with_context(|| format!("no Kafka was started in {}: `cargo xtask kafka up`", dir.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(count: u8) -> Cluster {
        let (port, controller_port) = (|id: u8| 9090 + u16::from(id), |id: u8| 9190 + u16::from(id));
        let broker = |id| Broker { id, pid: 0, port: port(id), controller_port: controller_port(id), secure_port: None, behind: None };
        Cluster { class_path: String::new(), jvm: Jvm::default(), brokers: (1..=count).map(broker).collect() }
    }

    fn settings(count: u8) -> String {
        let cluster = cluster(count);
        properties(&cluster, &cluster.brokers[usize::from(count) - 1], Path::new("/scratch"))
    }

    #[test]
    fn one_broker_votes_and_replicates_alone() {
        let text = settings(1);
        for line in [
            "controller.quorum.voters=1@127.0.0.1:9191",
            "listeners=PLAINTEXT://127.0.0.1:9091,CONTROLLER://127.0.0.1:9191",
            "log.dirs=/scratch/broker-1/data",
            "offsets.topic.replication.factor=1",
            "min.insync.replicas=1",
            "broker.session.timeout.ms=3000",
        ] {
            assert!(text.lines().any(|known| known == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn three_know_each_other_and_keep_every_record_thrice() {
        let text = settings(3);
        for line in [
            "node.id=3",
            "controller.quorum.voters=1@127.0.0.1:9191,2@127.0.0.1:9192,3@127.0.0.1:9193",
            "default.replication.factor=3",
            "offsets.topic.replication.factor=3",
            "transaction.state.log.min.isr=2",
            "min.insync.replicas=2",
        ] {
            assert!(text.lines().any(|known| known == line), "{line} in\n{text}");
        }
        assert_eq!(cluster(3).addresses(), "127.0.0.1:9091,127.0.0.1:9092,127.0.0.1:9093");
    }

    #[test]
    fn a_second_listener_takes_passwords_over_tls_only() {
        let mut cluster = cluster(1);
        assert!(!settings(1).contains("SECURE:/"));
        cluster.brokers[0].secure_port = Some(9291);
        let text = properties(&cluster, &cluster.brokers[0], Path::new("/scratch"));
        for line in [
            "listeners=PLAINTEXT://127.0.0.1:9091,SECURE://127.0.0.1:9291,CONTROLLER://127.0.0.1:9191",
            "advertised.listeners=PLAINTEXT://127.0.0.1:9091,SECURE://127.0.0.1:9291",
            "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,BEHIND:PLAINTEXT,SECURE:SASL_SSL",
            "listener.name.secure.sasl.enabled.mechanisms=SCRAM-SHA-512",
            "listener.name.secure.ssl.keystore.location=/scratch/secure/broker.pem",
        ] {
            assert!(text.lines().any(|known| known == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn who_stands_between_is_where_clients_are_sent_to() {
        let mut cluster = cluster(1);
        cluster.brokers[0].behind = Some(Behind { listens: 9391, says: 9491 });
        let text = properties(&cluster, &cluster.brokers[0], Path::new("/scratch"));
        for line in [
            "listeners=PLAINTEXT://127.0.0.1:9091,BEHIND://127.0.0.1:9391,CONTROLLER://127.0.0.1:9191",
            "advertised.listeners=PLAINTEXT://127.0.0.1:9091,BEHIND://127.0.0.1:9491",
        ] {
            assert!(text.lines().any(|known| known == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn what_was_never_started_is_down_already_and_cannot_be_killed() {
        let dir = Path::new("/scratch/of/nobody");
        down(dir).expect("nothing to do");
        assert_eq!(
            kill(dir, 1).expect_err("nothing runs").to_string(),
            "no Kafka was started in /scratch/of/nobody: `cargo xtask kafka up`"
        );
    }
}
