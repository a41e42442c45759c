//! A Python with the tools that read exports back, and a Kafka client that is none of ours, in the user's cache.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

/// The variable that names it to the tests.
pub(crate) const PYTHON: &str = "PLEDGER_TEST_PYTHON";

/// What is installed, about 100 MB to fetch. Another version is another folder.
const WHEELS: [&str; 4] = ["confluent-kafka==2.16.1", "duckdb==2.0.0", "pandas==3.1.1", "pyarrow==26.0.1"];

/// The interpreter: the one that the variable names, or one of our own, which is set up where it is not there yet.
pub(crate) fn interpreter() -> anyhow::Result<PathBuf> {
    if let Some(given) = env::var_os(PYTHON).filter(|given| !given.is_empty()) {
        return Ok(given.into());
    }
    let folder = folder(&crate::service::cache()?);
    let python = folder.join("bin").join("python");
    if !folder.join("complete").is_file() {
        set_up(&folder, &python)?;
    }
    Ok(python)
}

fn folder(cache: &Path) -> PathBuf {
    cache.join(format!("python-{}", WHEELS.join("-").replace("==", "-")))
}

fn set_up(folder: &Path, python: &Path) -> anyhow::Result<()> {
    eprintln!("setting up {} (once)", WHEELS.join(", "));
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder))
        .context("a Python to read exports with: apt-get install python3-venv, or set PLEDGER_TEST_PYTHON")?;
    run(Command::new(python).args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(WHEELS))?;
    // What was interrupted is begun again.
    std::fs::write(folder.join("complete"), "").with_context(|| format!("writing to {}", folder.display()))
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().with_context(|| format!("running {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_is_another_folder() {
        let folder = folder(Path::new("/cache"));
        let name = folder.file_name().and_then(|name| name.to_str()).expect("a name");
        assert!(WHEELS.iter().all(|wheel| name.contains(&wheel.replace("==", "-"))), "{name}");
    }
}
