//! The workers: command processor, deadlines, imports.
