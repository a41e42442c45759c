//! The decision ledger: records, chain, slices and the engines that keep them.

pub mod at_rest;
mod body_stream;
pub mod chain;
pub mod commands;
pub mod commands_topic;
pub mod copy;
pub mod directory;
pub mod edge;
pub mod evidence;
mod hexadecimal;
pub mod inbox;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod keys;
pub mod log;
pub mod memory;
pub mod outline;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod published;
pub mod reach;
pub mod record;
pub mod slices;
pub mod sqlite;
pub mod verify;
pub mod writer;

pub use body_stream::{command_of, stream_of};
