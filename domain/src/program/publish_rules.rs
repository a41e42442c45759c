//! Publishing a version of the program's rules.

use serde::{Deserialize, Serialize};

use super::{Program, ProgramEvent};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    rules::Rules,
    stream::StreamName,
    values::{InvalidAccount, Timestamp},
};

/// Publishes `program.toml` as the next version of the rules.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishRules {
    /// The whole `program.toml`.
    pub program: String,
    /// From when it governs; at once where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_from: Option<Timestamp>,
}

impl CommandPayload for PublishRules {
    const NAME: &'static str = "PublishRules";
    const SUMMARY: &'static str = "Publishes program.toml as the next version of the program's rules.";
    const EXAMPLE: &'static str = include_str!("publish_rules.example.json");
    type Stream = Program;

    fn address(&self) -> Result<Address, InvalidAccount> {
        Ok(Address::Stream(StreamName::program()))
    }

    fn decide(&self, state: &Program, facts: &Facts) -> Result<Vec<ProgramEvent>, Rejection> {
        let rules = Rules::parse(&self.program).map_err(|error| Rejection::InvalidRules { reason: error.to_string() })?;
        Ok(vec![ProgramEvent::RulesPublished {
            version: state.count() + 1,
            effective_from: self.effective_from.unwrap_or(facts.now),
            name: rules.name,
            program: self.program.clone(),
        }])
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{facts::Channel, rules::RuleSet, stream::Stream, values::Label};

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).expect(text)
    }

    /// What a processor gives before anything is published: the embedded default as version 0.
    fn facts() -> Facts {
        let now = at("2026-11-05T12:00:00Z");
        let rules = Rules::parse(Rules::DEFAULT).expect("the default rules");
        let rules = Arc::new(RuleSet { version: 0, effective_from: at("1970-01-01"), rules });
        Facts { now, effective_at: at("2026-01-01"), channel: Channel::Api, historical: false, rules, partner: None }
    }

    fn publish(program: &str, effective_from: Option<&str>) -> PublishRules {
        PublishRules { program: program.to_owned(), effective_from: effective_from.map(at) }
    }

    fn published(version: u32, effective_from: Timestamp) -> ProgramEvent {
        let name = Label::parse("Default partner program").expect("a name");
        ProgramEvent::RulesPublished { version, effective_from, name, program: Rules::DEFAULT.to_owned() }
    }

    #[test]
    fn each_publication_is_the_next_version_and_governs_from_its_receipt_or_date() {
        let now = facts().now;
        let once = [published(1, now)];
        for (history, effective_from, expected) in [
            (&[][..], None, published(1, now)),
            (&[], Some("2020-01-01"), published(1, at("2020-01-01"))),
            (&[], Some("2030-01-01"), published(1, at("2030-01-01"))),
            (&once, None, published(2, now)),
        ] {
            let mut program = Program::default();
            history.iter().for_each(|event| program.evolve(event, now));
            let publish = publish(Rules::DEFAULT, effective_from);
            assert_eq!(publish.decide(&program, &facts()), Ok(vec![expected]), "{effective_from:?}");
        }
    }

    #[test]
    fn what_is_no_rules_is_refused_with_what_the_parser_says() {
        for program in ["", "name = ", "name = \"x\"\nunknown = 1\n"] {
            let reason = Rules::parse(program).expect_err("no rules").to_string();
            let refusal = publish(program, None).decide(&Program::default(), &facts());
            assert_eq!(refusal, Err(Rejection::InvalidRules { reason }), "{program:?}");
        }
    }

    #[test]
    fn the_example_publishes_rules_that_are_valid() {
        let example: PublishRules = serde_json::from_str(PublishRules::EXAMPLE).expect("the example is a payload");
        Rules::parse(&example.program).expect("its rules are valid");
    }
}
