//! Policies: what pledger decides to ask of itself, because of what the read models say.
//!
//! A policy reads at a vector of positions and answers with commands whose keys follow from their cause. It remembers
//! nothing that the ledger does not: what it asked before and what came of it is in the read models, so that a restart
//! goes on where it was. Deciding stays with the processor, which may refuse.

mod complete_retirement;
mod evaluate_tiers;
mod policy;
mod round;
mod runner;
#[cfg(test)]
mod scripted;
mod view;

use policy::{Policy, Wanted};

pub use runner::{LOOK_EVERY, Policies, PolicyStatus};
pub use view::{PolicyView, Reading, Retiring, Unevaluated, Unread};

/// Every policy there is.
fn all() -> Vec<Box<dyn Policy>> {
    vec![Box::new(complete_retirement::CompleteRetirements::default()), Box::new(evaluate_tiers::EvaluateTiers)]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use pledger_ledger::edge::senders;

    #[test]
    fn each_sends_under_a_reserved_name_of_its_own() {
        let names: BTreeSet<&str> = super::all().iter().map(|policy| policy.sender()).collect();
        assert_eq!(names.len(), super::all().len());
        assert!(names.iter().all(|name| name.starts_with(senders::POLICY) && senders::free(name).is_err()), "{names:?}");
    }
}
