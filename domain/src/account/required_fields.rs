//! The optional fields that the program's rules require of a registration.

use crate::{facts::Facts, rejection::Rejection, rules::RequiredField};

/// Refuses where a required field is not `given`.
pub(super) fn all_given(facts: &Facts, given: impl Fn(RequiredField) -> bool) -> Result<(), Rejection> {
    let required = &facts.rules.rules.deal_registration.required_fields;
    let Some(missing) = required.iter().find(|field| !given(**field)) else { return Ok(()) };
    Err(Rejection::RequiredByRules { field: missing.to_string() })
}
