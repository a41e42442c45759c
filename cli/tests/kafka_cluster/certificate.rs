//! The certificate of determinism: one history, and the same read models however they are made of it.

use std::{sync::Arc, time::Duration};

use pledger_ledger::{
    copy::copy,
    kafka::{KafkaLog, KafkaOptions},
    log::Log,
    memory::MemoryLog,
    sqlite::{Mode, SqliteLog},
};
use pledger_projections::{
    digest::TableDigest,
    engine::{Engine, Options, Stored},
    generation::{DirectoryGenerations, Generations, PostgresGenerations},
    query::{Page, Query, QueryError, VIEWS},
    table::Places,
};

use crate::{
    dying::Dying,
    processes::{Cluster, pledger},
    schemas::InPostgres,
};

const WORKERS: [usize; 3] = [1, 2, 8];
const BATCHES: [usize; 2] = [1, 10_000];
/// After how many writes whoever keeps the read models dies; a run to the end has more than the first of them.
const WRITES: [usize; 5] = [0, 1, 2, 5, usize::MAX];
/// Records between two writes, so that there are some to die between.
const BETWEEN_WRITES: u64 = 200;
const TO_FOLD: Duration = Duration::from_secs(120);

fn options(workers: usize, read_records: usize) -> Options {
    Options { workers, read_records, rebuild_flush_records: BETWEEN_WRITES, flush_every: Duration::ZERO, ..Options::default() }
}

fn digests(engine: &Engine) -> Vec<TableDigest> {
    assert!(engine.wait_until_caught_up(TO_FOLD, |_| {}), "{:?}", engine.status());
    engine.digests(Places::Covered)
}

/// What the history comes to, in one process with one worker.
struct Certified {
    digests: Vec<TableDigest>,
    answers: Vec<Answered>,
}

/// A view, the dimension that it was asked by, and its answer as users read it.
type Answered = (&'static str, Option<&'static str>, String);

/// What every view answers, as a whole and by each of its dimensions.
fn answers(ask: impl Fn(&str, &Query) -> Result<Page, QueryError>) -> Vec<Answered> {
    let questions = VIEWS.iter().flat_map(|view| {
        let by = view.by.iter().map(|dimension| Some(dimension.name));
        std::iter::once(None).chain(by).map(|by| (view.name, by))
    });
    let answer = |(view, by): (&'static str, Option<&'static str>)| {
        let query = Query { by: by.map(str::to_owned).into_iter().collect(), details: true, ..Query::default() };
        let page = ask(view, &query).unwrap_or_else(|error| panic!("{view} by {by:?}: {error}"));
        assert!(by.is_some() || !page.items.is_empty(), "{view}: a history of which it says nothing shows nothing");
        (view, by, serde_json::to_string(&page).expect("JSON"))
    };
    questions.map(answer).collect()
}

pub(crate) fn read_models_are_the_same_however_they_are_made(brokers: &str) {
    let (dir, cluster) = (tempfile::tempdir().expect("a directory"), Cluster::none(brokers));
    let told = pledger().args(["demo", "--partners", "6", "--months", "6", "--no-serve", "--data-dir"]).arg(dir.path()).output();
    assert!(told.expect("pledger").status.success());
    let ledgers = in_three_engines(SqliteLog::open(dir.path(), Mode::Write).expect("nobody else writes it"), &cluster);
    let engine = Engine::in_memory(Arc::clone(&ledgers[0].1), options(1, 4096)).expect("it starts");
    let certified = digests(&engine);
    assert!(certified.iter().filter(|table| table.rows > 0).count() > certified.len() / 2, "a history that leaves no rows shows nothing");
    let certified = Certified { digests: certified, answers: answers(|view, query| engine.query(view, query)) };
    for (name, log) in &ledgers {
        for (workers, batch) in WORKERS.iter().flat_map(|workers| BATCHES.map(|batch| (*workers, batch))) {
            let engine = Engine::in_memory(Arc::clone(log), options(workers, batch)).expect("it starts");
            assert_eq!(digests(&engine), certified.digests, "{name}, {workers} workers, {batch} a batch");
        }
        let (files, database) = (tempfile::tempdir().expect("a directory"), in_postgres());
        survives_crashes(name, log, &DirectoryGenerations::of(files.path()), &certified);
        survives_crashes(name, log, &PostgresGenerations::of(database.options()), &certified);
    }
}

fn in_postgres() -> InPostgres {
    InPostgres::new(&std::env::var("PLEDGER_TEST_POSTGRES").expect("left out where it is not there"))
}

/// The same ledger on every engine, by its name.
fn in_three_engines(sqlite: SqliteLog, cluster: &Cluster) -> [(&'static str, Arc<dyn Log>); 3] {
    let memory = MemoryLog::new(sqlite.created().clone());
    let options = KafkaOptions { prefix: cluster.prefix.clone(), replicas: 1, ..KafkaOptions::new(&cluster.brokers) };
    let kafka = KafkaLog::create(options, sqlite.created().clone()).expect("a new ledger");
    for copied in [&memory as &dyn Log, &kafka] {
        copy(&sqlite, copied, &mut |_| {}).expect("copied");
    }
    [("SQLite", Arc::new(sqlite)), ("memory", Arc::new(memory)), ("Kafka", Arc::new(kafka))]
}

/// Whoever keeps the read models dies again and again, and goes on with other workers and batches each time.
fn survives_crashes(ledger: &str, log: &Arc<dyn Log>, generations: &dyn Generations, certified: &Certified) {
    for (at, writes) in WRITES.into_iter().enumerate() {
        let options = options(WORKERS[at % WORKERS.len()], BATCHES[at % BATCHES.len()]);
        let engine = Engine::open_in(&Dying::after(generations, writes), Arc::clone(log), options).expect("it starts");
        assert_eq!(digests(&engine), certified.digests, "{ledger}, dying after {writes} writes");
        engine.stop();
    }
    let stored = Stored::open_all_in(generations).expect("read").expect("there is one");
    assert_eq!(stored.digests(Places::Covered), certified.digests, "{ledger}, as it is stored");
    for (answer, expected) in answers(|view, query| stored.query(view, query)).iter().zip(&certified.answers) {
        assert_eq!(answer, expected, "{ledger}, as it is stored");
    }
}
