//! What partners brought in, day by day: the one source of revenue for `tiers` and `ropi`.
//!
//! Revenue is what RecordRevenue says. A won deal that no record names counts with its CloseWon amount and margin on the
//! day of the close until one does; a refund is no such record: it is taken off what counts. Revenue that names neither
//! a partner nor a deal is the vendor's own and appears nowhere here.

mod days;
mod fold;
#[cfg(test)]
mod tests;

pub use days::{DayFigures, DayKey, Days, MonthKey};
pub use fold::{DealRefund, DealRefundKey, Revenue, RevenueDay, RevenueDayKey};
