//! From rows to commands.

use std::collections::{BTreeSet, HashMap, HashSet};

use pledger_domain::{
    catalogue::Command,
    command::Address,
    rules::Rules,
    stream::{StreamKind, StreamName},
    values::{DealId, Timestamp},
};

use super::{
    ImportCommand, ImportOrder, ImportReport, RULES_KEY,
    mapping::{Emit, Mapping, Table},
    rows::{Row, Rows},
    sort::Sorter,
    sources::Sources,
    template::Source,
};

/// Gives the ids of persons that a mapping names by `{column|person}`.
pub trait PersonIds {
    /// The id that the key store keeps for this sender's person.
    ///
    /// # Errors
    /// Why there is none.
    fn id_of(&mut self, name: &str) -> Result<String, String>;
}

/// Rows on their way to commands.
pub struct Expansion<'a> {
    mapping: &'a Mapping,
    sources: &'a Sources,
    persons: &'a mut dyn PersonIds,
    /// The rows of tables that others look up, by key.
    lookups: HashMap<String, HashMap<String, Row>>,
    /// Where this import registers deals, and when: what the ledger's directory will know.
    deals: HashMap<DealId, (StreamName, Timestamp)>,
    used: BTreeSet<(String, String)>,
    report: ImportReport,
    sequence: u64,
}

/// One row, as templates see it.
struct RowSource<'a> {
    table: &'a str,
    row: &'a Row,
    spec: &'a Table,
    mapping: &'a Mapping,
    lookups: &'a HashMap<String, HashMap<String, Row>>,
    persons: &'a mut dyn PersonIds,
    replaced: Vec<(String, String)>,
}

impl<'a> Expansion<'a> {
    /// Prepares to expand: reads the tables that others look up.
    ///
    /// # Errors
    /// Where a file is missing or cannot be read.
    pub fn new(mapping: &'a Mapping, sources: &'a Sources, persons: &'a mut dyn PersonIds) -> Result<Self, String> {
        let mut lookups: HashMap<String, HashMap<String, Row>> = HashMap::new();
        for name in mapping.tables.values().flat_map(|table| table.lookup.keys()) {
            if !lookups.contains_key(name) {
                let table = &mapping.tables[name];
                let mut rows = HashMap::new();
                for row in Rows::open(sources.of(table))? {
                    let row = row.map_err(|error| format!("{}: {error}", table.file))?;
                    rows.insert(row.values.get(&table.key).cloned().unwrap_or_default(), row);
                }
                lookups.insert(name.clone(), rows);
            }
        }
        let used = BTreeSet::new();
        Ok(Self { mapping, sources, persons, lookups, deals: HashMap::new(), used, report: ImportReport::default(), sequence: 0 })
    }

    /// Expands every row of every table into `sorter`.
    ///
    /// # Errors
    /// Where a file cannot be read, or more than `max_errors` rows are bad.
    pub fn run(mut self, max_errors: u64, sorter: &mut Sorter) -> Result<ImportReport, String> {
        self.publish_rules(sorter)?;
        let mapping = self.mapping;
        for (name, table) in &mapping.tables {
            let rows = Rows::open(self.sources.of(table))?;
            let columns: BTreeSet<String> = rows.columns.iter().cloned().collect();
            self.find_columns(name, table, &columns)?;
            let mut ids = HashSet::new();
            for row in rows {
                *self.report.rows.entry(table.file.clone()).or_default() += 1;
                match row {
                    Ok(row) => {
                        if row.values.get(&table.key).is_some_and(|id| !ids.insert(id.clone())) {
                            let note = format!("{}: rows with the {} of an earlier one, taken for the same", table.file, table.key);
                            ImportReport::count(&mut self.report.notes, &note);
                        }
                        self.expand(name, table, row, sorter)?;
                    }
                    Err(reason) => self.report.bad_row(&table.file, &reason),
                }
                if self.report.bad_row_count > max_errors {
                    return Err(too_many(&self.report));
                }
            }
            self.list_unused(name, table, columns);
        }
        Ok(self.report)
    }

