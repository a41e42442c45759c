//! What happens to real machines: a process that is killed, a disk that is full, a byte that flips.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use pledger_consumers::processor::{KeyLimits, MemorySnapshots, Processor};
use pledger_ledger::{
    chain::{ChainHead, Verdict},
    commands::{Answer, Undecided},
    log::{Log, LogError},
    record::{Body, Record},
    sqlite::{LEDGER_FILE, Mode, SqliteLog},
    verify::{VerifyError, verify},
};
use serde_json::{Value, json};

use crate::{
    running::{Kept, accepted, publish, register},
    starting::{in_folder, snapshots_in, start},
};

/// Set where this program is the one that is to be killed: the folder of its ledger.
const CHILD: &str = "PLEDGER_TEST_CHILD";

fn touch(id: &str) -> Value {
    let account = format!("acme-{}.com", id.len() % 3 + usize::from(id.ends_with(['1', '3', '5', '7', '9'])));
    json!({"touchpoint_id": id, "account": account, "kind": "webinar", "channel": "events", "occurred_at": "2026-01-15"})
}

/// Sends batches for ever, and says what was acknowledged.
fn acknowledge_for_ever(dir: &Path, first: usize) {
    let running = start(dir);
    let mut out = std::io::stdout().lock();
    for batch in 0.. {
        let keys: Vec<String> = (0..40).map(|n| format!("t-{}", first + batch * 40 + n)).collect();
        let items: Vec<_> = keys.iter().map(|key| ("RecordTouchpoint", touch(key), &**key)).collect();
        for (key, answer) in keys.iter().zip(running.send(&items)) {
            let answer = accepted(answer);
            writeln!(out, "\nACK {key} {} {}", answer.position, answer.version).expect("somebody reads");
        }
        out.flush().expect("somebody reads");
    }
}

/// Every key with the place where it was decided. None may be decided twice.
fn decided(log: &dyn Log) -> HashMap<String, String> {
    let mut keys = HashMap::new();
    for slice in log.slices().all() {
        let mut head = ChainHead::default();
        for placed in log.read(slice, 0, usize::MAX).expect("readable") {
            assert_eq!(head.accept(placed.offset, &placed.record), Verdict::Valid);
            if let Body::Decision(decision) = Body::decode(&placed.record.body).expect("a body") {
                let twice = keys.insert(decision.command.id.to_string(), placed.record.position().to_string());
                assert_eq!(twice, None, "{} was decided twice", decision.command.id);
            }
        }
    }
    keys
}

#[test]
fn what_was_acknowledged_before_a_kill_is_there_once() {
    if let Some(dir) = std::env::var_os(CHILD) {
        let first = std::env::var("PLEDGER_TEST_FIRST").expect("a number").parse().expect("a number");
        return acknowledge_for_ever(Path::new(&dir), first);
    }
    let dir = tempfile::tempdir().expect("a folder");
    let running = start(dir.path());
    running.accept("PublishRules", publish(), "rules");
    running.stop();
    let mut acknowledged = HashMap::new();
    for (round, enough) in [90, 400, 1_000].into_iter().enumerate() {
        let before = acknowledged.len();
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "faults::what_was_acknowledged_before_a_kill_is_there_once", "--nocapture"])
            .env(CHILD, dir.path())
            .env("PLEDGER_TEST_FIRST", (round * 1_000_000).to_string())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        for line in lines.map_while(Result::ok) {
            if let [_, key, position, _version] = line.split(' ').collect::<Vec<_>>()[..] {
                acknowledged.insert(key.to_owned(), position.to_owned());
            }
            if acknowledged.len() == before + enough {
                child.kill().expect("SIGKILL");
            }
        }
        assert!(!child.wait().expect("it ended").success());
        assert!(acknowledged.len() >= before + enough);
        // The last line may be cut off: its key is known, its position is not.
        let running = start(dir.path());
        let keys = decided(&*running.log);
        let lost: Vec<_> = acknowledged.iter().filter(|(key, at)| !keys.get(*key).is_some_and(|found| found.starts_with(&**at))).collect();
        assert!(lost.is_empty(), "{lost:?}");
        let again: Vec<&String> = acknowledged.keys().take(200).collect();
        let items: Vec<_> = again.iter().map(|key| ("RecordTouchpoint", touch(key), &***key)).collect();
        for (key, answer) in again.iter().zip(running.send(&items)) {
            let answer = accepted(answer);
            assert_eq!((answer.replayed, answer.position.to_string()), (true, keys[*key].clone()));
        }
        assert_eq!(decided(&*running.log).len(), keys.len());
        verify(&*running.log, None, &mut |_| {}).expect("a sound ledger");
        running.stop();
    }
}

