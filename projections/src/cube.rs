//! Figures by dimensions: filters, grouping and paging, the same for every aggregating view.

use std::{cmp::Ordering, collections::BinaryHeap, hash::Hash};

use hashbrown::{HashMap, HashSet};
use pledger_domain::values::{Currency, Month};
use serde_json::Value;

use crate::{
    page::{Selection, cursor, read_cursor},
    query::{Answer, FieldSpec, Item, Query, QueryError},
    symbol::Symbol,
};

/// The value of a dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DimValue {
    /// There is none: shown as null, filtered by the empty value.
    Null,
    /// A name.
    Name(Symbol),
    /// A word of a fixed list, with its place in the list.
    Word(u8, &'static str),
    /// A month.
    Month(Month),
    /// The quarter that begins with this month.
    Quarter(Month),
    /// The year that begins with this month.
    Year(Month),
}

impl DimValue {
    /// The name, or none.
    #[must_use]
    pub fn name(symbol: Option<Symbol>) -> Self {
        symbol.map_or(Self::Null, Self::Name)
    }

    /// The quarter of `month`.
    #[must_use]
    pub fn quarter(month: Month) -> Self {
        Self::Quarter(Month::from_index(month.index().div_euclid(3) * 3))
    }

    /// The year of `month`.
    #[must_use]
    pub fn year(month: Month) -> Self {
        Self::Year(Month::from_index(month.index().div_euclid(12) * 12))
    }

    /// A number that tells the values of one dimension apart, in this process only.
    fn code(self) -> u64 {
        match self {
            Self::Null => 0,
            Self::Name(symbol) => symbol.address(),
            Self::Word(place, _) => 1 + u64::from(place),
            Self::Month(month) | Self::Quarter(month) | Self::Year(month) => u64::from(month.index().cast_unsigned()) + 1,
        }
    }

    /// The value as it is written; empty for none.
    #[must_use]
    pub fn text(self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Name(symbol) => symbol.name().to_owned(),
            Self::Word(_, word) => word.to_owned(),
            Self::Month(month) => month.to_string(),
            Self::Quarter(month) => month.quarter(),
            Self::Year(month) => month.year(),
        }
    }

    /// The value in JSON.
    #[must_use]
    pub fn json(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Name(_) | Self::Word(..) | Self::Month(_) | Self::Quarter(_) | Self::Year(_) => Value::String(self.text()),
        }
    }

    /// What the values of one dimension are ordered by; none comes last.
    fn rank(&self) -> (bool, i32, &'static str) {
        match self {
            Self::Null => (true, 0, ""),
            Self::Name(symbol) => (false, 0, symbol.name()),
            Self::Word(place, word) => (false, i32::from(*place), word),
            Self::Month(month) | Self::Quarter(month) | Self::Year(month) => (false, month.index(), ""),
        }
    }
}

impl PartialOrd for DimValue {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for DimValue {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

/// How a dimension's values are read from a filter.
#[derive(Clone, Copy, Debug)]
pub enum Values {
    /// Any name.
    Names,
    /// One of these words.
    Words(&'static [&'static str]),
    /// `YYYY-MM`.
    Months,
    /// `YYYY-Qn`.
    Quarters,
    /// `YYYY`.
    Years,
}

impl Values {
    /// Reads a value; none where it is well-formed and no row can have it.
    ///
    /// # Errors
    /// What would be accepted, in words.
    pub fn parse(self, text: &str) -> Result<Option<DimValue>, String> {
        if text.is_empty() {
            return Ok(Some(DimValue::Null));
        }
        match self {
            Self::Names => Ok(Symbol::known(text).map(DimValue::Name)),
            Self::Words(words) => {
                let place = words.iter().position(|word| *word == text).ok_or_else(|| format!("one of {}", words.join(", ")))?;
                let place = u8::try_from(place).expect("a list of words is short");
                Ok(Some(DimValue::Word(place, words[place as usize])))
            }
            Self::Months => period(text, 1, DimValue::Month).ok_or_else(|| "a month like 2026-09".to_owned()).map(Some),
            Self::Quarters => period(text, 3, DimValue::Quarter).ok_or_else(|| "a quarter like 2026-Q3".to_owned()).map(Some),
            Self::Years => period(text, 12, DimValue::Year).ok_or_else(|| "a year like 2026".to_owned()).map(Some),
        }
    }
}

fn period(text: &str, months: u8, make: fn(Month) -> DimValue) -> Option<DimValue> {
    let (first, length) = pledger_domain::values::Period::parse(text).ok()?.months();
    (length == months).then(|| make(first))
}

/// A dimension of facts of the type `F`.
pub struct Dim<F> {
    /// Its name and meaning.
    pub spec: FieldSpec,
    /// Its value in a fact.
    pub value: fn(&F) -> DimValue,
    /// How its values are read.
    pub values: Values,
}

/// What a group is found by: the values of its dimensions, and its currency.
pub type Group = (Vec<DimValue>, Currency);

/// The values in an array, which costs no allocation a fact.
fn sized<const N: usize>(values: impl Iterator<Item = DimValue>) -> [DimValue; N] {
    let mut sized = [DimValue::Null; N];
    sized.iter_mut().zip(values).for_each(|(place, value)| *place = value);
    sized
}

/// So many groups are made without finding out first which ones are on the page.
const FEW_GROUPS: usize = 2_000;

/// The first groups after another one, with the codes they are known by: one more than a page has, to know whether
/// another page follows.
struct FirstKeys<K, C> {
    after: Option<K>,
    most: usize,
    codes: HashSet<C>,
    largest: BinaryHeap<(K, C)>,
}

impl<K: Ord, C: Copy + Ord + Hash> FirstKeys<K, C> {
    fn new(after: Option<K>, limit: usize) -> Self {
        Self { after, most: limit.saturating_add(1), codes: HashSet::new(), largest: BinaryHeap::new() }
    }

