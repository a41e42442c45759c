//! `pledger explain`: why a figure is what it is.

mod held;

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

/// The longest arithmetic that is printed in words, in bytes.
const MAX_COMPUTED_LEN: usize = 4_000;
/// The most values of a percentile that are all printed.
const FEW_VALUES: usize = 10;

/// Say which decisions and which rules made a figure, and how it is computed
#[derive(Args)]
#[command(after_help = "Examples:
  pledger explain deals d-1 --field protected_until
  pledger explain ropi_revenue p-001
  pledger explain tiers p-001 --field revenue --as-of 2026-03-31
  pledger explain attribution d-1 --filter model=linear
  pledger explain pipeline region=EMEA,status=won --field conversion
  pledger explain ropi_margin region=EMEA,quarter=2026-Q1
  pledger explain ropi p-001 --field revenue --cursor account/acme.com@3:1207      the next page of decisions
  pledger explain tiers p-001 --kafka broker-1:9092 --postgres postgres://pledger@db/prm

The key is that of a view's item; of ropi a partner, of attribution a deal. Where a view is asked `--by` something (pipeline, ropi,
attribution, mdf), it may be a group such as region=EMEA,quarter=2026-Q1, or all.

apportioned(WEIGHT * AMOUNT) is rounded to the minor unit so that the credits of a deal add up to its amount: what is left over goes to the
largest remainders. percentile, max, count, highest_tier and tier_above are what they say.

Of a figure that more than 1,000 decisions made, the whole arithmetic is told by stream, and where the view has months by month, each of
which adds up to the figure, and the decisions in pages.")]
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
    /// Go on where the last page of decisions ended
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
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
        parameters.extend(self.cursor.iter().map(|cursor| format!("cursor={}", encode(cursor))));
        for filter in &self.filter {
            let (name, value) = filter.split_once('=').ok_or_else(|| Usage(format!("--filter {filter}: expected DIM=VALUE")))?;
            parameters.push(format!("{}={}", encode(name), encode(value)));
        }
        let connection = Connection::to_read_at(&self.place, context)?;
        let answer = connection.ask(Ask::get(format!("/v1/{}/{}/why?{}", view.name, encode(&self.key), parameters.join("&"))));
        connection.close();
        let document = answer?.success()?;
        if context.json {
            output::print_json(&document)?;
        } else {
            if list(&document, "items").next().is_none() {
                output::print(format!("{} shows nothing of {}.", view.name, self.key))?;
            }
            tell(&document, &self.key, &self.times.moment_words()?)?;
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

/// The arithmetic, of a percentile of many values with those that it lies at.
fn computed(text: &str) -> String {
    let text = percentile(text).unwrap_or_else(|| text.to_owned());
    match text.len() {
        0..=MAX_COMPUTED_LEN => format!(" = {text}"),
        len => format!(" = (its values take {len} characters: see --json)"),
    }
}

/// `percentile(0.5, [30, 45, ...]) / 60` by count, rank and the value there; none where it is no percentile, or one of few values.
fn percentile(text: &str) -> Option<String> {
    let (part, rest) = text.strip_prefix("percentile(")?.split_once(", [")?;
    let (values, unit) = rest.split_once("])")?;
    let values: Vec<&str> = values.split(", ").collect();
    let count = values.len();
    let hundredths = part.parse::<f64>().ok().filter(|part| (0.0..=1.0).contains(part)).map(|part| (part * 100.0).round() as usize)?;
    if count <= FEW_VALUES {
        return None;
    }
    let along = hundredths * (count - 1);
    let (place, rest) = (along / 100, along % 100);
    let (rank, value) = (ordinal(place + 1), values[place]);
    let lies = if rest == 0 {
        format!("the {rank}, {value}")
    } else {
        let (next_rank, next) = (ordinal(place + 2), values[place + 1]);
        format!("between the {rank} and the {next_rank}, ({value} + 0.{rest:02} * ({next} - {value}))")
    };
    Some(format!("percentile {part} of {} values: {lies}{unit}", output::cell(&count.into())))
}

/// `1st`, `12th`, `508th`.
fn ordinal(rank: usize) -> String {
    let suffix = match (rank % 10, rank % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{}{suffix}", output::cell(&rank.into()))
}

/// What the decisions below are.
fn heading(document: &Value) -> String {
    let looked_at = output::cell(&document["looked_at"]);
    if document["groups"].is_null() {
        if list(document, "decisions").next().is_none() {
            return format!("\nNo decision changed it, of {looked_at} that were looked at.");
        }
        return format!("\nMade by these decisions, of {looked_at} that were looked at:");
    }
    let of = document["of"].as_u64().map(|of| format!(" of {}", output::cell(&of.into()))).unwrap_or_default();
    format!("\nMade by these among {looked_at}{of} decisions, stream by stream, each with what it changed of its stream's part:")
}

/// What streams added, and the same by month.
fn tell_groups(groups: &Value) -> Result<()> {
    for (title, ways) in [("By stream", "by_stream"), ("By month", "by_month")] {
        let parts: Vec<&Value> = list(groups, ways).filter(|part| list(part, "adds").next().is_some()).collect();
        if parts.is_empty() {
            continue;
        }
        let told = |field: &&Value| parts.iter().any(|part| list(part, "adds").any(|add| add["field"] == **field));
        let fields: Vec<String> = list(groups, "fields").filter(told).map(output::cell).collect();
        output::print(format!("\n{title}, adding up to {}:", fields.join(", ")))?;
        for part in parts {
            let of = part["of"].as_str().map_or_else(|| format!("{} other streams", output::cell(&part["streams"])), str::to_owned);
            let adds: Vec<String> = list(part, "adds").map(added).collect();
            let decisions =
                part["decisions"].as_u64().map(|count| format!(" ({} decisions)", output::cell(&count.into()))).unwrap_or_default();
            output::print(format!("  {of}{decisions}: {}", adds.join(", ")))?;
        }
    }
    Ok(())
}

/// `revenue +120.00 USD`.
fn added(add: &Value) -> String {
    let (item, adds) = (item_name(&add["item"]), output::cell(&add["adds"]));
    let item = if item.is_empty() { item } else { format!("{item}: ") };
    let sign = if adds.starts_with('-') { "" } else { "+" };
    format!("{item}{} {sign}{adds}", output::cell(&add["field"]))
}

fn tell(document: &Value, key: &str, moment: &str) -> Result<()> {
    for item in list(document, "items") {
        let name = item_name(&item["item"]);
        output::print(if name.is_empty() { key } else { &name })?;
        let held = &item["held"];
        if !held.is_null() {
            held::tell_tiers(held, moment)?;
        }
        for figure in list(item, "figures") {
            let formula = figure["formula"].as_str().map(|formula| format!(" = {formula}")).unwrap_or_default();
            let computed = figure["computed"].as_str().map(computed).unwrap_or_default();
            output::print(format!("  {} {}{formula}{computed}", output::cell(&figure["field"]), output::cell(&figure["value"])))?;
        }
        if !held.is_null() {
            held::tell_terms(item)?;
        }
    }
    tell_groups(&document["groups"])?;
    output::print(heading(document))?;
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
            output::print(format!("    {}", changed(change)))?;
        }
    }
    if let Some(next) = document["next"].as_str() {
        output::print(format!("More decisions with --cursor {next}; all of them with: pledger replay, or pledger export ledger"))?;
    }
    for clause in list(document, "clauses") {
        let in_force = if clause["in_force"] == true { " (in force)" } else { "" };
        let (rules, name) = (output::cell(&clause["rules"]), output::cell(&clause["clause"]));
        output::print(format!("Rules {rules}{in_force}: {name} = {}", clause["value"]))?;
    }
    if list(document, "clauses").next().is_none() {
        output::print("No clause of the rules has a part in this: what is computed says how, the rest is recorded.")?;
    }
    Ok(())
}