/// A file system of a few megabytes; gone when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Result<Self, String> {
        let dir = tempfile::tempdir().expect("a folder");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=6m", "tmpfs"]).arg(dir.path()).output();
        match mounted {
            Ok(output) if output.status.success() => Ok(Self(dir)),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(self.path()).output());
    }
}

#[test]
fn a_full_disk_refuses_commands_until_there_is_room_again() {
    let disk = match SmallDisk::mount() {
        Ok(disk) => disk,
        Err(reason) => {
            eprintln!("left out: a small disk cannot be mounted here, which takes root: {reason}");
            return;
        }
    };
    let ballast = disk.path().join("ballast");
    std::fs::write(&ballast, vec![7; 4 << 20]).expect("there is room");
    let running = start(disk.path());
    running.accept("PublishRules", publish(), "rules");
    let mut acknowledged: HashMap<String, Answer> = HashMap::new();
    let mut refused = Vec::new();
    for batch in 0..400 {
        let keys: Vec<String> = (0..20).map(|n| format!("t-{batch}-{n}")).collect();
        let items: Vec<_> = keys.iter().map(|key| ("RecordTouchpoint", touch(key), &**key)).collect();
        for (key, answer) in keys.iter().zip(running.send(&items)) {
            match answer {
                Ok(answer) => drop(acknowledged.insert(key.clone(), answer)),
                Err(Undecided::Unknown(_) | Undecided::Unavailable(_)) => refused.push(key.clone()),
                Err(other) => panic!("{other:?}"),
            }
        }
        if refused.len() > 100 {
            break;
        }
    }
    assert!(refused.len() > 100 && !acknowledged.is_empty(), "the disk was never full: {} acknowledged", acknowledged.len());
    // What is there can still be asked for.
    let (key, first) = acknowledged.iter().next().expect("one");
    assert_eq!(accepted(running.one("RecordTouchpoint", touch(key), key)).position, first.position);

    std::fs::remove_file(&ballast).expect("removed");
    let until = Instant::now() + Duration::from_secs(20);
    while running.one("RecordTouchpoint", touch("t-after"), "t-after").is_err() {
        assert!(Instant::now() < until, "there is room and no command is taken");
    }
    for key in &refused {
        running.accept("RecordTouchpoint", touch(key), key);
    }
    let keys = decided(&*running.log);
    assert!(acknowledged.iter().all(|(key, answer)| keys.get(key) == Some(&answer.position.to_string())));
    assert!(refused.iter().all(|key| keys.contains_key(key)));
    verify(&*running.log, None, &mut |_| {}).expect("a sound ledger");
    running.stop();
    let running = start(disk.path());
    assert_eq!(decided(&*running.log).len(), keys.len());
    running.stop();
}

/// A ledger of a few decisions, closed.
fn small_ledger(dir: &Path) -> Vec<Record> {
    let running = start(dir);
    running.accept("PublishRules", publish(), "rules");
    running.accept("RegisterPartner", register("p-1"), "k-1");
    for n in 0..12 {
        running.accept("RecordTouchpoint", touch(&format!("t-{n}")), &format!("k-t-{n}"));
    }
    let all = |slice| running.log.read(slice, 0, usize::MAX).expect("readable");
    let records = running.log.slices().all().flat_map(all).map(|placed| placed.record).collect();
    running.stop();
    records
}

fn ledger_file(dir: &Path) -> PathBuf {
    dir.join(LEDGER_FILE)
}

