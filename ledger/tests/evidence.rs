//! Evidence holds without its ledger, and only as it was written.

mod decisions;

use decisions::{Scribe, created};
use pledger_ledger::{
    evidence::{EvidenceError, LedgerKey, MAX_BUNDLE_LEN, make, verify},
    log::Log,
    memory::MemoryLog,
    record::{Body, Decision},
    verify,
};

/// A ledger with decisions on some streams, and its key.
fn ledger(decisions: u32) -> (MemoryLog, LedgerKey) {
    let log = MemoryLog::new(created());
    let heads = verify::verify(&log, None, &mut |_| ()).expect("a sound ledger").heads;
    let mut scribe = Scribe::new(log.slices(), heads);
    for slice in log.slices().all() {
        log.append([scribe.open(slice)]);
    }
    for _ in 0..decisions {
        log.append([scribe.decide(0)]);
    }
    let dir = tempfile::tempdir().expect("a folder");
    (log, LedgerKey::open_or_create(dir.path()).expect("a key"))
}

/// A stream of the ledger.
fn some_stream(log: &MemoryLog) -> String {
    let mut found = None;
    let _ = make(
        log,
        "test",
        "any",
        &ledger(0).1,
        MAX_BUNDLE_LEN,
        &mut |decision| {
            found.get_or_insert_with(|| decision.stream.to_string());
            false
        },
        &mut |_| (),
    );
    found.expect("a decision")
}

fn bundle(log: &MemoryLog, key: &LedgerKey, stream: &str) -> Result<Vec<u8>, EvidenceError> {
    bundle_within(MAX_BUNDLE_LEN, log, key, stream)
}

