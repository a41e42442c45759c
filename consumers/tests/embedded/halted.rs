//! When no command is decided any more, everybody can know why.

use std::{
    path::Path,
    sync::{
        Arc,
        mpsc::{Receiver, channel},
    },
    time::{Duration, Instant},
};

use pledger_consumers::{
    embedded::{Chores, EmbeddedProcessor},
    processor::{KeyLimits, MemorySnapshots, Processor},
};
use pledger_domain::values::Timestamp;
use pledger_ledger::{
    commands::{CommandEnvelope, CommandSink, Decided, Undecided},
    edge::{Clock, SystemClock},
    log::Log,
    slices::Position,
    sqlite::{LEDGER_FILE, SqliteLog},
};
use serde_json::json;

use crate::{
    running::{accepted, deal, register, until},
    starting::{created, start},
};

/// A closed ledger whose file was copied before its last decisions; answers the positions of these.
fn ledger_that_lost_its_end(dir: &Path) -> Vec<Position> {
    let running = start(dir);
    running.with_partners();
    running.accept("RegisterDeal", deal("d-1", "p-1", "acme.com"), "k-1");
    running.stop();
    let older = std::fs::read(dir.join(LEDGER_FILE)).expect("the ledger");
    let running = start(dir);
    let later: Vec<Position> = ["umbra.com", "initech.com", "hooli.com"]
        .into_iter()
        .map(|domain| running.accept("RegisterDeal", deal("d-2", "p-1", domain), domain).position)
        .collect();
    running.stop();
    std::fs::write(dir.join(LEDGER_FILE), older).expect("put back");
    later
}

#[test]
fn an_older_ledger_beside_newer_snapshots_takes_no_commands_and_says_what_to_do() {
    let dir = tempfile::tempdir().expect("a folder");
    let later = ledger_that_lost_its_end(dir.path());
    for _ in 0..2 {
        let running = start(dir.path());
        let halted = running.sink.halted().expect("it takes no commands");
        let first = later.iter().map(|position| position.slice).min().expect("three");
        let kept_at = later.iter().filter(|position| position.slice == first).max().expect("one");
        assert!(halted.contains(&format!("a snapshot of it was kept at {kept_at}")), "{kept_at}: {halted}");
        assert!(halted.contains(&format!("slice {first} ")) && halted.contains("here"), "{halted}");
        assert!(halted.contains("Put the newest copy") && halted.contains("remove the folder of the snapshots"), "{halted}");
        let refused = running.one("RegisterPartner", register("p-9"), "k-9").expect_err("no writes");
        assert_eq!(refused, Undecided::Unavailable(halted.to_string()));
        // What is there is answered from its state, which is the ledger's.
        assert!(accepted(running.one("RegisterDeal", deal("d-1", "p-1", "acme.com"), "k-1")).replayed);
        running.stop();
    }
    // The operator decides to go on without what is missing.
    std::fs::remove_dir_all(dir.path().join("snapshots")).expect("removed");
    let running = start(dir.path());
    assert_eq!(running.sink.halted(), None);
    running.accept("RegisterDeal", deal("d-2", "p-1", "umbra.com"), "again");
    running.stop();
}

#[test]
fn the_snapshots_of_another_ledger_and_damaged_ones_stop_nothing() {
    let (ours, theirs) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let other = start(theirs.path());
    other.with_partners();
    for n in 0..20 {
        other.accept("RegisterDeal", deal(&format!("d-{n}"), "p-1", &format!("c{n}.example")), &format!("k-{n}"));
    }
    other.stop();
    let running = start(ours.path());
    running.with_partners();
    running.stop();
    let snapshots = |dir: &Path| std::fs::read_dir(dir.join("snapshots")).expect("snapshots").map(|file| file.expect("a file"));
    for damaged in [false, true] {
        for file in snapshots(theirs.path()) {
            let mut bytes = std::fs::read(file.path()).expect("read");
            let middle = bytes.len() / 2;
            bytes[middle] ^= u8::from(damaged);
            std::fs::write(ours.path().join("snapshots").join(file.file_name()), bytes).expect("written");
        }
        let running = start(ours.path());
        assert_eq!(running.sink.halted(), None, "damaged: {damaged}");
        let decided = running.one("RegisterPartner", register("p-1"), &format!("k-{damaged}")).expect("decided");
        assert!(decided.outcome.is_err(), "the partner is known from the ledger");
        drop(running);
    }
}

