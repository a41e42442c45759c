//! Exports, read back by the tools that analysts use: pyarrow, pandas and DuckDB.
//!
//! `PLEDGER_TEST_PYTHON` names a Python that has them; `cargo xtask test` sets one up and sets it. Where it is not set, the
//! tests are listed as ignored.

use std::{path::Path, process::Command};

use libtest_mimic::{Arguments, Failed, Trial};

const PYTHON: &str = "PLEDGER_TEST_PYTHON";
const READ_BACK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/exports/read_back.py");

/// What is exported: a file's name, and the arguments of the verb.
type Export = (&'static str, &'static [&'static str]);

const NOW: [Export; 9] = [
    ("deals", &["deals"]),
    ("pipeline", &["pipeline", "--by", "region,status,month"]),
    ("partners", &["partners"]),
    ("tiers", &["tiers"]),
    ("ropi", &["ropi", "--by", "partner,quarter"]),
    ("attribution", &["attribution"]),
    ("mdf", &["mdf"]),
    ("conflicts", &["conflicts"]),
    ("ledger", &["ledger"]),
];

const PAST: [Export; 3] = [
    ("deals+as-of", &["deals", "--as-of", "2026-06-30"]),
    ("deals+known-at", &["deals", "--known-at", "2026-06-30", "--filter", "status=open"]),
    ("ropi+both", &["ropi", "--as-of", "2026-03-31", "--known-at", "2026-06-30"]),
];

fn main() {
    let python = std::env::var(PYTHON).ok().filter(|python| !python.is_empty());
    let is_missing = python.is_none();
    if is_missing {
        eprintln!("{PYTHON} names no Python with pyarrow, pandas and duckdb (`cargo xtask test` sets one up): tests are left out");
    }
    let cases: [(&str, &'static [Export]); 2] = [("exports_of_today_agree", &NOW), ("exports_of_the_past_agree", &PAST)];
    let trials = cases.map(|(name, exports)| {
        let python = python.clone().unwrap_or_default();
        Trial::test(name, move || read_back(&python, exports)).with_ignored_flag(is_missing)
    });
    libtest_mimic::run(&Arguments::from_args(), trials.into()).exit();
}

fn read_back(python: &str, exports: &[Export]) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    pledger(folder, &["demo", "--partners", "12", "--months", "9", "--seed", "5", "--no-serve"])?;
    for (name, arguments) in exports {
        for format in ["csv", "parquet", "arrow"] {
            pledger(folder, &[&["export"], *arguments, &["--format", format, "--out", &format!("{name}.{format}")]].concat())?;
        }
    }
    let mut command = Command::new(python);
    command.arg(READ_BACK).arg(folder).args(exports.iter().map(|(name, _)| name));
    run(&mut command)
}

fn pledger(folder: &Path, arguments: &[&str]) -> Result<(), Failed> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pledger"));
    run(command.current_dir(folder).arg("--data-dir").arg("data").args(arguments))
}

fn run(command: &mut Command) -> Result<(), Failed> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)).into())
}
