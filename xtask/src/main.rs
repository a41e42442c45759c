//! Sets up what the tests need, then runs them.
fn main() {}
