//! The workers: command processor, deadlines, imports.

pub mod embedded;
pub mod import;
pub mod processor;
