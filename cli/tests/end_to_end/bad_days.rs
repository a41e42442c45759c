//! A ledger that was damaged, cut off or replaced: what its operator is told, and what still works.

use std::{io::Write, path::Path, process::Command};

use crate::program::{PARTNER, Server, fail, give_the_right_to_write, pledger, pledger_as_reader, succeed, take_the_right_to_write, text};

const SIGN: &str = r#"{"partner_id":"p-1"}"#;

fn partner(id: &str) -> String {
    PARTNER.replace("p-1", id)
}

/// Flips a bit in the partner's name, in its decision.
fn damage(dir: &Path) {
    let file = dir.join("data").join("ledger.db");
    let mut bytes = std::fs::read(&file).expect("the ledger");
    let found = bytes.windows(8).position(|window| window == b"Nordwind").expect("the partner's name is in the ledger");
    bytes[found] ^= 1;
    std::fs::write(&file, bytes).expect("written");
}

/// Whether questions are answered by a server and without one, each time with a warning that contains `what`, and
/// commands are refused for the same reason.
fn answers_and_takes_nothing(dir: &Path, what: &str) {
    let server = Server::start(dir);
    // What snapshots cover is checked in the background.
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while server.get("/readyz").0 == 200 {
        assert!(std::time::Instant::now() < until, "nobody notices");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let (status, warning, partners) = server.get("/v1/partners");
    assert_eq!((status, partners["items"][0]["partner_id"].as_str()), (200, Some("p-1")), "{partners}");
    assert!(partners["warning"].as_str().is_some_and(|warning| warning.contains(what)), "{partners}");
    assert!(warning.is_some_and(|warning| warning.contains(what)));
    assert!(fail(dir, &["command", "RegisterPartner", &partner("p-9")], 1).contains(what));
    assert!(fail(dir, &["command", "ApproveDeal", r#"{"deal_id":"d-1"}"#], 1).contains(what), "not an unknown deal");
    assert!(text(&pledger(dir, &["query", "partners"])).contains(what));
    let told = fail(dir, &["doctor"], 1);
    assert!(told.lines().any(|line| line.starts_with("WRONG  processor") && line.contains(what)), "{told}");
    server.stop();
}

#[test]
fn one_flipped_byte_is_named_and_nothing_is_written_any_more() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    succeed(dir, &["init", "--slices", "8"]);
    succeed(dir, &["command", "RegisterPartner", PARTNER]);
    assert!(!succeed(dir, &["doctor"]).contains("WRONG"));
    damage(dir);
    let replayed = fail(dir, &["replay", "--partner", "p-1"], 1);
    assert!(replayed.contains("is damaged: it is not what was hashed") && replayed.contains("RegisterPartner"), "{replayed}");
    let broken = fail(dir, &["verify"], 1);
    let position = broken.split("broken at ").nth(1).and_then(|rest| rest.split(": ").next()).expect("a position").to_owned();
    // A snapshot lies behind the damage: what follows is read, and the rest checked, before anything is written.
    assert!(fail(dir, &["command", "SignAgreement", SIGN], 1).contains(&position));
    answers_and_takes_nothing(dir, &format!("at {position}"));
    // Without the snapshots that cover it, the damage is in the way from the start.
    std::fs::remove_dir_all(dir.join("data").join("snapshots")).expect("removed");
    answers_and_takes_nothing(dir, &format!("at {position}"));
    std::fs::remove_dir_all(dir.join("data").join("projections")).expect("removed");
    answers_and_takes_nothing(dir, &format!("at {position}"));
    let told = text(&pledger(dir, &["query", "partners"]));
    assert!(told.contains("p-1") && told.contains(&format!("Warning: the ledger is damaged at {position}")), "{told}");
    assert!(fail(dir, &["command", "SignAgreement", SIGN], 1).contains(&position));
    assert!(succeed(dir, &["generations", "list"]).contains("There is no generation yet"), "what there is of them is told");
}

#[test]
fn what_does_not_come_out_as_recorded_fails_a_simulation_in_every_form() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    succeed(dir, &["init"]);
    succeed(dir, &["command", "RegisterPartner", PARTNER]);
    std::fs::write(dir.join("same.toml"), succeed(dir, &["rules", "show"])).expect("written");
    let verified = ["simulate", "--rules", "same.toml", "--verify"];
    succeed(dir, &verified);
    damage(dir);
    let said = "1 of the decisions do not come out as recorded, and no draft is said to change them; the first is ";
    for form in ["csv", "json"] {
        let told = fail(dir, &[&verified[..], &["--format", form]].concat(), 1);
        assert!(told.contains(said), "{told}");
    }
    assert!(fail(dir, &verified, 1).contains("1 do NOT come out as recorded"));
}

#[test]
fn a_record_that_was_moved_into_another_stream_is_missed_where_it_was() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    succeed(dir, &["init"]);
    succeed(dir, &["command", "RegisterPartner", PARTNER]);
    succeed(dir, &["command", "SignAgreement", SIGN]);
    succeed(dir, &["replay", "--stream", "partner/p-1"]);
    let file = dir.join("data").join("ledger.db");
    let mut bytes = std::fs::read(&file).expect("the ledger");
    let (name, version) = ("\"stream\":\"partner/p-1", "\",\"version\":1,");
    let begun = format!("{name}{version}").into_bytes();
    let found = bytes.windows(begun.len()).position(|window| window == begun).expect("the first decision");
    bytes[found + name.len() - 1] = b'2';
    std::fs::write(&file, bytes).expect("written");
    let replayed = fail(dir, &["replay", "--stream", "partner/p-1"], 1);
    assert!(replayed.contains("version 1 of partner/p-1 is missing before ") && replayed.contains("SignAgreement"), "{replayed}");
}

#[test]
fn damaged_read_models_are_made_again_and_the_ledger_is_asked_meanwhile() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    succeed(dir, &["demo", "--partners", "4", "--months", "3", "--no-serve"]);
    let partners = succeed(dir, &["query", "partners"]);
    let overwrite = |generation: &str, from: usize| {
        let file = dir.join("data").join("projections").join(generation).join("read.db");
        let mut bytes = std::fs::read(&file).expect("the read models");
        bytes[from..].iter_mut().take(50_000).for_each(|byte| *byte = 0x55);
        std::fs::write(&file, bytes).expect("written");
    };
    // The head of the file, then what follows it: SQLite notices at another place.
    for (generation, from) in [("1", 0), ("2", 4_000)] {
        overwrite(generation, from);
        assert_eq!(succeed(dir, &["query", "partners"]), partners);
        assert!(!succeed(dir, &["doctor"]).contains("WRONG"));
        succeed(dir, &["verify", "--projections"]);
    }
    assert!(succeed(dir, &["rebuild", "--promote"]).contains("is in use"));
}

