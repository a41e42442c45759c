//! `tiers`: what a partner was awarded, what its figures earn, and what the next tier still takes (F30).

mod against;
mod held;
mod standing;
#[cfg(test)]
mod tests;
mod unevaluated;
mod view;

pub(crate) use against::Against;
pub use held::{Held, HeldPartner};
pub(crate) use standing::counted_certifications;
pub use standing::{Figures, active_certifications, figures, in_force_at, last_day_of};
pub use unevaluated::{Unevaluated, unevaluated};
pub use view::VIEW;
