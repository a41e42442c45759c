//! `pledger command`: send one command.

use std::{io::Read, process::ExitCode};

use anyhow::{Context as _, Result};
use clap::Args;
use pledger_domain::{
    catalogue::{COMMANDS, CommandSpec},
    command::Origin,
    values::Timestamp,
};
use serde_json::{Value, json};

use crate::{
    connection::{self, Ask, Connection, Told, encode},
    context::{Context, Usage},
    output, room, words,
};

/// Send one command, and print the decision
#[derive(Args)]
#[command(after_help = "Examples:
  pledger command RegisterPartner '{\"partner_id\":\"p-1\",\"name\":\"Nordwind\",\"roles\":[\"reseller\"]}'
  pledger command ApproveDeal --key crm-4711 - < approve.json
  pledger command --list                    every command, with what it does
  pledger command RegisterDeal --example    a payload that works
  pledger command RegisterDeal --schema     its JSON schema

Exits with 1 when the command is refused.")]
pub(crate) struct Command {
    /// The command's name
    #[arg(required_unless_present = "list")]
    name: Option<String>,
    /// The payload as JSON, or - to read it from stdin
    payload: Option<String>,
    /// The idempotency key: the same key and payload get the first answer again
    #[arg(long, value_name = "K")]
    key: Option<String>,
    /// Who acts, an id
    #[arg(long, value_name = "A")]
    actor: Option<String>,
    /// When it is true in the business: RFC 3339, or a date for its beginning. Dated back, it is decided by the rules of
    /// then, and counts as history: an approval protects nothing, and nothing falls due by it
    #[arg(long, value_name = "T")]
    effective_at: Option<String>,
    /// Only if the stream is at this version
    #[arg(long, value_name = "VERSION")]
    if_match: Option<u64>,
    /// List every command
    #[arg(long)]
    list: bool,
    /// Print a payload that works
    #[arg(long, conflicts_with = "payload")]
    example: bool,
    /// Print the payload's JSON schema
    #[arg(long, conflicts_with_all = ["payload", "example"])]
    schema: bool,
}

impl Command {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode> {
        if self.list {
            return list(context.json);
        }
        let name = self.name.clone().unwrap_or_default();
        let Some(spec) = CommandSpec::find(&name) else {
            let unknown = pledger_domain::catalogue::Command::parse(&name, b"{}").expect_err("no such command");
            return Err(Usage(format!("{unknown}\nThe commands are listed by: pledger command --list")).into());
        };
        if self.example {
            output::print_json(&serde_json::from_str(spec.example)?)?;
            return Ok(ExitCode::SUCCESS);
        }
        if self.schema {
            output::print_json(&schema(spec)?)?;
            return Ok(ExitCode::SUCCESS);
        }
        if let Some(Err(unreadable)) = self.effective_at.as_deref().map(Timestamp::parse) {
            return Err(Usage(format!("--effective-at: {unreadable}")).into());
        }
        let payload = self.payload()?;
        // A mistake in writing it should not leave a ledger behind.
        serde_json::from_slice::<serde::de::IgnoredAny>(&payload).map_err(|error| Usage(format!("the payload is not JSON: {error}")))?;
        let given = self.given_date(&name, &payload);
        let connection = Connection::to_write(context)?;
        let answer = connection.ask(self.ask(&name, payload));
        let code = answer.and_then(|answer| {
            let code = tell(&answer, context)?;
            note_date(given, &answer)?;
            Ok(code)
        });
        connection.close();
        code
    }

    fn payload(&self) -> Result<Vec<u8>> {
        match self.payload.as_deref() {
            None => Err(Usage("the payload is missing: give it as JSON, or - for stdin".into()).into()),
            Some("-") => {
                let mut bytes = Vec::new();
                std::io::stdin().read_to_end(&mut bytes).context("stdin cannot be read")?;
                Ok(bytes)
            }
            Some(json) => Ok(json.as_bytes().to_vec()),
        }
    }

