//! The key store: sealing is for ever the same, a key is durable before it is used, and erasing leaves nothing to read.

mod key_scenarios;

use std::{os::unix::fs::PermissionsExt, path::Path};

use key_scenarios::{at, person, sealed};
use pledger_domain::values::Personal;
use pledger_ledger::keys::{Erasure, KEYS_FILE, KeyStore, KeyStoreError, MemoryKeyStore, Minting, Opened, SqliteKeyStore};
use proptest::prelude::*;
use sqlx::{Connection, SqliteConnection};

#[test]
fn a_store_in_memory_keeps_its_promises() {
    for (_, case) in key_scenarios::CASES {
        case(&MemoryKeyStore::default());
    }
}

#[test]
fn a_store_in_a_file_keeps_its_promises() {
    for (_, case) in key_scenarios::CASES {
        let dir = tempfile::tempdir().expect("a directory");
        case(&SqliteKeyStore::create(dir.path(), Minting::Random).expect("created"));
    }
}

#[test]
fn keys_are_durable_before_they_are_used() {
    let dir = tempfile::tempdir().expect("a directory");
    let keys = SqliteKeyStore::create(dir.path(), Minting::Random).expect("created");
    let subject = keys.subject_for("crm", "1").expect("minted");
    let text = sealed(keys.seal(&subject, "Ada").expect("sealed"));
    // Another process would see just what is on disk.
    let beside = SqliteKeyStore::open_read_only(dir.path()).expect("opened");
    assert_eq!(beside.open(&text), Ok(Opened::Plain("Ada".into())));
    assert_eq!(beside.subject_for("crm", "1"), Ok(subject.clone()));
    assert_eq!(beside.seal(&person("new"), "x"), Err(KeyStoreError::ReadOnly));
    assert_eq!(beside.erase(&subject, "x", at(0)), Err(KeyStoreError::ReadOnly));
    keys.erase(&subject, "asked to", at(1)).expect("erased");
    assert_eq!(beside.open(&text), Ok(Opened::Erased), "it remembers no key");
}

#[test]
fn a_batch_is_durable_once_it_is_settled() {
    let dir = tempfile::tempdir().expect("a directory");
    let keys = SqliteKeyStore::create(dir.path(), Minting::Random).expect("created");
    let texts: Vec<String> = (0..1000)
        .map(|n| {
            let subject = keys.stage_subject("crm", &n.to_string()).expect("staged");
            sealed(keys.stage_seal(&subject, &format!("person {n}")).expect("staged"))
        })
        .collect();
    keys.settle().expect("written");
    drop(keys);
    let keys = SqliteKeyStore::open_read_only(dir.path()).expect("opened without a writer");
    for (n, text) in texts.iter().enumerate() {
        assert_eq!(keys.open(text), Ok(Opened::Plain(format!("person {n}"))));
    }
}

#[test]
fn keys_outlive_the_process() {
    let dir = tempfile::tempdir().expect("a directory");
    let keys = SqliteKeyStore::create(dir.path(), Minting::Random).expect("created");
    let subject = keys.subject_for("crm", "1").expect("minted");
    let ada = keys.seal(&person("ada"), "Ada").expect("sealed");
    let bob = sealed(keys.seal(&person("bob"), "Bob").expect("sealed"));
    keys.erase(&person("bob"), "asked to", at(3)).expect("erased");
    drop(keys);
    let keys = SqliteKeyStore::open(dir.path()).expect("opened");
    assert_eq!(keys.subject_for("crm", "1"), Ok(subject), "the store's own key is kept");
    assert_eq!(keys.seal(&person("ada"), "Ada"), Ok(ada));
    assert_eq!(keys.open(&bob), Ok(Opened::Erased));
    assert_eq!(keys.erase(&person("bob"), "again", at(9)), Ok(Erasure::ErasedBefore { at: at(3), reason: "asked to".into() }));
}

#[test]
fn a_key_store_is_neither_replaced_nor_invented() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join(KEYS_FILE);
    let missing = format!("there is no key store {}", path.display());
    assert_eq!(SqliteKeyStore::open(dir.path()).err(), Some(KeyStoreError::Unfit(missing.clone())));
    assert_eq!(SqliteKeyStore::open_read_only(dir.path()).err(), Some(KeyStoreError::Unfit(missing)));
    drop(SqliteKeyStore::create(dir.path(), Minting::Random).expect("created"));
    let exists = format!("{} is a key store already", path.display());
    assert_eq!(SqliteKeyStore::create(dir.path(), Minting::Random).err(), Some(KeyStoreError::Unfit(exists)));
    std::fs::write(&path, b"this is no database at all, whatever its name may say").expect("written");
    assert!(matches!(SqliteKeyStore::open_read_only(dir.path()).err(), Some(KeyStoreError::Store(_) | KeyStoreError::Unfit(_))));
}

