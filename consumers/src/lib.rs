//! The workers: command processor, deadlines, imports.

pub mod chores;
pub mod embedded;
pub mod import;
pub mod processor;