    /// When it is true, in the words of whoever sends it: the payload's date, else the flag's.
    fn given_date(&self, name: &str, payload: &[u8]) -> Option<Timestamp> {
        let named = pledger_domain::catalogue::Command::parse(name, payload).ok().and_then(|command| command.business_time());
        named.or_else(|| Timestamp::parse(self.effective_at.as_deref()?).ok())
    }

    fn ask(&self, name: &str, payload: Vec<u8>) -> Ask {
        Ask::post(format!("/v1/commands/{}", encode(name)), payload)
            .header("idempotency-key", self.key.as_ref())
            .header("actor", self.actor.as_ref())
            .header("effective-at", self.effective_at.as_ref())
            .header("if-match", self.if_match)
    }
}

/// What one command says of itself in the list: `origin` as over HTTP.
fn entry(spec: &CommandSpec) -> Value {
    let origin = match spec.origin {
        Origin::Anyone => "anyone",
        Origin::System => "system",
    };
    json!({"name": spec.name, "stream": spec.stream.prefix(), "summary": spec.summary, "origin": origin})
}

/// What it does, and who alone sends it.
fn summary(row: &Value) -> Value {
    let by = if row["origin"] == "system" { "(by pledger itself) " } else { "" };
    format!("{by}{}", row["summary"].as_str().unwrap_or_default()).into()
}

fn list(json: bool) -> Result<ExitCode> {
    let rows: Vec<Value> = COMMANDS.iter().map(entry).collect();
    if json {
        output::print_json(&rows.into())?;
    } else {
        let columns = ["command", "stream", "what it does"].map(str::to_owned);
        let rows: Vec<Vec<Value>> = rows.iter().map(|row| vec![row["name"].clone(), row["stream"].clone(), summary(row)]).collect();
        output::print(output::table(&columns, &rows).to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The schema with what it refers to beside it.
fn schema(spec: &CommandSpec) -> Result<Value> {
    let mut referenced = Vec::new();
    (spec.referenced)(&mut referenced);
    let mut schema = serde_json::to_value((spec.schema)())?;
    let components: serde_json::Map<String, Value> =
        referenced.into_iter().map(|(name, schema)| Ok((name, serde_json::to_value(schema)?))).collect::<Result<_, serde_json::Error>>()?;
    if !components.is_empty() {
        schema["components"] = json!({"schemas": components});
    }
    Ok(schema)
}

/// Says where a decision has another date than it was sent with: nothing is true before what it builds on.
fn note_date(given: Option<Timestamp>, answer: &Told) -> Result<()> {
    let Some(given) = given.filter(|_| answer.is_success()) else { return Ok(()) };
    let document = answer.json()?;
    let dated = document["effective_at"].as_str().and_then(|text| Timestamp::parse(text).ok());
    if let Some(dated) = dated.filter(|dated| *dated > given) {
        eprintln!("Note: the decision is dated {dated}, not {given}: what it builds on, such as the deal's registration, is not older.");
    }
    Ok(())
}

/// Prints the decision, or the problem; refused is 1.
fn tell(answer: &Told, context: &Context) -> Result<ExitCode> {
    let document = answer.json()?;
    if context.json {
        output::print_json(&document)?;
    }
    if !answer.is_success() {
        let problem = format!("{:#}", connection::problem(&document));
        if !context.json {
            let position = document["position"].as_str().map(|position| format!(" (recorded at {position})")).unwrap_or_default();
            eprintln!("Refused{position}: {problem}");
        }
        if let Some(hint) = room::hint(&problem, &context.data_dir) {
            eprintln!("{hint}");
        }
        return Ok(ExitCode::FAILURE);
    }
    if context.json {
        return Ok(ExitCode::SUCCESS);
    }
    let text = |name: &str| output::cell(&document[name]);
    let replayed = if answer.replayed { ", answered from history" } else { "" };
    let mut lines = vec![format!("Accepted at {} in {} (version {}{replayed}).", text("position"), text("stream"), text("version"))];
    for event in document["events"].as_array().into_iter().flatten() {
        lines.push(format!("  {}", words::event(event)));
    }
    output::print(lines.join("\n"))?;
    Ok(ExitCode::SUCCESS)
}
