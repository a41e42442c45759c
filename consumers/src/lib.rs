//! The workers: command processor, policies, deadlines, imports.

pub mod chores;
pub mod counterfactual;
pub mod embedded;
pub mod import;
pub mod policies;
pub mod processor;
