//! `pledger generations`: which generations of the read models there are, and which of them is in use.

use std::{process::ExitCode, sync::Arc};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use pledger_command_api::{Problem, compared_generations, drop_generation, listed_generations};
use pledger_projections::{
    engine::{Comparison, TableComparison},
    generation::{Answered, DirectoryGenerations, GenerationNumber, Generations as AllGenerations, Order, is_ready},
};
use serde_json::{Value, json};

use crate::{
    cluster::{self, PlaceFlags},
    connection::{self, Ask, Connection, Told},
    context::Context,
    ledger::Ledger,
    output,
};

/// Generations of the read models: list, compare, put in use, go back, take away
#[derive(Subcommand)]
#[command(after_help = "Examples:
  pledger generations list
  pledger generations compare 1 2      both at one vector of positions, table by table; exit 1 where they differ
  pledger generations promote          the newest that is filled takes the place of the one in use, in one step
  pledger generations rollback         back to the one before
  pledger generations drop 1
  pledger generations list --kafka broker-1:9092 --postgres postgres://pledger@db/prm

Exits with 1 where two generations differ (compare), or one is not put in use because it differs (promote).

In a cluster, whoever keeps the read models puts a generation in use, wherever it runs; where nobody does, this process.")]
pub(crate) enum Generations {
    /// Which there are, and which is in use
    List(PlaceFlags),
    /// Compare two, table by table; exit 1 where they differ
    Compare(Compare),
    /// Put one in use, if it equals the one in use where it has to
    Promote(Promote),
    /// Go back to the one that the one in use replaced
    Rollback(PlaceFlags),
    /// Take one away for ever
    Drop(One),
}

#[derive(Args)]
#[command(after_help = "Example:
  pledger generations compare 1 2 --json

Exits with 0 where every table is the same, with 1 where one differs, cannot be compared or is not there.")]
pub(crate) struct Compare {
    /// A generation
    one: GenerationNumber,
    /// Another one
    other: GenerationNumber,
    #[command(flatten)]
    place: PlaceFlags,
}

#[derive(Args)]
pub(crate) struct Promote {
    /// The generation; the newest that is filled where absent
    generation: Option<GenerationNumber>,
    #[command(flatten)]
    place: PlaceFlags,
}

#[derive(Args)]
pub(crate) struct One {
    /// The generation
    generation: GenerationNumber,
    #[command(flatten)]
    place: PlaceFlags,
}

impl Generations {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode> {
        match self {
            Self::List(place) => list(&place, context),
            Self::Compare(Compare { one, other, place }) => compare(&place, context, one, other),
            Self::Promote(Promote { generation, place }) => {
                promote(&place, context, generation.map_or_else(|| newest(&*of(&place, context)?), Ok)?)
            }
            Self::Rollback(place) => roll_back(&place, context),
            Self::Drop(One { generation, place }) => take_away(&*of(&place, context)?, context, generation),
        }
    }
}

/// The generations of a cluster where one is named, else those of the data directory.
pub(crate) fn of(place: &PlaceFlags, context: &Context) -> Result<Arc<dyn AllGenerations>> {
    match place.cluster(context)? {
        Some(_) => cluster::generations(&place.postgres, context),
        None => Ok(Arc::new(DirectoryGenerations::of(&context.data_dir))),
    }
}

/// The same, where they are this ledger's.
pub(crate) fn of_ledger(place: &PlaceFlags, ledger: &Ledger, context: &Context) -> Result<Arc<dyn AllGenerations>> {
    if place.cluster(context)?.is_some() {
        cluster::check_owner(&place.postgres, &ledger.created.ledger_id, context)?;
    }
    of(place, context)
}

/// Those in a cluster's database, where one is named.
pub(crate) fn of_database(place: &PlaceFlags, ledger: &Ledger, context: &Context) -> Result<Option<Arc<dyn AllGenerations>>> {
    if place.names_a_database(context) { of_ledger(place, ledger, context).map(Some) } else { Ok(None) }
}

/// What starts whoever keeps the read models.
pub(crate) fn to_serve(place: &PlaceFlags, context: &Context) -> Result<String> {
    match place.cluster(context)? {
        Some(named) => cluster::to_serve_with(&named, &place.postgres, context),
        None => Ok("pledger serve".to_owned()),
    }
}

/// That no read models are in use, and what puts some in use.
pub(crate) fn none_in_use(generations: &dyn AllGenerations, to_serve: &str) -> String {
    let all = generations.all().unwrap_or_default();
    match all.into_iter().rev().find(|generation| is_ready(generations, *generation)) {
        Some(filled) => format!(
            "no read models are in use; generation {filled} is filled, and is put in use by: pledger generations promote {filled}, with the \
             same flags, or by: {to_serve}"
        ),
        None => format!(
            "there are no read models yet; they are made by: {to_serve}; or, without a server, by: pledger rebuild --promote, with the \
             same flags"
        ),
    }
}

