//! `pledger rules`: the program's rules, checked, compared, published, shown.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use pledger_domain::{
    program::Program,
    rules::{InvalidRules, RuleProblem, Rules as Parsed},
    stream::{Stream, StreamName},
    values::Timestamp,
};
use pledger_ledger::{
    chain::{ChainHead, Verdict},
    log::Log,
    record::{Body, Events, Outcome},
};
use serde_json::json;

use crate::{
    cluster::ClusterFlags,
    connection::{Ask, Connection},
    context::Context,
    ledger::Ledger,
    output,
};

/// Check, compare, publish and show the program's rules
#[derive(Subcommand)]
#[command(
    after_help = "Examples:\n  pledger rules show > program.toml\n  pledger rules check program.toml\n  pledger rules diff program.toml\n  pledger rules publish program.toml --effective-from 2027-01-01"
)]
pub(crate) enum Rules {
    Check(Check),
    Diff(Diff),
    Publish(Publish),
    Show(Show),
}

/// Check a program.toml: every mistake with its line
#[derive(Args)]
pub(crate) struct Check {
    /// The file
    file: PathBuf,
}

/// Say in words what a program.toml would change
#[derive(Args)]
#[command(
    after_help = "Examples:\n  pledger rules diff draft.toml              against the rules in force\n  pledger rules diff before.toml after.toml"
)]
pub(crate) struct Diff {
    /// The file; with a second one, the rules before
    file: PathBuf,
    /// The rules after
    after: Option<PathBuf>,
    #[command(flatten)]
    cluster: ClusterFlags,
}

/// Publish a program.toml as the next version of the rules
#[derive(Args)]
pub(crate) struct Publish {
    /// The file
    file: PathBuf,
    /// From when it governs [default: now]
    #[arg(long, value_name = "T")]
    effective_from: Option<String>,
    /// The idempotency key
    #[arg(long, value_name = "K")]
    key: Option<String>,
}

/// Show the rules in force, or a version of them, as published
#[derive(Args)]
pub(crate) struct Show {
    /// This version [default: the one in force]
    #[arg(long, value_name = "N")]
    version: Option<u32>,
    /// In plain words
    #[arg(long)]
    words: bool,
    #[command(flatten)]
    cluster: ClusterFlags,
}

impl Rules {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode> {
        match self {
            Self::Check(verb) => verb.run(context),
            Self::Diff(verb) => verb.run(context),
            Self::Publish(verb) => verb.run(context),
            Self::Show(verb) => verb.run(context),
        }
    }
}

fn read(file: &PathBuf) -> Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))
}

fn parse(file: &PathBuf) -> Result<Parsed> {
    Parsed::parse(&read(file)?).map_err(|invalid| anyhow::anyhow!(lines(file, &invalid)))
}

/// Each mistake on a line of its own.
fn lines(file: &Path, invalid: &InvalidRules) -> String {
    invalid.problems.iter().map(|problem| format!("{}: {problem}", file.display())).collect::<Vec<_>>().join("\n")
}

