//! Measurements in a process of their own: they start cold, and their memory is theirs alone.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Measurement, progress, report::Row};

/// What the process is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Task {
    /// Rebuild all read models.
    Rebuild,
    /// Start serving and decide one command.
    StartUp,
    /// Say what a draft of the rules would change.
    Simulate,
    /// Read the decisions of an account.
    Replay,
    /// Ask about the past.
    AsOf,
}

/// Runs this program on `folder` and reads what it says.
pub(crate) fn run<T: DeserializeOwned>(task: Task, folder: &Path) -> Result<T> {
    let name = task.to_possible_value().context("a task has a name")?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--task", name.get_name(), "--folder"]).arg(folder).stderr(Stdio::inherit());
    let output = command.output()?;
    if !output.status.success() {
        bail!("{} in {} ended with {}", name.get_name(), folder.display(), output.status);
    }
    serde_json::from_slice(&output.stdout).context("what the process said cannot be read")
}

/// Says the result, in that process.
pub(crate) fn say(result: &impl Serialize) -> Result<()> {
    serde_json::to_writer(std::io::stdout().lock(), result)?;
    Ok(())
}

/// Has this program make one measurement, with limits of its own, in a folder that it makes in `scratch`.
pub(crate) fn measure(what: Measurement, quick: bool, scratch: &Path) -> Result<Vec<Row>> {
    #[derive(Deserialize)]
    struct Reported {
        rows: Vec<Row>,
    }
    let name = what.to_possible_value().context("a measurement has a name")?;
    progress(&format!("{}, in a process of its own", name.get_name()));
    let json = scratch.join(format!("{}.json", name.get_name()));
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--only", name.get_name(), "--scratch"]).arg(scratch).arg("--json").arg(&json);
    if quick {
        command.arg("--quick");
    }
    let status = command.stdout(Stdio::null()).status()?;
    if !status.success() {
        bail!("the measurement {} ended with {status}", name.get_name());
    }
    let Reported { rows } = serde_json::from_slice(&std::fs::read(json)?).context("what was measured cannot be read")?;
    Ok(rows)
}
