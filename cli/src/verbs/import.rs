//! `pledger import`: existing history becomes decisions with their own dates.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use pledger_consumers::import::{CRM_MAPPING, Expansion, ImportCommand, ImportReport, Mapping, PersonIds, RULES_KEY, Sorter, Sources};
use pledger_ledger::keys::{KeyStore, MemoryKeyStore, SqliteKeyStore};
use serde_json::{Value, json};

use crate::{
    connection::{Ask, Connection},
    context::{Context, Usage},
    ledger::Ledger,
    output,
};

/// Commands of one request.
const BATCH: usize = 500;

/// Turn files of existing history into decisions
#[derive(Args)]
#[command(after_help = "Examples:
  pledger import crm FOLDER --dry-run       read everything, send nothing, say what would be done
  pledger import crm FOLDER                 the mapping that comes with pledger
  pledger import --print-mapping crm > my-crm.toml
  pledger import my-crm.toml FOLDER
  pledger import my-crm.toml accounts.csv 2026/deals.csv

A mapping says what each row of each file stands for. An import that was killed goes on where it was when it is run
again, and running it twice changes nothing: rows that were decided are answered from history.")]
pub(crate) struct Import {
    /// The mapping: a file, or `crm` for the one that comes with pledger
    mapping: String,
    /// The mapping's files, or the folders that hold them
    #[arg(required_unless_present = "print_mapping", value_name = "FILE|DIR")]
    from: Vec<PathBuf>,
    /// Read everything and report, but send nothing
    #[arg(long)]
    dry_run: bool,
    /// Go on over this many rows that cannot be used; a dry run names all, and exits 1 where there are more
    #[arg(long, default_value_t = 0, value_name = "N")]
    max_errors: u64,
    /// Print the mapping, to start one of your own
    #[arg(long)]
    print_mapping: bool,
}

/// The ids of persons, from the key store of the ledger.
struct Persons {
    keys: Arc<dyn KeyStore>,
    sender: String,
}

impl PersonIds for Persons {
    fn id_of(&mut self, name: &str) -> Result<String, String> {
        self.keys.stage_subject(&self.sender, name).map(|id| id.to_string()).map_err(|error| error.to_string())
    }
}

impl Import {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode> {
        let text = self.mapping_text()?;
        if self.print_mapping {
            output::print(text)?;
            return Ok(ExitCode::SUCCESS);
        }
        let mapping = Mapping::parse(&text).map_err(|error| Usage(error.to_string()))?;
        for path in &self.from {
            path.metadata().map_err(|error| Usage(format!("{}: {error}", path.display())))?;
        }
        let sources = Sources::find(&mapping, &self.from).map_err(Usage)?;
        warn_of_a_generated_history(context);
        if self.dry_run {
            let persons = Persons { keys: Arc::new(MemoryKeyStore::default()), sender: mapping.sender() };
            // Everything is read: whoever mends rows wants to know of all of them.
            let (_, report) = expand(&mapping, &sources, u64::MAX, persons)?;
            tell(&report, &mapping, context.json, true)?;
            return Ok(if report.bad_row_count > self.max_errors { ExitCode::FAILURE } else { ExitCode::SUCCESS });
        }
        let connection = Connection::to_write(context)?;
        let outcome = self.import(&connection, context, &mapping, &sources);
        connection.close();
        let report = outcome?;
        tell(&report, &mapping, context.json, false)?;
        Ok(if report.refused.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn mapping_text(&self) -> Result<String> {
        let (name, text) = CRM_MAPPING;
        if self.mapping == name {
            return Ok(text.to_owned());
        }
        std::fs::read_to_string(&self.mapping)
            .with_context(|| format!("the mapping {} cannot be read (the one that comes with pledger is called {name})", self.mapping))
    }

    fn import(&self, connection: &Connection, context: &Context, mapping: &Mapping, sources: &Sources) -> Result<ImportReport> {
        let keys: Arc<dyn KeyStore> = match connection.assembly().and_then(|assembly| assembly.node()) {
            Some(node) => Arc::clone(&node.keys),
            // The server's own store: ids are found by a hash, so both processes name a person alike.
            None => Arc::new(SqliteKeyStore::open(&context.data_dir)?),
        };
        let (sorter, mut report) = expand(mapping, sources, self.max_errors, Persons { keys, sender: mapping.sender() })?;
        let progress = output::progress("import", sorter.len());
        let mut sending = Sending { connection, mapping, report: &mut report, batch: Vec::new() };
        for command in sorter.finish() {
            let command = command.map_err(|error| anyhow!(error))?;
            // Rules first: everything else is decided under them.
            let cut =
                command.name == "PublishRules" || sending.batch.first().is_some_and(|first| first.order.opening != command.order.opening);
            if cut || sending.batch.len() >= BATCH {
                sending.flush()?;
            }
            let alone = command.name == "PublishRules";
            sending.batch.push(command);
            if alone {
                sending.flush()?;
            }
            progress.inc(1);
        }
        sending.flush()?;
        progress.finish_and_clear();
        Ok(report)
    }
}

/// Who tried the demo and then imports may have forgotten where that is.
fn warn_of_a_generated_history(context: &Context) {
    // Whether there is a ledger, and a sound one, is told by whoever writes to it.
    if Ledger::in_directory(context).is_ok_and(|ledger| ledger.created.generated.is_some()) {
        eprintln!(
            "warning: {} holds a generated history (pledger demo), and what is recorded stays: to keep them apart, import into a \
             directory of its own with --data-dir",
            context.data_dir.display()
        );
    }
}

/// The commands of all rows, sorted, and what became of each row.
fn expand(mapping: &Mapping, sources: &Sources, max_errors: u64, mut persons: Persons) -> Result<(Sorter, ImportReport)> {
    let mut sorter = Sorter::default();
    let expansion = Expansion::new(mapping, sources, &mut persons).map_err(|error| anyhow!(error))?;
    let report = expansion.run(max_errors, &mut sorter).map_err(|error| anyhow!(error))?;
    persons.keys.settle()?;
    Ok((sorter, report))
}

/// Commands on their way to the ledger.
struct Sending<'a> {
    connection: &'a Connection,
    mapping: &'a Mapping,
    report: &'a mut ImportReport,
    batch: Vec<ImportCommand>,
}

impl Sending<'_> {
    fn flush(&mut self) -> Result<()> {
        let batch = std::mem::take(&mut self.batch);
        if batch.is_empty() {
            return Ok(());
        }
        let items: Vec<Value> = batch.iter().map(item).collect::<Result<_>>()?;
        let ask = Ask::post("/v1/commands:batch", serde_json::to_vec(&items)?).header("pledger-import", Some(&self.mapping.name));
        let document = self.connection.ask(ask)?.success()?;
        let answers = document["items"].as_array().context("the batch has no answers")?;
        for (command, answer) in batch.iter().zip(answers) {
            self.take(command, answer)?;
        }
        Ok(())
    }

