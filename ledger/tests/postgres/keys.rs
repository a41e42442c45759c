//! Keys that several processes mint, read and erase.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use pledger_domain::values::{PersonId, Personal};
use pledger_ledger::keys::{Erasure, KeyStore, KeyStoreError, Minting, Opened, PostgresKeyStore, SqliteKeyStore};

use crate::{
    key_scenarios::{at, person, sealed},
    schemas::InPostgres,
    server::Server,
};

fn created(home: &InPostgres) -> PostgresKeyStore {
    PostgresKeyStore::create(&home.options(), Minting::Random).expect("created")
}

fn opened(home: &InPostgres) -> PostgresKeyStore {
    PostgresKeyStore::open(&home.options()).expect("opened")
}

pub(crate) fn keys_are_another_processs_too(home: &InPostgres) {
    let (one, other) = (created(home), opened(home));
    let subject = one.subject_for("crm", "1").expect("minted");
    let text = sealed(one.seal(&subject, "Ada").expect("sealed"));
    assert_eq!(other.open(&text), Ok(Opened::Plain("Ada".into())));
    assert_eq!(other.subject_for("crm", "1"), Ok(subject.clone()));
    assert_eq!(other.seal(&subject, "Ada"), Ok(Personal::Sealed(text.clone())));
    drop((one, other));
    assert_eq!(opened(home).open(&text), Ok(Opened::Plain("Ada".into())));
}

pub(crate) fn what_one_process_erases_no_other_opens(home: &InPostgres) {
    let (one, other) = (created(home), opened(home));
    let text = sealed(one.seal(&person("ada"), "Ada").expect("sealed"));
    assert_eq!(other.open(&text), Ok(Opened::Plain("Ada".into())));
    assert_eq!(one.erase(&person("ada"), "asked to", at(5)), Ok(Erasure::Erased));
    assert_eq!(other.open(&text), Ok(Opened::Erased));
    assert_eq!(other.seal(&person("ada"), "Ada"), Ok(Personal::Erased), "no second key is minted");
    assert_eq!(other.is_erased(&person("ada")), Ok(true));
    assert_eq!(other.erase(&person("ada"), "again", at(9)), Ok(Erasure::ErasedBefore { at: at(5), reason: "asked to".into() }));
}

pub(crate) fn processes_that_mint_at_once_mint_one_key_a_person(home: &InPostgres) {
    drop(created(home));
    let mint = |keys: &PostgresKeyStore, n: u32| -> (PersonId, Personal) {
        let subject = keys.subject_for("crm", &n.to_string()).expect("minted");
        let sealed = keys.seal(&subject, "somebody").expect("sealed");
        (subject, sealed)
    };
    let made: Vec<Vec<_>> = thread::scope(|scope| {
        let start = |_| {
            scope.spawn(|| {
                let keys = opened(home);
                (0..60).map(|n| mint(&keys, n)).collect()
            })
        };
        let processes: Vec<_> = (0..4).map(start).collect();
        processes.into_iter().map(|process| process.join().expect("ended")).collect()
    });
    assert!(made.windows(2).all(|pair| pair[0] == pair[1]));
}

pub(crate) fn a_key_store_is_neither_replaced_nor_invented(home: &InPostgres) {
    let schema = format!("{}_keys", home.schema);
    let missing = KeyStoreError::Unfit(format!("there is no key store in the schema {schema}"));
    assert_eq!(PostgresKeyStore::open(&home.options()).err(), Some(missing));
    drop(created(home));
    let exists = KeyStoreError::Unfit(format!("there is a key store in the schema {schema} already"));
    assert_eq!(PostgresKeyStore::create(&home.options(), Minting::Random).err(), Some(exists));
    home.sql("UPDATE {}_keys.store SET layout = 2").expect("altered");
    let newer = KeyStoreError::Unfit(format!("the key store in the schema {schema} has layout 2; this pledger reads 1"));
    assert_eq!(PostgresKeyStore::open(&home.options()).err(), Some(newer));
}

