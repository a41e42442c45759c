//! A process that is started before those that it stands on waits for them, and says so; what no waiting mends ends it.

use std::{
    net::{TcpListener, TcpStream},
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::Output,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    processes::{Cluster, Process, agent, until},
    server::Server,
};

/// How soon a process says what is wrong.
const TOLD: Duration = Duration::from_secs(15);

/// Its number, everywhere.
const SIGTERM: i32 = 15;

fn directory() -> TempDir {
    TempDir::new().expect("a directory")
}

fn broker() -> String {
    std::env::var("PLEDGER_TEST_KAFKA").expect("left out where it is not there")
}

/// The status of an answer, after how many seconds to ask again, and the body.
fn ask(process: &Process, path: &str) -> (u16, Option<String>, Value) {
    let mut response = agent().get(format!("{}{path}", process.url)).call().expect("an answer");
    let again = response.headers().get("retry-after").map(|seconds| seconds.to_str().expect("text").to_owned());
    (response.status().as_u16(), again, response.body_mut().read_json().expect("JSON"))
}

/// It is alive, not ready, and says whom it waits for.
fn waits_for(process: &Process, whom: &str) {
    assert_eq!(ask(process, "/healthz").0, 200);
    for path in ["/readyz", "/v1/deals", "/v1/commands/RegisterPartner"] {
        let (status, again, body) = ask(process, path);
        assert_eq!((status, again.is_some()), (503, true), "{path}: {body}");
        let reason = body["detail"].as_str().expect("a reason");
        assert!(reason.contains(&format!("waiting for {whom}")), "{path}: {reason}");
    }
}

fn works(process: &Process) {
    // Who comes just when the waiting is over may be hung up on.
    until("it is ready", || process.is_ready());
    let partner = json!({"partner_id": "p-1", "name": "Nordwind", "roles": ["reseller"]});
    let (status, decided) = process.send("RegisterPartner", &partner, "p-1");
    assert_eq!(status, 200, "{decided}");
}

pub(crate) fn a_database_that_is_away_at_the_start_is_waited_for(xtask: &str) {
    let server = Server::up(Path::new(xtask));
    let cluster = Cluster::init(&broker());
    refusals(&cluster, &server.url);
    server.kill();
    let [first, second] = [(); 2].map(|()| cluster.begin_in(directory(), &["--postgres", &server.url]));
    let host = server.url.rsplit_once('@').expect("a user before the host").1.to_owned();
    for process in [&first, &second] {
        waits_for(process, &format!("PostgreSQL at postgres://pledger@{host}"));
    }
    // Nothing was begun: it ends at once, and in order.
    drop(second.stop());
    server.start();
    works(&first);
    drop(first.stop());
}

/// A wrong password, a database that is not there and a server without certificates are not waited for.
fn refusals(cluster: &Cluster, url: &str) {
    let (user, host) = url.rsplit_once('@').expect("a user before the host");
    let name = user.rsplit_once(':').expect("a password").0;
    let server = host.rsplit_once('/').expect("a database").0;
    for (url, what) in [
        (format!("{name}:wrong@{host}"), "password authentication failed"),
        (format!("{user}@{server}/nowhere"), "database \"nowhere\" does not exist"),
        (format!("{url}?sslmode=require"), "TLS"),
    ] {
        let begun = Instant::now();
        let refused: Output = cluster.run("serve", &["--postgres", &url, "--listen", "127.0.0.1:0"]);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(refused.status.code() == Some(1) && said.contains(what) && said.contains("PostgreSQL at "), "{what}: {said}");
        assert!(begun.elapsed() < TOLD, "{:?}", begun.elapsed());
    }
}

pub(crate) fn a_broker_that_is_away_at_the_start_is_waited_for(broker: &str) {
    let cluster = Cluster::init(broker);
    // Nobody listens until it is listened on; clients are told there where the broker is.
    let gate = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").to_string();
    let away = Cluster { brokers: gate.clone(), prefix: cluster.prefix };
    let process = away.begin_in(directory(), &[]);
    waits_for(&process, &format!("Kafka at {gate}"));
    let (listener, broker) = (TcpListener::bind(&gate).expect("it is free still"), broker.to_owned());
    thread::spawn(move || listener.incoming().for_each(|client| carry(&client.expect("a client"), &broker)));
    works(&process);
    drop(process.stop());
}

/// How long after one another processes are told to stop, and how many are: the last of them serve by then, on a quiet machine.
const APART: Duration = Duration::from_millis(250);
const TOLD_TO_STOP: u32 = 8;

pub(crate) fn who_is_told_to_stop_while_it_starts_ends(broker: &str) {
    let cluster = &Cluster::init(broker);
    thread::scope(|scope| {
        for nth in 0..TOLD_TO_STOP {
            scope.spawn(move || {
                let ended = cluster.serve_for(APART * nth);
                // Before it listens a signal ends it as it does any program.
                assert!(ended.success() || ended.signal() == Some(SIGTERM), "{ended} after {nth} x {APART:?}");
            });
        }
    });
}

/// Carries what a client and a broker say to each other.
fn carry(client: &TcpStream, broker: &str) {
    let server = TcpStream::connect(broker.split(',').next().expect("a broker")).expect("it is there");
    for (from, to) in [(client, &server), (&server, client)] {
        let [mut from, mut to] = [from, to].map(|stream| stream.try_clone().expect("a socket"));
        // Whoever is gone is gone for both.
        thread::spawn(move || drop(std::io::copy(&mut from, &mut to)));
    }
}
