//! Of several processes one keeps the read models in PostgreSQL, whichever is killed, stopped or cut off.

use std::{
    sync::RwLock,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    load::{open, under_load, under_load_of},
    processes::{Cluster, Process, agent, until},
    schemas::InPostgres,
    told::{Told, more, valid},
};

/// How soon another process keeps the read models.
const REPLACED: Duration = Duration::from_secs(5);
/// The same where the keeper is stopped, which nobody sees but by its silence.
const SILENT: Duration = Duration::from_secs(20);

/// Held for reading by whoever's connections may not be cut: all tests share the server.
pub(crate) static CUT: RwLock<()> = RwLock::new(());

fn keeps(process: &Process) -> bool {
    process.metric("pledger_projections_keeper") > 0.5
}

/// Every deal over HTTP: its id, its status, its amount and the decision that it stands on.
fn over_http(process: &Process) -> Vec<[String; 4]> {
    let (mut deals, mut next) = (Vec::new(), Some(String::new()));
    while let Some(after) = next {
        let url = format!("{}/v1/deals?limit=1000{after}", process.url);
        let page: Value = agent().get(url).call().expect("an answer").body_mut().read_json().expect("JSON");
        let text = |deal: &Value, field: &str| deal.pointer(field).and_then(Value::as_str).expect(field).to_owned();
        let items = page["items"].as_array().expect("items");
        deals.extend(items.iter().map(|deal| ["/deal_id", "/status", "/amount/amount", "/position"].map(|field| text(deal, field))));
        next = page["next"].as_str().map(|cursor| format!("&cursor={cursor}"));
    }
    deals.sort();
    deals
}

fn in_sql(home: &InPostgres) -> Vec<[String; 4]> {
    let rows = home.sql("SELECT deal, status, amount::text, last_position FROM {}.deals").expect("a view");
    let mut deals: Vec<_> = rows.into_iter().map(|row| <[String; 4]>::try_from(row).expect("four columns")).collect();
    deals.sort();
    deals
}

/// Waits until all processes and SQL have every deal, and the same of each; none is in trouble.
fn all_agree(processes: &[&Process], home: &InPostgres, told: &[&Told]) {
    let count: usize = told.iter().map(|told| told.count()).sum();
    until("SQL has every deal", || in_sql(home).len() == count);
    let expected = in_sql(home);
    for process in processes {
        until("the views are the same", || over_http(process) == expected);
        until("it is ready", || process.is_ready());
    }
    // Who lost the lock and who got it may both be on their way.
    until("one process keeps the read models", || processes.iter().filter(|process| keeps(process)).count() == 1);
}

pub(crate) fn read_models_find_another_keeper(brokers: &str) {
    let home = InPostgres::new(&std::env::var("PLEDGER_TEST_POSTGRES").expect("left out where it is not there"));
    let parameters = if home.url.contains('?') { "&" } else { "?" };
    let database = format!("{}{parameters}schema={}", home.url, home.schema);
    let args = ["--postgres", &database, "--take-over-after", "2"];
    let cluster = Cluster::init(brokers);
    let (first, second) = (cluster.serve(&args), cluster.serve(&args));
    assert!(keeps(&first) && !keeps(&second));
    open(&second);
    let told = under_load(&second, |told| {
        more(told, 50);
        first.signal("-KILL");
        let killed = Instant::now();
        until("the other one keeps the read models", || keeps(&second));
        assert!(killed.elapsed() < REPLACED, "{:?}", killed.elapsed());
        more(told, 50);
    });
    drop(first);
    let third = cluster.serve(&args);
    all_agree(&[&second, &third], &home, &[&told]);
    assert!(keeps(&second));

    // Stopped, it neither writes nor says so; when it goes on it sees that another one does.
    second.signal("-STOP");
    let stopped = Instant::now();
    until("the one that stood by keeps the read models", || keeps(&third));
    assert!(stopped.elapsed() < SILENT, "{:?}", stopped.elapsed());
    let later = under_load_of("e", &third, |later| {
        more(later, 30);
        second.signal("-CONT");
        more(later, 30);
    });
    until("it stands by", || !keeps(&second));
    all_agree(&[&second, &third], &home, &[&told, &later]);

    let alone = CUT.write().expect("nobody cut anything and failed");
    // Whoever gets the lock after all connections were cut, one keeps the read models.
    let cut = "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity WHERE application_name = 'pledger' AND pid <> pg_backend_pid()";
    home.sql(cut).expect("the database's own user may");
    drop(alone);
    until("one keeps the read models again", || keeps(&second) != keeps(&third));
    let last = under_load_of("f", &third, |last| more(last, 10));
    let all = [&told, &later, &last];
    all_agree(&[&second, &third], &home, &all);
    all.iter().for_each(|told| told.hold_against(&valid(&cluster.ledger())));
}