#[test]
fn a_creation_that_was_cut_short_is_done_again() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join(KEYS_FILE), b"").expect("written");
    assert!(matches!(SqliteKeyStore::open(dir.path()).err(), Some(KeyStoreError::Unfit(_))));
    let keys = SqliteKeyStore::create(dir.path(), Minting::Random).expect("created");
    assert!(keys.seal(&person("ada"), "Ada").is_ok());
}

#[test]
fn only_the_owner_reads_the_files() {
    let dir = tempfile::tempdir().expect("a directory");
    let keys = SqliteKeyStore::create(dir.path(), Minting::Random).expect("created");
    keys.seal(&person("ada"), "Ada").expect("sealed");
    let modes = || -> Vec<u32> {
        let files = std::fs::read_dir(dir.path()).expect("listed");
        files.map(|file| file.expect("a file").metadata().expect("its metadata").permissions().mode() & 0o777).collect()
    };
    assert!(modes().len() >= 2, "the write-ahead log lies beside it");
    assert!(modes().iter().all(|mode| *mode == 0o600));
}

/// The bytes of a subject's key as the file has them.
async fn key_in(path: &Path, subject: &str) -> Vec<u8> {
    let mut sql = SqliteConnection::connect(&format!("sqlite://{}?mode=ro", path.display())).await.expect("connected");
    let (key,): (Vec<u8>,) = sqlx::query_as("SELECT key FROM subject WHERE id = ?").bind(subject).fetch_one(&mut sql).await.expect("a key");
    sql.close().await.expect("closed");
    key
}

#[test]
fn an_erased_key_is_in_no_file_any_more() {
    let dir = tempfile::tempdir().expect("a directory");
    let keys = SqliteKeyStore::create(dir.path(), Minting::Random).expect("created");
    for n in 0..50 {
        keys.seal(&person(&format!("p{n}")), "somebody").expect("sealed");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let key = runtime.block_on(key_in(&dir.path().join(KEYS_FILE), "p25"));
    let holders = || {
        let files = std::fs::read_dir(dir.path()).expect("listed").map(|file| file.expect("a file").path());
        files.filter(|path| std::fs::read(path).expect("read").windows(key.len()).any(|bytes| bytes == key)).count()
    };
    assert!(holders() > 0, "it is looked for in the right way");
    keys.erase(&person("p25"), "asked to", at(1)).expect("erased");
    assert_eq!(holders(), 0);
}

#[test]
fn a_seeded_store_seals_the_same_every_time_until_it_is_opened_again() {
    let made = |seed| {
        let dir = tempfile::tempdir().expect("a directory");
        let keys = SqliteKeyStore::create(dir.path(), Minting::Seeded(seed)).expect("created");
        let subject = keys.subject_for("demo", "1").expect("minted");
        let first = keys.seal(&subject, "Ada").expect("sealed");
        drop(keys);
        let keys = SqliteKeyStore::open(dir.path()).expect("opened");
        assert_eq!(keys.seal(&subject, "Ada"), Ok(first.clone()));
        (subject, first, keys.seal(&person("later"), "Bob").expect("sealed"))
    };
    let (a, b) = (made(7), made(7));
    assert_eq!((&a.0, &a.1), (&b.0, &b.1));
    assert_ne!(a.2, b.2, "a person added later has a key that no seed tells");
    assert_ne!(made(8).1, a.1);
    let memory = MemoryKeyStore::new(Minting::Seeded(7));
    assert_eq!(memory.subject_for("demo", "1"), Ok(a.0.clone()));
    assert_eq!(memory.seal(&a.0, "Ada"), Ok(a.1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn what_is_sealed_opens_until_its_person_is_erased(
        steps in prop::collection::vec((0_u8..4, "\\PC{1,20}", prop::bool::weighted(0.2)), 1..40)
    ) {
        let keys = MemoryKeyStore::default();
        let mut sealed_values: Vec<(u8, String, String)> = vec![];
        let mut erased = [false; 4];
        for (who, text, erase) in steps {
            let subject = person(&format!("p{who}"));
            if erase {
                keys.erase(&subject, "asked to", at(0)).expect("erased");
                erased[who as usize] |= sealed_values.iter().any(|(p, ..)| *p == who);
            } else {
                match keys.seal(&subject, &text).expect("sealed") {
                    Personal::Sealed(envelope) => {
                        prop_assert!(!erased[who as usize]);
                        sealed_values.push((who, text, envelope));
                    }
                    other => {
                        prop_assert_eq!(other, Personal::Erased);
                        prop_assert!(erased[who as usize]);
                    }
                }
            }
            for (who, text, envelope) in &sealed_values {
                let expected = if erased[*who as usize] { Opened::Erased } else { Opened::Plain(text.clone()) };
                prop_assert_eq!(keys.open(envelope), Ok(expected));
            }
        }
    }
}
