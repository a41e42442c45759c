//! The SQLite engine with real files: one writer, readers beside it, a lost index, full disks and damaged files. What every
//! engine promises is in `log_contract.rs`.

mod chains;

use std::{path::Path, time::Duration};

use chains::{Chains, append, head, read_all, reports};
use pledger_ledger::{
    log::{Log, LogError},
    record::{LedgerCreated, Record},
    sqlite::{LEDGER_FILE, Mode, SqliteLog},
};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};

const SECOND: Duration = Duration::from_secs(1);

fn created() -> LedgerCreated {
    serde_json::from_str(r#"{"v":1,"ledger_id":"test","slices":{"count":4,"reference":1},"created_at":"2026-01-01T00:00:00Z"}"#)
        .expect("what a ledger is")
}

fn create(dir: &Path) -> SqliteLog {
    SqliteLog::create(dir, created()).expect("a new ledger")
}

/// Runs statements on the file behind the engine's back.
fn tamper(dir: &Path, statements: &[&'static str]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let options = SqliteConnectOptions::new().filename(dir.join(LEDGER_FILE));
        let mut connection = SqliteConnection::connect_with(&options).await.expect("connected");
        for statement in statements {
            sqlx::query(*statement).execute(&mut connection).await.expect(statement);
        }
        connection.close().await.expect("closed");
    });
}

#[test]
fn a_tail_sees_the_order_of_the_commits() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = create(dir.path());
    let mut chains = Chains::of(&log);
    let batches: Vec<_> = [1, 64, 7, 256, 3].map(|count| chains.batch(count)).to_vec();
    let sent: Vec<Record> = batches.concat();
    append(&log, batches);
    let mut tail = log.tail(&[]).expect("a tail");
    let mut seen = Vec::new();
    while seen.len() <= sent.len() {
        let placed = tail.next(100, SECOND).expect("readable");
        assert!(!placed.is_empty());
        seen.extend(placed);
    }
    // The first record of all comes before them.
    assert_eq!(seen.iter().skip(1).map(|placed| &placed.record).collect::<Vec<_>>(), sent.iter().collect::<Vec<_>>());
    assert!(tail.next(100, Duration::ZERO).expect("readable").is_empty());
}

#[test]
fn a_second_writer_is_refused_by_name() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = create(dir.path());
    match SqliteLog::open(dir.path(), Mode::Write) {
        Err(LogError::Locked(message)) => {
            assert!(message.starts_with(&format!("process {} writes to the ledger in ", std::process::id())), "{message}");
        }
        other => panic!("{other:?}"),
    }
    let reader = SqliteLog::open(dir.path(), Mode::Read).expect("readers need no lock");
    assert!(matches!(reader.producer().map(drop), Err(LogError::Locked(_))));
    drop(log);
    SqliteLog::open(dir.path(), Mode::Write).expect("the lock was given back");
}

#[test]
fn a_reader_beside_the_writer_sees_what_is_new() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = create(dir.path());
    let reader = SqliteLog::open(dir.path(), Mode::Read).expect("opened");
    let mut tail = reader.tail(&[]).expect("a tail");
    assert_eq!(tail.next(10, SECOND).expect("readable").len(), 1);
    let waiting = std::thread::spawn(move || tail.next(10, 10 * SECOND).expect("readable"));
    let mut chains = Chains::of(&log);
    let batch = chains.batch(5);
    append(&log, vec![batch.clone()]);
    assert_eq!(waiting.join().expect("no panic").into_iter().map(|placed| placed.record).collect::<Vec<_>>(), batch);
    for slice in reader.slices().all() {
        assert_eq!(reader.end(slice).expect("an end"), log.end(slice).expect("an end"));
        assert_eq!(read_all(&reader, slice), read_all(&log, slice));
    }
}

