//! `pledger generations`: which generations of the read models there are, and which of them is in use.

use std::{process::ExitCode, sync::Arc};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use pledger_ledger::{
    log::Log,
    sqlite::{Mode, SqliteLog},
};
use pledger_projections::{
    engine::{self, Comparison, Engine, Options},
    generation::{DirectoryGenerations, GenerationNumber, Generations as _, is_ready},
};
use serde_json::{Value, json};

use crate::{
    cluster::{self, PlaceFlags},
    connection::{Ask, Connection},
    context::{Context, Usage},
    node, output,
};

/// Generations of the read models: list, compare, put in use, go back, take away
#[derive(Subcommand)]
#[command(after_help = "Examples:
  pledger generations list
  pledger generations compare 1 2      both at one vector of positions, table by table; exit 1 where they differ
  pledger generations promote          the newest that is filled takes the place of the one in use, in one step
  pledger generations rollback         back to the one before
  pledger generations drop 1")]
pub(crate) enum Generations {
    /// Which there are, and which is in use
    List,
    /// Compare two, table by table
    Compare(Compare),
    /// Put one in use, if it equals the one in use where it has to
    Promote(Promote),
    /// Go back to the one that the one in use replaced
    Rollback,
    /// Take one away for ever
    Drop(One),
}

#[derive(Args)]
pub(crate) struct Compare {
    /// A generation
    one: GenerationNumber,
    /// Another one
    other: GenerationNumber,
}

#[derive(Args)]
pub(crate) struct Promote {
    /// The generation; the newest that is filled where absent
    generation: Option<GenerationNumber>,
}

#[derive(Args)]
pub(crate) struct One {
    /// The generation
    generation: GenerationNumber,
}

impl Generations {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode> {
        match self {
            Self::List => list(context),
            Self::Compare(Compare { one, other }) => compare(context, one, other),
            Self::Promote(Promote { generation }) => promote(context, generation.map_or_else(|| newest(context), Ok)?),
            Self::Rollback => roll_back(context),
            Self::Drop(One { generation }) => take_away(context, generation),
        }
    }
}

/// The generations of a cluster where one is named, else those of the data directory.
pub(crate) fn of(place: &PlaceFlags, context: &Context) -> Result<Arc<dyn pledger_projections::generation::Generations>> {
    match place.cluster(context)? {
        Some(_) => cluster::generations(&place.postgres, context),
        None => Ok(Arc::new(DirectoryGenerations::of(&context.data_dir))),
    }
}

/// Those in a cluster's database, where one is named.
pub(crate) fn of_database(place: &PlaceFlags, context: &Context) -> Result<Option<Arc<dyn pledger_projections::generation::Generations>>> {
    if place.names_a_database(context) { of(place, context).map(Some) } else { Ok(None) }
}

fn list(context: &Context) -> Result<ExitCode> {
    let connection = Connection::to_read(context)?;
    let told = connection.ask(Ask::get("/v1/generations")).and_then(|told| told.success());
    connection.close();
    let document = told?;
    if context.json {
        output::print_json(&document)?;
        return Ok(ExitCode::SUCCESS);
    }
    let columns = ["generation", "state", "folds", "projections", "rules_version", "begun_at", "replaced"];
    let items = document["items"].as_array().into_iter().flatten();
    let rows: Vec<Vec<Value>> = items.map(|item| columns.iter().map(|name| item[*name].clone()).collect()).collect();
    output::print(output::table(&columns.map(str::to_owned), &rows).to_string())?;
    Ok(ExitCode::SUCCESS)
}

/// The newest generation that is filled and not in use.
fn newest(context: &Context) -> Result<GenerationNumber> {
    let generations = DirectoryGenerations::of(&context.data_dir);
    let current = generations.current()?;
    let ready =
        generations.all()?.into_iter().rev().find(|one| current.is_none_or(|current| *one > current) && is_ready(&generations, *one));
    ready.context("no generation newer than the one in use is filled; make one by: pledger rebuild")
}

