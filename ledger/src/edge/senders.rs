//! The names under which pledger itself sends. A sender scopes idempotency keys, so nobody else may go by one of them.

/// What imports are sent as: this and the name of the mapping. Their keys do not age.
pub const IMPORT: &str = "import:";
/// What policies are sent as: this and the name of the policy.
pub const POLICY: &str = "policy:";
/// What commands that fell due are sent as.
pub const DEADLINES: &str = "deadlines";
/// What the rules of a new ledger are sent as.
pub const INIT: &str = "init";

/// Why nobody from outside may be called so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nobody may be called {name:?}: pledger itself sends as {reserved:?}, and idempotency keys are told apart by their senders")]
pub struct ReservedSender {
    /// The name that was given.
    pub name: String,
    /// What is reserved about it.
    pub reserved: &'static str,
}

/// Checks a name that comes from outside: of a principal, or a CloudEvent's source.
///
/// # Errors
/// `ReservedSender`.
pub fn free(name: &str) -> Result<(), ReservedSender> {
    let begins_with = |reserved: &&str| name.strip_prefix(*reserved).is_some_and(|rest| reserved.ends_with(':') || rest.is_empty());
    match [IMPORT, POLICY, DEADLINES, INIT].into_iter().find(begins_with) {
        Some(reserved) => Err(ReservedSender { name: name.chars().take(80).collect(), reserved }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_pledger_sends_as_are_reserved() {
        for (name, reserved) in
            [("import:crm", IMPORT), ("import:", IMPORT), ("policy:tiers", POLICY), ("deadlines", DEADLINES), ("init", INIT)]
        {
            assert_eq!(free(name).expect_err(name).reserved, reserved);
        }
        for name in ["important", "initech", "deadlines-desk", "crm:import:", "anonymous", "https://crm.example/deals"] {
            assert_eq!(free(name), Ok(()), "{name}");
        }
    }
}
