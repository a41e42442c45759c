//! `conflicts`: who competed for an account, what was decided, and what is still open (F42, F43, F48).
//!
//! An item is one of three: the contest for a product on an account (registrations beside each other, refused
//! registrations, claims of the direct sellers), a dispute over a deal, or a pair of accounts that may be one.

mod around;
mod claims;
mod fold;
mod row;
#[cfg(test)]
mod tests;
mod told;
mod view;

pub use fold::Conflicts;
pub use row::{Conflict, ConflictKey, ConflictKind, Contender, ContenderKey, Decided};
pub use view::{DUPLICATE_OF, VIEW};