    fn take(&mut self, command: &ImportCommand, answer: &Value) -> Result<()> {
        let code = answer["code"].as_str();
        match (code, answer["status"].as_u64()) {
            (None, Some(200)) if answer["replayed"] == true => self.report.repeated += 1,
            (None, Some(200)) => self.report.accepted += 1,
            (Some("NoRulesInForce"), _) => bail!(
                "{}: {} is effective at {}, and no rules were in force then. Give the mapping [rules] with an effective_from before that.",
                command.place,
                command.name,
                command.effective_at
            ),
            // The mapping's rules are others than they were in an earlier run.
            (Some("KeyReused"), _) if command.key == RULES_KEY => {
                self.batch.push(command.keyed_by_content());
                self.flush()?;
            }
            (Some("KeyReused"), _) => {
                let stays = "an earlier run, or an earlier row of this key, was decided otherwise, and what is recorded stays: correct it \
                             by a command of its own, or import into another data directory";
                self.report.refuse(&command.place, "KeyReused", &format!("{}: {stays}", command.name));
            }
            (Some(code), Some(409)) if command.name == "PublishRules" => {
                bail!("the mapping's [rules] were refused ({code}): {}. Nothing was imported.", detail(answer))
            }
            (Some(code), Some(409)) => {
                let detail = detail(answer);
                self.report.refuse(&command.place, code, &format!("{}: {detail}", command.name));
            }
            _ => bail!(
                "{}: {} was not decided: {:#}. Run the import again to go on.",
                command.place,
                command.name,
                crate::connection::problem(answer)
            ),
        }
        Ok(())
    }
}

fn detail(answer: &Value) -> &str {
    answer["detail"].as_str().unwrap_or_default()
}

fn item(command: &ImportCommand) -> Result<Value> {
    Ok(json!({
        "type": command.name,
        "payload": serde_json::from_str::<Value>(&command.payload)?,
        "idempotency_key": command.key,
        "effective_at": command.effective_at,
        "row_id": command.key,
        "cause": command.place,
        "historical": !command.order.opening,
    }))
}

/// The report: which rows went where, and why.
fn tell(report: &ImportReport, mapping: &Mapping, as_json: bool, dry_run: bool) -> Result<()> {
    if as_json {
        return output::print_json(&serde_json::to_value(report)?);
    }
    let mut lines =
        vec![format!("{}{}", mapping.name, if mapping.summary.is_empty() { String::new() } else { format!(": {}", mapping.summary) })];
    let mut section = |title: &str, counts: &std::collections::BTreeMap<String, u64>| {
        if !counts.is_empty() {
            lines.push(format!("\n{title}"));
            lines.extend(counts.iter().map(|(what, count)| format!("  {:>8}  {what}", output::cell(&(*count).into()))));
        }
    };
    section("Rows read", &report.rows);
    section("Rows for which no command was made", &report.rows_without_commands);
    section("Commands made", &report.commands);
    section("Treated specially", &report.notes);
    section("Values renamed", &report.renamed);
    section("Empty values replaced", &report.replaced);
    section("Refused, by code", &report.refused);
    if !report.unused_columns.is_empty() {
        lines.push("\nColumns that no command takes".into());
        lines.extend(report.unused_columns.iter().map(|(file, columns)| format!("  {file}: {}", columns.join(", "))));
    }
    for (title, some) in [("Rows that cannot be used", &report.bad_rows), ("Refusals, the first of them", &report.refusals)] {
        if !some.is_empty() {
            lines.push(format!("\n{title}"));
            lines.extend(some.iter().map(|row| format!("  {row}")));
        }
    }
    lines.push(match dry_run {
        true => "\nA dry run: nothing was sent.".into(),
        false => format!(
            "\nDecided: {} accepted now, {} answered from an earlier run, {} refused.",
            report.accepted,
            report.repeated,
            report.refused.values().sum::<u64>()
        ),
    });
    output::print(lines.join("\n"))
}