#[test]
fn an_older_ledger_put_back_is_read_and_not_added_to() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    succeed(dir, &["init"]);
    succeed(dir, &["command", "RegisterPartner", PARTNER]);
    let file = dir.join("data").join("ledger.db");
    let older = std::fs::read(&file).expect("the ledger");
    succeed(dir, &["command", "SignAgreement", SIGN]);
    std::fs::write(&file, older).expect("put back");
    assert!(fail(dir, &["verify"], 1).contains("BROKEN: the ledger is older than its own state: slice "));
    answers_and_takes_nothing(dir, "Put the newest copy of the ledger's file back");
    std::fs::remove_dir_all(dir.join("data").join("snapshots")).expect("removed");
    assert!(succeed(dir, &["command", "SignAgreement", SIGN]).contains("Accepted"));
}

#[test]
fn a_mistake_of_the_caller_is_told_as_one() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    assert!(fail(dir, &["erase", "pam-1", "--reason", "asked"], 1).contains("there is no ledger"));
    assert!(fail(dir, &["command", "RegisterPartner"], 2).contains("the payload is missing"));
    assert!(fail(dir, &["command", "RegisterPartner", "{bad"], 2).contains("the payload is not JSON"));
    assert!(fail(dir, &["import", "crm", "nowhere"], 2).contains("nowhere"));
    assert!(!dir.join("data").exists(), "nothing is created to erase from, or for what cannot be sent");
    assert!(text(&pledger(dir, &["command", "RegisterPartner", PARTNER])).contains("There was no ledger in"));
    for (arguments, said) in [
        (&["init", "--slices", "1"][..], "2..=4096"),
        (&["verify", "--slice", "64"], "this ledger has 0 to 63"),
        (&["query", "deals", "--filter", "colour=red"], "no dimension"),
        (&["query", "deals", "--by", "stage"], "it is not grouped"),
        (&["query", "deals", "--limit", "0"], "a whole number from 1 to 10000"),
        (&["query", "deals", "--cursor", "zz"], "the cursor is none"),
        (&["query", "deals", "--format", "csv", "--json"], "leave out --json for csv, or --format for JSON"),
        (&["--json", "query", "deals", "--format", "table"], "leave out --json for table, or --format for JSON"),
        (&["simulate", "--rules", "x", "--json", "--format", "csv"], "leave out --json for csv"),
        (&["replay", "--json", "--format", "text"], "leave out --json for text"),
        (&["export", "deals", "--json", "--format", "csv", "--out", "-"], "leave out --json for csv"),
        (&["conflicts", "--limit", "0"], "a whole number from 1 to 10000"),
        (&["export", "nothing", "--format", "csv", "--out", "x"], "There are: ledger, partners"),
        (&["command", "RegisterPartner", PARTNER, "--effective-at", "0001-01-01"], "--effective-at"),
    ] {
        let told = fail(dir, arguments, 2);
        assert!(told.contains(said), "{arguments:?}: {told}");
    }
    let twice = fail(dir, &["command", "RegisterPartner", PARTNER, "--actor", "a b"], 1);
    assert_eq!(twice.matches("ctor").count(), 2, "the field is named once beside its code: {twice}");
    assert!(fail(dir, &["replay", "--account", "Acme Corp"], 2).contains("\"name:acme%20corp\""));
    assert!(fail(dir, &["conflicts", "--cursor", "zz"], 2).contains("the cursor is none"));
    assert!(fail(dir, &["explain", "tiers", "p-11"], 1).contains("no partner p-11; nearest: p-1"));
    assert!(succeed(dir, &["export", "partners", "--format", "csv", "--out", "-"]).contains("Nordwind"));
    let elsewhere = tempfile::tempdir().expect("a folder");
    std::fs::write(elsewhere.path().join("data"), "").expect("written");
    assert!(fail(elsewhere.path(), &["init"], 1).contains("is no directory"));
}

