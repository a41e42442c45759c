//! Evidence, as whoever it is handed to meets it.

use crate::program::{fail, json, succeed};

#[test]
fn evidence_is_verified_far_from_its_ledger() {
    let (dir, elsewhere) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let (dir, elsewhere) = (dir.path(), elsewhere.path());
    succeed(dir, &["demo", "--partners", "12", "--months", "6", "--no-serve"]);
    let conflicts = json(dir, &["query", "conflicts", "--filter", "kind=refused_registration", "--limit", "1"]);
    let account = conflicts["items"][0]["account"].as_str().expect("an account");
    let file = elsewhere.join("account.evidence");
    let file = file.to_str().expect("UTF-8");
    let key = succeed(dir, &["evidence", "--account", account, "--out", file]);
    let told = succeed(elsewhere, &["evidence", "verify", file, "--key", key.trim()]);
    assert!(told.starts_with("Valid: ") && told.contains(account), "{told}");
    assert!(told.contains("refused"), "a refusal is evidence too: {told}");
    assert_eq!(json(elsewhere, &["evidence", "verify", file])["signed_by"], key.trim());

    succeed(elsewhere, &["evidence", "verify", file, "--key", &key.trim().to_uppercase()]);
    fail(elsewhere, &["evidence", "verify", file, "--key", "4711"], 2);
    // Another ledger's key, made with its first evidence.
    let other_dir = elsewhere.join("other");
    std::fs::create_dir(&other_dir).expect("made");
    succeed(&other_dir, &["demo", "--partners", "12", "--months", "6", "--no-serve"]);
    let others = other_dir.join("account.evidence");
    let other = succeed(&other_dir, &["evidence", "--account", account, "--out", others.to_str().expect("UTF-8")]);
    assert!(fail(elsewhere, &["evidence", "verify", file, "--key", other.trim()], 1).contains("another ledger"));

    let mut bytes = std::fs::read(file).expect("readable");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(file, bytes).expect("written");
    assert!(fail(elsewhere, &["evidence", "verify", file], 1).contains("no evidence"));
    std::fs::write(file, "").expect("written");
    assert!(fail(elsewhere, &["evidence", "verify", file], 1).contains("the file is empty. Get it again"));
    // Whatever its length, no more than its beginning is read of what is none.
    let huge = std::fs::File::create(file).expect("made");
    huge.set_len(1 << 40).expect("it takes no room");
    assert!(fail(elsewhere, &["evidence", "verify", file], 1).contains("every bundle begins with"));
    assert!(fail(dir, &["evidence", "--account", "nobody.example", "--out", file], 1).contains("the ledger has no account nobody.example"));
    fail(dir, &["evidence", "--account", account], 2);
    // What cannot be written whole leaves nothing.
    let folder = elsewhere.join("folder");
    std::fs::create_dir(&folder).expect("made");
    assert!(fail(dir, &["evidence", "--account", account, "--out", folder.to_str().expect("UTF-8")], 1).contains("cannot be written"));
    assert!(!elsewhere.join("folder.part").exists());
}
