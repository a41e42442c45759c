//! What only the processor on one machine has: its files, its thread and its queue, and the faults of real machines.
//! What it answers is in `scenarios`.

mod faults;
mod halted;
mod lives;
#[path = "../scenarios/running.rs"]
mod running;
mod starting;
