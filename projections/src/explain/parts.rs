//! What streams and months add to a figure, held against the figure.

use std::collections::{BTreeMap, BTreeSet};

use pledger_domain::{stream::StreamName, values::Month};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{
    Addend, Group, Groups, Items,
    items::{formula_in, has, label, value},
};
use crate::query::{FieldKind, FieldSpec, ViewSpec};

/// One sum: the item by its label, the field, and the currency of an amount.
type Cell = (String, &'static str, Option<String>);

/// Figures as numbers; what is not there is nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sums(BTreeMap<Cell, Decimal>);

/// What a stream or a month added.
#[derive(Clone, Debug, Default)]
struct Part {
    streams: usize,
    decisions: usize,
    adds: Sums,
}

/// What was added, by stream and by month.
pub(super) struct Parts {
    /// Fields that may add up.
    fields: Vec<FieldSpec>,
    /// How many streams are told one by one.
    room: usize,
    month: Option<Month>,
    at_hand: Part,
    streams: Vec<(StreamName, Part)>,
    /// All other streams.
    others: Part,
    months: BTreeMap<Month, Part>,
}

impl Sums {
    fn add(&mut self, cell: &Cell, number: Decimal) {
        let sum = self.0.entry(cell.clone()).or_default();
        // A sum beyond what can be counted is none that the figure has, and is told for none.
        *sum = sum.checked_add(number).unwrap_or(Decimal::MAX);
    }

    fn add_all(&mut self, sums: &Self) {
        sums.0.iter().for_each(|(cell, number)| self.add(cell, *number));
    }

    fn of(&self, cell: &Cell) -> Decimal {
        self.0.get(cell).copied().unwrap_or_default()
    }

    fn is_nothing(&self) -> bool {
        self.0.values().all(Decimal::is_zero)
    }
}

impl Part {
    fn take_in(&mut self, part: &Self) {
        self.streams += part.streams;
        self.decisions += part.decisions;
        self.adds.add_all(&part.adds);
    }
}

impl Parts {
    pub(super) fn of(fields: &[FieldSpec], room: usize) -> Self {
        let may_add_up = |field: &&FieldSpec| match field.kind {
            FieldKind::Count | FieldKind::Money | FieldKind::Decimal => true,
            FieldKind::Text
            | FieldKind::Person
            | FieldKind::Texts
            | FieldKind::Flag
            | FieldKind::Time
            | FieldKind::Date
            | FieldKind::Position
            | FieldKind::Objects => false,
        };
        let fields = fields.iter().filter(may_add_up).copied().collect();
        let (streams, months) = (Vec::new(), BTreeMap::new());
        Self { fields, room, month: None, at_hand: Part::default(), streams, others: Part::default(), months }
    }

    /// Whether decisions of another month were counted last.
    pub(super) fn begins(&self, month: Month) -> bool {
        self.month.is_some_and(|last| last != month)
    }

    /// A decision of the stream at hand.
    pub(super) fn count(&mut self, month: Month) {
        self.month = Some(month);
        self.at_hand.decisions += 1;
        self.months.entry(month).or_default().decisions += 1;
    }

    /// The figures that may add up.
    pub(super) fn sums(&self, items: &Items) -> Sums {
        let mut sums = Sums::default();
        for (label, item) in items {
            for field in &self.fields {
                if let Some((number, currency)) = number(value(Some(item), field.name)) {
                    sums.add(&(label.clone(), field.name, currency), number);
                }
            }
        }
        sums
    }

    /// What was added between two looks, by the stream at hand in the month of its last decision.
    pub(super) fn add(&mut self, before: &Sums, after: &Sums) {
        let cells: BTreeSet<&Cell> = before.0.keys().chain(after.0.keys()).collect();
        for cell in cells {
            let added = after.of(cell).checked_sub(before.of(cell)).unwrap_or(Decimal::MAX);
            if !added.is_zero() {
                self.at_hand.adds.add(cell, added);
                if let Some(month) = self.month {
                    self.months.entry(month).or_default().adds.add(cell, added);
                }
            }
        }
    }

    /// The stream at hand has no more.
    pub(super) fn end(&mut self, stream: &StreamName) {
        let part = Part { streams: 1, ..std::mem::take(&mut self.at_hand) };
        self.month = None;
        if part.adds.is_nothing() {
            self.others.take_in(&part);
            return;
        }
        self.streams.push((stream.clone(), part));
        if self.streams.len() > self.room.saturating_mul(4) {
            self.keep_the_greatest();
        }
    }

    /// Those that add most to the first amount, or else to the first count.
    fn keep_the_greatest(&mut self) {
        if self.streams.len() <= self.room {
            return;
        }
        let of_kind = |kind| self.fields.iter().find(|field| field.kind == kind);
        let by = of_kind(FieldKind::Money).or_else(|| of_kind(FieldKind::Count)).map(|field| field.name);
        let weight = |part: &Part| -> Decimal {
            let sums = part.adds.0.iter().filter(|((_, field, _), _)| by.is_none_or(|by| by == *field));
            sums.map(|(_, number)| number.abs()).fold(Decimal::ZERO, Decimal::saturating_add)
        };
        self.streams.sort_by_cached_key(|(stream, part)| (std::cmp::Reverse(weight(part)), stream.clone()));
        for (_, part) in self.streams.split_off(self.room) {
            self.others.take_in(&part);
        }
    }

    /// What is told: of the fields whose parts add up to the figure.
    pub(super) fn groups(mut self, figure: &Sums, items: &Items, view: &ViewSpec) -> Groups {
        self.keep_the_greatest();
        self.streams.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut whole = self.others.clone();
        self.streams.iter().for_each(|(_, part)| whole.take_in(part));
        let cells: BTreeSet<&Cell> = whole.adds.0.keys().chain(figure.0.keys()).collect();
        let differing: BTreeSet<&str> =
            cells.iter().filter(|cell| whole.adds.of(cell) != figure.of(cell)).map(|(_, field, _)| *field).collect();
        // What is computed from others is told by its formula.
        let is_had = |field: &FieldSpec| items.values().any(|item| has(item, field.name) && formula_in(item, field).is_none());
        let adding_up = self.fields.iter().filter(|field| is_had(field) && !differing.contains(field.name));
        let fields: Vec<&'static str> = adding_up.map(|field| field.name).collect();
        let told = |field: &&'static str| fields.contains(field);
        let group = |of: Option<String>, part: &Part| Group {
            of,
            streams: part.streams,
            decisions: part.decisions,
            adds: part
                .adds
                .0
                .iter()
                .filter(|((_, field, _), number)| told(field) && !number.is_zero())
                .map(|(cell, number)| self.addend(cell, *number, items, view))
                .collect(),
        };
        let by_month = self.months.iter().map(|(month, part)| group(Some(month.to_string()), part)).collect();
        let by_stream = self.streams.iter().map(|(stream, part)| group(Some(stream.to_string()), part));
        let others = (self.others.streams > 0).then(|| group(None, &self.others));
        let by_stream = by_stream.chain(others).collect();
        Groups { fields, by_stream, by_month }
    }

    fn addend(&self, (item, name, currency): &Cell, number: Decimal, items: &Items, view: &ViewSpec) -> Addend {
        let is_count = self.fields.iter().any(|field| field.name == *name && field.kind == FieldKind::Count);
        let adds = match (currency, i64::try_from(number)) {
            (Some(currency), _) => json!({"amount": number.to_string(), "currency": currency}),
            (None, Ok(count)) if is_count => count.into(),
            (None, _) => number.normalize().to_string().into(),
        };
        let several = items.len() > 1;
        let item = items.get(item).filter(|_| several).map(|item| label(item, view)).unwrap_or_default();
        Addend { item, field: name, adds }
    }
}

/// A count, a decimal string, or an amount with its currency.
fn number(value: &Value) -> Option<(Decimal, Option<String>)> {
    match value {
        Value::Number(count) => Some((Decimal::from(count.as_i64()?), None)),
        Value::String(text) => Some((text.parse().ok()?, None)),
        Value::Object(money) => Some((money.get("amount")?.as_str()?.parse().ok()?, Some(money.get("currency")?.as_str()?.to_owned()))),
        Value::Null | Value::Bool(_) | Value::Array(_) => None,
    }
}
