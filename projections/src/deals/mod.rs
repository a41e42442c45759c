//! `deals`: one row a deal.

mod dims;
mod fold;
mod row;
mod view;

pub use dims::{DIM_SPECS, DealFact, dims};
pub use fold::Deals;
pub use row::{Deal, DealKey, DealStatus, Registration};
pub use view::{VIEW, facts};