#[test]
fn reopening_goes_on_and_rebuilds_a_lost_index() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = create(dir.path());
    let mut chains = Chains::of(&log);
    append(&log, (0..9).map(|_| chains.batch(8)).collect());
    let before: Vec<_> = log.slices().all().map(|slice| read_all(&log, slice)).collect();
    drop(log);
    for damage in ["DELETE FROM segment_index", "DELETE FROM segment_index WHERE id % 2", "UPDATE segment_index SET entries = x'00'"] {
        tamper(dir.path(), &[damage]);
        let log = SqliteLog::open(dir.path(), Mode::Read).expect("a reader makes its own index");
        assert_eq!(log.slices().all().map(|slice| read_all(&log, slice)).collect::<Vec<_>>(), before);
        drop(log);
        let log = SqliteLog::open(dir.path(), Mode::Write).expect("opened");
        assert_eq!(log.slices().all().map(|slice| read_all(&log, slice)).collect::<Vec<_>>(), before);
    }
    let log = SqliteLog::open(dir.path(), Mode::Write).expect("opened");
    assert_eq!(log.created(), &created());
    let mut chains = Chains::of(&log);
    append(&log, vec![chains.batch(8)]);
    assert_eq!(log.slices().all().map(|slice| head(&log, slice)).collect::<Vec<_>>(), chains.heads);
}

#[test]
fn a_full_disk_fails_everything_in_flight_and_reading_goes_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = create(dir.path());
    let mut chains = Chains::of(&log);
    append(&log, vec![chains.batch(8)]);
    let ends = |log: &SqliteLog| log.slices().all().map(|slice| log.end(slice).expect("an end")).collect::<Vec<_>>();
    let before = ends(&log);
    // Every insert fails from here on, as it does on a full disk.
    tamper(dir.path(), &["CREATE TRIGGER full BEFORE INSERT ON segment BEGIN SELECT raise(ABORT, 'database or disk is full'); END"]);
    let mut producer = log.producer().expect("a producer");
    let mut sent = 0;
    for _ in 0..10 {
        let batch = chains.batch(3);
        let count = batch.len();
        if producer.send(batch).is_err() {
            break;
        }
        sent += count;
    }
    assert!(sent > 0);
    let failed = reports(&mut *producer, sent);
    assert!(failed.iter().all(|report| report.outcome.as_ref().is_err_and(|reason| !reason.is_empty())), "{failed:?}");
    assert!(failed[0].outcome.as_ref().is_err_and(|reason| reason.contains("disk is full")), "{:?}", failed[0]);
    tamper(dir.path(), &["DROP TRIGGER full"]);
    // Room again: the old producer is over all the same, a new one goes on.
    assert!(producer.send(chains.batch(1)).is_err());
    assert_eq!(ends(&log), before);
    let mut chains = Chains::of(&log);
    let reports = append(&log, vec![chains.batch(8)]);
    assert!(reports.iter().all(|report| report.outcome.is_ok()), "{reports:?}");
}

#[test]
fn what_was_written_while_a_commit_failed_is_found() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = create(dir.path());
    let mut chains = Chains::of(&log);
    append(&log, vec![chains.batch(2)]);
    // As if a commit had reported an error and landed all the same.
    tamper(dir.path(), &["INSERT INTO segment (id, bytes) SELECT max(id) + 1, x'' FROM segment"]);
    let mut producer = log.producer().expect("a producer");
    producer.send(chains.batch(2)).expect("taken");
    assert!(reports(&mut *producer, 2).iter().all(|report| report.outcome.is_err()));
    let mut chains = Chains::of(&log);
    let reports = append(&log, vec![chains.batch(2)]);
    assert!(reports.iter().all(|report| report.outcome.is_ok()), "{reports:?}");
}

