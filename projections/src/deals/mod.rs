//! `deals`: one row a deal.

mod row;

use pledger_ledger::record::Decision;

pub use row::{Deal, DealKey, DealStatus, Registration};

use crate::{
    shard::At,
    table::{AnyTable, Table},
};

/// The deals of a shard.
#[derive(Debug, Default)]
pub struct Deals {
    /// By account and deal.
    pub deals: Table<Deal>,
}

impl Deals {
    /// Takes in a decision.
    pub fn fold(&mut self, _decision: &Decision<'_>, _at: &At<'_>) {}

    /// Its tables.
    #[must_use]
    pub fn tables(&self) -> Vec<&dyn AnyTable> {
        vec![&self.deals]
    }

    /// Its tables, to load and to write them.
    #[must_use]
    pub fn tables_mut(&mut self) -> Vec<&mut dyn AnyTable> {
        vec![&mut self.deals]
    }
}
