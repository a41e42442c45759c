//! PostgreSQL away, killed, read-only, or written by somebody else: the engine goes on in memory, says so, and catches up.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use pledger_ledger::slices::Position;
use pledger_projections::{
    engine::{Engine, Options},
    query::Query,
    table::Places,
};

use crate::{
    cases::history,
    given::{Given, Ledger, approved, registered},
    home::InPostgres,
    keeping::{LONG, cut, digests, options},
    server::Server,
};

fn eager(workers: usize) -> Options {
    Options { flush_every: Duration::ZERO, rebuild_flush_records: 1, ..options(workers) }
}

fn deal(ledger: &Ledger, number: usize) -> Position {
    let deal = format!("d{number}");
    let event = if number.is_multiple_of(3) { approved(&deal) } else { registered(&deal, "p", "GTX", "1.00") };
    ledger.add(Given::account(&format!("a{}.com", number % 11), "2026-01-01", vec![event]))
}

/// Waits until what troubles the engine is as expected.
fn wait_for_trouble(engine: &Engine, what: &str, is_expected: impl Fn(Option<&str>) -> bool) {
    let start = Instant::now();
    while !is_expected(engine.status().trouble.as_deref()) {
        assert!(start.elapsed() < LONG, "{what}: {:?}", engine.status().trouble);
        thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until everything that was folded is stored.
fn wait_until_stored(home: &InPostgres, ledger: &Ledger) {
    let (start, whole) = (Instant::now(), digests(ledger));
    while home.stored_digests() != whole {
        assert!(start.elapsed() < LONG, "it was not written");
        thread::sleep(Duration::from_millis(50));
    }
}

pub(crate) fn a_server_that_is_killed_loses_nothing(xtask: &Path) {
    let server = Server::up(xtask);
    let home = InPostgres::new(&server.url);
    for workers in [1, 2, 8] {
        let ledger = Ledger::with(history());
        let engine = home.caught_up(&ledger, eager(workers));
        for kill in 0..2 {
            for number in 0..600 {
                deal(&ledger, 1000 * kill + number);
                if number == 300 {
                    server.kill();
                }
            }
            wait_for_trouble(&engine, "it says that nothing is written", |trouble| {
                trouble.is_some_and(|trouble| trouble.starts_with("the read models cannot be written: "))
            });
            // Questions are answered all the same, also about what comes now.
            let at = deal(&ledger, 1000 * kill + 700);
            engine.wait_for(&[at], LONG).expect("folded");
            assert!(engine.query("deals", &Query::default()).is_ok());
            server.start();
            wait_for_trouble(&engine, "it is back", |trouble| trouble.is_none());
        }
        wait_until_stored(&home, &ledger);
        assert_eq!(engine.digests(Places::Covered), digests(&ledger));
        engine.stop();
        assert_eq!(home.stored_digests(), digests(&ledger));
    }
}

pub(crate) fn what_is_written_by_two_stops_one_of_them(home: &InPostgres) {
    let ledger = Ledger::with(history());
    let first = home.caught_up(&ledger, eager(2));
    wait_until_stored(home, &ledger);
    let second = home.caught_up(&ledger, eager(1));
    let is_stopped =
        |engine: &Engine| engine.status().trouble.is_some_and(|trouble| trouble.contains("somebody else writes these read models too"));
    let start = Instant::now();
    let mut number = 0;
    while !is_stopped(&first) && !is_stopped(&second) {
        assert!(start.elapsed() < LONG, "nobody was stopped");
        deal(&ledger, number);
        number += 1;
        thread::sleep(Duration::from_millis(1));
    }
    // Whoever is left brings them to the end. Both may have been stopped, each by the other.
    let both = is_stopped(&first) && is_stopped(&second);
    first.stop();
    second.stop();
    let stored = home.stored();
    assert_eq!(stored.digests(Places::Covered), digests(&cut(&ledger, &stored.position())));
    assert!(both || stored.digests(Places::Covered) == digests(&ledger));
}

pub(crate) fn a_database_that_is_read_only_is_said_and_written_later(home: &InPostgres) {
    let own = &home.schema;
    home.sql(&format!("CREATE DATABASE {own}")).expect("made");
    {
        let inside = home.in_database(own);
        let ledger = Ledger::with(history());
        let engine = inside.caught_up(&ledger, eager(2));
        wait_until_stored(&inside, &ledger);
        let disconnect = format!("SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity WHERE datname = '{own}'");
        home.sql(&format!("ALTER DATABASE {own} SET default_transaction_read_only = on")).expect("altered");
        home.sql(&disconnect).expect("disconnected");
        deal(&ledger, 1);
        wait_for_trouble(&engine, "it is read-only", |trouble| trouble.is_some_and(|trouble| trouble.contains("read-only transaction")));
        home.sql(&format!("ALTER DATABASE {own} RESET default_transaction_read_only")).expect("altered");
        home.sql(&disconnect).expect("disconnected");
        wait_for_trouble(&engine, "it can be written again", |trouble| trouble.is_none());
        wait_until_stored(&inside, &ledger);
        engine.stop();
    }
    home.sql(&format!("DROP DATABASE {own} WITH (FORCE)")).expect("dropped");
}

pub(crate) fn no_password_is_in_what_is_said(home: &InPostgres) {
    let secret = "aSecretThatNobodyReads";
    let host = home.url.rsplit_once('@').expect("a user before the host").1;
    let url = format!("postgres://nobody:{secret}@{host}");
    let wrong = pledger_ledger::postgres::PostgresOptions::parse(&url).expect("a URL");
    let generations = pledger_projections::generation::PostgresGenerations::of(wrong);
    let error = Engine::open_in(&generations, std::sync::Arc::new(Ledger::with([])), options(1)).err().expect("nobody may come in");
    let said = format!("{error} {error:?} {generations:?}");
    assert!(said.contains("password authentication failed"), "{said}");
    assert!(!said.contains(secret), "{said}");
}