fn bundle_within(limit: u64, log: &MemoryLog, key: &LedgerKey, stream: &str) -> Result<Vec<u8>, EvidenceError> {
    make(log, "test", stream, key, limit, &mut |decision: &Decision<'_>| decision.stream.to_string() == stream, &mut |_| ())
}

#[test]
fn a_bundle_holds_every_decision_of_its_stream() {
    let (log, key) = ledger(60);
    let stream = some_stream(&log);
    let confirmed = verify(&bundle(&log, &key, &stream).expect("a bundle"), Some(key.public())).expect("it holds");
    assert_eq!((confirmed.ledger_id.as_str(), &confirmed.about), ("test", &stream));
    let slice = confirmed.records[0].header.slice;
    let all = log.read(slice, 0, 1_000).expect("read");
    let of_stream = all.into_iter().map(|placed| placed.record).filter(|record| match Body::decode(&record.body) {
        Ok(Body::Decision(decision)) => decision.stream.to_string() == stream,
        Ok(_) | Err(_) => false,
    });
    assert_eq!(confirmed.records, of_stream.collect::<Vec<_>>());
}

#[test]
fn a_bundle_too_long_to_be_checked_is_not_made() {
    let (log, key) = ledger(60);
    let stream = some_stream(&log);
    let whole = bundle(&log, &key, &stream).expect("a bundle");
    let len = u64::try_from(whole.len()).expect("a length");
    assert_eq!(bundle_within(len, &log, &key, &stream).expect("just short enough"), whole);
    // By a byte, and by so much that the decisions alone are too long.
    for limit in [len - 1, 100] {
        let refused = bundle_within(limit, &log, &key, &stream).expect_err("too long");
        assert!(matches!(&refused, EvidenceError::TooLong { about, limit: of } if *about == stream && *of == limit), "{refused}");
    }
    let refused = EvidenceError::TooLong { about: stream.clone(), limit: MAX_BUNDLE_LEN }.to_string();
    assert!(refused.starts_with(&format!("the evidence about {stream} would be longer than 2048 MiB")), "{refused}");
}

#[test]
fn one_changed_byte_and_it_holds_no_more() {
    let (log, key) = ledger(12);
    let whole = bundle(&log, &key, &some_stream(&log)).expect("a bundle");
    for at in 0..whole.len() {
        for mask in [0x01, 0x20] {
            let mut changed = whole.clone();
            changed[at] ^= mask;
            assert!(verify(&changed, None).is_err(), "byte {at} of {} may be another", whole.len());
        }
    }
    for cut in [0, 1, whole.len() / 2, whole.len() - 1] {
        assert!(verify(&whole[..cut], None).is_err(), "cut at {cut}");
    }
    assert!(verify(&[&whole[..], b" "].concat(), None).is_err());
}

#[test]
fn what_is_wrong_with_a_file_is_said_in_words() {
    let (log, key) = ledger(12);
    let whole = bundle(&log, &key, &some_stream(&log)).expect("a bundle");
    let told = |file: &[u8]| verify(file, None).expect_err("no bundle").to_string();
    let text = String::from_utf8(whole.clone()).expect("UTF-8");
    let (half, third) = (whole.len() / 2, whole.len() / 3);
    let changed = |at: usize, byte: u8| [&whole[..at], &[byte], &whole[at + 1..]].concat();
    let at = |text: &str, part: &str| text.find(part).expect(part);
    for (file, words) in [
        (Vec::new(), "the file is empty. Get it again".to_owned()),
        (whole[..7].to_vec(), "it ends after 7 bytes, in the middle".to_owned()),
        (whole[..half].to_vec(), format!("it ends after {half} bytes, in the middle")),
        (b"PK\x03\x04 something packed".to_vec(), "neither packed nor opened".to_owned()),
        (br#"{"items":[],"next":null}"#.to_vec(), "every bundle begins with".to_owned()),
        (text.replace("pledger evidence 1", "pledger evidence 2").into_bytes(), "it is a bundle of version 2, and this pledger".to_owned()),
        (changed(3, b'\\'), "it was changed after it was written, at byte 3.".to_owned()),
        (changed(third, 0), "it was changed after it was written".to_owned()),
        (changed(at(&text, "\"public_key\"") + 3, b'X'), "it was changed after it was written, at byte".to_owned()),
        (changed(at(&text, "\"records\":[{") - 3, b'z'), "its signature is not that of its statement".to_owned()),
        ([&whole[..], b"\n"].concat(), format!("it was changed after it was written, at byte {}.", whole.len())),
        (text.replacen("[{", "[ {", 1).into_bytes(), format!("at byte {}.", at(&text, "[{") + 1)),
    ] {
        let told = told(&file);
        assert!(told.starts_with("this is no evidence: ") && told.contains(&words), "{told}, and not {words}");
        for raw in ["expected", " line ", "column", "EOF", "missing field"] {
            assert!(!told.contains(raw), "{told}");
        }
    }
}

#[test]
fn what_is_signed_by_another_ledger_is_told_apart() {
    let ((log, key), (_, other)) = (ledger(12), ledger(0));
    let whole = bundle(&log, &key, &some_stream(&log)).expect("a bundle");
    assert!(matches!(verify(&whole, Some(other.public())), Err(EvidenceError::OtherKey { .. })));
    // A forger's own key signs his own statement, and nobody else's.
    let forged = String::from_utf8(whole).expect("UTF-8").replace(&key.public().to_string(), &other.public().to_string());
    assert!(matches!(verify(forged.as_bytes(), None), Err(EvidenceError::Invalid(_))));
}

#[test]
fn decisions_cannot_be_left_out_or_moved() {
    let (log, key) = ledger(60);
    let whole = bundle(&log, &key, &some_stream(&log)).expect("a bundle");
    let parsed: serde_json::Value = serde_json::from_slice(&whole).expect("JSON");
    let records = parsed["records"].as_array().expect("records").clone();
    assert!(records.len() > 2, "{}", records.len());
    let mut fewer = parsed.clone();
    fewer["records"].as_array_mut().expect("records").pop();
    let mut swapped = parsed.clone();
    swapped["records"].as_array_mut().expect("records").swap(0, 1);
    for other in [fewer, swapped] {
        let reason = verify(&serde_json::to_vec(&other).expect("JSON"), None).expect_err("it is not what was signed").to_string();
        assert!(reason.contains("decisions are not those"), "{reason}");
    }
}

#[test]
fn nothing_is_no_evidence() {
    let (log, key) = ledger(3);
    assert!(matches!(bundle(&log, &key, "account/nobody.example"), Err(EvidenceError::Nothing(_))));
}
