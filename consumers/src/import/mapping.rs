//! The mapping file: which tables there are, and what each of their rows stands for.

use std::collections::BTreeMap;

use pledger_ledger::edge::senders;
use serde::Deserialize;

use super::template::{Form, Template};

/// A mapping from the files of some other system to commands.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// Its name: the sender is `import:<name>`.
    pub name: String,
    /// What it is for.
    pub summary: String,
    pub(crate) constants: BTreeMap<String, String>,
    /// The rules that the history was made under, published first.
    pub rules: Option<HistoricRules>,
    pub(crate) tables: BTreeMap<String, Table>,
    pub(crate) emits: Vec<Emit>,
}

/// The rules that the history was made under.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoricRules {
    /// The whole `program.toml`.
    pub program: String,
    /// From when they governed, RFC 3339 or a date: at or before the first row.
    pub effective_from: String,
}

/// A file of rows.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    /// Its name in the folders that are imported; `.csv`, or `.jsonl` with one object a line.
    pub(crate) file: String,
    /// The column that identifies a row.
    pub(crate) key: String,
    /// Other tables: the column here that holds their key.
    #[serde(default)]
    pub(crate) lookup: BTreeMap<String, String>,
    /// Values that are spelled differently here: column -> (as written -> as meant).
    #[serde(default)]
    pub(crate) rename: BTreeMap<String, BTreeMap<String, String>>,
}

/// A command that rows of a table stand for.
#[derive(Clone, Debug)]
pub(crate) struct Emit {
    pub(crate) from: String,
    pub(crate) command: String,
    pub(crate) when: Vec<(String, Condition)>,
    pub(crate) at: Template,
    pub(crate) payload: Form,
    pub(crate) opening: bool,
    /// Said in the report for every row, where there is something to say.
    pub(crate) note: Option<String>,
}

/// What a column must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    Present,
    Empty,
    OneOf(Vec<String>),
}

/// Why a mapping cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMapping {
    /// It is not TOML, or a field is unknown or missing; the message has the line.
    #[error("the mapping cannot be read: {0}")]
    Toml(String),
    /// A part of it makes no sense.
    #[error("the mapping's {place}: {reason}")]
    Part {
        /// Which part.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    #[serde(default)]
    summary: String,
    #[serde(default)]
    constants: BTreeMap<String, String>,
    rules: Option<HistoricRules>,
    tables: BTreeMap<String, Table>,
    #[serde(rename = "emit")]
    emits: Vec<EmitFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EmitFile {
    from: String,
    command: String,
    #[serde(default)]
    when: BTreeMap<String, toml::Value>,
    at: String,
    payload: toml::Value,
    #[serde(default)]
    opening: bool,
    note: Option<String>,
}

impl Mapping {
    /// Reads a mapping file.
    ///
    /// # Errors
    /// `InvalidMapping`, which says where.
    pub fn parse(text: &str) -> Result<Self, InvalidMapping> {
        let file: File = toml::from_str(text).map_err(|error| InvalidMapping::Toml(error.to_string()))?;
        let part = |place: String| move |reason: String| InvalidMapping::Part { place, reason };
        if pledger_domain::values::CampaignId::parse(&file.name).is_err() {
            return Err(part("name".into())(format!("{:?} is not of A-Z a-z 0-9 . _ : -", file.name)));
        }
        for (name, table) in &file.tables {
            if let Some(other) = table.lookup.keys().find(|other| !file.tables.contains_key(*other)) {
                return Err(part(format!("table {name}"))(format!("looks up the unknown table {other}")));
            }
        }
        let mut emits = Vec::new();
        for (n, emit) in file.emits.into_iter().enumerate() {
            let place = format!("emit {} ({})", n + 1, emit.command);
            emits.push(emit.check(&file.tables).map_err(part(place))?);
        }
        Ok(Self { name: file.name, summary: file.summary, constants: file.constants, rules: file.rules, tables: file.tables, emits })
    }

    /// Who sends the commands.
    #[must_use]
    pub fn sender(&self) -> String {
        format!("{}{}", senders::IMPORT, self.name)
    }
}

impl EmitFile {
    fn check(self, tables: &BTreeMap<String, Table>) -> Result<Emit, String> {
        if !tables.contains_key(&self.from) {
            return Err(format!("there is no table {:?}", self.from));
        }
        if pledger_domain::catalogue::CommandSpec::find(&self.command).is_none() {
            return Err(format!("there is no command {}", self.command));
        }
        let when = self.when.into_iter().map(|(column, value)| Ok((column, Condition::parse(&value)?)));
        Ok(Emit {
            from: self.from,
            command: self.command,
            when: when.collect::<Result<_, String>>()?,
            at: Template::parse(&self.at)?,
            payload: Form::parse(&self.payload)?,
            opening: self.opening,
            note: self.note,
        })
    }
}

impl Condition {
    fn parse(value: &toml::Value) -> Result<Self, String> {
        match value {
            toml::Value::String(word) if word == "present" => Ok(Self::Present),
            toml::Value::String(word) if word == "empty" => Ok(Self::Empty),
            toml::Value::Array(values) => {
                let values = values.iter().map(|v| v.as_str().map(str::to_owned).ok_or_else(|| format!("{v} is no string")));
                Ok(Self::OneOf(values.collect::<Result<_, _>>()?))
            }
            other => Err(format!("a condition is \"present\", \"empty\" or a list of values, not {other}")),
        }
    }

    pub(crate) fn holds(&self, value: &str) -> bool {
        match self {
            Self::Present => !value.is_empty(),
            Self::Empty => value.is_empty(),
            Self::OneOf(values) => values.iter().any(|one| one == value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::CRM_MAPPING, *};

    #[test]
    fn the_mapping_that_comes_with_pledger_tells_every_clause_and_is_one() {
        let (name, text) = CRM_MAPPING;
        assert_eq!(Mapping::parse(text).expect("a mapping").name, name);
        let comments: Vec<&str> = text.lines().filter(|line| line.starts_with('#')).collect();
        let comments = comments.join("\n");
        for clause in
            ["opening = true", "note = ", "when = ", "\"present\", \"empty\"", "`at`", "`lookup`", "`rename`", "`key`", "JSON lines"]
        {
            assert!(comments.contains(clause), "{clause}");
        }
        let line = comments.lines().find_map(|line| line.strip_prefix("#   {")).expect("a line of JSON");
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&format!("{{{line}")).expect("an object");
        assert!(object.contains_key(&Mapping::parse(text).expect("a mapping").tables["pipeline"].key));
    }
}
