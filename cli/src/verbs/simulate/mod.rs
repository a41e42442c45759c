//! `pledger simulate`: what a draft of the rules would have made of the history that there is.

mod asked;
mod report;
mod row;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result};
use clap::Args;
use pledger_command_api::{Draft, Simulation};

use crate::{cluster::ClusterFlags, context::Context, ledger::Ledger, output, verbs::query::Format};
pub(crate) use asked::{Told, Unfit, simulate};
pub(crate) use report::Report;

/// Say what other rules would change: replay history under a draft, and write nothing
#[derive(Args)]
#[command(after_help = "Examples:
  pledger rules show > draft.toml; edit draft.toml; pledger simulate --rules draft.toml
  pledger simulate --rules strict.toml --rules generous.toml --from 2026-01-01
  pledger simulate --rules draft.toml --format csv > differences.csv")]
pub(crate) struct Simulate {
    /// The draft, a whole program.toml; several are compared side by side
    #[arg(long = "rules", value_name = "FILE", required = true)]
    drafts: Vec<PathBuf>,
    /// From when the draft governs: what was decided or won before stands as it is [default: always]
    #[arg(long, value_name = "T")]
    from: Option<String>,
    /// Up to when history counts, and the time of questions such as "which tier?" [default: the ledger's present]
    #[arg(long, value_name = "T")]
    to: Option<String>,
    /// The most rows of each kind in a table
    #[arg(long, default_value_t = 20, value_name = "N")]
    limit: usize,
    /// How the answer looks
    #[arg(long, value_enum)]
    format: Option<Format>,
    #[command(flatten)]
    cluster: ClusterFlags,
}

impl Simulate {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode> {
        let format = Format::of(self.format, context)?;
        let ledger = Ledger::open(&self.cluster, context)?;
        let read = |file: &PathBuf| {
            let name = file.display().to_string();
            let program = std::fs::read_to_string(file).with_context(|| format!("{name} cannot be read"))?;
            Ok(Draft { name, program })
        };
        let drafts = self.drafts.iter().map(read).collect::<Result<_>>()?;
        let report = simulate(&ledger, &Simulation { drafts, from: self.from, to: self.to }, &Told::ON_A_TERMINAL)?;
        match format {
            Format::Table => output::print(report.table(self.limit))?,
            Format::Json => output::print_json(&report.json())?,
            Format::Csv => output::print(report.csv()?)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