/// `protected_until - -> 2026-04-12 = 2026-01-12 + 90 days (deal_registration.protection_days)`.
fn changed(change: &Value) -> String {
    let text = |name: &str| output::cell(&change[name]);
    let item = item_name(&change["item"]);
    let item = if item.is_empty() { item } else { format!("{item}: ") };
    let reckoned = &change["reckoned"];
    let computed = reckoned["computed"].as_str().map(|computed| format!(" = {computed} ({})", output::cell(&reckoned["clause"])));
    format!("{item}{} {} -> {}{}", text("field"), text("before"), text("after"), computed.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn where_nothing_made_a_figure_no_list_is_announced() {
        for (decisions, expected) in [
            (json!([]), "\nNo decision changed it, of 30 that were looked at."),
            (json!([{}]), "\nMade by these decisions, of 30 that were looked at:"),
        ] {
            assert_eq!(heading(&json!({"looked_at": 30, "decisions": decisions, "groups": null})), expected);
        }
    }

    #[test]
    fn a_percentile_of_many_values_is_told_by_its_rank() {
        let of = |part: &str, count: u32| {
            let values: Vec<String> = (1..=count).map(|value| (value * 10).to_string()).collect();
            computed(&format!("percentile({part}, [{}]) / 60", values.join(", ")))
        };
        for (part, count, expected) in [
            ("0.5", 535, " = percentile 0.5 of 535 values: the 268th, 2680 / 60"),
            ("0.5", 12, " = percentile 0.5 of 12 values: between the 6th and the 7th, (60 + 0.50 * (70 - 60)) / 60"),
            ("0.95", 1_001, " = percentile 0.95 of 1,001 values: the 951st, 9510 / 60"),
            ("0.95", 535, " = percentile 0.95 of 535 values: between the 508th and the 509th, (5080 + 0.30 * (5090 - 5080)) / 60"),
            ("0.5", 3, " = percentile(0.5, [10, 20, 30]) / 60"),
        ] {
            assert_eq!(of(part, count), expected);
        }
        assert_eq!(computed("1 / 2"), " = 1 / 2");
    }
}
