//! Accounts as they were described, and which of them may be one and the same (F43).

mod duplicates;
mod fold;
mod name;

pub use duplicates::{Duplicate, duplicates};
pub use fold::{Account, AccountRowKey, Accounts};