    /// A condition on a column that the file does not have would never hold, and its rows would be passed over in silence;
    /// by a key that it does not have, all rows would be one.
    fn find_columns(&self, name: &str, table: &Table, columns: &BTreeSet<String>) -> Result<(), String> {
        let conditions = self.mapping.emits.iter().filter(|emit| emit.from == name).flat_map(|emit| &emit.when);
        let conditions = conditions.map(|(column, _)| (format!("the `when` of an [[emit]] from {name:?}"), column));
        let mut named = [(format!("the `key` of [tables.{name}]"), &table.key)].into_iter().chain(conditions);
        match named.find(|(_, column)| !columns.contains(*column) && !columns.is_empty()) {
            None => Ok(()),
            Some((clause, column)) => {
                let there: Vec<&str> = columns.iter().map(String::as_str).collect();
                Err(format!("{clause} names the column {column:?}, and {} has {}", table.file, there.join(", ")))
            }
        }
    }

    /// The rules come first, before everything that is decided under them.
    fn publish_rules(&mut self, sorter: &mut Sorter) -> Result<(), String> {
        let Some(rules) = &self.mapping.rules else { return Ok(()) };
        let from = Timestamp::parse(&rules.effective_from).map_err(|error| format!("rules.effective_from: {error}"))?;
        Rules::parse(&rules.program).map_err(|error| format!("the program of [rules] cannot be published: {error}"))?;
        let payload = serde_json::json!({"program": rules.program, "effective_from": from});
        let order = ImportOrder { opening: false, rank: 0, stream: "program".into(), effective_us: from.micros(), sequence: 0 };
        ImportReport::count(&mut self.report.commands, "PublishRules");
        sorter.push(ImportCommand {
            order,
            name: "PublishRules".into(),
            payload: payload.to_string(),
            key: RULES_KEY.into(),
            effective_at: from.to_string(),
            place: "mapping:rules".into(),
        })
    }

    fn expand(&mut self, name: &str, table: &Table, mut row: Row, sorter: &mut Sorter) -> Result<(), String> {
        for (column, names) in &table.rename {
            if let Some(value) = row.values.get_mut(column)
                && let Some(meant) = names.get(value)
            {
                ImportReport::count(&mut self.report.renamed, &format!("{name}.{column}: {value} -> {meant}"));
                value.clone_from(meant);
            }
        }
        let place = format!("{}:{}", table.file, row.line);
        let mapping = self.mapping;
        let mut made = Vec::new();
        for (n, emit) in mapping.emits.iter().enumerate().filter(|(_, emit)| emit.from == name) {
            let value = |column: &str| row.values.get(column).map_or("", String::as_str);
            self.used.extend(emit.when.iter().map(|(column, _)| (name.to_owned(), column.clone())));
            if !emit.when.iter().all(|(column, condition)| condition.holds(value(column))) {
                continue;
            }
            match self.emit(name, table, &row, emit, n, &place) {
                Ok(command) => made.push(command),
                // A row is used whole or not at all.
                Err(reason) => {
                    self.report.bad_row(&place, &format!("{}: {reason}", emit.command));
                    return Ok(());
                }
            }
        }
        if made.is_empty() {
            *self.report.rows_without_commands.entry(table.file.clone()).or_default() += 1;
        }
        for command in made {
            ImportReport::count(&mut self.report.commands, &command.name);
            sorter.push(command)?;
        }
        Ok(())
    }

    /// The command that `emit` makes of the row.
    fn emit(&mut self, name: &str, table: &Table, row: &Row, emit: &Emit, n: usize, place: &str) -> Result<ImportCommand, String> {
        let mut source = RowSource {
            table: name,
            row,
            spec: table,
            mapping: self.mapping,
            lookups: &self.lookups,
            persons: &mut *self.persons,
            replaced: Vec::new(),
        };
        let at = emit.at.fill(&mut source)?.ok_or("it has no date")?;
        let at = Timestamp::parse(&at).map_err(|error| error.to_string())?;
        let payload = emit.payload.fill(&mut source)?.ok_or("its payload is empty")?;
        let replaced = source.replaced;
        let named_deal = payload["deal_id"].as_str().and_then(|id| DealId::parse(id).ok());
        let payload = payload.to_string();
        let command = Command::parse(&emit.command, payload.as_bytes()).map_err(|error| error.to_string())?;
        let stream = self.stream_of(&command, at)?;
        let about = named_deal.as_ref().and_then(|deal| self.deals.get(deal)).filter(|(of, _)| *of == stream);
        // What is dated before the registration that it builds on is decided after that, and refused for a reason that says so.
        let effective_us = about.map_or(at, |(_, registered)| at.max(*registered)).micros();
        for (from, to) in replaced {
            ImportReport::count(&mut self.report.replaced, &format!("{name}.{from}: taken from {to}"));
        }
        if let Some(note) = &emit.note {
            ImportReport::count(&mut self.report.notes, note);
        }
        self.sequence += 1;
        let row_id = row.values.get(&table.key).filter(|id| !id.is_empty()).ok_or_else(|| format!("its {} is empty", table.key))?;
        let rank = match stream.kind() {
            StreamKind::Program => 0,
            StreamKind::Partner => 1,
            StreamKind::Account | StreamKind::Fund | StreamKind::Cost => 2,
        };
        Ok(ImportCommand {
            order: ImportOrder { opening: emit.opening, rank, stream: stream.to_string(), effective_us, sequence: self.sequence },
            name: emit.command.clone(),
            payload,
            key: format!("{n}:{name}:{row_id}"),
            effective_at: at.to_string(),
            place: place.to_owned(),
        })
    }

