//! A writer that is killed, as by `kill -9`, loses nothing that it reported.

mod decisions;

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use decisions::{Scribe, created};
use pledger_ledger::{
    log::Log,
    sqlite::{Mode, SqliteLog},
    verify::verify,
};

/// How often the writer is killed.
const KILLS: u64 = 3;
/// How many reports each life has before it ends.
const REPORTS: usize = 150;

/// Has no test harness: it starts itself again as the writer that is killed.
fn main() {
    match std::env::args_os().nth(1).filter(|arg| arg == "write-until-killed").and_then(|_| std::env::args_os().nth(2)) {
        Some(dir) => write_until_killed(&PathBuf::from(dir)),
        None => what_was_reported_survives(),
    }
}

fn what_was_reported_survives() {
    let dir = tempfile::tempdir().expect("a directory");
    drop(SqliteLog::create(dir.path(), created()).expect("a new ledger"));
    let mut reported = 0;
    for life in 1..=KILLS {
        let program = std::env::current_exe().expect("this program");
        let mut writer = Command::new(program).arg("write-until-killed").arg(dir.path()).stdout(Stdio::piped()).spawn().expect("a writer");
        let lines = BufReader::new(writer.stdout.take().expect("its reports")).lines();
        let last = lines.take(REPORTS).map(|line| line.expect("a line").parse::<u64>().expect("a number")).last();
        writer.kill().expect("killed");
        writer.wait().expect("ended");
        let before = reported;
        reported = last.expect("it reported");
        assert!(reported > before, "life {life} wrote on: {reported} after {before}");
        // The system gave its lock back, and the file is whole.
        let log = SqliteLog::open(dir.path(), Mode::Write).expect("opened again");
        let verified = verify(&log, None, &mut |_| ()).expect("sound");
        assert!(verified.records >= reported, "life {life}: {} records are left of {reported} reported", verified.records);
    }
}

/// Tells the number of valid records after every report.
fn write_until_killed(dir: &Path) {
    let log = SqliteLog::open(dir, Mode::Write).expect("opened");
    let verified = verify(&log, None, &mut |_| ()).expect("sound");
    let (mut scribe, mut records) = (Scribe::new(log.slices(), verified.heads), verified.records);
    let life = u32::try_from(records).expect("a test writes little");
    let mut producer = log.producer().expect("a producer");
    let mut out = std::io::stdout();
    producer.send(log.slices().all().map(|slice| scribe.open(slice)).collect()).expect("taken");
    loop {
        producer.send((0..7).map(|_| scribe.decide(life)).collect()).expect("taken");
        records += producer.reports(Duration::from_secs(10)).iter().filter(|report| report.outcome.is_ok()).count() as u64;
        writeln!(out, "{records}").expect("heard");
        out.flush().expect("heard");
    }
}
