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

    /// Every version that was published, the oldest first.
    pub fn versions(&self) -> impl Iterator<Item = &Arc<RuleSet>> {
        self.parsed.iter()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::Label;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).expect(text)
    }

    /// A program whose versions 1, 2, ... begin at these dates.
    fn program(effective_from: &[&str]) -> Program {
        let mut program = Program::default();
        for (date, version) in effective_from.iter().zip(1..) {
            let name = Label::parse("Default partner program").expect("a name");
            let event = ProgramEvent::RulesPublished { version, effective_from: at(date), name, program: Rules::DEFAULT.to_owned() };
            program.evolve(&event, at("2026-11-05"));
        }
        program
    }

    #[test]
    fn the_latest_beginning_governs_and_of_two_the_later_published() {
        for (versions, moment, in_force) in [
            (&[][..], "2026-06-01", None),
            (&["2026-01-01"], "2025-12-31T23:59:59.999999Z", None),
            (&["2026-01-01"], "2026-01-01", Some(1)),
            (&["2026-01-01", "2027-01-01"], "2026-12-31", Some(1)),
            (&["2026-01-01", "2027-01-01"], "2027-01-01", Some(2)),
            // Published later with a past beginning: it governs only until the newer beginning.
            (&["2026-01-01", "2025-01-01"], "2025-06-01", Some(2)),
            (&["2026-01-01", "2025-01-01"], "2026-06-01", Some(1)),
            (&["2026-01-01", "2026-01-01"], "2026-06-01", Some(2)),
            (&["2026-01-01", "2030-01-01", "2026-01-01"], "2026-06-01", Some(3)),
        ] {
            let found = program(versions).in_force_at(at(moment)).map(|set| set.version);
            assert_eq!(found, in_force, "{versions:?} at {moment}");
        }
    }

    #[test]
    fn versions_are_found_by_their_number() {
        let program = program(&["2026-01-01", "2027-01-01"]);
        let found = [0, 1, 2, 3].map(|version| program.version(version).map(|set| (set.version, set.effective_from)));
        assert_eq!(found, [None, Some((1, at("2026-01-01"))), Some((2, at("2027-01-01"))), None]);
        assert_eq!([0, 2, 3].map(|version| program.source(version)), [None, Some(Rules::DEFAULT), None]);
        assert_eq!(program.count(), 2);
    }

    #[test]
    fn a_snapshot_is_restored_by_parsing_again() {
        let program = program(&["2026-01-01", "2025-01-01", "2027-01-01"]);
        let bytes = postcard::to_stdvec(&program).expect("a snapshot");
        let mut read: Program = postcard::from_bytes(&bytes).expect("the snapshot");
        assert_eq!(read.in_force_at(at("2028-01-01")), None);
        read.restore();
        assert_eq!(read, program);
    }

    #[test]
    fn a_version_that_is_no_longer_understood_keeps_its_number() {
        let mut program = program(&["2026-01-01"]);
        let name = Label::parse("From another release").expect("a name");
        let event = ProgramEvent::RulesPublished { version: 2, effective_from: at("2027-01-01"), name, program: "?".to_owned() };
        program.evolve(&event, at("2026-11-05"));
        let in_force = program.in_force_at(at("2027-06-01")).expect("a version");
        assert_eq!((in_force.version, &in_force.rules), (2, &program.version(1).expect("the first").rules));
        assert_eq!(program.source(2), Some("?"));
    }
}
