//! What verification finds, and that it names the first bad place.

mod decisions;

use decisions::{Scribe, created, decision};
use pledger_ledger::{
    chain::ChainHead,
    log::Log,
    memory::MemoryLog,
    record::{Hash, Record},
    slices::{Position, SliceId},
    verify::{Verified, VerifyError, verify, verify_from},
};
use serde_json::{Value, json};

/// A slice that holds accounts, and one of its streams.
const SLICE: SliceId = 2;

fn stream() -> String {
    let log = MemoryLog::new(created());
    let name = (0..).map(|n| format!("account/s{n}.com"));
    let mut of_slice = name.filter(|name| log.slices().of(&serde_json::from_value(json!(name)).expect("a stream")) == SLICE);
    of_slice.next().expect("every slice has streams")
}

fn scribe(log: &MemoryLog) -> Scribe {
    let heads = verify(log, None, &mut |_| ()).expect("a sound ledger").heads;
    Scribe::new(log.slices(), heads)
}

/// A sound ledger with terms in every slice and decisions in some.
fn sound() -> (MemoryLog, Scribe) {
    let log = MemoryLog::new(created());
    let mut scribe = scribe(&log);
    for slice in log.slices().all() {
        log.append([scribe.open(slice)]);
    }
    for _ in 0..200 {
        log.append([scribe.decide(0)]);
    }
    (log, scribe)
}

