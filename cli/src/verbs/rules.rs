//! `pledger rules`: the program's rules, checked, compared, published, shown.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::{Args, Subcommand};
use pledger_command_api::{checked_rules, compared_rules, find_rules, listed_rules, shown_rules};
use pledger_domain::{
    program::Program,
    rules::{CheckedRules, RuleProblem, Rules as Parsed},
    values::Timestamp,
};
use pledger_ledger::{log::Log, record::Body};
use pledger_projections::engine::published;
use serde_json::{Value, json};

use crate::{
    cluster::ClusterFlags,
    connection::{Ask, Connection},
    context::{Context, Usage},
    ledger::Ledger,
    output,
};

/// List, check, compare, publish and show the program's rules
#[derive(Subcommand)]
#[command(
    after_help = "Examples:\n  pledger rules list\n  pledger rules show > program.toml\n  pledger rules show 2 --words\n  pledger rules check program.toml\n  pledger rules diff program.toml\n  pledger rules publish program.toml --effective-from 2027-01-01"
)]
pub(crate) enum Rules {
    List(List),
    Check(Check),
    Diff(Diff),
    Publish(Publish),
    Show(Show),
}

/// Every version that was published, and which is in force
#[derive(Args)]
pub(crate) struct List {
    #[command(flatten)]
    cluster: ClusterFlags,
}

/// Check a program.toml: every mistake with its line, and what was hardly meant
#[derive(Args)]
pub(crate) struct Check {
    /// The file; - for standard input
    file: PathBuf,
}

/// Say in words what a program.toml would change
#[derive(Args)]
#[command(
    after_help = "Examples:\n  pledger rules diff draft.toml                against the rules in force\n  pledger rules diff draft.toml --version 2  against version 2\n  pledger rules diff before.toml after.toml"
)]
pub(crate) struct Diff {
    /// The file; with a second one, the rules before; - for standard input
    file: PathBuf,
    /// The rules after
    after: Option<PathBuf>,
    /// Against this version [default: the one in force]
    #[arg(long, value_name = "N", conflicts_with = "after")]
    version: Option<u32>,
    #[command(flatten)]
    cluster: ClusterFlags,
}

/// Publish a program.toml as the next version of the rules
#[derive(Args)]
#[command(
    after_help = "What says the same as the version that would be in force all the same is not published: exit 1. With --key it is sent as it is,
so that the same command, sent again, is answered as it was."
)]
pub(crate) struct Publish {
    /// The file; - for standard input
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
    #[arg(value_name = "N")]
    number: Option<u32>,
    /// The same, by its name
    #[arg(long, value_name = "N", conflicts_with = "number")]
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
            Self::List(verb) => verb.run(context),
            Self::Check(verb) => verb.run(context),
            Self::Diff(verb) => verb.run(context),
            Self::Publish(verb) => verb.run(context),
            Self::Show(verb) => verb.run(context),
        }
    }
}

/// The bytes of a file; of standard input, where it is called `-`.
pub(crate) fn read(file: &Path) -> Result<Vec<u8>> {
    let bytes = if file == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(file)
    };
    bytes.with_context(|| format!("{} cannot be read", file.display()))
}

/// The text of a file, and what it says.
fn parse(file: &Path) -> Result<(String, CheckedRules)> {
    let bytes = read(file)?;
    let parsed = Parsed::text_of(&bytes).and_then(|text| Ok((text.to_owned(), Parsed::check(text)?)));
    parsed.map_err(|invalid| anyhow!(lines(file, &invalid.problems).join("\n")))
}

/// Each mistake on a line of its own.
fn lines(file: &Path, found: &[RuleProblem]) -> Vec<String> {
    found.iter().map(|problem| format!("{}: {problem}", file.display())).collect()
}

/// Says what was hardly meant.
fn warn(file: &Path, warnings: &[RuleProblem]) {
    lines(file, warnings).iter().for_each(|line| eprintln!("warning: {line}"));
}

