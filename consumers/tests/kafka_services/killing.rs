//! Ingest that is killed, as by `kill -9`, and ingest that is not alone: every event is decided once, in its stream's order.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    clients::structured,
    home::{Home, PATIENCE, Told, decisions, ingest, options, with_ledger},
    starting::start,
};

/// What this program is called with to be the one that is killed.
pub(crate) const VERB: &str = "ingest-until-killed";
/// How many events are sent, about how many accounts, and how often ingest is killed meanwhile.
const EVENTS: usize = 6_000;
const ACCOUNTS: usize = 97;
const KILLS: usize = 2;

/// Numbered events, those of an account in one partition.
fn load() -> Vec<Value> {
    let event = |n: usize| {
        let account = n % ACCOUNTS;
        let payload = json!({"touchpoint_id": format!("t-{n}"), "account": format!("a{account}.com"), "kind": "webinar",
                             "occurred_at": "2026-03-01T00:00:00Z"});
        structured(account % 8, "RecordTouchpoint", &format!("e-{n}"), None, payload)
    };
    (0..EVENTS).map(event).collect()
}

/// Every event once, and those of an account in the order they were sent.
fn check(told: &[Told]) {
    let mut numbers: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for told in told {
        assert!(told.accepted, "{told:?}");
        let number = told.key.strip_prefix("e-").and_then(|number| number.parse().ok()).expect("a number");
        numbers.entry(&told.stream).or_default().push(number);
    }
    assert_eq!(told.len(), EVENTS, "each was decided once");
    assert_eq!(numbers.len(), ACCOUNTS);
    for (stream, numbers) in numbers {
        assert!(numbers.is_sorted_by(|a, b| a < b), "{stream}: {numbers:?}");
    }
}

pub(crate) fn killed_under_load_it_loses_and_doubles_nothing(home: &Home) {
    with_ledger(home.dir.path());
    let clients = home.clients.clone();
    let inbox = home.topic("inbox");
    let sending = std::thread::spawn(move || clients.python_produces(&inbox, &load()));
    let mut before = 0;
    for life in 1..=KILLS {
        let mut child = Killed::start(home);
        // It works on the second part of the load when the last one starts.
        let decided = child.until(before + EVENTS / (KILLS + 2));
        child.kill();
        assert!(decided < EVENTS, "life {life} was killed in the middle of it");
        before = decided;
    }
    sending.join().expect("sent");
    let mut last = Killed::start(home);
    last.until(EVENTS);
    last.kill();
    let running = start(home.dir.path());
    check(&decisions(&running));
    running.stop();
    assert!(home.letters().all().expect("letters").is_empty());
}

struct Killed {
    child: Child,
    lines: std::sync::mpsc::Receiver<usize>,
}

impl Killed {
    fn start(home: &Home) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.arg(VERB).arg(home.dir.path()).args([&home.options.brokers, &home.options.prefix]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("a program");
        let reader = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in reader.lines().map_while(Result::ok) {
                let Ok(number) = line.parse() else { continue };
                if sender.send(number).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// Waits until so many decisions are in the ledger; answers how many there are.
    fn until(&self, count: usize) -> usize {
        let until = Instant::now() + 2 * PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let decided = self.lines.recv_timeout(left).expect("it goes on");
            if decided >= count {
                return decided;
            }
        }
    }

    fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Says again and again how many events were decided.
pub(crate) fn ingest_until_killed(dir: &Path, brokers: &str, prefix: &str) {
    let running = start(dir);
    let (before, mut out) = (decisions(&running).len(), std::io::stdout());
    let (_ingest, status) = ingest(&running, &options(brokers, prefix));
    loop {
        let figures = status.figures();
        let decided = before + usize::try_from(figures.accepted + figures.refused).expect("few");
        writeln!(out, "{decided}").expect("heard");
        out.flush().expect("heard");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn two_ingests_share_the_partitions(home: &Home) {
    let office = home.start();
    let (other, other_status) = ingest(&office.running, &home.options);
    let load = load();
    let (first, rest) = load.split_at(EVENTS / 2);
    home.clients.python_produces(&home.topic("inbox"), first);
    let done = |status: &pledger_consumers::ingest::IngestStatus| status.figures().accepted;
    office.until("the first half", |office| done(&office.status) + done(&other_status) == (EVENTS / 2) as u64);
    // One goes in the middle of the rest; what it leaves the other one takes over.
    home.clients.python_produces(&home.topic("inbox"), rest);
    other.stop();
    office.until("all of it", |office| done(&office.status) + done(&other_status) == EVENTS as u64);
    check(&office.decisions());
    office.stop();
}
