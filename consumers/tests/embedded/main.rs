//! The processor in its thread, over a real SQLite ledger: restarts, bad input, and the faults of real machines.

mod faults;
mod halted;
mod lives;
mod running;
mod scenarios;
