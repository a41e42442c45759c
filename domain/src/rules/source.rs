//! Reads a `program.toml` table by table and collects everything that is wrong, instead of stopping at the first.

use std::{fmt, ops::Range};

use rust_decimal::Decimal;
use toml::de::{DeTable, DeValue};

use super::problem::Findings;
use crate::values::{CourseId, Currency, Label, TierName};

/// The most days a rule may speak of: a hundred years.
pub(super) const MAX_DAYS: u32 = 36_500;

/// The most entries of one list.
const MAX_ENTRIES: usize = 500;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Located<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
}

/// What can stand behind a key.
pub(super) trait Readable: Sized {
    /// What is accepted, for messages.
    const ACCEPTED: &'static str;

    /// Reads it, or says what is wrong; `None` where it is of another type altogether.
    fn read(value: &DeValue<'_>) -> Result<Self, Option<String>>;
}

/// A table whose keys are being read.
pub(super) struct Section<'s, 't> {
    path: String,
    table: &'s DeTable<'t>,
    span: Range<usize>,
    known: Vec<&'static str>,
    findings: &'s Findings<'t>,
}

impl<'s, 't> Section<'s, 't> {
    pub(super) const fn root(table: &'s DeTable<'t>, findings: &'s Findings<'t>) -> Self {
        Self { path: String::new(), table, span: 0..0, known: Vec::new(), findings }
    }

    /// The value of a key that has to be there.
    pub(super) fn read<T: Readable>(&mut self, key: &'static str) -> Option<Located<T>> {
        self.required(key, T::ACCEPTED).and_then(|(span, value)| self.one(key, span, value))
    }

    /// The value of a key that may be left out; the outer `None` where it is there and wrong.
    pub(super) fn optional<T: Readable>(&mut self, key: &'static str) -> Option<Option<Located<T>>> {
        match self.entry(key) {
            None => Some(None),
            Some((span, value)) => self.one(key, span, value).map(Some),
        }
    }

    /// A list; `None` where it is missing or any of it is wrong.
    pub(super) fn list<T: Readable>(&mut self, key: &'static str) -> Option<Located<Vec<Located<T>>>> {
        let accepted = format!("a list, each of it {}", T::ACCEPTED);
        let (span, value) = self.required(key, &accepted)?;
        let Some(items) = value.as_array() else {
            self.wrong_type(key, &span, value, &accepted);
            return None;
        };
        self.bounded(key, &span, items.len())?;
        let read: Vec<_> = items.iter().map(|item| self.one(key, item.span(), item.get_ref())).collect();
        Some(Located { value: read.into_iter().collect::<Option<_>>()?, span })
    }

    /// A list of exactly `N` values.
    pub(super) fn array<T: Readable, const N: usize>(&mut self, key: &'static str) -> Option<Located<[T; N]>> {
        let list = self.list::<T>(key)?;
        let len = list.value.len();
        let values: Vec<T> = list.value.into_iter().map(|located| located.value).collect();
        match <[T; N]>::try_from(values) {
            Ok(value) => Some(Located { value, span: list.span }),
            Err(_) => {
                self.note(&list.span, &format!("{} has {len} values; {N} are needed", self.name(key)));
                None
            }
        }
    }

    /// A number of days from `least` up to a hundred years.
    pub(super) fn days(&mut self, key: &'static str, least: u32) -> Option<Located<u32>> {
        let days = self.read::<u32>(key)?;
        if (least..=MAX_DAYS).contains(&days.value) {
            return Some(days);
        }
        self.note(&days.span, &format!("{} is {}; {least} to {MAX_DAYS} days are accepted", self.name(key), days.value));
        None
    }

    /// A number that is not negative.
    pub(super) fn not_negative(&mut self, key: &'static str) -> Option<Located<Decimal>> {
        let number = self.read::<Decimal>(key)?;
        if number.value.is_sign_negative() && !number.value.is_zero() {
            self.note(&number.span, &format!("{} is {}; 0 or more is accepted", self.name(key), number.value));
            return None;
        }
        Some(number)
    }

    /// A table inside this one, written `[key]`.
    pub(super) fn section(&mut self, key: &'static str) -> Option<Section<'s, 't>> {
        let (span, value) = self.required(key, &format!("a table [{key}]"))?;
        match value.as_table() {
            Some(table) => Some(self.inner(self.name(key), table, span)),
            None => {
                self.wrong_type(key, &span, value, &format!("a table [{key}]"));
                None
            }
        }
    }

    /// The tables written `[[key]]` (or as a list of inline tables), in their order.
    pub(super) fn sections(&mut self, key: &'static str) -> Option<Located<Vec<Section<'s, 't>>>> {
        let accepted = format!("a list of tables, each begun by [[{}]]", self.name(key));
        let (span, value) = self.required(key, &accepted)?;
        let tables = value.as_array().and_then(|items| items.iter().map(|i| i.get_ref().as_table().map(|t| (i.span(), t))).collect());
        let Some::<Vec<_>>(tables) = tables else {
            self.wrong_type(key, &span, value, &accepted);
            return None;
        };
        self.bounded(key, &span, tables.len())?;
        let sections = tables.into_iter().map(|(at, table)| self.inner(self.name(key), table, at)).collect();
        Some(Located { value: sections, span })
    }

    /// Where the table begins.
    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Notes something wrong at `span`.
    pub(super) fn note(&self, span: &Range<usize>, message: &str) {
        self.findings.note(span, message);
    }

    /// Notes something at `span` that does, and was hardly meant.
    pub(super) fn warn(&self, span: &Range<usize>, message: &str) {
        self.findings.warn(span, message);
    }

