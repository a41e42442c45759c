//! `pledger simulate`: what a draft of the rules would have made of the history that there is.

mod report;
mod row;

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use pledger_consumers::counterfactual;
use pledger_domain::{
    rules::{RuleSet, Rules},
    values::Timestamp,
};
use pledger_ledger::log::Log;
use pledger_projections::{
    engine::{Engine, Moment, Options, Supposed},
    what_if::Standing,
};

use crate::{
    cluster::ClusterFlags,
    context::{Context, Usage},
    ledger::Ledger,
    output,
    verbs::{query::Format, rules},
};
use report::{Outcome, Report};

/// How long one folding of the whole ledger may take.
const FOLDING: Duration = Duration::from_secs(3_600);

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

/// A draft of the rules.
struct Draft {
    name: String,
    rules: Arc<RuleSet>,
}

/// The time that is looked at.
#[derive(Clone, Copy)]
struct Span {
    from: Option<Timestamp>,
    to: Timestamp,
    /// What of history counts.
    moment: Moment,
}

impl Simulate {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode> {
        let format = self.format.unwrap_or(if context.json { Format::Json } else { Format::Table });
        let ledger = Ledger::open(&self.cluster, context)?;
        let (program, present) = rules::program_of(&ledger)?;
        let span = self.span(present)?;
        let drafts = self.drafts(program.count())?;
        let log = ledger.log;
        let recorded = standing(&log, span, None)?;
        let in_force = program.in_force_at(span.to).cloned().with_context(|| format!("no rules are in force at {}", span.to))?;
        let mut decided = decided_again(&*log, &drafts, span)?;
        let decisions = std::mem::take(&mut decided.drafts);
        let outcomes = drafts.iter().zip(decisions).map(|(draft, decisions)| {
            let supposed = Supposed { rules: Arc::clone(&draft.rules), from: span.from };
            let figures = recorded.changes_to(&standing(&log, span, Some(supposed))?);
            let changes = in_force.rules.changes_to(&draft.rules.rules);
            Ok(Outcome { name: draft.name.clone(), changes, figures, decisions })
        });
        let drafts = outcomes.collect::<Result<_>>()?;
        let report = Report { from: span.from, to: span.to, in_force: in_force.version, drafts, decided };
        match format {
            Format::Table => output::print(report.table(self.limit))?,
            Format::Json => output::print_json(&report.json())?,
            Format::Csv => output::print(report.csv()?)?,
        }
        Ok(ExitCode::SUCCESS)
    }

    fn span(&self, present: Timestamp) -> Result<Span> {
        let expected = "expected a time like 2026-03-31T18:00:00Z or a date like 2026-03-31";
        let wrong = |flag: &str, error: &dyn std::fmt::Display| Usage(format!("{flag}: {error}; {expected}"));
        let from = self.from.as_deref().map(Timestamp::parse).transpose().map_err(|error| wrong("--from", &error))?;
        let given = self.to.as_deref().map(Moment::parse_time).transpose().map_err(|error| wrong("--to", &error))?;
        let to = given.unwrap_or(present);
        if let Some(from) = from.filter(|from| *from > to) {
            let which = if given.is_some() { "--to" } else { "the ledger's present" };
            return Err(Usage(format!("--from {from} lies after {which}, {to}")).into());
        }
        Ok(Span { from, to, moment: Moment { as_of: given, known_at: None } })
    }

    /// Reads the drafts; they are numbered on from the versions that were published.
    fn drafts(&self, published: u32) -> Result<Vec<Draft>> {
        let read = |(file, version): (&PathBuf, u32)| {
            let name = file.display().to_string();
            let text = std::fs::read_to_string(file).with_context(|| format!("{name} cannot be read"))?;
            let rules = Rules::parse(&text).map_err(|invalid| {
                let problems: Vec<String> = invalid.problems.iter().map(|problem| format!("\n  {problem}")).collect();
                anyhow::anyhow!("{name} is no program.toml:{}", problems.concat())
            })?;
            let effective_from = Timestamp::from_micros(0);
            Ok(Draft { name, rules: Arc::new(RuleSet { version, effective_from, rules }) })
        };
        self.drafts.iter().zip(published + 1..).map(read).collect()
    }
}

/// What the ledger's figures are at the end of the span, as recorded or under a draft. Nothing is written: the read models
/// are made in memory and dropped.
fn standing(log: &Arc<dyn Log>, span: Span, supposed: Option<Supposed>) -> Result<Standing> {
    let options = Options { moment: span.moment, ..Options::default() };
    let what = if supposed.is_some() { "folding under the draft" } else { "folding as recorded" };
    let engine = match supposed {
        Some(supposed) => Engine::supposing(Arc::clone(log), options, supposed)?,
        None => Engine::in_memory(Arc::clone(log), options)?,
    };
    let progress = output::progress(what, log.slices().all().map(|slice| log.end(slice)).sum::<Result<u64, _>>()?);
    let caught_up = engine.wait_until_caught_up(FOLDING, |engine| progress.set_position(engine.status().taken_in));
    progress.finish_and_clear();
    if !caught_up {
        bail!("folding the ledger took too long");
    }
    if let Some(begun) = engine.begins_later() {
        bail!("--to {} lies before the ledger's history, which begins at {}", span.to, begun.effective_at);
    }
    if let Some(trouble) = engine.status().trouble {
        bail!("{trouble}");
    }
    Ok(Standing::read(&engine, span.to)?)
}

/// Every recorded command, decided again under the drafts.
fn decided_again(log: &dyn Log, drafts: &[Draft], span: Span) -> Result<counterfactual::Report> {
    let drafts: Vec<_> = drafts.iter().map(|draft| counterfactual::Draft { rules: Arc::clone(&draft.rules), from: span.from }).collect();
    let progress = output::progress("deciding again", log.slices().all().map(|slice| log.end(slice)).sum::<Result<u64, _>>()?);
    let report = counterfactual::replay(log, &drafts, span.to, &mut |seen| progress.set_position(seen))?;
    progress.finish_and_clear();
    Ok(report)
}
