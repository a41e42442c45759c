//! Rules that are supposed to govern: what an engine folds and answers under in place of the rules that were published.

use std::sync::Arc;

use pledger_domain::{rules::RuleSet, values::Timestamp};

/// A draft of the rules, as if it had been in force.
#[derive(Clone, Debug)]
pub struct Supposed {
    /// The draft. Its version has to be none that was published.
    pub rules: Arc<RuleSet>,
    /// From when it governs: decisions that are effective before stand under the rules that they name. Always, where
    /// absent.
    pub from: Option<Timestamp>,
}

impl Supposed {
    /// The draft, where it governs at `at`.
    #[must_use]
    pub fn governing(&self, at: Timestamp) -> Option<&Arc<RuleSet>> {
        self.from.is_none_or(|from| from <= at).then_some(&self.rules)
    }
}