    fn see(&mut self, codes: C, key: impl FnOnce() -> K) {
        // Most facts are of groups that are on the page already, or lie after it.
        if self.codes.contains(&codes) {
            return;
        }
        let key = key();
        if self.after.as_ref().is_some_and(|after| key <= *after) {
            return;
        }
        if self.codes.len() == self.most {
            if self.largest.peek().is_some_and(|(largest, _)| key >= *largest) {
                return;
            }
            if let Some((_, largest)) = self.largest.pop() {
                self.codes.remove(&largest);
            }
        }
        self.codes.insert(codes);
        self.largest.push((key, codes));
    }

    fn into_keys(self) -> impl Iterator<Item = (K, C)> {
        self.largest.into_iter()
    }
}

/// What a question filters and groups by.
pub struct Plan<'d, F> {
    filters: Vec<(&'d Dim<F>, Vec<DimValue>)>,
    /// The dimensions of `by`, in order.
    pub by: Vec<&'d Dim<F>>,
}

/// The most dimensions that figures are given by at once.
pub const MAX_BY: usize = 12;

impl<'d, F> Plan<'d, F> {
    /// Reads `by` and the filters of a question to `view`.
    ///
    /// # Errors
    /// `QueryError::UnknownDimension` or `InvalidValue`.
    pub fn read(view: &'static str, dims: &'d [Dim<F>], query: &Query) -> Result<Self, QueryError> {
        let find = |name: &str| {
            dims.iter().find(|dim| dim.spec.name == name).ok_or_else(|| QueryError::UnknownDimension {
                view,
                dimension: name.chars().take(80).collect(),
                accepted: dims.iter().map(|dim| dim.spec.name).collect(),
            })
        };
        let mut plan = Self { filters: Vec::new(), by: Vec::new() };
        for name in &query.by {
            let dim = find(name)?;
            if !plan.by.iter().any(|known| std::ptr::eq(*known, dim)) {
                plan.by.push(dim);
            }
        }
        assert!(dims.len() <= MAX_BY, "a view has at most {MAX_BY} dimensions");
        for (name, text) in &query.filters {
            let dim = find(name)?;
            let value = dim.values.parse(text).map_err(|expected| QueryError::InvalidValue {
                dimension: name.clone(),
                value: text.chars().take(80).collect(),
                expected,
            })?;
            match plan.filters.iter_mut().find(|(known, _)| std::ptr::eq(*known, dim)) {
                Some((_, values)) => values.extend(value),
                None => plan.filters.push((dim, value.into_iter().collect())),
            }
        }
        Ok(plan)
    }

    /// Whether the filters let the fact through.
    pub fn admits(&self, fact: &F) -> bool {
        self.filters.iter().all(|(dim, values)| values.contains(&(dim.value)(fact)))
    }

    /// The figures of every group, `add` having taken in every fact of it. `extra` is an implicit last dimension, such
    /// as the currency.
    pub fn group<T: Default, E: Copy + Eq + Hash>(
        &self,
        facts: impl Iterator<Item = F>,
        extra: impl Fn(&F) -> E,
        add: impl Fn(&mut T, &F),
    ) -> Vec<(Vec<DimValue>, E, T)> {
        let never = usize::MAX;
        match self.by.len() {
            0 | 1 => self.group_sized::<1, T, E>(facts, extra, add, never),
            2 => self.group_sized::<2, T, E>(facts, extra, add, never),
            3 | 4 => self.group_sized::<4, T, E>(facts, extra, add, never),
            _ => self.group_sized::<MAX_BY, T, E>(facts, extra, add, never),
        }
        .expect("there are never so many groups")
    }

    /// The groups of one page only, and perhaps some more. Where there are many, which ones are on the page is found
    /// first, so that the figures of the others are never made.
    pub fn group_page<T: Default, I: Iterator<Item = F>>(
        &self,
        facts: impl Fn() -> I,
        currency: impl Fn(&F) -> Currency,
        add: impl Fn(&mut T, &F),
        after: Option<&Group>,
        limit: Option<usize>,
    ) -> Vec<(Vec<DimValue>, Currency, T)> {
        let Some(limit) = limit.filter(|_| !self.by.is_empty()) else { return self.group(facts(), currency, add) };
        match self.by.len() {
            0 | 1 => self.group_page_sized::<1, T, I>(facts, currency, add, after, limit),
            2 => self.group_page_sized::<2, T, I>(facts, currency, add, after, limit),
            3 | 4 => self.group_page_sized::<4, T, I>(facts, currency, add, after, limit),
            _ => self.group_page_sized::<MAX_BY, T, I>(facts, currency, add, after, limit),
        }
    }

