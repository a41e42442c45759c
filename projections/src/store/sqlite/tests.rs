//! What is told as written is there.

use super::*;

/// As many chunks of the first table, each longer than a page.
fn write(store: &mut SqliteStore, chunks: u32) -> Result<(), StoreError> {
    let text = format!("[\"{}\"]", "x".repeat(20_000)).into_bytes();
    let make = |_: usize, chunks: &[u32]| vec![text.clone(); chunks.len()];
    let tables = vec![(Shard::default().tables()[0].name(), (0..chunks).collect())];
    store.write(&Changes { shard: 0, cursors: Vec::new(), tables, emptied: Vec::new(), is_late: false, make: &make })
}

/// Lets the database grow to so many pages.
fn allow(store: &mut SqliteStore, pages: u32) {
    let pragma = AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
    store.runtime.block_on(async { store.connection.execute(pragma).await }).expect("allowed");
}

fn stored(path: &Path) -> i64 {
    let mut store = SqliteStore::open_read_only(path).expect("it opens");
    let name = Shard::default().tables()[0].name();
    let count = sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM \"{name}_chunks\"")));
    store.runtime.block_on(count.fetch_one(&mut store.connection)).expect("a count")
}

#[test]
fn a_write_after_a_full_disk_is_there_once_it_is_told_as_written() {
    // Of one row a statement, and of many: SQLite ends the transaction of the first kind by itself.
    for (first, second) in [(20, 20), (20, 64), (64, 20), (64, 64)] {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("read.db");
        let mut store = SqliteStore::open(&path).expect("it opens");
        store.create().expect("made");
        for chunks in [first, second] {
            // No page more than there are.
            allow(&mut store, 1);
            let full = write(&mut store, chunks);
            if full.is_ok() {
                assert_eq!(stored(&path), i64::from(chunks), "{first} and {second} chunks, told as written");
            }
        }
        allow(&mut store, 100_000);
        write(&mut store, 64).expect("there is room");
        assert_eq!(stored(&path), 64, "{first} and {second} chunks before");
    }
}