fn list(place: &PlaceFlags, context: &Context) -> Result<ExitCode> {
    let document = if place.cluster(context)?.is_some() {
        listed_generations(&*of(place, context)?).map_err(|told| refused(&told))?
    } else {
        let connection = Connection::to_read(context)?;
        let told = connection.ask(Ask::get("/v1/generations")).and_then(|told| told.success());
        connection.close();
        told?
    };
    if context.json {
        output::print_json(&document)?;
        return Ok(ExitCode::SUCCESS);
    }
    let items: Vec<&Value> = document["items"].as_array().into_iter().flatten().collect();
    if items.is_empty() {
        output::print("There is no generation yet: a server fills the first one, and pledger rebuild others.")?;
        return Ok(ExitCode::SUCCESS);
    }
    let columns = ["generation", "state", "taken_in", "lag", "trouble", "folds", "projections", "rules_version", "begun_at", "replaced"];
    let columns: Vec<String> = columns.into_iter().filter(|name| output::is_filled(name, &items)).map(str::to_owned).collect();
    let rows: Vec<Vec<Value>> = items.iter().map(|item| columns.iter().map(|name| item[name].clone()).collect()).collect();
    output::print(output::table(&columns, &rows).to_string())?;
    Ok(ExitCode::SUCCESS)
}

/// The newest generation that is filled and not in use.
fn newest(generations: &dyn AllGenerations) -> Result<GenerationNumber> {
    let current = generations.current()?;
    let ready =
        generations.all()?.into_iter().rev().find(|one| current.is_none_or(|current| *one > current) && is_ready(generations, *one));
    ready.context("no generation newer than the one in use is filled; make one by: pledger rebuild")
}

/// Asks for it: whoever keeps the read models of a cluster, where one is named, else the server where one runs.
pub(crate) fn ask(place: &PlaceFlags, context: &Context, order: Order) -> Result<Told> {
    if let Some(named) = place.cluster(context)? {
        let Answered { status, body } = cluster::order(&named, &place.postgres, order, context)?;
        return Ok(Told::of(status, body));
    }
    let path = match order {
        Order::Promote(generation) => format!("/v1/generations/{generation}/promote"),
        Order::RollBack => "/v1/generations/rollback".to_owned(),
        Order::RetryParked => "/v1/parked/retry".to_owned(),
    };
    let connection = Connection::to_change(context)?;
    let told = connection.ask(Ask::post(path, Vec::new()));
    connection.close();
    told
}

/// Puts a generation in use.
pub(crate) fn promote(place: &PlaceFlags, context: &Context, generation: GenerationNumber) -> Result<ExitCode> {
    let told = ask(place, context, Order::Promote(generation))?;
    if !told.is_success() && told.json()?["code"] == "GenerationsDiffer" {
        let document = told.json()?;
        let lines: Vec<String> = document["comparison"].as_array().into_iter().flatten().map(line).collect();
        bail!(
            "{}\n  {}\nIf a projection is expected to differ, name it: pledger rebuild PROJECTION --promote\n\
             It stays until it is dropped: pledger generations drop {generation}",
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
        if !document["comparison"].is_null() {
            output::print("To go back: pledger generations rollback")?;
        }
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

fn roll_back(place: &PlaceFlags, context: &Context) -> Result<ExitCode> {
    let document = ask(place, context, Order::RollBack)?.success()?;
    if context.json {
        output::print_json(&document)?;
    } else {
        output::print(format!("Generation {} is in use again.", output::cell(&document["generation"])))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Compares two generations in this process, beside whoever writes them.
fn compare(place: &PlaceFlags, context: &Context, one: GenerationNumber, other: GenerationNumber) -> Result<ExitCode> {
    let (log, generations) = (Ledger::open(&place.cluster, context)?.log, of(place, context)?);
    let comparison = compared_generations(&*generations, &log, one, other).map_err(|told| refused(&told))?;
    if context.json {
        output::print_json(&json!(comparison))?;
    } else {
        tell(&comparison, one, other)?;
    }
    Ok(if comparison.differing().next().is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn tell(comparison: &Comparison, one: GenerationNumber, other: GenerationNumber) -> Result<()> {
    let columns = ["table".to_owned(), "projections".to_owned(), format!("rows in {one}"), format!("rows in {other}"), "rows".to_owned()];
    let row = |table: &TableComparison| {
        let same = if table.same { "the same" } else { "DIFFERENT" };
        vec![table.table.into(), table.projections.join(", ").into(), table.rows[0].into(), table.rows[1].into(), same.into()]
    };
    let rows: Vec<Vec<Value>> = comparison.tables.iter().map(row).collect();
    output::print(output::table(&columns, &rows).to_string())
}

fn take_away(generations: &dyn AllGenerations, context: &Context, generation: GenerationNumber) -> Result<ExitCode> {
    drop_generation(generations, generation).map_err(|told| refused(&told))?;
    if context.json {
        output::print_json(&json!({"dropped": generation}))
    } else {
        output::print(format!("Generation {generation} is gone."))
    }?;
    Ok(ExitCode::SUCCESS)
}

/// What a server would answer, in words.
fn refused(told: &Problem) -> anyhow::Error {
    connection::problem(&json!(told))
}
