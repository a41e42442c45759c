//! Items of a view as a table, one item as a list of its fields.

use anyhow::Result;
use clap::Args;
use pledger_projections::query::ViewSpec;
use serde_json::Value;

use crate::{context::Usage, output};

/// Which columns a table has.
#[derive(Args, Default)]
pub(crate) struct ColumnFlags {
    /// Only these columns of the table, in this order; without it as many as fit the terminal
    #[arg(long, value_delimiter = ',', value_name = "NAME,...")]
    columns: Vec<String>,
}

impl ColumnFlags {
    /// Whether somebody named some.
    pub(crate) const fn are_named(&self) -> bool {
        !self.columns.is_empty()
    }

    /// What whoever names some of an answer in another form is told.
    pub(crate) fn no_table() -> anyhow::Error {
        Usage("--columns is for tables: JSON and CSV have every field".to_owned()).into()
    }

    /// The columns that are shown, and those that do not fit.
    ///
    /// # Errors
    /// `Usage` where the items have no such column.
    fn of(&self, view: &ViewSpec, items: &[&Value], width: Option<usize>) -> Result<(Vec<String>, Vec<String>)> {
        let all = || items.iter().filter_map(|item| item.as_object()).take(1).flat_map(|item| item.keys());
        if let Some(unknown) = self.columns.iter().find(|column| !all().any(|known| known == *column)) {
            let known: Vec<&str> = all().map(String::as_str).collect();
            return Err(Usage(format!("--columns {unknown}: {} has no such column here; it has {}", view.name, known.join(", "))).into());
        }
        if self.are_named() {
            return Ok((self.columns.clone(), Vec::new()));
        }
        // A column that nobody filled would only push the others aside.
        let columns: Vec<String> = all().filter(|name| items.iter().any(|item| !item[*name].is_null())).cloned().collect();
        let Some(width) = width else { return Ok((columns, Vec::new())) };
        let widths = output::widths(&columns, &rows(items, &columns));
        let mut order: Vec<usize> = (0..columns.len()).collect();
        order.sort_by_key(|at| rank(view, &columns[*at]));
        // Nothing stands between the last one and the end.
        let mut room = width + 1;
        let fitting = order.iter().take_while(|at| room.checked_sub(widths[**at]).inspect(|left| room = *left).is_some()).count();
        let mut fits = vec![false; columns.len()];
        order.iter().take(fitting.max(1)).for_each(|at| fits[*at] = true);
        let (shown, left_out): (Vec<_>, Vec<_>) = columns.into_iter().zip(fits).partition(|(_, fits)| *fits);
        let names = |columns: Vec<(String, bool)>| columns.into_iter().map(|(name, _)| name).collect();
        Ok((names(shown), names(left_out)))
    }
}

/// What is shown first where there is no room for all: the dimensions, what is not whole, and then what tells most.
fn rank(view: &ViewSpec, column: &str) -> usize {
    let is_dimension = view.by.iter().any(|dim| dim.name == column) || !view.fields.iter().any(|field| field.name == column);
    match view.headline.iter().position(|name| *name == column) {
        _ if is_dimension || column == "incomplete_since" => 0,
        Some(at) => 1 + at,
        None => usize::MAX,
    }
}

fn rows(items: &[&Value], columns: &[String]) -> Vec<Vec<Value>> {
    items.iter().map(|item| columns.iter().map(|name| item[name].clone()).collect()).collect()
}

/// Prints items as a table, one item as a list of its fields.
///
/// # Errors
/// `Usage` where the items have none of the columns; where stdout is closed.
pub(crate) fn tell(view: &ViewSpec, document: &Value, single: bool, columns: &ColumnFlags) -> Result<()> {
    let items: Vec<&Value> = if single { vec![document] } else { document["items"].as_array().into_iter().flatten().collect() };
    let Some(first) = items.first().and_then(|item| item.as_object()) else {
        return output::print(format!("{}: nothing found.", view.name));
    };
    if single {
        let is_asked_for = |name: &String| !columns.are_named() || columns.columns.contains(name);
        // Whoever names fields that it does not have is told so.
        columns.of(view, &items, None)?;
        let fields = first.iter().filter(|(name, _)| is_asked_for(name));
        let rows: Vec<Vec<Value>> = fields.map(|(name, value)| vec![name.clone().into(), value.clone()]).collect();
        return output::print(output::table(&["field".into(), "value".into()], &rows).to_string());
    }
    let (shown, left_out) = columns.of(view, &items, output::terminal_width())?;
    output::print(output::table(&shown, &rows(&items, &shown)).to_string())?;
    if !left_out.is_empty() {
        let (some, all) = (left_out.len(), shown.len() + left_out.len());
        output::print(format!(
            "{some} of {all} columns do not fit this terminal: {}.\nChoose with: pledger query {} --columns {},{}  All of them: --format csv",
            left_out.join(", "),
            view.name,
            shown[0],
            left_out[0],
        ))?;
    }
    match document["next"].as_str() {
        Some(next) => output::print(format!("{} shown; more with --cursor {next}", items.len())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use pledger_projections::query::find_view;
    use serde_json::json;

    use super::*;

    fn of(columns: &[&str], width: Option<usize>) -> Result<(Vec<String>, Vec<String>)> {
        let items =
            [json!({"deal_id": "d-1", "account": null, "rules": 1, "amount": {"amount": "1200.00", "currency": "USD"}, "status": "won"})];
        let columns = ColumnFlags { columns: columns.iter().map(|&name| name.into()).collect() };
        columns.of(find_view("deals")?, &items.iter().collect::<Vec<_>>(), width)
    }

    #[test]
    fn columns_are_those_that_are_named_or_that_fit() {
        let told = |shown: &[&str], left_out: &[&str]| [shown, left_out].map(|names| names.iter().map(|&name| name.into()).collect());
        for (columns, width, [shown, left_out]) in [
            (&[][..], None, told(&["deal_id", "rules", "amount", "status"], &[])),
            (&[], Some(80), told(&["deal_id", "rules", "amount", "status"], &[])),
            // ` deal_id   rules         amount   status `
            (&[], Some(41), told(&["deal_id", "rules", "amount", "status"], &[])),
            (&[], Some(40), told(&["deal_id", "amount", "status"], &["rules"])),
            (&[], Some(20), told(&["deal_id", "status"], &["rules", "amount"])),
            (&[], Some(1), told(&["deal_id"], &["rules", "amount", "status"])),
            (&["status", "account"], Some(1), told(&["status", "account"], &[])),
        ] {
            assert_eq!(of(columns, width).expect("columns"), (shown, left_out), "{columns:?} in {width:?}");
        }
        let error = of(&["status", "amuont"], None).expect_err("no such column").to_string();
        assert_eq!(error, "--columns amuont: deals has no such column here; it has deal_id, account, rules, amount, status");
    }
}
