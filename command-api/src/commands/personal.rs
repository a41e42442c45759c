//! Which payloads may name a person: sealing those may wait for the disk, so they leave the async threads.

use pledger_domain::catalogue::CommandSpec;
use serde_json::Value;

/// The members of a command's payload below which a person may be named, each as it stands in JSON: `"contact"`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PersonalMembers(Vec<String>);

const PERSONAL_REF: &str = "#/components/schemas/Personal";

impl PersonalMembers {
    /// Those of this command, told by its schema.
    pub(crate) fn of(spec: &CommandSpec) -> Self {
        let mut referenced = Vec::new();
        (spec.referenced)(&mut referenced);
        let named: Vec<(String, Value)> = referenced.into_iter().map(|(name, schema)| (name, json(&schema))).collect();
        let members = members_of(&json(&(spec.schema)()));
        Self(
            members.into_iter().filter(|(_, schema)| leads_to_a_person(schema, &named, 0)).map(|(name, _)| format!("\"{name}\"")).collect(),
        )
    }

    /// Whether the payload has one of them. A name that is spelled with escapes is not seen: then only time is lost.
    pub(crate) fn may_be_in(&self, payload: &[u8]) -> bool {
        self.0.iter().any(|member| payload.windows(member.len()).any(|window| window == member.as_bytes()))
    }
}

fn json(schema: &impl serde::Serialize) -> Value {
    serde_json::to_value(schema).expect("a schema is plain data, which JSON can hold")
}

fn members_of(schema: &Value) -> Vec<(String, Value)> {
    let members = schema["properties"].as_object();
    members.map(|members| members.iter().map(|(name, schema)| (name.clone(), schema.clone())).collect()).unwrap_or_default()
}

/// Schemas refer to each other at most this deep.
const MAX_DEPTH: usize = 16;

fn leads_to_a_person(schema: &Value, named: &[(String, Value)], depth: usize) -> bool {
    match schema {
        Value::Object(members) => members.iter().any(|(name, value)| match value.as_str() {
            Some(reference) if name == "$ref" => {
                let target = reference.rsplit('/').next().unwrap_or_default();
                reference == PERSONAL_REF
                    || depth < MAX_DEPTH && named.iter().any(|(name, schema)| name == target && leads_to_a_person(schema, named, depth + 1))
            }
            _ => leads_to_a_person(value, named, depth),
        }),
        Value::Array(items) => items.iter().any(|item| leads_to_a_person(item, named, depth)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deal_names_a_person_in_its_contact_only() {
        let members = |name: &str| PersonalMembers::of(CommandSpec::find(name).expect(name));
        assert_eq!(members("RegisterDeal"), PersonalMembers(vec!["\"contact\"".into()]));
        assert_eq!(members("OpenBudget"), PersonalMembers::default());
        assert!(members("RegisterDeal").may_be_in(br#"{"deal_id":"d","contact":{"name":"Ada"}}"#));
        assert!(!members("RegisterDeal").may_be_in(br#"{"deal_id":"contact"}"#.split_at(5).0));
        assert!(!members("OpenBudget").may_be_in(br#"{"contact":1}"#));
    }
}
