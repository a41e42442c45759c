//! `pledger completions`: for the shell.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::context::Context;

/// Print completions for a shell
#[derive(Args)]
#[command(after_help = "Example:\n  pledger completions bash > /etc/bash_completion.d/pledger")]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self, _context: &Context) -> Result<ExitCode> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut crate::Arguments::command(), "pledger", &mut text);
        crate::output::print(text)?;
        Ok(ExitCode::SUCCESS)
    }
}
