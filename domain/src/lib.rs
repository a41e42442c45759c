//! The partner program's rules: pure decisions over streams of events.
//!
//! `decide(state, command, facts) -> events | rejection` and `evolve(state, event)`, and nothing else: no I/O, no clock,
//! no randomness. Each folder is a kind of stream, each file in it a command.

pub mod account;
pub mod catalogue;
pub mod command;
pub mod cost;
pub mod deadline;
pub mod event_catalogue;
pub mod facts;
pub mod fund;
pub mod partner;
pub mod program;
pub mod reading;
pub mod rejection;
pub mod rules;
pub mod stream;
pub mod values;
