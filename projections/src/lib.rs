//! The fold engine and the read models.

#[cfg(test)]
pub(crate) mod asked;
pub mod cell;
pub mod cube;
pub mod digest;
pub mod engine;
pub mod explain;
pub mod figures;
pub mod generation;
#[cfg(test)]
pub(crate) mod given;
#[cfg(test)]
pub(crate) mod given_partners;
mod lacking;
pub mod page;
pub mod parked;
pub mod query;
mod row;
pub mod rules;
pub mod shard;
mod split;
pub mod sql;
pub mod store;
pub mod symbol;
pub mod table;

pub mod accounts;
pub mod attribution;
pub mod conflicts;
pub mod deals;
pub mod mdf;
pub mod partners;
pub mod pipeline;
pub mod revenue;
pub mod ropi;
pub mod tiers;
pub mod what_if;

pub use row::{ColumnSpec, Row, UnreadableRow};
