//! Items by what tells them apart, what changed of them, and how they are told.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Change, ExplainedFigure, ExplainedItem, Items, formula, operands};
use crate::query::{FieldSpec, Item, ViewSpec};

pub(super) fn by_label(items: Vec<Item>, view: &ViewSpec) -> Items {
    let labelled = |item: Item| (serde_json::to_string(&label(&item, view)).unwrap_or_default(), item);
    items.into_iter().map(labelled).collect()
}

pub(super) fn figures_of(items: Items, view: &ViewSpec, fields: &[FieldSpec]) -> Vec<ExplainedItem> {
    items.into_values().map(|item| explained(item, view, fields)).collect()
}

/// Whether both say the same of the same figures, however they are computed.
pub(super) fn is_told_as(told: &[ExplainedItem], known: &[ExplainedItem]) -> bool {
    let values = |item: &ExplainedItem| item.figures.iter().map(|figure| (figure.field, figure.value.clone())).collect::<Vec<_>>();
    told.len() == known.len() && told.iter().zip(known).all(|(one, other)| one.item == other.item && values(one) == values(other))
}

/// What tells an item from others of its answer.
pub(super) fn label(item: &Item, view: &ViewSpec) -> BTreeMap<&'static str, Value> {
    item.0.iter().filter(|(name, value)| is_dimension(name, view) && !value.is_null()).cloned().collect()
}

fn is_dimension(name: &str, view: &ViewSpec) -> bool {
    name == "currency" || view.key == Some(name) || view.by.iter().any(|dim| dim.name == name)
}

pub(super) fn value<'i>(item: Option<&'i Item>, field: &str) -> &'i Value {
    item.and_then(|item| item.0.iter().find(|(name, _)| *name == field)).map_or(&Value::Null, |(_, value)| value)
}

pub(super) fn changes(before: &Items, after: &Items, fields: &[FieldSpec], view: &ViewSpec) -> Vec<Change> {
    let mut keys: Vec<&String> = before.keys().chain(after.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    let mut changes = Vec::new();
    for key in &keys {
        let (was, is) = (before.get(*key), after.get(*key));
        let label = if keys.len() == 1 { BTreeMap::new() } else { is.or(was).map(|item| label(item, view)).unwrap_or_default() };
        // An item is told by its name: what that says is no change of it.
        for field in fields.iter().filter(|field| !label.contains_key(field.name)) {
            let (before, after) = (value(was, field.name), value(is, field.name));
            if !is_same(before, after) {
                let (item, before, after) = (label.clone(), before.clone(), after.clone());
                changes.push(Change { item, field: field.name, before, after, reckoned: None });
            }
        }
    }
    changes
}

/// Whether nothing changed: an amount of nothing is as good as none.
fn is_same(before: &Value, after: &Value) -> bool {
    let is_nothing = |value: &Value| match value {
        Value::Null => true,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::Object(money) => {
            money.get("amount").and_then(Value::as_str).is_some_and(|amount| amount.trim_matches(['0', '.']).is_empty())
        }
        Value::Array(items) => items.is_empty(),
        Value::Bool(_) | Value::String(_) => false,
    };
    before == after || (is_nothing(before) && is_nothing(after))
}

pub(super) fn has(item: &Item, field: &str) -> bool {
    item.0.iter().any(|(name, _)| *name == field)
}

/// How a field is computed in an item: what it takes may be told of one deal and not of many.
pub(super) fn formula_in(item: &Item, field: &FieldSpec) -> Option<&'static str> {
    field.formula.filter(|formula| operands(formula).into_iter().all(|operand| has(item, operand)))
}

fn explained(item: Item, view: &ViewSpec, fields: &[FieldSpec]) -> ExplainedItem {
    let figure = |field: &FieldSpec| {
        let (formula, value) = (formula_in(&item, field), value(Some(&item), field.name).clone());
        let computed = formula.and_then(|formula| formula::with_values(formula, |name| self::value(Some(&item), name)));
        // What is there while something it is computed from is not, came about otherwise.
        let formula = formula.filter(|_| computed.is_some() || value.is_null());
        ExplainedFigure { field: field.name, value, summary: field.summary, formula, computed }
    };
    // What the item does not have says nothing of it, unless it was asked for.
    let is_told =
        |field: &FieldSpec| has(&item, field.name) && !(is_dimension(field.name, view) && value(Some(&item), field.name).is_null());
    let is_any = fields.iter().any(is_told);
    let figures = fields.iter().filter(|field| is_told(field) || !is_any).map(figure).collect();
    ExplainedItem { item: label(&item, view), figures, held: None }
}