/// The file with a bit of a record's frame flipped, the frame being slice, pseq, term, prev, hash, length and body. A page
/// that was split keeps a copy that nobody reads, so that it may be found more than once.
fn flip(file: &[u8], record: &Record, place: usize) -> Vec<u8> {
    let mut end = record.header.hash.0.to_vec();
    end.extend(u32::try_from(record.body.len()).expect("short").to_le_bytes());
    end.extend(&record.body);
    let mut torn = file.to_vec();
    let hashes: Vec<usize> = file.windows(end.len()).enumerate().filter(|(_, window)| *window == end).map(|(at, _)| at).collect();
    assert!(!hashes.is_empty(), "{} does not lie in one piece", record.position());
    hashes.into_iter().for_each(|at| torn[at - 50 + place] ^= 0x10);
    torn
}

/// Starts the processor on the ledger's file, without snapshots.
fn restore(dir: &Path) -> Result<(), LogError> {
    let log: Arc<dyn Log> = Arc::new(SqliteLog::open(dir, Mode::Write)?);
    Processor::restore(log, &MemorySnapshots::default(), KeyLimits::default(), "test".into()).map(drop)
}

#[test]
fn a_flipped_byte_is_found_wherever_it_is() {
    let dir = tempfile::tempdir().expect("a folder");
    let records = small_ledger(dir.path());
    let sound = std::fs::read(ledger_file(dir.path())).expect("the file");
    // slice, pseq, term, prev, hash, length, the body's first, middle and last byte
    for record in &records {
        let body = record.body.len();
        for place in [0, 2, 10, 18, 49, 50, 81, 82, 86, 86 + body / 2, 85 + body] {
            std::fs::write(ledger_file(dir.path()), flip(&sound, record, place)).expect("written");
            let started = restore(dir.path());
            let at = format!("byte {place} of {}", record.position());
            assert!(matches!(started, Err(LogError::Damaged { .. })), "{at}: {started:?}");
            let verified =
                SqliteLog::open(dir.path(), Mode::Read).map_err(VerifyError::from).and_then(|log| verify(&log, None, &mut |_| {}));
            match verified {
                Err(VerifyError::Broken { position, .. }) => {
                    // Where slice, sequence or length flipped, the record cannot say which it is.
                    let names_itself = (10..82).contains(&place) || place >= 86;
                    assert!(!names_itself || position == record.position(), "{at}: found at {position}");
                }
                other => panic!("{at}: {other:?}"),
            }
        }
    }
    std::fs::write(ledger_file(dir.path()), &sound).expect("written");
    restore(dir.path()).expect("sound again");
}

#[test]
fn damage_that_is_found_while_serving_stops_writes_and_not_answers() {
    let dir = tempfile::tempdir().expect("a folder");
    let records = small_ledger(dir.path());
    let sound = std::fs::read(ledger_file(dir.path())).expect("the file");
    // An early record: the snapshots stand at the end and do not read it.
    let hit = records.iter().find(|record| String::from_utf8_lossy(&record.body).contains("k-t-0\"")).expect("the first touchpoint");
    std::fs::write(ledger_file(dir.path()), flip(&sound, hit, 200)).expect("written");
    let kept = Kept { snapshots: snapshots_in(dir.path()), ..Kept::default() };
    let (running, sink) = in_folder(dir.path(), &kept).expect("the snapshots stand at the end");
    let found = verify(&*running.log, None, &mut |_| {}).expect_err("it is broken");
    assert!(matches!(&found, VerifyError::Broken { position, .. } if *position == hit.position()), "{found}");
    sink.refuse_writes(found.to_string());
    let refused = running.one("RecordTouchpoint", touch("t-99"), "k-t-99").expect_err("no writes");
    assert_eq!(refused, Undecided::Unavailable(found.to_string()));
    // The damaged decision is not told again; a sound one is.
    let told = running.one("RecordTouchpoint", touch("t-0"), "k-t-0").expect_err("damaged");
    assert!(matches!(told, Undecided::Unavailable(_)), "{told:?}");
    assert!(accepted(running.one("RecordTouchpoint", touch("t-11"), "k-t-11")).replayed);
    running.stop();
}
