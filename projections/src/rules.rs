//! The rules as published: what folds and joins look versions up in.

use std::sync::Arc;

use parking_lot::Mutex;
use pledger_domain::{
    program::{Program, ProgramEvent},
    stream::Stream,
    values::{Label, Timestamp},
};
use pledger_ledger::{
    outline::Outline,
    record::{Events, Outcome},
};

use crate::{
    row,
    shard::At,
    table::{AnyTable, Table},
};
use compact_str::CompactString;

row! {
    /// A published version of the rules.
    RulesVersion keyed RulesKey in "rules" {
        key {
            /// 1, 2, 3, ...
            version: u32,
        }
        /// From when it governs.
        effective_from: Timestamp,
        /// The program's name.
        name: CompactString,
        /// The whole `program.toml`.
        program: CompactString,
    }
}

/// The rules, in the shard of the stream `program`.
#[derive(Debug, Default)]
pub struct PublishedRules {
    /// By version.
    pub versions: Table<RulesVersion>,
    /// The program as so many versions made it. Versions are added and never changed.
    made: Mutex<(usize, Arc<Program>)>,
}

impl PublishedRules {
    /// Takes in a decision.
    pub fn fold(&mut self, decision: &Outline<'_>, at: &At<'_>) {
        let Outcome::Accepted(Events::Program(events)) = &decision.outcome else { return };
        for event in events.iter() {
            match event {
                ProgramEvent::RulesPublished { version, effective_from, name, program } => {
                    let make =
                        || RulesVersion { effective_from: *effective_from, name: name.as_str().into(), program: program.as_str().into() };
                    self.versions.upsert(RulesKey { version: *version }, at, make);
                }
            }
        }
    }

    /// The program as the versions make it. They are read once, and not for every question.
    #[must_use]
    pub fn program(&self) -> Arc<Program> {
        let (count, program) = &mut *self.made.lock();
        if *count != self.versions.len() {
            (*count, *program) = (self.versions.len(), Arc::new(self.make()));
        }
        Arc::clone(program)
    }

    fn make(&self) -> Program {
        let mut versions: Vec<_> = self.versions.iter().collect();
        versions.sort_unstable_by_key(|(key, ..)| key.version);
        let mut program = Program::default();
        for (key, row, _) in versions {
            let name = Label::parse(&row.name).expect("it was a label when it was recorded");
            let event = ProgramEvent::RulesPublished {
                version: key.version,
                effective_from: row.effective_from,
                name,
                program: row.program.to_string(),
            };
            program.evolve(&event, row.effective_from);
        }
        program
    }

    /// Its tables.
    #[must_use]
    pub fn tables(&self) -> Vec<&dyn AnyTable> {
        vec![&self.versions]
    }

    /// Its tables, to load and to write them.
    #[must_use]
    pub fn tables_mut(&mut self) -> Vec<&mut dyn AnyTable> {
        vec![&mut self.versions]
    }
}
