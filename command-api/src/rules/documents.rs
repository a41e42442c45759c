//! What is said of rules, over HTTP and on the command line alike.

use std::sync::Arc;

use pledger_domain::{
    program::Program,
    rules::{CheckedRules, InvalidRules, RuleProblem, RuleSet, Rules},
    values::Timestamp,
};
use serde_json::{Value, json};

/// There are no such rules.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownRules {
    /// No version has begun.
    #[error("no rules are in force yet; {}", there_are(*.published))]
    NoneInForce {
        /// How many versions there are.
        published: u32,
    },
    /// There is no such version.
    #[error("there is no version {version} of the rules; {}", there_are(*.published))]
    NoSuchVersion {
        /// What was asked for.
        version: String,
        /// How many versions there are.
        published: u32,
    },
}

/// The versions that there are, in words.
fn there_are(published: u32) -> String {
    match published {
        0 => "none was published".to_owned(),
        1 => "there is 1 only".to_owned(),
        last => format!("there are 1 to {last}"),
    }
}

/// A version of the rules; the one in force at `now` where none is named.
///
/// # Errors
/// `UnknownRules`.
pub fn find_rules(program: &Program, version: Option<u32>, now: Timestamp) -> Result<&Arc<RuleSet>, UnknownRules> {
    let published = program.count();
    match version {
        None => program.in_force_at(now).ok_or(UnknownRules::NoneInForce { published }),
        Some(version) => program.version(version).ok_or_else(|| UnknownRules::NoSuchVersion { version: version.to_string(), published }),
    }
}

/// Every version that was published, the oldest first.
#[must_use]
pub fn listed_rules(program: &Program, now: Timestamp) -> Value {
    json!({"items": program.versions().map(|set| about(program, set, now)).collect::<Vec<_>>()})
}

/// A version with its text.
#[must_use]
pub fn shown_rules(program: &Program, set: &RuleSet, now: Timestamp) -> Value {
    let mut document = about(program, set, now);
    document["in_words"] = json!(set.rules.summary());
    document["program"] = json!(program.source(set.version));
    document
}

fn about(program: &Program, set: &RuleSet, now: Timestamp) -> Value {
    let is_in_force = program.in_force_at(now).is_some_and(|in_force| in_force.version == set.version);
    let state = match () {
        () if is_in_force => "in_force",
        () if set.effective_from > now => "later",
        () => "ended",
    };
    json!({"version": set.version, "effective_from": set.effective_from, "state": state, "name": set.rules.name})
}

/// Whether a draft is valid; in words, with what in it was hardly meant, or every mistake with its place.
#[must_use]
pub fn checked_rules(read: &Result<CheckedRules, InvalidRules>) -> Value {
    let (problems, warnings, in_words) = match read {
        Ok(CheckedRules { rules, warnings }) => (Vec::new(), found_in_rules(warnings), rules.summary()),
        Err(invalid) => (found_in_rules(&invalid.problems), Vec::new(), Vec::new()),
    };
    json!({"valid": read.is_ok(), "problems": problems, "warnings": warnings, "in_words": in_words})
}

/// What was found in a `program.toml`, each with its place.
#[must_use]
pub fn found_in_rules(found: &[RuleProblem]) -> Vec<Value> {
    let one = |found: &RuleProblem| json!({"line": found.line, "column": found.column, "message": found.message});
    found.iter().map(one).collect()
}

/// What changes from one to the other. `version` is that of the rules before, where they were published; `before` is what else they
/// are called.
#[must_use]
pub fn compared_rules(before: &str, version: Option<u32>, from: &Rules, to: &Rules) -> Value {
    json!({"before": before, "version": version, "changes": from.changes_to(to)})
}

#[cfg(test)]
mod tests {
    use pledger_domain::{program::ProgramEvent, stream::Stream, values::Label};

    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).expect(text)
    }

    fn program(effective_from: &[&str]) -> Program {
        let mut program = Program::default();
        for (date, version) in effective_from.iter().zip(1..) {
            let name = Label::parse("Default partner program").expect("a name");
            let event = ProgramEvent::RulesPublished { version, effective_from: at(date), name, program: Rules::DEFAULT.to_owned() };
            program.evolve(&event, at(date));
        }
        program
    }

    #[test]
    fn one_version_is_in_force_and_the_others_have_ended_or_begin_later() {
        let program = program(&["2026-01-01", "2027-01-01", "2026-03-01", "2025-01-01"]);
        let states = |now: &str| {
            let listed = listed_rules(&program, at(now));
            let items = listed["items"].as_array().expect("items").iter();
            items.map(|item| format!("{} {}", item["version"], item["state"].as_str().expect("a state"))).collect::<Vec<_>>()
        };
        assert_eq!(states("2026-02-01"), ["1 in_force", "2 later", "3 later", "4 ended"]);
        assert_eq!(states("2026-06-01"), ["1 ended", "2 later", "3 in_force", "4 ended"]);
    }

    #[test]
    fn what_is_not_there_is_answered_with_what_is() {
        let said = |versions: &[&str], version| {
            find_rules(&program(versions), version, at("2026-06-01")).map(|set| set.version).map_err(|error| error.to_string())
        };
        assert_eq!(said(&["2026-01-01", "2027-01-01"], None), Ok(1));
        assert_eq!(said(&["2026-01-01", "2027-01-01"], Some(3)), Err("there is no version 3 of the rules; there are 1 to 2".into()));
        assert_eq!(said(&["2027-01-01"], None), Err("no rules are in force yet; there is 1 only".into()));
        assert_eq!(said(&[], Some(0)), Err("there is no version 0 of the rules; none was published".into()));
    }
}
