//! Items of a view as a table, or one item as a list of its fields: all of them, those that have room, or those that are named.

use anyhow::Result;
use clap::Args;
use pledger_projections::query::ViewSpec;
use serde_json::Value;

use crate::{context::Usage, output, verbs::contenders};

/// Which columns a table has.
#[derive(Args, Default)]
pub(crate) struct ColumnFlags {
    /// Only these columns of the table, in this order; without it as many as fit the terminal
    #[arg(long, value_delimiter = ',', value_name = "NAME,...")]
    columns: Vec<String>,
}

impl ColumnFlags {
    /// Whether what was named can be shown at all: a table has columns, of the view's.
    ///
    /// # Errors
    /// `Usage`.
    pub(crate) fn check(&self, view: &ViewSpec, is_table: bool) -> Result<()> {
        if !is_table && !self.columns.is_empty() {
            return Err(Usage("--columns is for tables: JSON and CSV have every field".to_owned()).into());
        }
        let known: Vec<&str> = view.by.iter().chain(view.fields).map(|field| field.name).collect();
        let known: Vec<&str> = known.iter().enumerate().filter(|(at, name)| !known[..*at].contains(name)).map(|(_, name)| *name).collect();
        match self.columns.iter().find(|column| !known.contains(&column.as_str())) {
            Some(unknown) => {
                Err(Usage(format!("--columns {unknown}: {} has no such column; it has {}", view.name, known.join(", "))).into())
            }
            None => Ok(()),
        }
    }

    /// The columns that are shown, and those that have no room.
    ///
    /// # Errors
    /// `Usage` where the items have no such column.
    fn of(&self, view: &ViewSpec, items: &[&Value], width: Option<usize>) -> Result<(Vec<String>, Vec<String>)> {
        let all = || items.iter().filter_map(|item| item.as_object()).take(1).flat_map(|item| item.keys());
        if let Some(missing) = self.columns.iter().find(|column| !all().any(|known| known == *column)) {
            return Err(Usage(format!("--columns {missing}: these items are not told apart by it; add --by {missing}")).into());
        }
        if !self.columns.is_empty() {
            return Ok((self.columns.clone(), Vec::new()));
        }
        let columns: Vec<String> = all().filter(|name| output::is_filled(name, items)).cloned().collect();
        let Some(width) = width else { return Ok((columns, Vec::new())) };
        let widths = output::widths(&output::table(&columns, &rows(items, &columns)));
        let mut order: Vec<usize> = (0..columns.len()).collect();
        order.sort_by_key(|at| rank(view, &columns[*at]));
        let (mut room, mut fits) = (width + 1, vec![false; columns.len()]);
        for at in order {
            // Something is shown in any case.
            if widths[at] <= room || !fits.contains(&true) {
                (room, fits[at]) = (room.saturating_sub(widths[at]), true);
            }
        }
        let (shown, left_out): (Vec<_>, Vec<_>) = columns.into_iter().zip(fits).partition(|(_, fits)| *fits);
        let names = |columns: Vec<(String, bool)>| columns.into_iter().map(|(name, _)| name).collect();
        Ok((names(shown), names(left_out)))
    }
}

/// What is shown first where there is no room for all: the dimensions, what is not whole, and then what tells most.
fn rank(view: &ViewSpec, column: &str) -> usize {
    let is_dimension = view.by.iter().any(|dim| dim.name == column);
    match view.headline.iter().position(|name| *name == column) {
        _ if is_dimension || column == "incomplete_since" => 0,
        Some(at) => 1 + at,
        None => usize::MAX,
    }
}

fn rows(items: &[&Value], columns: &[String]) -> Vec<Vec<Value>> {
    items.iter().map(|item| columns.iter().map(|name| item[name].clone()).collect()).collect()
}

/// An item as a table has it.
fn told_of(view: &ViewSpec, item: &Value) -> Value {
    if view.name == "conflicts" { contenders::in_words(item) } else { item.clone() }
}

