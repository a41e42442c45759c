//! Measurements in a process of their own: they start cold, and their memory is theirs alone.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use serde::{Serialize, de::DeserializeOwned};

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
