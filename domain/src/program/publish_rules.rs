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
    use super::*;

    #[test]
    fn the_example_publishes_rules_that_are_valid() {
        let example: PublishRules = serde_json::from_str(PublishRules::EXAMPLE).expect("the example is a payload");
        Rules::parse(&example.program).expect("its rules are valid");
    }
}
