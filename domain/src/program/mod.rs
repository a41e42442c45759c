//! The stream `program`: the rules of the program, version by version.

mod event;
mod publish_rules;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use event::ProgramEvent;
pub use publish_rules::PublishRules;

use crate::{
    rules::{RuleSet, Rules},
    stream::{Stream, StreamKind},
    values::Timestamp,
};

/// The rules published so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Program {
    /// In the order of publication; version 1 is the first.
    versions: Vec<Published>,
    /// The versions parsed, in the same order; made again when a snapshot is read.
    #[serde(skip)]
    parsed: Vec<Arc<RuleSet>>,
}

/// One version as it was published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Published {
    effective_from: Timestamp,
    program: String,
}

impl Program {
    /// The rules in force at `at`: of those effective by then the one with the latest `effective_from`, the later
    /// published where two begin together.
    #[must_use]
    pub fn in_force_at(&self, at: Timestamp) -> Option<&Arc<RuleSet>> {
        self.parsed.iter().filter(|set| set.effective_from <= at).max_by_key(|set| (set.effective_from, set.version))
    }

    /// The version that a decision names.
    #[must_use]
    pub fn version(&self, version: u32) -> Option<&Arc<RuleSet>> {
        self.parsed.get((version as usize).checked_sub(1)?)
    }

    /// The `program.toml` of a version, as published.
    #[must_use]
    pub fn source(&self, version: u32) -> Option<&str> {
        self.versions.get((version as usize).checked_sub(1)?).map(|published| published.program.as_str())
    }

    /// How many versions there are.
    #[must_use]
    pub fn count(&self) -> u32 {
        u32::try_from(self.versions.len()).unwrap_or(u32::MAX)
    }

    /// Parses the versions again after the state was read from a snapshot.
    pub fn restore(&mut self) {
        self.parsed.clear();
        for published in std::mem::take(&mut self.versions) {
            self.push(published);
        }
    }

    fn push(&mut self, published: Published) {
        let version = self.count() + 1;
        // A version that a later reader no longer understands keeps its place with the last rules it did understand.
        let rules = Rules::parse(&published.program).ok().or_else(|| self.parsed.last().map(|set| set.rules.clone()));
        let rules = rules.or_else(|| Rules::parse(Rules::DEFAULT).ok()).expect("the embedded default is tested to parse");
        self.parsed.push(Arc::new(RuleSet { version, effective_from: published.effective_from, rules }));
        self.versions.push(published);
    }
}

impl Stream for Program {
    const KIND: StreamKind = StreamKind::Program;
    type Event = ProgramEvent;

    fn evolve(&mut self, event: &ProgramEvent, _at: Timestamp) {
        match event {
            ProgramEvent::RulesPublished { effective_from, program, .. } => {
                self.push(Published { effective_from: *effective_from, program: program.clone() });
            }
        }
    }
}
