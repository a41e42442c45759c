//! Whose return on partner investment is another.

use pledger_domain::values::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::query::{Item, Query, QueryError, Rows};

/// A partner whose returns differ.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReturnChange {
    /// The partner; null for costs of the program as a whole.
    pub partner: Option<String>,
    /// The currency of the figures.
    pub currency: String,
    /// The figures that differ: at least one.
    pub figures: Vec<ReturnFigure>,
}

/// A figure of `ropi` that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReturnFigure {
    /// Its name in the view.
    pub figure: &'static str,
    /// Under the rules in force; null where there is none.
    pub before: Value,
    /// Under the draft; null where there is none.
    pub after: Value,
}

/// The view `ropi` by partner.
pub(super) fn returns(rows: &Rows<'_>, at: Timestamp) -> Result<Vec<Item>, QueryError> {
    let query = Query { by: vec!["partner".to_owned()], at: Some(at), ..Query::default() };
    Ok((crate::ropi::VIEW.answer)(rows, &query)?.items)
}

/// The groups that differ, in the order of the view; a group that only the draft has comes last.
pub(super) fn changes(before: &[Item], after: &[Item]) -> Vec<ReturnChange> {
    let none = Item::default();
    let find = |items: &[Item], key: &[Value; 2]| items.iter().position(|item| self::key(item) == *key);
    let changed = before.iter().map(|was| (was, find(after, &key(was)).map_or(&none, |place| &after[place])));
    let new = after.iter().filter(|is| find(before, &key(is)).is_none()).map(|is| (&none, is));
    changed.chain(new).filter_map(|(was, is)| change(was, is)).collect()
}

fn key(item: &Item) -> [Value; 2] {
    ["partner", "currency"].map(|name| field(item, name).clone())
}

fn field<'i>(item: &'i Item, name: &str) -> &'i Value {
    item.0.iter().find(|(known, _)| *known == name).map_or(&Value::Null, |(_, value)| value)
}

fn change(was: &Item, is: &Item) -> Option<ReturnChange> {
    let some = if was.0.is_empty() { is } else { was };
    let figure = |(name, _): &(&'static str, Value)| {
        let [before, after] = [was, is].map(|item| field(item, name).clone());
        (before != after && *name != "partner" && *name != "currency").then_some(ReturnFigure { figure: name, before, after })
    };
    let figures: Vec<_> = some.0.iter().filter_map(figure).collect();
    let [partner, currency] = key(some).map(|value| value.as_str().map(str::to_owned));
    (!figures.is_empty()).then(|| ReturnChange { partner, currency: currency.unwrap_or_default(), figures })
}