#[test]
fn what_may_not_be_written_is_read_and_says_that_it_takes_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    succeed(dir, &["init", "--slices", "8"]);
    succeed(dir, &["command", "RegisterPartner", PARTNER]);
    take_the_right_to_write(&dir.join("data"));
    std::fs::set_permissions(dir, std::fs::metadata(dir.join("data")).expect("the folder").permissions()).expect("readable");
    for (arguments, said) in [
        (&["verify", "--projections"][..], "equal a fresh fold"),
        (&["query", "partners"], "Nordwind"),
        (&["replay"], "RegisterPartner"),
        (&["explain", "partners", "p-1"], "RegisterPartner"),
        (&["export", "partners", "--format", "csv", "--out", "-"], "Nordwind"),
        (&["rules", "show"], "[tiers"),
        (&["generations", "list"], "in_use"),
    ] {
        let output = pledger_as_reader(dir, arguments);
        assert!(output.status.success() && text(&output).contains(said), "{arguments:?}: {}", text(&output));
    }
    for arguments in [&["command", "SignAgreement", SIGN][..], &["serve", "--listen", "127.0.0.1:0"]] {
        let refused = pledger_as_reader(dir, arguments);
        assert!(!refused.status.success() && text(&refused).contains("may not write to"), "{arguments:?}: {}", text(&refused));
    }
    // What was written last lies beside the file, where only those read it who may write.
    give_the_right_to_write(&dir.join("data"));
    let wal = dir.join("data").join("ledger.db-wal");
    std::fs::write(&wal, [0; 64]).expect("written");
    take_the_right_to_write(&dir.join("data"));
    let refused = pledger_as_reader(dir, &["verify"]);
    assert!(!refused.status.success() && text(&refused).contains("copy the whole directory"), "{}", text(&refused));
    give_the_right_to_write(dir);
}

