//! `pledger simulate`: what a draft of the rules would have made of the history that there is.

mod asked;
mod funds;
mod report;
mod row;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::Args;
use pledger_command_api::{Draft, Simulation};
use pledger_domain::rules::Rules;

use crate::{
    cluster::ClusterFlags,
    context::{Context, Usage},
    ledger::Ledger,
    output,
    verbs::{query::Format, rules},
};
pub(crate) use asked::{Told, Unfit, simulate};
pub(crate) use report::Report;

/// Rows of a kind in a table, where nothing else is asked for.
const TABLE_ROWS: usize = 20;

/// Say what other rules would change: replay history under a draft, and write nothing
#[derive(Args)]
#[command(
    after_help = "Exit code 1 where a decision does not come out as recorded under the rules as recorded; pledger verify says what is damaged.

Examples:
  pledger rules show > draft.toml; edit draft.toml; pledger simulate --rules draft.toml
  pledger simulate --rules strict.toml --rules generous.toml --from 2026-01-01
  pledger simulate --rules draft.toml --format csv > differences.csv
  pledger rules show > same.toml; pledger simulate --rules same.toml --verify
  pledger rules show | sed 's/^grace_days.*/grace_days = 30/' | pledger simulate --rules -"
)]
pub(crate) struct Simulate {
    /// The draft, a whole program.toml, or - for standard input; several are compared side by side
    #[arg(long = "rules", value_name = "FILE", required = true)]
    drafts: Vec<PathBuf>,
    /// From when the draft governs: what was decided or won before stands as it is [default: always]
    #[arg(long, value_name = "T")]
    from: Option<String>,
    /// Up to when history counts, and the time of questions such as "which tier?" [default: the ledger's present]
    #[arg(long, value_name = "T")]
    to: Option<String>,
    /// The most rows of each kind in a table, or of each list in JSON, which says how many there are; CSV has every row [default: 20; of JSON 1000]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Decide every command again and under the rules as recorded too, not only those that a changed clause decides: it shows that pledger decides as it did, and takes longer
    #[arg(long)]
    verify: bool,
    /// How the answer looks
    #[arg(long, value_enum)]
    format: Option<Format>,
    #[command(flatten)]
    cluster: ClusterFlags,
}

impl Simulate {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode> {
        let format = Format::of(self.format, context)?;
        // Rows tell their draft by its file.
        let twice = self.drafts.iter().enumerate().find(|(at, file)| self.drafts[..*at].contains(file));
        if let Some((_, file)) = twice {
            return Err(Usage(format!("--rules {} is given twice", file.display())).into());
        }
        let ledger = Ledger::open(&self.cluster, context)?;
        let read = |file: &PathBuf| {
            let name = file.display().to_string();
            let file = rules::read(file)?;
            let program = Rules::text_of(&file).map_err(|invalid| Unfit(format!("{name} is no program.toml: {invalid}")))?.to_owned();
            Ok(Draft { name, program })
        };
        let drafts = self.drafts.iter().map(read).collect::<Result<_>>()?;
        let asked = Simulation { drafts, from: self.from, to: self.to, limit: self.limit, verify: Some(self.verify) };
        let limit = match format {
            Format::Table => self.limit.unwrap_or(TABLE_ROWS),
            Format::Json => self.limit.unwrap_or(Simulation::LISTED),
            Format::Csv => usize::MAX,
        };
        let report = simulate(&ledger, &asked, limit, &Told::ON_A_TERMINAL)?;
        if format != Format::Table {
            report.warnings().iter().for_each(|warning| eprintln!("warning: {warning}"));
        }
        match format {
            Format::Table => output::print(report.table())?,
            Format::Json => output::print_json(&report.json())?,
            Format::Csv => report.csv(std::io::stdout().lock())?,
        }
        // What pledger decides otherwise than the ledger has it says nothing of drafts.
        Ok(if report.repeats() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