pub(crate) fn an_erased_key_is_in_no_row_and_no_page(home: &InPostgres) {
    let keys = created(home);
    for n in 0..50 {
        keys.seal(&person(&format!("p{n}")), "somebody").expect("sealed");
    }
    home.sql("CREATE EXTENSION IF NOT EXISTS pageinspect").expect("a superuser may look at pages");
    let key = home.sql("SELECT encode(key, 'hex') FROM {}_keys.subject WHERE id = 'p25'").expect("a key")[0][0].clone();
    let pages = || {
        let sql = "SELECT encode(get_raw_page('{}_keys.subject', page::integer), 'hex') \
                   FROM generate_series(0, pg_relation_size('{}_keys.subject') / 8192 - 1) page";
        home.sql(sql).expect("pages").into_iter().filter(|page| page[0].contains(&key)).count()
    };
    assert!(pages() > 0, "it is looked for in the right way");
    assert_eq!(keys.erase(&person("p25"), "asked to", at(1)), Ok(Erasure::Erased));
    let start = Instant::now();
    while pages() > 0 {
        // Another test's transaction began before, and might still look at it.
        assert!(start.elapsed() < Duration::from_secs(30), "it lies there still");
        keys.erase(&person("p25"), "asked again", at(2)).expect("vacuumed");
    }
}

pub(crate) fn nobody_else_may_read_keys(home: &InPostgres) {
    let keys = created(home);
    keys.seal(&person("ada"), "Ada").expect("sealed");
    home.sql("CREATE ROLE {}_read NOLOGIN").expect("made");
    for table in ["store", "subject", "sender_row"] {
        let sql = format!("SET ROLE {{}}_read; SELECT * FROM {{}}_keys.{table}");
        let refused = home.sql(&sql).expect_err("keys are nobody's to read");
        assert!(refused.contains("permission denied for schema"), "{refused}");
    }
}

/// Ends the connections that have asked for keys, as an administrator or a restart does.
fn end_connections(home: &InPostgres) {
    let sql = "SELECT pg_terminate_backend(pid, 10000)::text FROM pg_stat_activity \
               WHERE query LIKE '%{}_keys.%' AND pid <> pg_backend_pid()";
    let ended = home.sql(sql).expect("a superuser may");
    assert!(!ended.is_empty() && ended.iter().all(|row| row[0] == "true"), "{ended:?}");
}

pub(crate) fn a_connection_that_was_ended_is_made_anew(home: &InPostgres) {
    let keys = created(home);
    let text = sealed(keys.seal(&person("ada"), "Ada").expect("sealed"));
    let opens = || assert_eq!(keys.open(&text), Ok(Opened::Plain("Ada".into())));
    opens();
    end_connections(home);
    opens();
    end_connections(home);
    keys.seal(&person("bob"), "Bob").expect("sealed on a new connection");
    opens();
    end_connections(home);
    assert_eq!(keys.erase(&person("bob"), "asked to", at(5)), Ok(Erasure::Erased));
}

/// What a database has lost that crashed just after it was staged.
fn lose_everything(home: &InPostgres) {
    home.sql("DELETE FROM {}_keys.subject").expect("deleted");
    home.sql("DELETE FROM {}_keys.sender_row").expect("deleted");
    end_connections(home);
}

