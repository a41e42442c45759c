//! The API over a real ledger: what goes in, and the exact status and code that come out.

mod bad_input;
mod batches;
mod explaining;
mod faults;
mod fronted;
mod generations;
mod parked;
mod questions;
mod rules;
mod serving;
mod single;
mod stack;
mod watched;
