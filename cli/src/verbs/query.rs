//! `pledger query`: questions to the read models.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, ValueEnum};
use pledger_projections::query::{VIEWS, ViewSpec, find_view};

use crate::{
    cluster::PlaceFlags,
    connection::{Ask, Connection, encode},
    context::{Context, Usage},
    output,
    verbs::{
        items::{ColumnFlags, tell, tell_one},
        moment::Times,
    },
};

/// Ask a read model
#[derive(Args)]
#[command(after_help = after_help())]
pub(crate) struct Query {
    /// The view; see the list below
    view: String,
    /// One item of the view
    key: Option<String>,
    /// Group by these dimensions, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "DIM,...")]
    by: Vec<String>,
    /// Only items with this value of a dimension; may be repeated
    #[arg(long, value_name = "DIM=VALUE")]
    filter: Vec<String>,
    /// The most items
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: usize,
    /// Go on where the last page ended
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
    /// Wait until the read models have taken in this position
    #[arg(long, value_name = "POS")]
    at_least: Option<String>,
    #[command(flatten)]
    times: Times,
    #[command(flatten)]
    columns: ColumnFlags,
    /// How the answer looks
    #[arg(long, value_enum)]
    format: Option<Format>,
    #[command(flatten)]
    place: PlaceFlags,
}

/// How an answer looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Table,
    Json,
    Csv,
}

impl Format {
    /// The one that is asked for; a table where none is.
    ///
    /// # Errors
    /// `Usage` where two are.
    pub(crate) fn of(format: Option<Self>, context: &Context) -> Result<Self> {
        match (format, context.json) {
            (None, false) => Ok(Self::Table),
            (Some(Self::Json) | None, true) => Ok(Self::Json),
            (Some(format), false) => Ok(format),
            (Some(other @ (Self::Table | Self::Csv)), true) => Err(two_formats(&other)),
        }
    }
}

/// Two flags that each ask for another form of the answer.
pub(crate) fn two_formats(format: &impl ValueEnum) -> anyhow::Error {
    let name = format.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    Usage(format!("--json and --format {name} ask for two forms of one answer: leave out --json for {name}, or --format for JSON")).into()
}

fn after_help() -> String {
    let mut text = String::from(
        "Examples:\n  pledger query pipeline --by region,status\n  pledger query deals --filter partner=p-001 --format csv\n  pledger query deals --columns deal_id,partner,amount,status\n  pledger query tiers p-001 --json\n  pledger query tiers --as-of 2026-03-31 --known-at 2026-04-15\n  pledger query pipeline --kafka broker-1:9092 --postgres postgres://pledger@db/prm\n\nViews:\n",
    );
    for view in VIEWS {
        text.push_str(&format!("  {:<12} {}\n", view.name, view.summary));
        let dims: Vec<&str> = view.by.iter().map(|dim| dim.name).collect();
        if !dims.is_empty() {
            text.push_str(&format!("  {:<12}   --by {}\n", "", dims.join(" ")));
        }
    }
    text
}

/// What to ask instead of a view that has figures by dimension for one key.
fn no_key(view: &ViewSpec, key: &str) -> Usage {
    let dims: Vec<&str> = view.by.iter().map(|dim| dim.name).collect();
    // Where one dimension is what keys are of elsewhere, the key is most likely one of its values.
    let example = match view.name {
        "ropi" => format!("--by partner --filter partner={key}"),
        "attribution" => format!("--filter deal={key}"),
        _ => format!("--by {}", dims[0]),
    };
    Usage(format!(
        "{0} has figures by dimension and no keys: try pledger query {0} {example}\nThe dimensions are {1}. What made a figure is told by: pledger explain {0} KEY",
        view.name,
        dims.join(", ")
    ))
}

impl Query {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode> {
        let view = find_view(&self.view).map_err(|error| Usage(format!("{error}\nThe views are listed by: pledger query --help")))?;
        let format = Format::of(self.format, context)?;
        if let (Some(key), None) = (&self.key, view.key) {
            return Err(no_key(view, key).into());
        }
        self.columns.check(view, format == Format::Table)?;
        let path = self.path()?;
        let connection = Connection::to_read_at(&self.place, context)?;
        let accept = (format == Format::Csv).then_some("text/csv");
        let answer = connection.ask(Ask::get(path).header("accept", accept));
        connection.close();
        let answer = answer?;
        match format {
            Format::Csv if answer.is_success() => {
                output::print(&answer.body)?;
                if let Some(next) = &answer.next_cursor {
                    eprintln!(
                        "There is more: go on with --cursor {next}, or get all of it by: pledger export {0} --format csv --out {0}.csv",
                        view.name
                    );
                }
            }
            Format::Csv | Format::Json => output::print_json(&answer.success()?)?,
            Format::Table if self.key.is_some() => tell_one(view, &answer.success()?, &self.columns)?,
            Format::Table => tell(view, &answer.success()?, &self.columns)?,
        }
        Ok(ExitCode::SUCCESS)
    }

    fn path(&self) -> Result<String> {
        let mut parameters = vec![format!("limit={}", self.limit)];
        if self.key.is_some() {
            parameters.clear();
        }
        if !self.by.is_empty() {
            parameters.push(format!("by={}", encode(&self.by.join(",")).replace("%2C", ",")));
        }
        for filter in &self.filter {
            let (name, value) = filter.split_once('=').ok_or_else(|| Usage(format!("--filter {filter}: expected DIM=VALUE")))?;
            parameters.push(format!("{}={}", encode(name), encode(value)));
        }
        parameters.extend(self.cursor.iter().map(|cursor| format!("cursor={}", encode(cursor))));
        parameters.extend(self.times.parameters()?);
        parameters.extend(self.at_least.iter().map(|position| format!("at_least={}", encode(position))));
        let key = self.key.as_ref().map(|key| format!("/{}", encode(key))).unwrap_or_default();
        let separator = if parameters.is_empty() { "" } else { "?" };
        Ok(format!("/v1/{}{key}{separator}{}", self.view, parameters.join("&")))
    }
}