pub(crate) fn what_was_staged_on_a_lost_connection_is_offered_again(home: &InPostgres) {
    let keys = created(home);
    let subject = keys.stage_subject("crm", "1").expect("staged");
    let text = sealed(keys.stage_seal(&subject, "Ada").expect("staged"));
    lose_everything(home);
    keys.stage_subject("crm", "2").expect("staged on another connection");
    keys.settle().expect("offered again");
    let other = opened(home);
    assert_eq!((other.open(&text), other.subject_for("crm", "1")), (Ok(Opened::Plain("Ada".into())), Ok(subject)));

    // Where others were made meanwhile, what was sealed under the first ones is not recorded.
    keys.stage_seal(&person("bob"), "Bob").expect("staged");
    lose_everything(home);
    other.seal(&person("bob"), "Bob").expect("a key of its own");
    for _ in 0..2 {
        let refused = keys.settle();
        assert!(matches!(&refused, Err(KeyStoreError::Store(reason)) if reason.contains("others were made")), "{refused:?}");
    }
    home.sql("ALTER TABLE {}_keys.subject RENAME TO elsewhere").expect("renamed");
    // What the database says names its tables.
    assert_eq!(other.is_erased(&person("ada")), Err(KeyStoreError::Store("PostgreSQL refused; the log says why".into())));
}

pub(crate) fn settled_keys_survive_a_server_that_is_killed(xtask: &Path) {
    let server = Server::up(xtask);
    let home = InPostgres::new(&server.url);
    let keys = created(&home);
    let mut texts: Vec<String> = Vec::new();
    for round in 0..3 {
        for n in 0..40 {
            let subject = keys.stage_subject("crm", &format!("{round}-{n}")).expect("staged");
            texts.push(sealed(keys.stage_seal(&subject, "somebody").expect("staged")));
        }
        keys.settle().expect("on disk");
        server.kill();
        let staged = keys.stage_seal(&person("late"), "Late");
        assert!(matches!(staged, Err(KeyStoreError::Store(_))), "{staged:?}");
        assert!(matches!(keys.open(&texts[0]), Err(KeyStoreError::Store(_))), "it cannot be told whether it was erased");
        server.start();
        for text in &texts {
            assert_eq!(keys.open(text), Ok(Opened::Plain("somebody".into())));
        }
    }
}

pub(crate) fn a_key_store_is_moved_from_a_data_directory(home: &InPostgres) {
    let dir = tempfile::tempdir().expect("a directory");
    let old = SqliteKeyStore::create(dir.path(), Minting::Random).expect("created");
    let subjects: Vec<PersonId> = (0..1_500).map(|n| old.stage_subject("crm", &n.to_string()).expect("staged")).collect();
    let texts: Vec<String> = subjects.iter().map(|subject| sealed(old.stage_seal(subject, "somebody").expect("staged"))).collect();
    old.settle().expect("written");
    old.erase(&subjects[7], "asked to", at(7)).expect("erased");
    drop(old);
    let moved = PostgresKeyStore::copy_from(dir.path(), &home.options()).expect("moved");
    for (n, (subject, text)) in subjects.iter().zip(&texts).enumerate() {
        let (opened, again) = match n {
            7 => (Opened::Erased, Personal::Erased),
            _ => (Opened::Plain("somebody".into()), Personal::Sealed(text.clone())),
        };
        assert_eq!(moved.open(text), Ok(opened));
        assert_eq!(moved.seal(subject, "somebody"), Ok(again));
        assert_eq!(moved.subject_for("crm", &n.to_string()), Ok(subject.clone()));
    }
    assert_eq!(moved.erase(&subjects[7], "again", at(9)), Ok(Erasure::ErasedBefore { at: at(7), reason: "asked to".into() }));
    // What became of it since is not undone by moving it again.
    moved.erase(&subjects[8], "asked to", at(8)).expect("erased");
    let again = PostgresKeyStore::copy_from(dir.path(), &home.options()).expect("it was moved before");
    assert_eq!(again.open(&texts[8]), Ok(Opened::Erased));
    let other = tempfile::tempdir().expect("a directory");
    drop(SqliteKeyStore::create(other.path(), Minting::Random).expect("created"));
    let exists = format!("there is another key store in the schema {}_keys already", home.schema);
    assert_eq!(PostgresKeyStore::copy_from(other.path(), &home.options()).err(), Some(KeyStoreError::Unfit(exists)));
}