#[test]
fn what_is_no_ledger_is_said_and_never_a_panic() {
    let dir = tempfile::tempdir().expect("a directory");
    assert!(matches!(SqliteLog::open(dir.path(), Mode::Read), Err(LogError::Absent(_))));
    assert!(matches!(SqliteLog::open(dir.path(), Mode::Write), Err(LogError::Absent(_))));
    drop(create(dir.path()));
    assert!(matches!(SqliteLog::create(dir.path(), created()), Err(LogError::Unfit(_))));
    tamper(dir.path(), &["UPDATE meta SET value = 9"]);
    assert!(matches!(SqliteLog::open(dir.path(), Mode::Write), Err(LogError::Unfit(_))));
    std::fs::write(dir.path().join(LEDGER_FILE), "not a database, but long enough to look like one".repeat(100)).expect("written");
    match SqliteLog::open(dir.path(), Mode::Write) {
        Err(LogError::Store(message)) => assert!(message.contains(LEDGER_FILE), "{message}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_cut_short_is_an_error_wherever_it_is_cut() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = create(dir.path());
    let mut chains = Chains::of(&log);
    append(&log, (0..40).map(|_| chains.batch(8)).collect());
    let count: u64 = log.slices().all().map(|slice| log.end(slice).expect("an end")).sum();
    drop(log);
    let file = dir.path().join(LEDGER_FILE);
    let whole = std::fs::read(&file).expect("readable");
    for cut in (0..16).map(|n| whole.len() * n / 16) {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join(LEDGER_FILE), &whole[..cut]).expect("written");
        let read = SqliteLog::open(dir.path(), Mode::Write).and_then(|log| {
            let mut tail = log.tail(&[])?;
            let mut read = 0;
            loop {
                match tail.next(1000, Duration::ZERO)?.len() as u64 {
                    0 => return Ok(read),
                    more => read += more,
                }
            }
        });
        assert!(read.as_ref().map_or(true, |read| *read < count), "cut at {cut}: {read:?}");
        assert!(read.is_err(), "cut at {cut}: {read:?}");
    }
}

#[test]
fn a_missing_segment_is_named_and_what_stands_before_it_is_read() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = create(dir.path());
    let mut chains = Chains::of(&log);
    for _ in 0..5 {
        append(&log, vec![chains.batch(2)]);
    }
    drop(log);
    tamper(dir.path(), &["DELETE FROM segment WHERE id = 4"]);
    let log = SqliteLog::open(dir.path(), Mode::Read).expect("the index knows nothing of it");
    let mut tail = log.tail(&[]).expect("a tail");
    assert_eq!(tail.next(100, SECOND).expect("the segments before it").len(), 5);
    for _ in 0..2 {
        let error = tail.next(100, SECOND).expect_err("it is missing").to_string();
        assert!(error.contains(LEDGER_FILE) && error.contains("segment 4 is missing"), "{error}");
    }
}

#[test]
fn what_lands_of_a_dropped_producer_is_its_first_batches() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = create(dir.path());
    let mut chains = Chains::of(&log);
    let mut producer = log.producer().expect("a producer");
    let batches: Vec<_> = (0..4).map(|_| chains.batch(50)).collect();
    for batch in batches.clone() {
        producer.send(batch).expect("taken");
    }
    drop(producer);
    // Once a later producer's batch is reported, nothing of the dropped one is on its way.
    let mut flush = Chains::of(&log);
    append(&log, vec![flush.batch(1)]);
    let mut landed = Vec::new();
    let mut tail = log.tail(&[]).expect("a tail");
    loop {
        let placed = tail.next(1000, Duration::ZERO).expect("readable");
        if placed.is_empty() {
            break;
        }
        landed.extend(placed.into_iter().map(|placed| placed.record));
    }
    let landed = &landed[1..landed.len() - 1];
    assert_eq!(landed.len() % 50, 0);
    assert_eq!(landed, &batches.concat()[..landed.len()]);
}

#[test]
fn the_write_ahead_log_starts_over_under_load() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = create(dir.path());
    let mut chains = Chains::of(&log);
    let wal = dir.path().join(format!("{LEDGER_FILE}-wal"));
    let mut producer = log.producer().expect("a producer");
    for _ in 0..6000 {
        producer.send(chains.batch(1)).expect("taken");
        reports(&mut *producer, 1);
    }
    let size = |file: &Path| std::fs::metadata(file).expect("there").len();
    let (file, left) = (size(log.file()), size(&wal));
    assert!(left < 64 << 20, "the write-ahead log has {left} bytes beside the file's {file}");
}
