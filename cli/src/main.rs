//! The pledger command line.
fn main() {}