/// Puts a generation in use: by the server, where one runs.
pub(crate) fn promote(context: &Context, generation: GenerationNumber) -> Result<ExitCode> {
    let connection = Connection::to_change(context)?;
    let told = connection.ask(Ask::post(format!("/v1/generations/{generation}/promote"), Vec::new()));
    connection.close();
    let told = told?;
    if !told.is_success() && told.json()?["code"] == "GenerationsDiffer" {
        let document = told.json()?;
        let lines: Vec<String> = document["comparison"].as_array().into_iter().flatten().map(line).collect();
        bail!(
            "{}\n  {}\nIf a projection is expected to differ, name it: pledger rebuild PROJECTION --promote",
            output::cell(&document["detail"]),
            lines.join("\n  ")
        );
    }
    let document = told.success()?;
    if context.json {
        output::print_json(&document)?;
    } else {
        output::print(format!("Generation {generation} is in use."))?;
        let tables = document["comparison"]["tables"].as_array().into_iter().flatten();
        for table in tables.filter(|table| table["same"] == false) {
            output::print(format!("  {}", line(table)))?;
        }
        output::print("To go back: pledger generations rollback")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn line(table: &Value) -> String {
    let rows = &table["rows"];
    format!(
        "{} differs: {} rows in the one before, {} in this one",
        output::cell(&table["table"]),
        output::cell(&rows[0]),
        output::cell(&rows[1])
    )
}

fn roll_back(context: &Context) -> Result<ExitCode> {
    let connection = Connection::to_change(context)?;
    let told = connection.ask(Ask::post("/v1/generations/rollback", Vec::new())).and_then(|told| told.success());
    connection.close();
    let document = told?;
    if context.json {
        output::print_json(&document)?;
    } else {
        output::print(format!("Generation {} is in use again.", output::cell(&document["generation"])))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Compares two generations in this process, beside whoever writes them.
fn compare(context: &Context, one: GenerationNumber, other: GenerationNumber) -> Result<ExitCode> {
    let log: Arc<dyn Log> =
        Arc::new(SqliteLog::open(&context.data_dir, Mode::Read).map_err(|error| node::explain(error, &context.data_dir))?);
    let generations = DirectoryGenerations::of(&context.data_dir);
    let open = |generation: GenerationNumber| -> Result<Engine> {
        known(&generations, generation)?;
        let engine = Engine::beside(&generations, generation, Arc::clone(&log), Options::default())?;
        engine.with_context(|| format!("generation {generation} was made by other folds, or from another ledger"))
    };
    let comparison = engine::compare(&open(one)?, &open(other)?)?;
    if context.json {
        output::print_json(&json!(comparison))?;
    } else {
        tell(&comparison, one, other)?;
    }
    Ok(if comparison.differing().next().is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn tell(comparison: &Comparison, one: GenerationNumber, other: GenerationNumber) -> Result<()> {
    let columns = ["table".to_owned(), "projections".to_owned(), format!("rows in {one}"), format!("rows in {other}"), "rows".to_owned()];
    let row = |table: &engine::TableComparison| {
        let same = if table.same { "the same" } else { "DIFFERENT" };
        vec![table.table.into(), table.projections.join(", ").into(), table.rows[0].into(), table.rows[1].into(), same.into()]
    };
    let rows: Vec<Vec<Value>> = comparison.tables.iter().map(row).collect();
    output::print(output::table(&columns, &rows).to_string())
}

fn take_away(context: &Context, generation: GenerationNumber) -> Result<ExitCode> {
    let generations = DirectoryGenerations::of(&context.data_dir);
    known(&generations, generation)?;
    let current = generations.current()?;
    if current == Some(generation) {
        return Err(Usage(format!("generation {generation} is in use")).into());
    }
    if current.is_none_or(|current| generation > current)
        && let Err(holder) = generations.hold()?
    {
        bail!("process {} has been filling a generation since {}; end it first", holder.pid, holder.since);
    }
    generations.remove(generation)?;
    if context.json {
        output::print_json(&json!({"dropped": generation}))
    } else {
        output::print(format!("Generation {generation} is gone."))
    }?;
    Ok(ExitCode::SUCCESS)
}

fn known(generations: &DirectoryGenerations, generation: GenerationNumber) -> Result<()> {
    let there = generations.all()?;
    if there.contains(&generation) {
        return Ok(());
    }
    let there: Vec<String> = there.iter().map(ToString::to_string).collect();
    Err(Usage(format!("there is no generation {generation}; there are {}", there.join(", "))).into())
}
