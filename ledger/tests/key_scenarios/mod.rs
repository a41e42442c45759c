//! What every key store promises.

use std::thread;

use pledger_domain::values::{PersonId, Personal, Timestamp};
use pledger_ledger::keys::{Erasure, KeyStore, MemoryKeyStore, Opened};

pub(crate) type Case = (&'static str, fn(&dyn KeyStore));

/// Each on a store of its own.
pub(crate) const CASES: &[Case] = &[
    ("what_was_sealed_opens_by_its_text_alone", what_was_sealed_opens_by_its_text_alone),
    ("an_erased_person_is_never_sealed_or_opened_again", an_erased_person_is_never_sealed_or_opened_again),
    ("erasing_nobody_leaves_no_tombstone", erasing_nobody_leaves_no_tombstone),
    ("a_row_has_one_subject_also_after_erasure", a_row_has_one_subject_also_after_erasure),
    ("many_threads_mint_one_key_a_person", many_threads_mint_one_key_a_person),
];

pub(crate) fn person(id: &str) -> PersonId {
    PersonId::parse(id).expect("an id")
}

pub(crate) fn sealed(personal: Personal) -> String {
    match personal {
        Personal::Sealed(text) => text,
        other => panic!("{other:?} is not sealed"),
    }
}

pub(crate) fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn what_was_sealed_opens_by_its_text_alone(keys: &dyn KeyStore) {
    let text = sealed(keys.seal(&person("ada"), "Ada Lovelace").expect("sealed"));
    assert_eq!(keys.seal(&person("ada"), "Ada Lovelace"), Ok(Personal::Sealed(text.clone())));
    assert_eq!(keys.open(&text), Ok(Opened::Plain("Ada Lovelace".into())));
    assert_ne!(keys.seal(&person("bob"), "Ada Lovelace"), Ok(Personal::Sealed(text.clone())));
    assert!(!text.contains("Lovelace"));
    for other in ["", "Ada", &text.replace("ada", "bob"), &text.replace("ada", "eve"), &text[..text.len() - 2]] {
        assert_eq!(keys.open(other), Ok(Opened::Unreadable), "{other}");
    }
    let elsewhere = MemoryKeyStore::default();
    elsewhere.seal(&person("ada"), "x").expect("sealed");
    assert_eq!(elsewhere.open(&text), Ok(Opened::Unreadable), "another store has another key");
}

fn an_erased_person_is_never_sealed_or_opened_again(keys: &dyn KeyStore) {
    let text = sealed(keys.seal(&person("ada"), "Ada").expect("sealed"));
    assert_eq!(keys.is_erased(&person("ada")), Ok(false));
    assert_eq!(keys.erase(&person("ada"), "asked to", at(5)), Ok(Erasure::Erased));
    assert_eq!(keys.is_erased(&person("ada")), Ok(true));
    assert_eq!(keys.open(&text), Ok(Opened::Erased));
    assert_eq!(keys.seal(&person("ada"), "Ada"), Ok(Personal::Erased));
    assert_eq!(keys.open(&text), Ok(Opened::Erased), "no second key was minted");
    assert_eq!(keys.erase(&person("ada"), "again", at(9)), Ok(Erasure::ErasedBefore { at: at(5), reason: "asked to".into() }));
}

fn erasing_nobody_leaves_no_tombstone(keys: &dyn KeyStore) {
    assert_eq!(keys.erase(&person("adda"), "mistyped", at(5)), Ok(Erasure::UnknownSubject));
    assert_eq!(keys.is_erased(&person("adda")), Ok(false));
    assert!(matches!(keys.seal(&person("adda"), "Adda"), Ok(Personal::Sealed(_))));
}

fn a_row_has_one_subject_also_after_erasure(keys: &dyn KeyStore) {
    let subject = keys.subject_for("import:crm", "row 17").expect("minted");
    assert!(!subject.as_str().contains("row"), "a subject tells nothing of its row: {subject}");
    assert_eq!(keys.subject_for("import:crm", "row 17"), Ok(subject.clone()));
    assert_ne!(keys.subject_for("import:crm", "row 18"), Ok(subject.clone()));
    assert_ne!(keys.subject_for("import:lms", "row 17"), Ok(subject.clone()));
    keys.seal(&subject, "Ada").expect("sealed");
    keys.erase(&subject, "asked to", at(1)).expect("erased");
    assert_eq!(keys.subject_for("import:crm", "row 17"), Ok(subject.clone()));
    assert_eq!(keys.seal(&subject, "Ada"), Ok(Personal::Erased));
}

fn many_threads_mint_one_key_a_person(keys: &dyn KeyStore) {
    let made: Vec<Vec<(PersonId, Personal)>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    (0..20)
                        .map(|n| {
                            let subject = keys.subject_for("crm", &n.to_string()).expect("minted");
                            let sealed = keys.seal(&subject, "somebody").expect("sealed");
                            (subject, sealed)
                        })
                        .collect()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("ended")).collect()
    });
    assert!(made.windows(2).all(|pair| pair[0] == pair[1]));
}