    /// Warns of what a list names twice.
    pub(super) fn warn_of_repeats<T: PartialEq + fmt::Display>(&self, key: &str, list: Option<&Located<Vec<Located<T>>>>) {
        let entries = list.map_or(&[][..], |list| &list.value);
        for (place, entry) in entries.iter().enumerate() {
            if entries[..place].iter().any(|other| other.value == entry.value) {
                self.warn(&entry.span, &format!("{} names {} twice", self.name(key), entry.value));
            }
        }
    }

    /// The line of `span`.
    pub(super) fn line(&self, span: &Range<usize>) -> usize {
        self.findings.line(span)
    }

    /// Reports keys that nobody asked for. Every table ends with it.
    pub(super) fn end(self) {
        for (key, _) in self.table.iter() {
            let name = key.get_ref().as_ref();
            if self.known.contains(&name) {
                continue;
            }
            let place = if self.path.is_empty() { String::new() } else { format!(" in {}", self.path) };
            let hint = match nearest(name, &self.known) {
                Some(near) => format!("; did you mean {near:?}?"),
                None => format!("; the keys here are {}", self.known.join(", ")),
            };
            self.note(&key.span(), &format!("unknown key {name:?}{place}{hint}"));
        }
    }

    fn bounded(&self, key: &str, span: &Range<usize>, entries: usize) -> Option<()> {
        if entries <= MAX_ENTRIES {
            return Some(());
        }
        self.note(span, &format!("{} has {entries} entries; at most {MAX_ENTRIES} are accepted", self.name(key)));
        None
    }

    fn inner(&self, path: String, table: &'s DeTable<'t>, span: Range<usize>) -> Section<'s, 't> {
        Section { path, table, span, known: Vec::new(), findings: self.findings }
    }

    /// The key with the table it stands in, as a reader of the file would look for it.
    fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn entry(&mut self, key: &'static str) -> Option<(Range<usize>, &'s DeValue<'t>)> {
        self.known.push(key);
        self.table.get(key).map(|value| (value.span(), value.get_ref()))
    }

    fn required(&mut self, key: &'static str, accepted: &str) -> Option<(Range<usize>, &'s DeValue<'t>)> {
        let found = self.entry(key);
        if found.is_none() {
            self.note(&self.span, &format!("{} is missing; it takes {accepted}", self.name(key)));
        }
        found
    }

    fn one<T: Readable>(&self, key: &str, span: Range<usize>, value: &DeValue<'_>) -> Option<Located<T>> {
        match T::read(value) {
            Ok(value) => Some(Located { value, span }),
            Err(Some(reason)) => {
                self.note(&span, &format!("{} {reason}", self.name(key)));
                None
            }
            Err(None) => {
                self.wrong_type(key, &span, value, T::ACCEPTED);
                None
            }
        }
    }

    fn wrong_type(&self, key: &str, span: &Range<usize>, value: &DeValue<'_>, accepted: &str) {
        self.note(span, &format!("{} takes {accepted}, not {}", self.name(key), described(value)));
    }
}

const fn described(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a floating-point number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// The word of `words` that `word` was most likely meant to be.
fn nearest(word: &str, words: &[&'static str]) -> Option<&'static str> {
    words
        .iter()
        .map(|known| (strsim::jaro_winkler(known, word), *known))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

/// Reads one of a few words.
pub(super) fn word<T: Copy>(value: &DeValue<'_>, words: &[(&'static str, T)]) -> Result<T, Option<String>> {
    let text = value.as_str().ok_or(None)?;
    if let Some((_, found)) = words.iter().find(|(word, _)| *word == text) {
        return Ok(*found);
    }
    let known: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
    Err(Some(format!("is {text:?}; accepted are {}", known.join(", "))))
}

impl Readable for u32 {
    const ACCEPTED: &'static str = "a whole number";

    fn read(value: &DeValue<'_>) -> Result<Self, Option<String>> {
        let number = value.as_integer().ok_or(None)?;
        let refused = |digits: &str| match digits.starts_with('-') {
            true => format!("is {digits}; 0 or more is accepted"),
            false => format!("is {digits}, which is too large"),
        };
        Self::from_str_radix(number.as_str(), number.radix()).map_err(|_| Some(refused(number.as_str())))
    }
}

impl Readable for Decimal {
    const ACCEPTED: &'static str = "a decimal in quotes like \"0.4\", or a whole number";

    fn read(value: &DeValue<'_>) -> Result<Self, Option<String>> {
        match value {
            DeValue::String(text) => {
                let plain = text.len() <= 30 && text.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b'-');
                let number = plain.then(|| Self::from_str_exact(text).ok()).flatten();
                number.ok_or_else(|| Some(format!("is {text:?}; a decimal like \"0.4\" is accepted")))
            }
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map(Self::from)
                .map_err(|_| Some(format!("is {}, which is too large", number.as_str()))),
            DeValue::Float(number) => Err(Some(format!(
                "is the floating-point number {0}, which a computer cannot keep exactly; write it in quotes: \"{0}\"",
                number.as_str()
            ))),
            DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => Err(None),
        }
    }
}

macro_rules! readable_text {
    ($($name:ty: $accepted:literal),* $(,)?) => {$(
        impl Readable for $name {
            const ACCEPTED: &'static str = $accepted;

            fn read(value: &DeValue<'_>) -> Result<Self, Option<String>> {
                let text = value.as_str().ok_or(None)?;
                Self::parse(text).map_err(|error| Some(format!("is {text:?}, which does not do: {error}; it takes {}", $accepted)))
            }
        }
    )*};
}
readable_text! {
    Label: "a name of 1 to 200 characters in quotes",
    TierName: "a tier's name in quotes, of A-Z a-z 0-9 . _ : -",
    CourseId: "a course's id in quotes, of A-Z a-z 0-9 . _ : -",
    Currency: "an ISO 4217 code in quotes like \"USD\"",
}
