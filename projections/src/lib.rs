//! The fold engine and the read models.

pub mod cell;
pub mod query;
mod row;
pub mod shard;
mod split;
pub mod symbol;
pub mod table;

pub mod attribution;
pub mod deals;

pub use row::{ColumnSpec, Row, UnreadableRow};