impl Check {
    fn run(self, context: &Context) -> Result<ExitCode> {
        let checked = Parsed::parse(&read(&self.file)?);
        if context.json {
            let found = checked.as_ref().err().into_iter().flat_map(|invalid| &invalid.problems);
            let problem = |found: &RuleProblem| json!({"line": found.line, "column": found.column, "message": found.message});
            output::print_json(&json!({"valid": checked.is_ok(), "problems": found.map(problem).collect::<Vec<_>>()}))?;
        }
        match checked {
            Ok(rules) if !context.json => output::print(format!("{} is valid.\n{}", self.file.display(), rules.summary().join("\n")))?,
            Ok(_) => {}
            Err(invalid) => {
                eprintln!("{}", lines(&self.file, &invalid));
                return Ok(ExitCode::FAILURE);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Diff {
    fn run(self, context: &Context) -> Result<ExitCode> {
        let (before, after, name) = match &self.after {
            Some(after) => (parse(&self.file)?, parse(after)?, self.file.display().to_string()),
            None => {
                let after = parse(&self.file)?;
                let (program, now) = program_of(&Ledger::open(&self.cluster, context)?)?;
                let in_force = program.in_force_at(now).context("no rules are in force yet")?;
                (in_force.rules.clone(), after, format!("version {}", in_force.version))
            }
        };
        let changes = before.changes_to(&after);
        if context.json {
            output::print_json(&json!({"before": name, "changes": changes}))?;
        } else if changes.is_empty() {
            output::print(format!("Nothing changes against {name}."))?;
        } else {
            output::print(changes.iter().map(|change| format!("{}\n", change.in_words)).collect::<String>())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Publish {
    fn run(self, context: &Context) -> Result<ExitCode> {
        let program = read(&self.file)?;
        parse(&self.file)?;
        let mut payload = json!({"program": program});
        if let Some(from) = &self.effective_from {
            payload["effective_from"] = from.clone().into();
        }
        let connection = Connection::to_write(context)?;
        let ask = Ask::post("/v1/commands/PublishRules", payload.to_string().into_bytes()).header("idempotency-key", self.key.as_ref());
        let answer = connection.ask(ask);
        connection.close();
        let document = answer?.success()?;
        if context.json {
            output::print_json(&document)?;
        } else {
            let event = &document["events"][0]["data"];
            let from = output::cell(&event["effective_from"]);
            output::print(format!(
                "Published as version {}, in force from {from} (decision {}).",
                output::cell(&event["version"]),
                output::cell(&document["position"])
            ))?;
            // A cluster's server may stand where its ledger cannot be read.
            if let Ok((program, now)) = Ledger::in_directory(context).and_then(|ledger| program_of(&ledger))
                && let Some(in_force) = program.in_force_at(now)
                && event["version"] != in_force.version
            {
                let (version, since) = (in_force.version, in_force.effective_from);
                output::print(format!("What is effective now is decided under version {version}, in force since {since}."))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Show {
    fn run(self, context: &Context) -> Result<ExitCode> {
        let (program, now) = program_of(&Ledger::open(&self.cluster, context)?)?;
        let version = match self.version {
            Some(version) => version,
            None => program.in_force_at(now).context("no rules are in force yet")?.version,
        };
        let (Some(source), Some(rules)) = (program.source(version), program.version(version)) else {
            bail!("there is no version {version}; there are 1 to {}", program.count());
        };
        if context.json {
            let rules =
                json!({"version": version, "effective_from": rules.effective_from, "in_words": rules.rules.summary(), "program": source});
            output::print_json(&rules)?;
        } else if self.words {
            output::print(format!("Version {version}, in force from {}:\n{}", rules.effective_from, rules.rules.summary().join("\n")))?;
        } else {
            eprintln!("# version {version}, in force from {}", rules.effective_from);
            output::print(source)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The version in force, in words.
pub(crate) fn in_force(ledger: &Ledger) -> Result<String> {
    let (program, now) = program_of(ledger)?;
    let version = program.in_force_at(now).context("no rules are in force; publish some with: pledger rules publish FILE")?;
    Ok(format!("version {} of {} is in force, from {}", version.version, program.count(), version.effective_from))
}

/// The program as this ledger has it, and the ledger's present.
pub(crate) fn program_of(ledger: &Ledger) -> Result<(Program, Timestamp)> {
    let Ledger { log, created, .. } = ledger;
    let slice = log.slices().of(&StreamName::program());
    let mut program = Program::default();
    let mut head = ChainHead::default();
    loop {
        let placed = log.read(slice, head.next_offset, 4_096)?;
        let Some(last) = placed.last().map(|placed| placed.offset) else { break };
        for one in placed {
            if head.accept(one.offset, &one.record) != Verdict::Valid {
                continue;
            }
            if let Body::Decision(decision) = Body::decode(&one.record.body)?
                && let Outcome::Accepted(Events::Program(events)) = &decision.outcome
            {
                events.iter().for_each(|event| program.evolve(event, decision.effective_at));
            }
        }
        head.next_offset = last + 1;
    }
    let now = match &created.generated {
        // Where somebody wrote since, time went on from there.
        Some(generated) => last_written_at(&**log)?.map_or(generated.ends_at, |last| generated.ends_at.max(last)),
        None => {
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or(Duration::ZERO);
            Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
        }
    };
    Ok((program, now))
}

/// When the newest record was written.
fn last_written_at(log: &dyn Log) -> Result<Option<Timestamp>> {
    let mut last = None;
    for slice in log.slices().all() {
        let Some(newest) = log.end(slice)?.checked_sub(1) else { continue };
        for placed in log.read(slice, newest, 1)? {
            // What cannot be read does not say when it was written; others do.
            last = last.max(match Body::decode(&placed.record.body) {
                Ok(Body::LedgerCreated(created)) => Some(created.created_at),
                Ok(Body::TermOpened(opened)) => Some(opened.opened_at),
                Ok(Body::Progress(progress)) => Some(progress.recorded_at),
                Ok(Body::Decision(decision)) => Some(decision.recorded_at),
                Err(_) => None,
            });
        }
    }
    Ok(last)
}
