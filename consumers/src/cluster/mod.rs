//! The processor among others, and the way to it: commands go through the commands topic, decisions come back in the
//! ledger.
//!
//! Who sends a command (`ClusterSink`) follows the ledger for its record. Who decides (`ClusterProcessor`) answers nobody:
//! it takes commands of its slices in their topic's order, and every record says where a successor goes on. Both need of
//! Kafka only what the traits of `pledger_ledger::commands_topic` and `pledger_ledger::log` ask for.

mod chores;
mod driver;
mod duties;
mod follower;
mod sink;
mod status;
mod waiting;

pub use driver::{ClusterProcessor, Parts};
pub use follower::{Followed, Follower};
pub use sink::{ClusterSink, SinkLimits};
pub use status::ProcessorStatus;
