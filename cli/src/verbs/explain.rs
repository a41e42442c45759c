//! `pledger explain`: why a figure is what it is.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use pledger_projections::explain::find_metric;
use serde_json::Value;

use crate::{
    cluster::PlaceFlags,
    connection::{Ask, Connection, encode},
    context::{Context, Usage},
    output,
    verbs::moment::Times,
};

/// Say which decisions and which rules made a figure, and how it is computed
#[derive(Args)]
#[command(after_help = "Examples:
  pledger explain deals d-1 --field protected_until
  pledger explain ropi_revenue p-001
  pledger explain tiers p-001 --field revenue --as-of 2026-03-31
  pledger explain attribution d-1 --filter model=linear
  pledger explain pipeline region=EMEA,status=won --field conversion
  pledger explain tiers p-001 --kafka broker-1:9092 --postgres postgres://pledger@db/prm

The key is that of a view's item; of ropi a partner, of attribution a deal, of pipeline a group (or `all`).")]
pub(crate) struct Explain {
    /// A view, or a figure that only one view has
    metric: String,
    /// Of what
    key: String,
    /// Only this figure, with what it is computed from
    #[arg(long, value_name = "F")]
    field: Option<String>,
    /// Only items with this value of a dimension; may be repeated
    #[arg(long, value_name = "DIM=VALUE")]
    filter: Vec<String>,
    #[command(flatten)]
    times: Times,
    #[command(flatten)]
    place: PlaceFlags,
}

impl Explain {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode> {
        let (view, named) = find_metric(&self.metric).map_err(|error| Usage(error.to_string()))?;
        if self.key.trim().is_empty() {
            return Err(
                Usage(format!("KEY is empty: say of what {0} is to be explained, as in: pledger explain {0} KEY", self.metric)).into()
            );
        }
        let mut parameters = self.times.parameters()?;
        parameters.extend(self.field.as_deref().or(named).map(|field| format!("field={}", encode(field))));
        for filter in &self.filter {
            let (name, value) = filter.split_once('=').ok_or_else(|| Usage(format!("--filter {filter}: expected DIM=VALUE")))?;
            parameters.push(format!("{}={}", encode(name), encode(value)));
        }
        let connection = Connection::to_read_at(&self.place, context)?;
        if let Some(assembly) = connection.assembly() {
            assembly.engine().wait_until_caught_up(super::FOLDING, |_| {});
        }
        let answer = connection.ask(Ask::get(format!("/v1/{}/{}/why?{}", view.name, encode(&self.key), parameters.join("&"))));
        connection.close();
        let document = answer?.success()?;
        if context.json {
            output::print_json(&document)?;
        } else {
            tell(&document)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn list<'d>(document: &'d Value, name: &str) -> impl Iterator<Item = &'d Value> {
    document[name].as_array().into_iter().flatten()
}

/// `model=linear partner=p-1`.
fn item_name(item: &Value) -> String {
    let parts = item.as_object().into_iter().flatten();
    parts.map(|(name, value)| format!("{name}={}", output::cell(value))).collect::<Vec<_>>().join(" ")
}

fn tell(document: &Value) -> Result<()> {
    for item in list(document, "items") {
        output::print(item_name(&item["item"]))?;
        for figure in list(item, "figures") {
            let formula = figure["formula"].as_str().map(|formula| format!(" = {formula}")).unwrap_or_default();
            let computed = figure["computed"].as_str().map(|computed| format!(" = {computed}")).unwrap_or_default();
            output::print(format!("  {} {}{formula}{computed}", output::cell(&figure["field"]), output::cell(&figure["value"])))?;
        }
    }
    output::print(format!("\nMade by these decisions, of {} that were looked at:", output::cell(&document["looked_at"])))?;
    for decision in list(document, "decisions") {
        let text = |name: &str| output::cell(&decision[name]);
        let refused = decision["refused"].as_str().map(|code| format!(", refused ({code})")).unwrap_or_default();
        let dated = if decision["effective_at"] == decision["recorded_at"] {
            String::new()
        } else {
            format!(", effective {}", text("effective_at"))
        };
        output::print(format!(
            "{} {} {} {} under rules {}{dated}{refused}",
            text("recorded_at"),
            text("position"),
            text("stream"),
            text("command"),
            text("rules")
        ))?;
        for change in list(decision, "changes") {
            let item = item_name(&change["item"]);
            let item = if item.is_empty() { item } else { format!("{item}: ") };
            output::print(format!(
                "    {item}{} {} -> {}",
                output::cell(&change["field"]),
                output::cell(&change["before"]),
                output::cell(&change["after"])
            ))?;
        }
    }
    for clause in list(document, "clauses") {
        output::print(format!("Rules {}: {} = {}", output::cell(&clause["rules"]), output::cell(&clause["clause"]), clause["value"]))?;
    }
    Ok(())
}