    fn group_page_sized<const N: usize, T: Default, I: Iterator<Item = F>>(
        &self,
        facts: impl Fn() -> I,
        currency: impl Fn(&F) -> Currency,
        add: impl Fn(&mut T, &F),
        after: Option<&Group>,
        limit: usize,
    ) -> Vec<(Vec<DimValue>, Currency, T)> {
        if let Some(groups) = self.group_sized::<N, T, Currency>(facts(), &currency, &add, FEW_GROUPS) {
            return groups;
        }
        let after = after.map(|(values, currency)| (sized::<N>(values.iter().copied()), *currency));
        let mut page = FirstKeys::new(after, limit);
        for fact in facts().filter(|fact| self.admits(fact)) {
            page.see((self.codes::<N>(&fact), currency(&fact)), || (sized::<N>(self.values(&fact)), currency(&fact)));
        }
        let mut groups: HashMap<_, T> = page.codes.iter().map(|codes| (*codes, T::default())).collect();
        for fact in facts().filter(|fact| self.admits(fact)) {
            if let Some(figures) = groups.get_mut(&(self.codes::<N>(&fact), currency(&fact))) {
                add(figures, &fact);
            }
        }
        let figures = |((values, currency), codes): (([DimValue; N], Currency), _)| {
            groups.remove(&codes).map(|figures| (values[..self.by.len()].to_vec(), currency, figures))
        };
        page.into_keys().filter_map(figures).collect()
    }

    fn group_sized<const N: usize, T: Default, E: Copy + Eq + Hash>(
        &self,
        facts: impl Iterator<Item = F>,
        extra: impl Fn(&F) -> E,
        add: impl Fn(&mut T, &F),
        most: usize,
    ) -> Option<Vec<(Vec<DimValue>, E, T)>> {
        let mut groups: HashMap<([u64; N], E), (Vec<DimValue>, T)> = HashMap::new();
        for fact in facts.filter(|fact| self.admits(fact)) {
            let (_, figures) =
                groups.entry((self.codes(&fact), extra(&fact))).or_insert_with(|| (self.values(&fact).collect(), T::default()));
            add(figures, &fact);
            if groups.len() > most {
                return None;
            }
        }
        Some(groups.into_iter().map(|((_, extra), (values, figures))| (values, extra, figures)).collect())
    }

    fn codes<const N: usize>(&self, fact: &F) -> [u64; N] {
        let mut codes = [0; N];
        for (place, dim) in codes.iter_mut().zip(&self.by) {
            *place = (dim.value)(fact).code();
        }
        codes
    }

    fn values(&self, fact: &F) -> impl Iterator<Item = DimValue> {
        self.by.iter().map(|dim| (dim.value)(fact))
    }

    /// The group that a question's cursor stands after.
    ///
    /// # Errors
    /// `QueryError::InvalidCursor`.
    pub fn after(&self, view: &'static str, query: &Query) -> Result<Option<Group>, QueryError> {
        let Some(parts) = read_cursor(view, query, self.by.len() + 1)? else { return Ok(None) };
        let value = |(dim, text): (&&Dim<F>, &String)| dim.values.parse(text).ok().flatten();
        let values: Option<Vec<_>> = self.by.iter().zip(&parts).map(value).collect();
        let currency = parts.last().and_then(|code| Currency::parse(code).ok());
        values.zip(currency).map(Some).ok_or(QueryError::InvalidCursor { view })
    }

    /// A page of groups: every item has its dimensions by name, then the currency, then its figures.
    pub fn page<T>(
        &self,
        groups: Vec<(Vec<DimValue>, Currency, T)>,
        after: Option<Group>,
        limit: Option<usize>,
        figures: impl Fn(T, Currency) -> Vec<(&'static str, Value)>,
    ) -> Answer {
        let mut selection = Selection::new(after, limit);
        for (values, currency, group) in groups {
            selection.push((values, currency), group);
        }
        let (groups, more) = selection.finish();
        let next = groups.last().filter(|_| more).map(|((values, currency), _)| {
            let mut parts: Vec<String> = values.iter().map(|value| value.text()).collect();
            parts.push(currency.code().to_owned());
            cursor(&parts)
        });
        let item = |((values, currency), group): ((Vec<DimValue>, Currency), T)| {
            let mut fields: Vec<_> = self.by.iter().zip(&values).map(|(dim, value)| (dim.spec.name, value.json())).collect();
            fields.push(("currency", currency.code().into()));
            fields.extend(figures(group, currency));
            Item(fields)
        };
        Answer { items: groups.into_iter().map(item).collect(), next }
    }
}
