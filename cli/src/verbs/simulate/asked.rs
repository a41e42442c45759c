//! A simulation of a ledger, whoever asks for it: the command line, or somebody over HTTP.

use std::{collections::HashSet, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use indicatif::ProgressBar;
use pledger_command_api::{Draft, Simulation};
use pledger_consumers::counterfactual::{self, Control, Unreadable};
use pledger_domain::{
    rules::{CheckedRules, RuleProblem, RuleSet, Rules},
    stream::StreamName,
    values::Timestamp,
};
use pledger_ledger::log::Log;
use pledger_projections::{
    engine::{Engine, Moment, Options, PaidOtherwise, Supposed},
    query::Incomplete,
    what_if::{Difference, Standing},
};

use super::{
    funds::{paid_otherwise, shifts},
    report::{Outcome, Report},
};
use crate::{
    context::Usage,
    ledger::{Ledger, ends},
    output,
    verbs::rules,
};

/// How long one folding of the whole ledger may take.
const FOLDING: Duration = Duration::from_secs(3_600);

/// What is asked cannot be simulated, though it can be read: a draft that is no program, a time before history.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unfit(pub(crate) String);

/// How whoever asks is told.
pub(crate) struct Told {
    /// What stands before the names of `from` and `to`.
    before_names: &'static str,
    shows_progress: bool,
}

impl Told {
    pub(super) const ON_A_TERMINAL: Self = Self { before_names: "--", shows_progress: true };
    pub(crate) const OVER_HTTP: Self = Self { before_names: "", shows_progress: false };

    fn progress(&self, what: &'static str, log: &dyn Log) -> Result<ProgressBar> {
        if !self.shows_progress {
            return Ok(ProgressBar::hidden());
        }
        Ok(output::progress(what, ends(log)?))
    }
}

/// A draft of the rules, read.
struct Parsed {
    name: String,
    rules: Arc<RuleSet>,
    /// What in it was hardly meant.
    warnings: Vec<RuleProblem>,
}

/// The time that is looked at.
#[derive(Clone, Copy)]
struct Span {
    from: Option<Timestamp>,
    to: Timestamp,
    /// Up to when decisions are told: what falls due after the present is not decided on record either.
    decided_to: Timestamp,
    /// What of history counts.
    moment: Moment,
}

/// Replays history under the drafts, and as it was recorded. Of each kind `limit` differences are told one by one, `usize::MAX` for all.
///
/// # Errors
/// `Usage` where the times cannot be read, `Unfit`, and what keeps the ledger from being read.
pub(crate) fn simulate(ledger: &Ledger, asked: &Simulation, limit: usize, told: &Told) -> Result<Report> {
    let (program, present) = rules::program_of(ledger)?;
    let span = span(asked, present, told)?;
    let drafts = parse(&asked.drafts, program.count())?;
    let log = &ledger.log;
    let control = if asked.verify.unwrap_or(false) { Control::Everything } else { Control::Differences };
    let options = counterfactual::Options { control, to: span.decided_to, told: limit };
    let mut decided = decided_again(&**log, &drafts, span, options, told)?;
    let found = std::mem::take(&mut decided.drafts);
    let paid: Vec<_> = found.iter().map(|found| paid_otherwise(&found.funds)).collect();
    // Rows are read under the draft where they may say something else then. A time in the past may lie before them all.
    let rests_on =
        |draft: &Parsed| program.versions().any(|rules| rules.rules.changes_to(&draft.rules.rules).iter().any(Standing::rests_on));
    let folds = span.moment.as_of.is_some() || drafts.iter().zip(&paid).any(|(draft, paid)| !paid.is_empty() || rests_on(draft));
    let figures = if folds {
        let (figures, parked) = figures(log, span, &drafts, paid, told)?;
        add_parked(&mut decided, parked);
        figures
    } else {
        drafts.iter().map(|_| Difference::default()).collect()
    };
    let in_force = program.in_force_at(span.to).cloned().with_context(|| format!("no rules are in force at {}", span.to))?;
    let outcomes = drafts.into_iter().zip(found).zip(figures).map(|((Parsed { name, rules, warnings }, found), figures)| {
        let changes = in_force.rules.changes_to(&rules.rules);
        let funds = shifts(&found.funds);
        Outcome { name, changes, warnings, figures, funds, found }
    });
    let drafts = outcomes.collect();
    let (in_force, published) = (in_force.version, program.count());
    Ok(Report { from: span.from, to: span.to, limit, in_force, drafts, decided, published, control, folds })
}

/// Streams that no draft concerns are not decided again; where one is folded no further, its figures stop there all the same.
fn add_parked(decided: &mut counterfactual::Report, parked: Vec<Incomplete>) {
    let streams: HashSet<_> = decided.unreadable.iter().filter_map(|unreadable| unreadable.stream.clone()).collect();
    let positions: HashSet<_> = decided.unreadable.iter().map(|unreadable| unreadable.position).collect();
    let told = parked.into_iter().map(|Incomplete { stream, since, reason }| Unreadable {
        position: since,
        stream: StreamName::parse(&stream).ok(),
        reason,
    });
    let is_known =
        |one: &Unreadable| positions.contains(&one.position) || one.stream.as_ref().is_some_and(|stream| streams.contains(stream));
    decided.unreadable.extend(told.filter(|one| !is_known(one)));
    decided.unreadable.sort_by_key(|unreadable| unreadable.position);
}

fn span(asked: &Simulation, present: Timestamp, told: &Told) -> Result<Span> {
    let dashes = told.before_names;
    let expected = "expected a time like 2026-03-31T18:00:00Z or a date like 2026-03-31";
    let wrong = |name: &str, error: &dyn std::fmt::Display| Usage(format!("{dashes}{name}: {error}; {expected}"));
    let from = asked.from.as_deref().map(Timestamp::parse).transpose().map_err(|error| wrong("from", &error))?;
    let given = asked.to.as_deref().map(Moment::parse_time).transpose().map_err(|error| wrong("to", &error))?;
    let to = given.unwrap_or(present);
    if let Some(from) = from.filter(|from| *from > to) {
        let which = if given.is_some() { format!("{dashes}to") } else { "the ledger's present".to_owned() };
        return Err(Usage(format!("{dashes}from {from} lies after {which}, {to}")).into());
    }
    Ok(Span { from, to, decided_to: to.min(present), moment: Moment { as_of: given, known_at: None } })
}

/// Reads the drafts; they are numbered on from the versions that were published.
fn parse(drafts: &[Draft], published: u32) -> Result<Vec<Parsed>> {
    let read = |(draft, version): (&Draft, u32)| {
        let CheckedRules { rules, warnings } = Rules::check(&draft.program).map_err(|invalid| {
            let problems: Vec<String> = invalid.problems.iter().map(|problem| format!("\n  {problem}")).collect();
            Unfit(format!("{} is no program.toml:{}", draft.name, problems.concat()))
        })?;
        let effective_from = Timestamp::from_micros(0);
        Ok(Parsed { name: draft.name.clone(), rules: Arc::new(RuleSet { version, effective_from, rules }), warnings })
    };
    drafts.iter().zip(published + 1..).map(read).collect()
}

/// What changes in the ledger's figures at the end of the span under each draft, and which streams are folded no further.
/// For all drafts that govern always history is folded once. Nothing is written: the read models are made in memory and dropped.
fn figures(
    log: &Arc<dyn Log>,
    span: Span,
    drafts: &[Parsed],
    paid: Vec<Vec<PaidOtherwise>>,
    told: &Told,
) -> Result<(Vec<Difference>, Vec<Incomplete>)> {
    let options = Options { moment: span.moment, ..Options::default() };
    let engine = Engine::in_memory(Arc::clone(log), options)?;
    fold(log, &engine, span, told, "folding as recorded")?;
    let recorded = Standing::read(&engine, span.to)?;
    let parked = engine.read(|rows| rows.incomplete());
    let each = drafts.iter().zip(paid);
    let standings = if span.from.is_none() {
        each.map(|(draft, paid)| Ok(Standing::supposing(&engine, span.to, &draft.rules, paid)?)).collect::<Result<Vec<_>>>()?
    } else {
        drop(engine);
        each.map(|(draft, paid)| standing_from(log, span, draft, paid, told)).collect::<Result<_>>()?
    };
    Ok((standings.iter().map(|standing| recorded.changes_to(standing)).collect(), parked))
}

/// The same under a draft that governs from a time on: history is folded under it.
fn standing_from(log: &Arc<dyn Log>, span: Span, draft: &Parsed, paid: Vec<PaidOtherwise>, told: &Told) -> Result<Standing> {
    let options = Options { moment: span.moment, ..Options::default() };
    let engine = Engine::supposing(Arc::clone(log), options, Supposed { rules: Arc::clone(&draft.rules), from: span.from, paid })?;
    fold(log, &engine, span, told, "folding under the draft")?;
    Ok(Standing::read(&engine, span.to)?)
}

/// Waits until history is folded.
fn fold(log: &Arc<dyn Log>, engine: &Engine, span: Span, told: &Told, what: &'static str) -> Result<()> {
    let progress = told.progress(what, &**log)?;
    let caught_up = engine.wait_until_caught_up(FOLDING, |engine| progress.set_position(engine.status().taken_in));
    progress.finish_and_clear();
    anyhow::ensure!(caught_up, "folding the ledger took too long");
    if let Some(begun) = engine.begins_later() {
        let before = format!("{}to {} lies before the ledger's history, which begins at {}", told.before_names, span.to, begun.at());
        return Err(Unfit(before).into());
    }
    if let Some(trouble) = engine.status().trouble {
        anyhow::bail!("{trouble}");
    }
    Ok(())
}

/// Recorded commands, decided again under the drafts.
fn decided_again(
    log: &dyn Log,
    drafts: &[Parsed],
    span: Span,
    options: counterfactual::Options,
    told: &Told,
) -> Result<counterfactual::Report> {
    let drafts: Vec<_> = drafts.iter().map(|draft| counterfactual::Draft { rules: Arc::clone(&draft.rules), from: span.from }).collect();
    let progress = told.progress("deciding again", log)?;
    let report = counterfactual::replay(log, &drafts, options, &mut |seen| progress.set_position(seen))?;
    progress.finish_and_clear();
    Ok(report)
}