/// Prints items as a table.
///
/// # Errors
/// `Usage` where the items do not have the columns that are named; where stdout is closed.
pub(crate) fn tell(view: &ViewSpec, document: &Value, columns: &ColumnFlags) -> Result<()> {
    let items: Vec<Value> = document["items"].as_array().into_iter().flatten().map(|item| told_of(view, item)).collect();
    let items: Vec<&Value> = items.iter().collect();
    if items.is_empty() {
        return output::print(format!("{}: nothing found.", view.name));
    }
    let (shown, left_out) = columns.of(view, &items, output::terminal_width())?;
    output::print(output::table(&shown, &rows(&items, &shown)).to_string())?;
    if !left_out.is_empty() {
        output::print(format!(
            "{} of {} columns have no room here: {}. Choose with --columns {},{}; --json has all of them.",
            left_out.len(),
            shown.len() + left_out.len(),
            left_out.join(", "),
            shown[0],
            left_out[0],
        ))?;
    }
    match document["next"].as_str() {
        Some(next) => output::print(format!("{} shown; more with --cursor {next}", items.len())),
        None => Ok(()),
    }
}

/// Prints one item as a list of its fields.
///
/// # Errors
/// As `tell`.
pub(crate) fn tell_one(view: &ViewSpec, item: &Value, columns: &ColumnFlags) -> Result<()> {
    let item = &told_of(view, item);
    let named = if columns.columns.is_empty() {
        item.as_object().into_iter().flat_map(|fields| fields.keys()).cloned().collect()
    } else {
        columns.of(view, &[item], None)?.0
    };
    let rows: Vec<Vec<Value>> = named.into_iter().map(|name| vec![name.clone().into(), item[&name].clone()]).collect();
    output::print(output::table(&["field".into(), "value".into()], &rows).to_string())
}

#[cfg(test)]
mod tests {
    use pledger_projections::query::find_view;
    use serde_json::json;

    use super::*;

    fn flags(columns: &[&str]) -> ColumnFlags {
        ColumnFlags { columns: columns.iter().map(|&name| name.into()).collect() }
    }

    fn of(columns: &[&str], width: Option<usize>) -> Result<(Vec<String>, Vec<String>)> {
        let amount = json!({"amount": "1200.00", "currency": "USD"});
        let items = [
            json!({"deal_id": "d-1", "account": null, "rules": 1, "amount": amount, "status": "won"}),
            json!({"deal_id": "d-2", "account": null, "rules": 1, "amount": null, "status": "open"}),
        ];
        flags(columns).of(find_view("deals")?, &items.iter().collect::<Vec<_>>(), width)
    }

    #[test]
    fn columns_are_those_that_are_named_or_that_have_room() {
        let told = |shown: &[&str], left_out: &[&str]| [shown, left_out].map(|names| names.iter().map(|&name| name.into()).collect());
        for (columns, width, [shown, left_out]) in [
            (&[][..], None, told(&["deal_id", "rules", "amount", "status"], &[])),
            (&[], Some(80), told(&["deal_id", "rules", "amount", "status"], &[])),
            // ` deal_id   rules         amount   status `
            (&[], Some(41), told(&["deal_id", "rules", "amount", "status"], &[])),
            (&[], Some(40), told(&["deal_id", "amount", "status"], &["rules"])),
            // What has no room takes none from what comes after it.
            (&[], Some(27), told(&["deal_id", "rules", "status"], &["amount"])),
            (&[], Some(20), told(&["deal_id", "status"], &["rules", "amount"])),
            (&[], Some(1), told(&["deal_id"], &["rules", "amount", "status"])),
            (&["status", "account"], Some(1), told(&["status", "account"], &[])),
        ] {
            assert_eq!(of(columns, width).expect("columns"), (shown, left_out), "{columns:?} in {width:?}");
        }
    }

    #[test]
    fn columns_that_are_not_there_are_named() {
        let told = |view, columns: &[&str], is_table| {
            let checked = find_view(view).map_err(anyhow::Error::from).and_then(|view| flags(columns).check(view, is_table));
            checked.map_err(|error| error.to_string())
        };
        assert_eq!(told("mdf", &["paid", "partner"], true), Ok(()));
        assert_eq!(told("mdf", &[], false), Ok(()));
        assert_eq!(told("mdf", &["paid"], false), Err("--columns is for tables: JSON and CSV have every field".to_owned()));
        let unknown = told("mdf", &["paid", "piad"], true).expect_err("no such column");
        assert!(unknown.starts_with("--columns piad: mdf has no such column; it has budget_id, allocation"), "{unknown}");
        let missing = flags(&["region"]).of(find_view("pipeline").expect("a view"), &[&json!({"count": 1})], None);
        assert_eq!(
            missing.expect_err("it was not asked for").to_string(),
            "--columns region: these items are not told apart by it; add --by region"
        );
    }
}
