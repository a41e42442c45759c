//! Processors come and go; nothing that was acknowledged is lost or doubled.

use std::{
    io::{BufRead as _, BufReader},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    load::{open, under_load},
    processes::{Cluster, Process, agent, until},
    told::{more, valid},
};

/// How long a processor may be silent here.
const TAKE_OVER: &str = "2";
/// How long a command may wait for a successor: the silence, the new shares, and what a busy machine adds.
const REPLACED: Duration = Duration::from_secs(8);

/// Processes of every kind, once the slices are shared out.
fn three(cluster: &Cluster) -> (Process, Process, Process) {
    let processor = ["--roles", "processor", "--take-over-after", TAKE_OVER];
    let (one, other) = (cluster.serve(&processor), cluster.serve(&processor));
    until("the slices are shared out", || [&one, &other].map(|process| process.metric("pledger_processor_slices")) == [4.0, 4.0]);
    let api = cluster.serve(&["--roles", "api,projections"]);
    open(&api);
    (api, one, other)
}

pub(crate) fn a_processor_that_is_killed_is_replaced(brokers: &str) {
    let cluster = Cluster::init(brokers);
    let (api, one, other) = three(&cluster);
    let told = under_load(&api, |told| {
        more(told, 50);
        one.signal("-KILL");
        until("the other one writes all slices", || other.metric("pledger_processor_slices") == 8.0);
        more(told, 50);
        let third = cluster.serve(&["--roles", "processor", "--take-over-after", TAKE_OVER]);
        until("a third one takes its share", || third.metric("pledger_processor_slices") == 4.0);
        more(told, 50);
        // In order this time: nobody waits for a silence.
        drop(third.stop());
        until("its share is taken back", || other.metric("pledger_processor_slices") == 8.0);
        more(told, 50);
    });
    assert!(told.longest() < REPLACED, "{:?}", told.longest());
    told.hold_against(&valid(&cluster.ledger()));
}

pub(crate) fn a_processor_that_comes_back_from_a_stop_harms_nothing(brokers: &str) {
    let cluster = Cluster::init(brokers);
    let (api, one, other) = three(&cluster);
    let told = under_load(&api, |told| {
        more(told, 50);
        one.signal("-STOP");
        until("the other one writes all slices", || other.metric("pledger_processor_slices") == 8.0);
        more(told, 100);
        // What it had sent and not heard of is still on its way, and it thinks its slices its own.
        one.signal("-CONT");
        more(told, 100);
        until("it is a member again", || one.metric("pledger_processor_slices") == 4.0);
        more(told, 50);
    });
    assert!(told.longest() < REPLACED, "{:?}", told.longest());
    told.hold_against(&valid(&cluster.ledger()));
}

pub(crate) fn one_process_does_everything_and_is_found_again(brokers: &str) {
    let cluster = Cluster::init(brokers);
    let all = cluster.serve(&[]);
    open(&all);
    let told = under_load(&all, |told| more(told, 50));
    let payload = json!({"deal_id": "d-0-0"});
    let (status, approved) = all.send("ApproveDeal", &payload, "a");
    assert_eq!(status, 200, "{approved}");
    // It goes on where it was: keys, directory, snapshots.
    let all = cluster.serve_in(all.stop(), &["--slices", "0-7"]);
    let (status, again) = all.send("ApproveDeal", &payload, "a");
    assert_eq!((status, &again["position"]), (200, &approved["position"]));
    let (status, refused) = all.send("ApproveDeal", &payload, "another key");
    assert_eq!(status, 409, "{refused}");
    let (status, unknown) = all.send("ApproveDeal", &json!({"deal_id": "nowhere"}), "x");
    assert_eq!((status, unknown["code"].as_str()), (404, Some("UnknownId")));
    told.hold_against(&valid(&cluster.ledger()));
}

/// What a listener hears, each by its id and its position; `after` is the last that it heard before.
fn listen(process: &Process, after: Option<&str>) -> impl Iterator<Item = (String, String)> + use<> {
    let request = agent().get(format!("{}/v1/changes", process.url));
    let request = if let Some(id) = after { request.header("last-event-id", id) } else { request };
    let mut lines = BufReader::new(request.call().expect("an answer").into_body().into_reader()).lines().map(|line| line.expect("text"));
    std::iter::from_fn(move || {
        let (mut id, mut position) = (None, None);
        while id.is_none() || position.is_none() {
            let line = lines.next()?;
            id = line.strip_prefix("id: ").map(str::to_owned).or(id);
            let change = line.strip_prefix("data: ").map(|data| serde_json::from_str::<Value>(data).expect("JSON"));
            position = change.map(|change| change["position"].as_str().expect("a position").to_owned()).or(position);
        }
        Some((id?, position?))
    })
}

pub(crate) fn who_comes_back_is_told_what_it_missed(brokers: &str) {
    let cluster = Cluster::init(brokers);
    let all = cluster.serve(&[]);
    let register = |n: usize| {
        let partner = json!({"partner_id": format!("p-{n}"), "name": "Nordwind", "roles": ["reseller"]});
        let (status, decided) = all.send("RegisterPartner", &partner, &n.to_string());
        assert_eq!(status, 200, "{decided}");
        decided["position"].as_str().expect("a position").to_owned()
    };
    let mut listener = listen(&all, None);
    let first = register(0);
    let (id, heard) = listener.next().expect("it is heard of");
    assert_eq!(heard, first);
    drop(listener);
    let mut missed: Vec<String> = (1..20).map(register).collect();
    let mut back = listen(&all, Some(&id));
    let mut told: Vec<String> = back.by_ref().take(missed.len()).map(|(_, position)| position).collect();
    // Between slices the order is that of arrival.
    missed.sort();
    told.sort();
    assert_eq!(told, missed);
    let then = register(20);
    assert_eq!(back.next().expect("it is heard of").1, then);
}

pub(crate) fn who_sends_says_that_nobody_decides(brokers: &str) {
    let cluster = Cluster::init(brokers);
    let api = cluster.serve(&["--roles", "api,projections"]);
    let undecided = || api.metric("pledger_commands_undecided_slices");
    assert!(undecided() < 1.0, "nothing was asked");
    let partner = json!({"partner_id": "p-1", "name": "Nordwind", "roles": ["reseller"]});
    let (status, unknown) = api.send("RegisterPartner", &partner, "k1");
    assert_eq!(status, 503, "{unknown}");
    until("it is told", || undecided() > 0.0);
    let mut ready = agent().get(format!("{}/readyz", api.url)).call().expect("an answer");
    let told = ready.body_mut().read_to_string().expect("text");
    assert!(ready.status() == 503 && told.contains("not decided in slice ") && told.contains("role processor"), "{told}");
    let _processor = cluster.serve(&["--roles", "processor"]);
    until("it is decided", || undecided() < 1.0);
    until("it is ready again", || api.is_ready());
}
