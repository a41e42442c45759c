//! What streams add to a figure, held against the figure.

use std::collections::{BTreeMap, BTreeSet};

use pledger_domain::stream::StreamName;
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

/// What streams added.
#[derive(Clone, Debug, Default)]
struct Part {
    /// Which streams, by their numbers.
    streams: Vec<usize>,
    adds: Sums,
}

/// A figure, as all rows have it.
pub(super) struct Summed<'s> {
    pub(super) view: &'s ViewSpec,
    pub(super) items: &'s Items,
    /// The same by the months that it counts in, of views that have months.
    pub(super) months: &'s BTreeMap<String, Items>,
}

/// What was added, stream by stream.
pub(super) struct Parts {
    /// Fields that may add up.
    fields: Vec<FieldSpec>,
    /// How many streams are told one by one.
    room: usize,
    /// The streams that are.
    told: Vec<Part>,
    /// All others.
    others: Part,
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

    /// What these are more than others.
    fn since(&self, before: &Self) -> Self {
        let cells: BTreeSet<&Cell> = before.0.keys().chain(self.0.keys()).collect();
        let more = |cell: &Cell| self.of(cell).checked_sub(before.of(cell)).unwrap_or(Decimal::MAX);
        let more = cells.into_iter().map(|cell| (cell.clone(), more(cell)));
        Self(more.filter(|(_, number)| !number.is_zero()).collect())
    }

    /// The fields whose sums others do not have.
    fn differing(&self, other: &Self) -> BTreeSet<&'static str> {
        let cells: BTreeSet<&Cell> = self.0.keys().chain(other.0.keys()).collect();
        cells.into_iter().filter(|cell| self.of(cell) != other.of(cell)).map(|(_, field, _)| *field).collect()
    }
}

impl Part {
    fn take_in(&mut self, part: &Self) {
        self.streams.extend(&part.streams);
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
        Self { fields, room, told: Vec::new(), others: Part::default() }
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

    /// What the stream of a number added to figures.
    pub(super) fn add(&mut self, stream: usize, before: &Sums, after: &Sums) {
        let part = Part { streams: vec![stream], adds: after.since(before) };
        if part.adds.is_nothing() {
            self.others.take_in(&part);
            return;
        }
        self.told.push(part);
        if self.told.len() > self.room.saturating_mul(4) {
            self.keep_the_greatest();
        }
    }

    /// The same of streams that are not told one by one.
    pub(super) fn add_to_others(&mut self, streams: &[usize], before: &Sums, after: &Sums) {
        self.others.take_in(&Part { streams: streams.to_vec(), adds: after.since(before) });
    }

    /// Those that add most to the first amount, or else to the first count: these first.
    fn keep_the_greatest(&mut self) {
        let of_kind = |kind| self.fields.iter().find(|field| field.kind == kind);
        let by = of_kind(FieldKind::Money).or_else(|| of_kind(FieldKind::Count)).map(|field| field.name);
        let weight = |part: &Part| -> Decimal {
            let sums = part.adds.0.iter().filter(|((_, field, _), _)| by.is_none_or(|by| by == *field));
            sums.map(|(_, number)| number.abs()).fold(Decimal::ZERO, Decimal::saturating_add)
        };
        self.told.sort_by_cached_key(|part| (std::cmp::Reverse(weight(part)), part.streams.clone()));
        for part in self.told.split_off(self.room.min(self.told.len())) {
            self.others.take_in(&part);
        }
    }

    /// What is told of the streams: of the fields whose parts add up to the figure. `counts` are the decisions of each, `months` the same
    /// figures by month.
    pub(super) fn groups(mut self, (streams, counts): (&[StreamName], Option<&[usize]>), summed: &Summed<'_>) -> Groups {
        let Summed { items, months, view } = *summed;
        self.keep_the_greatest();
        let mut whole = self.others.clone();
        self.told.iter().for_each(|part| whole.take_in(part));
        let figure = self.sums(items);
        let differing = whole.adds.differing(&figure);
        // What is computed from others is told by its formula.
        let is_had = |field: &FieldSpec| items.values().any(|item| has(item, field.name) && formula_in(item, field).is_none());
        let adding_up = self.fields.iter().filter(|field| is_had(field) && !differing.contains(field.name));
        let fields: Vec<&'static str> = adding_up.map(|field| field.name).collect();
        let adds = |sums: &Sums, left_out: &BTreeSet<&str>| -> Vec<Addend> {
            let told = |field: &&'static str| fields.contains(field) && !left_out.contains(field);
            let told = sums.0.iter().filter(|((_, field, _), number)| told(field) && !number.is_zero());
            told.map(|(cell, number)| self.addend(cell, *number, items, view)).collect()
        };
        let none = BTreeSet::new();
        let decisions = |part: &Part| counts.map(|counts| part.streams.iter().map(|stream| counts[*stream]).sum());
        let group = |of: Option<String>, part: &Part| Group {
            of,
            streams: part.streams.len(),
            decisions: decisions(part),
            adds: adds(&part.adds, &none),
        };
        let name = |part: &Part| part.streams.first().and_then(|stream| streams.get(*stream)).map(ToString::to_string);
        let by_stream = self.told.iter().map(|part| group(name(part), part));
        let others = (!self.others.streams.is_empty()).then(|| group(None, &self.others));
        let by_stream = by_stream.chain(others).collect();
        let months: BTreeMap<&String, Sums> = months.iter().map(|(month, items)| (month, self.sums(items))).collect();
        let mut all_months = Sums::default();
        months.values().for_each(|sums| all_months.add_all(sums));
        let differing = all_months.differing(&figure);
        let of_month = |(month, sums): (&&String, &Sums)| Group {
            of: Some((*month).clone()),
            streams: 0,
            decisions: None,
            adds: adds(sums, &differing),
        };
        let by_month = months.iter().map(of_month).filter(|group| !group.adds.is_empty()).collect();
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
