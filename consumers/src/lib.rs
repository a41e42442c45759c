//! The workers: command processor, ingest, policies, deadlines, imports.

pub mod background;
pub mod chores;
pub mod cluster;
pub mod counterfactual;
pub mod embedded;
pub mod import;
pub mod ingest;
pub mod policies;
pub mod processor;
pub mod publisher;
