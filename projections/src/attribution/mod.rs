//! `attribution`: who won deals are credited to (F70, F71).
//!
//! Rows keep touchpoints and deals. Credits are no rows: they are a pure function of these, and their sums are kept in
//! memory as deals are won, so that no question adds up deals.

mod arithmetic;
mod detail;
mod fold;
mod half_life;
pub(crate) mod in_postgres;
pub(crate) mod in_sqlite;
mod journey;
pub mod models;
mod row;
#[cfg(test)]
mod tests;
mod totals;
mod view;

pub use fold::Attribution;
pub(crate) use fold::LedTo;
pub use journey::Standing;
pub use row::{AttributionVersion, AttributionVersionKey, Touchpoint, TouchpointKey};
pub use totals::{AttributedDeal, Total, TotalKey, Totals};
pub use view::VIEW;
