//! One flipped bit anywhere in a stored ledger is found, and its place is named.

mod decisions;

use std::{path::Path, time::Duration};

use decisions::{Scribe, created};
use pledger_ledger::{
    log::{Log, LogError},
    record::Record,
    slices::Position,
    sqlite::{LEDGER_FILE, Mode, SqliteLog},
    verify::{VerifyError, verify},
};
use proptest::prelude::*;
use sqlx::{
    AssertSqlSafe, Connection, Row, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteSynchronous},
};

/// The length of a frame before its body, and where in it the body's length stands.
const FRAME: usize = 86;
const LENGTH: std::ops::Range<usize> = 82..86;
/// Where slice and sequence stand: a flip there changes the name of the place itself.
const NAME: std::ops::Range<usize> = 0..10;

fn write(dir: &Path) -> Vec<Vec<Record>> {
    let log = SqliteLog::create(dir, created()).expect("a new ledger");
    let first = log.read(0, 0, 1).expect("readable").remove(0).record;
    let heads = verify(&log, None, &mut |_| ()).expect("a new ledger is sound").heads;
    let mut scribe = Scribe::new(log.slices(), heads);
    let mut batches = vec![log.slices().all().map(|slice| scribe.open(slice)).collect::<Vec<_>>()];
    batches.extend((1..9).map(|size| (0..size).map(|_| scribe.decide(0)).collect()));
    for batch in &batches {
        // One at a time, so that each batch is a segment.
        let mut producer = log.producer().expect("a producer");
        producer.send(batch.clone()).expect("taken");
        assert_eq!(producer.reports(Duration::from_secs(10)).len(), batch.len());
    }
    verify(&log, None, &mut |_| ()).expect("sound");
    batches.insert(0, vec![first]);
    batches
}

/// The record that a byte of the stored segments belongs to: its segment, where in it, and where in the frame.
fn locate(batches: &[Vec<Record>], mut byte: usize) -> (i64, usize, Position, usize) {
    for (id, batch) in (1..).zip(batches) {
        let mut start = 0;
        for record in batch {
            let length = FRAME + record.body.len();
            if byte < length {
                return (id, start + byte, record.position(), byte);
            }
            byte -= length;
            start += length;
        }
    }
    unreachable!("the byte lies in the segments")
}

/// Changes one byte of a segment; changing it again restores it.
fn flip(dir: &Path, segment: i64, at: usize, mask: u8) {
    flip_in(dir, "segment", "bytes", segment, at, mask);
}

fn flip_in(dir: &Path, table: &str, column: &str, id: i64, at: usize, mask: u8) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let options = SqliteConnectOptions::new().filename(dir.join(LEDGER_FILE)).synchronous(SqliteSynchronous::Off);
        let mut connection = SqliteConnection::connect_with(&options).await.expect("connected");
        let select = AssertSqlSafe(format!("SELECT {column} FROM {table} WHERE id = ?"));
        let row = sqlx::query(select).bind(id).fetch_one(&mut connection).await.expect("a row");
        let mut bytes: Vec<u8> = row.get(0);
        bytes[at] ^= mask;
        let update = sqlx::query(AssertSqlSafe(format!("UPDATE {table} SET {column} = ? WHERE id = ?"))).bind(bytes).bind(id);
        update.execute(&mut connection).await.expect("changed");
        connection.close().await.expect("closed");
    });
}

fn first_bad(dir: &Path) -> Option<(Position, String)> {
    let log = match SqliteLog::open(dir, Mode::Read) {
        Ok(log) => log,
        Err(LogError::Damaged { position, reason }) => return Some((position, reason)),
        Err(other) => panic!("{other}"),
    };
    match verify(&log, None, &mut |_| ()) {
        Ok(_) => None,
        Err(VerifyError::Broken { position, reason }) => Some((position, reason)),
        Err(VerifyError::Unreadable(error)) => panic!("{error}"),
    }
}

#[test]
fn one_flipped_bit_anywhere_is_found() {
    let dir = tempfile::tempdir().expect("a directory");
    let batches = write(dir.path());
    let bytes: usize = batches.iter().flatten().map(|record| FRAME + record.body.len()).sum();
    let mut runner =
        proptest::test_runner::TestRunner::new(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() });
    runner
        .run(&(0..bytes, 0_u32..8), |(byte, bit)| {
            let (segment, at, position, within) = locate(&batches, byte);
            flip(dir.path(), segment, at, 1 << bit);
            let found = first_bad(dir.path());
            flip(dir.path(), segment, at, 1 << bit);
            prop_assert!(found.is_some(), "byte {within} of {position} (segment {segment}) was flipped and nothing found");
            let (named, reason) = found.expect("looked at above");
            if !NAME.contains(&within) {
                prop_assert_eq!(named, position, "byte {} was flipped: {}", within, reason);
            }
            Ok(())
        })
        .expect("every flip is found");
    assert_eq!(first_bad(dir.path()), None);
}

#[test]
fn a_flipped_bit_in_the_index_of_streams_is_found_where_it_leads_astray() {
    const ENTRY: usize = 6;
    let dir = tempfile::tempdir().expect("a directory");
    let batches = write(dir.path());
    for (segment, batch) in (1..).zip(&batches) {
        for (nth, record) in batch.iter().enumerate() {
            // The hash of the stream's name stands behind two bytes of the slice.
            for (byte, mask) in [(2, 1), (3, 8), (5, 128)] {
                let at = nth * ENTRY + byte;
                flip_in(dir.path(), "segment_index", "entries", segment, at, mask);
                let (named, reason) = first_bad(dir.path()).expect("it is found");
                assert_eq!(named, record.position());
                assert!(reason.contains("DELETE FROM segment_index"), "{reason}");
                flip_in(dir.path(), "segment_index", "entries", segment, at, mask);
            }
        }
    }
    assert_eq!(first_bad(dir.path()), None);
}

#[test]
fn a_flipped_length_is_named_where_it_stands() {
    let dir = tempfile::tempdir().expect("a directory");
    let batches = write(dir.path());
    let before: usize = batches[..6].iter().flatten().map(|record| FRAME + record.body.len()).sum();
    for within in LENGTH {
        let (segment, at, position, _) = locate(&batches, before + within);
        flip(dir.path(), segment, at, 1);
        assert_eq!(first_bad(dir.path()).map(|(named, _)| named), Some(position), "byte {within}");
        flip(dir.path(), segment, at, 1);
    }
}

#[test]
fn a_record_under_another_slices_name_is_found() {
    let dir = tempfile::tempdir().expect("a directory");
    let batches = write(dir.path());
    for (segment, batch) in (1..).zip(&batches) {
        let mut start = 0;
        for record in batch {
            for mask in 1..4 {
                flip(dir.path(), segment, start, mask);
                let began = std::time::Instant::now();
                assert!(first_bad(dir.path()).is_some(), "{} of segment {segment} ^ {mask}", record.position());
                assert!(began.elapsed() < Duration::from_secs(5), "a reader does not wait for records that are there");
                // Whoever reads slice by slice is not given one record for another.
                if let Ok(log) = SqliteLog::open(dir.path(), Mode::Read) {
                    let read = log.slices().all().filter_map(|slice| log.read(slice, 0, usize::MAX).ok());
                    assert!(read.flatten().all(|placed| placed.record.header.pseq == placed.offset));
                }
                flip(dir.path(), segment, start, mask);
            }
            start += FRAME + record.body.len();
        }
    }
}