impl List {
    fn run(self, context: &Context) -> Result<ExitCode> {
        let (program, now) = program_of(&Ledger::open(&self.cluster, context)?)?;
        let listed = listed_rules(&program, now);
        if context.json {
            output::print_json(&listed)?;
            return Ok(ExitCode::SUCCESS);
        }
        let row = |item: &Value| -> Vec<Value> {
            let state = match item["state"].as_str() {
                Some("in_force") => "in force",
                Some("later") => "from later",
                _ => "ended",
            };
            vec![item["version"].clone(), item["effective_from"].clone(), state.into(), item["name"].clone()]
        };
        let rows: Vec<Vec<Value>> = listed["items"].as_array().into_iter().flatten().map(row).collect();
        output::print(output::table(&["version", "in force from", "state", "name"].map(str::to_owned), &rows).to_string())?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Check {
    fn run(self, context: &Context) -> Result<ExitCode> {
        let checked = Parsed::text_of(&read(&self.file)?).and_then(Parsed::check);
        if context.json {
            output::print_json(&checked_rules(&checked))?;
        }
        match checked {
            Ok(CheckedRules { rules, warnings }) if !context.json => {
                output::print(format!("{} is valid.\n{}", self.file.display(), rules.summary().join("\n")))?;
                warn(&self.file, &warnings);
            }
            Ok(_) => {}
            Err(invalid) => {
                eprintln!("{}", lines(&self.file, &invalid.problems).join("\n"));
                return Ok(ExitCode::FAILURE);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Diff {
    fn run(self, context: &Context) -> Result<ExitCode> {
        let named = parse(&self.file)?.1.rules;
        let (before, after, name, version) = match &self.after {
            Some(after) => (named, parse(after)?.1.rules, self.file.display().to_string(), None),
            None => {
                let (program, now) = program_of(&Ledger::open(&self.cluster, context)?)?;
                let before = find_rules(&program, self.version, now)?;
                (before.rules.clone(), named, format!("version {}", before.version), Some(before.version))
            }
        };
        if context.json {
            output::print_json(&compared_rules(&name, version, &before, &after))?;
            return Ok(ExitCode::SUCCESS);
        }
        let changes = before.changes_to(&after);
        if changes.is_empty() {
            output::print(format!("Nothing changes against {name}."))?;
        } else {
            output::print(changes.iter().map(|change| format!("{}\n", change.in_words)).collect::<String>())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Publish {
    fn run(self, context: &Context) -> Result<ExitCode> {
        if let Some(Err(unreadable)) = self.effective_from.as_deref().map(Timestamp::parse) {
            return Err(Usage(format!("--effective-from: {unreadable}")).into());
        }
        let (program, CheckedRules { warnings, .. }) = parse(&self.file)?;
        warn(&self.file, &warnings);
        let connection = Connection::to_write(context)?;
        let answer = self.send(&connection, &program);
        connection.close();
        self.tell(&answer?, context)
    }

    /// Publishes it, unless nothing would change.
    fn send(&self, connection: &Connection, program: &str) -> Result<Value> {
        if self.key.is_none()
            && let Some(version) = same(connection, program, self.effective_from.as_deref())?
        {
            let file = self.file.display();
            bail!("nothing would change: {file} says the same as version {version}, which is in force then; it was not published");
        }
        let mut payload = json!({"program": program});
        if let Some(from) = &self.effective_from {
            payload["effective_from"] = from.clone().into();
        }
        let ask = Ask::post("/v1/commands/PublishRules", payload.to_string().into_bytes()).header("idempotency-key", self.key.as_ref());
        connection.ask(ask)?.success()
    }

    fn tell(&self, document: &Value, context: &Context) -> Result<ExitCode> {
        if context.json {
            output::print_json(document)?;
        } else {
            let event = &document["events"][0]["data"];
            let from = output::cell(&event["effective_from"]);
            output::print(format!(
                "Published as version {}, in force from {from} (decision {}).",
                output::cell(&event["version"]),
                output::cell(&document["position"])
            ))?;
            // A cluster's server may stand where its ledger cannot be read.
            if let Ok((program, now)) = Ledger::in_directory(context).and_then(|ledger| program_of(&ledger)) {
                event["version"].as_u64().and_then(|version| beside(&program, version, now)).map_or(Ok(()), output::print)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What the other versions leave to one that was just published.
fn beside(program: &Program, published: u64, now: Timestamp) -> Option<String> {
    let published = program.version(u32::try_from(published).ok()?)?;
    let mut lines = Vec::new();
    if let Some(in_force) = program.in_force_at(now).filter(|rules| rules.version != published.version) {
        let (version, since) = (in_force.version, in_force.effective_from);
        lines.push(format!("What is effective now is decided under version {version}, in force since {since}."));
    }
    let later = program.versions().filter(|other| other.effective_from > published.effective_from);
    if let Some(next) = later.min_by_key(|other| (other.effective_from, std::cmp::Reverse(other.version))) {
        let stays = if published.effective_from < now { "; what is decided already stays as it is" } else { "" };
        lines.push(format!(
            "Version {} decides what is effective before {}, and version {} what is from then on{stays}.",
            published.version, next.effective_from, next.version
        ));
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// The version that would be in force at `from`, or now, where the draft says what that says.
fn same(connection: &Connection, program: &str, from: Option<&str>) -> Result<Option<u32>> {
    let from = from.map(Timestamp::parse).transpose()?;
    let told = connection.ask(Ask::get("/v1/rules"))?;
    // A server of an older release has no such route.
    let listed = if told.is_success() { told.json()? } else { Value::Null };
    let begins = |item: &Value| item["effective_from"].as_str().and_then(|begins| Timestamp::parse(begins).ok());
    let has_begun = |item: &&Value| match from {
        Some(from) => begins(item).is_some_and(|begins| begins <= from),
        None => item["state"] == "in_force",
    };
    let versions = listed["items"].as_array().into_iter().flatten().filter(has_begun);
    let Some(before) = versions.max_by_key(|item| (begins(item), item["version"].as_u64())) else { return Ok(None) };
    let asked = json!({"program": program, "version": before["version"]});
    let compared = connection.ask(Ask::post("/v1/rules/diff", asked.to_string().into_bytes()))?.success()?;
    let is_same = compared["changes"].as_array().is_some_and(Vec::is_empty);
    Ok(before["version"].as_u64().filter(|_| is_same).and_then(|version| u32::try_from(version).ok()))
}

impl Show {
    fn run(self, context: &Context) -> Result<ExitCode> {
        let (program, now) = program_of(&Ledger::open(&self.cluster, context)?)?;
        let shown = find_rules(&program, self.version.or(self.number), now)?;
        if context.json {
            output::print_json(&shown_rules(&program, shown, now))?;
        } else if self.words {
            output::print(format!(
                "Version {}, in force from {}:\n{}",
                shown.version,
                shown.effective_from,
                shown.rules.summary().join("\n")
            ))?;
        } else {
            eprintln!("# version {}, in force from {}", shown.version, shown.effective_from);
            output::print(program.source(shown.version).unwrap_or_default())?;
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
    let Ledger { log, created } = ledger;
    let program = published(&**log)?;
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
