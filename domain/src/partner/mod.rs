//! The stream `partner/<partner_id>`: what other streams rely on about a partner, so kept small.

mod event;
mod phase;
mod register_partner;
mod role;
mod state;

pub use event::{PartnerEvent, TierInputs};
pub use phase::PartnerPhase;
pub use register_partner::RegisterPartner;
pub use role::{NoRoles, Role, Roles};
pub use state::{HeldCertification, Partner};
