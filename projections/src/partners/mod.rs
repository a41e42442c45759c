//! `partners`: one row a partner, and what its deals say of it.

mod fold;
mod retiring;
mod row;
#[cfg(test)]
mod tests;
mod view;

pub use fold::Partners;
pub use retiring::{Retiring, retiring};
pub use row::{Certification, CertificationKey, Partner, PartnerKey};
pub use view::VIEW;
pub(crate) use view::{PHASES, phase};