fn broken(log: &MemoryLog) -> (Position, String) {
    match verify(log, None, &mut |_| ()) {
        Err(VerifyError::Broken { position, reason }) => (position, reason),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_sound_ledger_is_verified_to_its_heads() {
    let (log, scribe) = sound();
    let mut told = 0;
    let verified = verify(&log, None, &mut |read| told = read).expect("sound");
    assert_eq!(verified, Verified { records: 205, void: 0, dangling: 0, heads: scribe.heads.clone() });
    assert_eq!(told, 205);
    let one = verify(&log, Some(&[SLICE]), &mut |_| ()).expect("sound");
    assert_eq!(one.heads[usize::from(SLICE)], scribe.heads[usize::from(SLICE)]);
    assert_eq!((one.records, one.heads[0]), (scribe.heads[usize::from(SLICE)].next_pseq, ChainHead::default()));
}

#[test]
fn what_a_deposed_writer_left_is_counted_and_no_breach() {
    let (log, mut scribe) = sound();
    let before = scribe.heads[usize::from(SLICE)];
    log.append([scribe.open(SLICE)]);
    let late = Record::chain(SLICE, before.next_pseq, before.term, before.hash, decision(&stream(), 1, true, 900).to_string().into());
    log.append([late.clone(), late]);
    let verified = verify(&log, None, &mut |_| ()).expect("sound");
    assert_eq!((verified.void, verified.dangling), (2, 2));
    log.append([scribe.open(SLICE)]);
    let verified = verify(&log, None, &mut |_| ()).expect("sound");
    assert_eq!((verified.void, verified.dangling), (2, 0));
}

#[test]
fn every_promise_is_held_against_the_record() {
    type Wrong = fn(&str) -> Value;
    let cases: [(&str, Wrong, &str); 9] = [
        ("a version too high", |stream| decision(stream, 2, true, 900), "is at version 0, and this leaves it at 2"),
        ("a version that did not rise", |stream| decision(stream, 0, true, 900), "is at version 0, and this leaves it at 0"),
        ("a refusal that raised it", |stream| decision(stream, 1, false, 900), "is at version 0, and this leaves it at 1"),
        ("a body that nobody can read", |_| json!({"decision": {"v": 1}}), "cannot be read"),
        ("a kind that nobody knows", |_| json!({"riddle": {}}), "unknown kind"),
        ("a stream that lives elsewhere", |_| decision("partner/p1", 0, false, 900), "partner/p1 belongs to slice 0"),
        ("a ledger created again", |_| json!({"ledger_created": created()}), "was created before"),
        (
            "a term opened twice",
            |_| json!({"term_opened": {"v": 1, "opened_at": "2026-01-01T00:00:00Z", "writer": "test"}}),
            "a term was opened twice",
        ),
        ("time that runs backwards", |stream| decision(stream, 1, true, 0), "recorded before its predecessor"),
    ];
    for (what, body, expected) in cases {
        let (log, mut scribe) = sound();
        // Time is known in the slice before the wrong record.
        log.append([scribe.chain(SLICE, 1, json!({"progress": {"v": 1, "recorded_at": "2026-01-02T00:10:00Z"}}))]);
        let pseq = scribe.heads[usize::from(SLICE)].next_pseq;
        log.append([scribe.chain(SLICE, 1, body(&stream()))]);
        let (position, reason) = broken(&log);
        assert_eq!(position, Position { slice: SLICE, pseq }, "{what}");
        assert!(reason.contains(expected), "{what}: {reason}");
    }
}

#[test]
fn a_term_begins_by_being_opened() {
    let (log, mut scribe) = sound();
    let pseq = scribe.heads[usize::from(SLICE)].next_pseq;
    log.append([scribe.chain(SLICE, 2, decision(&stream(), 1, true, 900))]);
    assert_eq!(broken(&log), (Position { slice: SLICE, pseq }, "a term began without being opened".into()));
}

#[test]
fn the_first_record_says_what_the_ledger_is() {
    let slices = created().slices;
    let begin = |body: Value| {
        let log = MemoryLog::bare(slices);
        log.append([Record::chain(0, 0, 0, Hash::default(), body.to_string().into())]);
        broken(&log)
    };
    let mut other = created();
    other.slices.count = 8;
    let (position, reason) = begin(json!({ "ledger_created": other }));
    assert_eq!((position, reason.as_str()), (Position { slice: 0, pseq: 0 }, "the ledger was created with 8 slices, not 4"));
    let (_, reason) = begin(json!({"progress": {"v": 1, "recorded_at": "2026-01-02T00:10:00Z"}}));
    assert_eq!(reason, "the ledger does not begin with what it is");
}

#[test]
fn a_record_that_was_cut_out_is_missed() {
    let (log, mut scribe) = sound();
    let hidden = scribe.heads[usize::from(SLICE)].next_pseq;
    drop(scribe.chain(SLICE, 1, decision(&stream(), 1, true, 900)));
    log.append([scribe.chain(SLICE, 1, decision(&stream(), 2, true, 901))]);
    let verified = verify(&log, None, &mut |_| ()).expect("a batch may have been lost: nobody can tell yet");
    assert_eq!(verified.dangling, 1);
    log.append([scribe.open(SLICE)]);
    assert_eq!(
        broken(&log),
        (Position { slice: SLICE, pseq: hidden }, format!("records are missing: a term was opened at {}", hidden + 2))
    );
}

#[test]
fn the_tail_after_a_snapshot_is_verified_from_its_heads() {
    let (log, mut scribe) = sound();
    let heads = scribe.heads.clone();
    for _ in 0..30 {
        log.append([scribe.decide(0)]);
    }
    let verified = verify_from(&log, &heads, &mut |_| ()).expect("sound");
    assert_eq!((verified.records, &verified.heads), (30, &scribe.heads));
    let mut other = heads.clone();
    other[usize::from(SLICE)].hash = Hash([1; 32]);
    assert!(matches!(verify_from(&log, &other, &mut |_| ()), Err(VerifyError::Broken { position, .. }) if position.slice == SLICE));
    let mut beyond = scribe.heads.clone();
    beyond[usize::from(SLICE)].next_offset += 1;
    assert!(matches!(verify_from(&log, &beyond, &mut |_| ()), Err(VerifyError::Broken { position, .. }) if position.slice == SLICE));
}

#[test]
fn the_first_of_several_breaches_is_named() {
    let (log, mut scribe) = sound();
    let (first, second) = (scribe.heads[3].next_pseq, scribe.heads[1].next_pseq);
    log.append([scribe.chain(3, 1, json!({"riddle": 1})), scribe.chain(1, 1, json!({"riddle": 2}))]);
    for _ in 0..20 {
        assert_eq!(broken(&log).0, Position { slice: 3, pseq: first });
    }
    match verify(&log, Some(&[1]), &mut |_| ()) {
        Err(VerifyError::Broken { position, .. }) => assert_eq!(position, Position { slice: 1, pseq: second }),
        other => panic!("{other:?}"),
    }
}
