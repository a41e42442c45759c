//! Snapshots in a real PostgreSQL.
//!
//! `PLEDGER_TEST_POSTGRES` is its URL; `cargo xtask postgres up` starts one and says its URL, and `cargo xtask test` sets it.
//! `PLEDGER_XTASK` names the program that starts a server to be killed. Where one is not set, the tests that need it are
//! listed as ignored.

#[path = "../../../ledger/tests/postgres/harness.rs"]
mod harness;
#[path = "../../../ledger/tests/postgres/schemas.rs"]
mod schemas;
#[path = "../../../ledger/tests/postgres/server.rs"]
mod server;

use std::path::Path;

use harness::{Case, Own};
use libtest_mimic::Arguments;
use pledger_consumers::processor::{DIRECTORY, PostgresSnapshots, SnapshotStore};
use schemas::InPostgres;
use server::Server;

const CASES: &[Case] = &[("the_latest_snapshot_is_anybodys_to_read", the_latest_snapshot_is_anybodys_to_read)];
const OWN: &[Own] = &[("a_server_that_is_away_costs_time_only", a_server_that_is_away_costs_time_only)];

fn main() {
    harness::run(&Arguments::from_args(), CASES, OWN, Vec::new());
}

fn the_latest_snapshot_is_anybodys_to_read(home: &InPostgres) {
    let one = PostgresSnapshots::new(&home.options()).expect("made");
    let other = PostgresSnapshots::new(&home.options()).expect("made once");
    assert_eq!(one.load(0), None);
    let large: Vec<u8> = (0..20_000_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
    one.save(0, b"first").expect("saved");
    one.save(DIRECTORY, b"the directory").expect("saved");
    other.save(0, &large).expect("saved");
    assert_eq!(one.load(0).as_deref(), Some(&*large));
    assert_eq!(other.load(DIRECTORY).as_deref(), Some(&b"the directory"[..]));
    assert_eq!(other.load(1), None);
}

fn a_server_that_is_away_costs_time_only(xtask: &Path) {
    let server = Server::up(xtask);
    let home = InPostgres::new(&server.url);
    let snapshots = PostgresSnapshots::new(&home.options()).expect("made");
    snapshots.save(3, b"before").expect("saved");
    // It is on disk by now, or a later snapshot would be.
    home.sql("CHECKPOINT").expect("written");
    server.kill();
    assert_eq!(snapshots.load(3), None);
    assert!(snapshots.save(3, b"lost").is_err());
    server.start();
    assert_eq!(snapshots.load(3).as_deref(), Some(&b"before"[..]));
    snapshots.save(3, b"after").expect("saved");
    assert_eq!(snapshots.load(3).as_deref(), Some(&b"after"[..]));
}
