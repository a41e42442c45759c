//! `ropi`: return on partner investment (F72), a join of revenue, costs and what partners are.

mod costs;
mod figures;
#[cfg(test)]
mod tests;
mod view;

pub use costs::{CostMonth, CostMonthKey, Costs};
pub use view::VIEW;
