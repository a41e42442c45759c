//! The stream `partner/<partner_id>`: what other streams rely on about a partner, so kept small.

mod activate_partner;
mod assign_partner_manager;
mod assign_partner_region;
mod assign_partner_role;
mod award_certification;
mod certification;
mod complete_retirement;
mod event;
mod expire_certification;
mod guard;
mod nominate_partner;
mod phase;
mod recertify_person;
mod record_course_completion;
mod register_partner;
mod retire_partner;
mod revoke_certification;
mod revoke_partner_role;
mod role;
#[cfg(test)]
mod scenario;
mod sign_agreement;
mod state;
mod suspend_partner;

pub use activate_partner::ActivatePartner;
pub use assign_partner_manager::AssignPartnerManager;
pub use assign_partner_region::AssignPartnerRegion;
pub use assign_partner_role::AssignPartnerRole;
pub use award_certification::AwardCertification;
pub use complete_retirement::CompleteRetirement;
pub use event::{PartnerEvent, TierInputs};
pub use expire_certification::ExpireCertification;
pub use nominate_partner::NominatePartner;
pub use phase::PartnerPhase;
pub use recertify_person::RecertifyPerson;
pub use record_course_completion::RecordCourseCompletion;
pub use register_partner::RegisterPartner;
pub use retire_partner::RetirePartner;
pub use revoke_certification::RevokeCertification;
pub use revoke_partner_role::RevokePartnerRole;
pub use role::{NoRoles, Role, Roles};
pub use sign_agreement::SignAgreement;
pub use state::{HeldCertification, Partner};
pub use suspend_partner::SuspendPartner;