/// A processor on a new ledger, with chores that the test chose.
fn start_with(dir: &Path, chores: Box<dyn Chores>) -> EmbeddedProcessor {
    let clock = SystemClock::new();
    let log: Arc<dyn Log> = Arc::new(SqliteLog::create(dir, created(&clock)).expect("a ledger"));
    let processor = Processor::restore(log, &MemorySnapshots::default(), KeyLimits::default(), "test".into()).expect("restored");
    EmbeddedProcessor::start(processor, move || clock.now(), chores).expect("a thread")
}

/// Fails as soon as anything falls due.
struct Failing;

impl Chores for Failing {
    fn due(&mut self, _processor: &mut Processor, _now: Timestamp) -> Vec<CommandEnvelope> {
        panic!("a chore broke");
    }

    fn answered(&mut self, _answer: &Decided) {}

    fn settled(&mut self, _processor: &mut Processor, _closing: bool) {}
}

#[test]
fn a_processor_that_panicked_says_so() {
    let dir = tempfile::tempdir().expect("a folder");
    let processor = start_with(dir.path(), Box::new(Failing));
    let sink = processor.sink();
    until("that anybody can know", || sink.halted().is_some());
    let halted = sink.halted().expect("it has failed");
    assert!(halted.contains("a chore broke") && halted.contains("start pledger again"), "{halted}");
    let elsewhere = tempfile::tempdir().expect("a folder");
    let running = start(elsewhere.path());
    let envelope = running.prepared(("RecordTouchpoint", touch(), "k-1"));
    running.stop();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        match runtime.block_on(sink.submit(vec![envelope.clone()])).pop().expect("an answer") {
            Err(Undecided::Unavailable(reason)) => break assert_eq!(reason, *halted),
            // The thread was still on its way out.
            Err(Undecided::Unknown(_)) => assert!(Instant::now() < until, "the thread does not end"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(sink.queued(), 0);
    processor.stop();
}

/// Holds the processor's thread until it is let go.
struct Holding(Receiver<()>);

impl Chores for Holding {
    fn due(&mut self, _processor: &mut Processor, _now: Timestamp) -> Vec<CommandEnvelope> {
        // The sender going away is the end of it.
        let _ = self.0.recv();
        Vec::new()
    }

    fn answered(&mut self, _answer: &Decided) {}

    fn settled(&mut self, _processor: &mut Processor, _closing: bool) {}
}

#[test]
fn the_queue_is_as_deep_as_what_waits() {
    let (dir, elsewhere) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let running = start(elsewhere.path());
    let envelope = running.prepared(("RecordTouchpoint", touch(), "k-1"));
    running.stop();
    let (let_go, held) = channel();
    let processor = start_with(dir.path(), Box::new(Holding(held)));
    let sink = processor.sink();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    // The first is decided before the thread comes to its chores, or waits behind them with the others.
    let first = sink.submit(vec![envelope.clone()]);
    let until = Instant::now() + Duration::from_secs(20);
    let waiting = loop {
        let waiting = sink.submit(vec![envelope.clone(); 5]);
        std::thread::sleep(Duration::from_millis(250));
        if sink.queued() >= 5 {
            break waiting;
        }
        assert!(Instant::now() < until, "the thread is never held");
        drop(runtime.block_on(waiting));
    };
    let before = sink.queued();
    let more = sink.submit(vec![envelope; 7]);
    assert_eq!(sink.queued(), before + 7);
    drop(let_go);
    assert_eq!(runtime.block_on(first).len() + runtime.block_on(waiting).len() + runtime.block_on(more).len(), 13);
    assert_eq!(sink.queued(), 0);
    processor.stop();
}

fn touch() -> serde_json::Value {
    json!({"touchpoint_id": "t-1", "account": "acme.com", "kind": "call", "channel": "x", "occurred_at": "2026-01-15"})
}