#[test]
fn a_generated_history_keeps_its_own_time_where_nothing_may_be_written() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    succeed(dir, &["demo", "--partners", "5", "--months", "3", "--no-serve"]);
    let asked = ["query", "tiers", "p-001", "--columns", "window_to"];
    let told = succeed(dir, &asked);
    take_the_right_to_write(&dir.join("data"));
    std::fs::set_permissions(dir, std::fs::metadata(dir.join("data")).expect("the folder").permissions()).expect("readable");
    let read = pledger_as_reader(dir, &asked);
    give_the_right_to_write(dir);
    assert_eq!(String::from_utf8_lossy(&read.stdout), told);
}

#[test]
fn commands_of_a_cluster_do_not_go_to_a_ledger_of_their_own() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    let asked = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pledger"));
        let command = command.current_dir(dir).env_remove("PLEDGER_DATA_DIR").env("PLEDGER_KAFKA", "127.0.0.1:1");
        command.args(arguments).output().expect("pledger starts")
    };
    std::fs::write(dir.join("program.toml"), pledger_domain::rules::Rules::DEFAULT).expect("written");
    for arguments in
        [&["command", "RegisterPartner", PARTNER][..], &["rules", "publish", "program.toml"], &["erase", "ps-1", "--reason", "asked"]]
    {
        let refused = asked(arguments);
        assert_eq!(refused.status.code(), Some(1), "{arguments:?}: {}", text(&refused));
        assert!(text(&refused).contains("PLEDGER_KAFKA names a cluster, whose commands go to a server"), "{}", text(&refused));
    }
    assert!(!dir.join("pledger-data").exists(), "nothing was created");
}

/// A file system of a few megabytes; gone when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// None where it cannot be mounted, which takes root.
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().expect("a folder");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(dir.path()).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(dir))
    }

    /// Fills it up to so many bytes.
    fn fill(&self, free: u64) {
        let path = self.0.path().join("ballast");
        let mut ballast = std::fs::File::create(&path).expect("there is room");
        let mut written = 0;
        while ballast.write_all(&[7; 4_096]).is_ok() {
            written += 4_096;
        }
        ballast.set_len(written - free).expect("it is cut");
    }

    fn empty(&self) {
        std::fs::remove_file(self.0.path().join("ballast")).expect("there is ballast");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(self.0.path()).output());
    }
}

#[test]
fn a_full_disk_is_named_as_such_and_the_ledger_stays_intact() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("left out: a small disk cannot be mounted here, which takes root");
        return;
    };
    let dir = disk.0.path();
    succeed(dir, &["init", "--slices", "4"]);
    // Nothing can be opened, or not everything, or it is opened and cannot be written.
    for pages in [0, 8, 16, 24] {
        disk.fill(pages * 4_096);
        let told = pledger(dir, &["command", "RegisterPartner", PARTNER]);
        if told.status.success() {
            disk.empty();
            break;
        }
        let said = text(&told);
        let is_named =
            said.contains("data is full: what failed recorded nothing.") || said.contains("data is full: free some space before");
        assert!(told.status.code() == Some(1) && is_named, "{pages} pages: {said}");
        disk.empty();
        assert!(succeed(dir, &["verify"]).starts_with("Intact"), "{pages} pages");
    }
    succeed(dir, &["command", "RegisterPartner", &partner("p-2")]);
    assert!(succeed(dir, &["verify"]).starts_with("Intact"));
}