    /// Where the command will be decided: what is registered here is known here.
    fn stream_of(&mut self, command: &Command, at: Timestamp) -> Result<StreamName, String> {
        match command.address().map_err(|error| error.to_string())? {
            Address::Stream(stream) => {
                if let Command::Account(account) = command
                    && let pledger_domain::catalogue::AccountCommand::RegisterDeal(deal) = &**account
                {
                    self.deals.insert(deal.deal_id.clone(), (stream.clone(), at));
                }
                Ok(stream)
            }
            Address::Deal(deal) => self
                .deals
                .get(&deal)
                .map(|(stream, _)| stream.clone())
                .ok_or_else(|| format!("the deal {deal} is not registered by an earlier row or rule")),
            Address::Allocation(id) => Err(format!("name the budget of the allocation {id}")),
            Address::Request(id) => Err(format!("name the budget of the request {id}")),
            Address::Claim(id) => Err(format!("name the budget of the claim {id}")),
        }
    }

    fn list_unused(&mut self, name: &str, table: &Table, columns: BTreeSet<String>) {
        let mut used: BTreeSet<&str> = self.used.iter().filter(|(of, _)| of == name).map(|(_, column)| column.as_str()).collect();
        used.insert(&table.key);
        used.extend(table.lookup.values().map(String::as_str));
        for emit in &self.mapping.emits {
            for asked in emit.payload.names().into_iter().chain(emit.at.names()) {
                match asked.split_once('.') {
                    Some((of, column)) if of == name => drop(used.insert(column)),
                    None if emit.from == name => drop(used.insert(asked)),
                    _ => {}
                }
            }
        }
        let unused: Vec<String> = columns.into_iter().filter(|column| !used.contains(column.as_str())).collect();
        if !unused.is_empty() {
            self.report.unused_columns.insert(table.file.clone(), unused);
        }
    }
}

fn too_many(report: &ImportReport) -> String {
    let last = report.bad_rows.last().map_or("", String::as_str);
    format!("{} rows cannot be used, the last one: {last}. Nothing was sent. Allow more with --max-errors N.", report.bad_row_count)
}

impl Source for RowSource<'_> {
    fn value(&mut self, name: &str) -> Result<String, String> {
        if let Some((table, column)) = name.split_once('.') {
            let by = self.spec.lookup.get(table).ok_or_else(|| format!("{} looks up no table {table}", self.table))?;
            let key = self.row.values.get(by).map_or("", String::as_str);
            if key.is_empty() {
                return Ok(String::new());
            }
            let row = self.lookups.get(table).and_then(|rows| rows.get(key)).ok_or_else(|| format!("{table} has no {key:?}"))?;
            return row.values.get(column).cloned().ok_or_else(|| format!("{table} has no column {column}"));
        }
        match (self.row.values.get(name), self.mapping.constants.get(name)) {
            (Some(value), _) => Ok(value.clone()),
            (None, Some(constant)) => Ok(constant.clone()),
            (None, None) => Err(format!("{} has no column {name}, and the mapping no such constant", self.table)),
        }
    }

    fn person(&mut self, name: &str) -> Result<String, String> {
        self.persons.id_of(name)
    }

    fn fell_back(&mut self, from: &str, to: &str) {
        self.replaced.push((from.to_owned(), to.to_owned()));
    }
}
