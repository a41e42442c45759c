//! The stream `partner/<partner_id>`: what other streams rely on about a partner, so kept small.

mod event;
mod register_partner;

use serde::{Deserialize, Serialize};

pub use event::{PartnerEvent, TierInputs};
pub use register_partner::RegisterPartner;

use crate::{
    stream::{Stream, StreamKind},
    values::Timestamp,
};

/// What a partner does (F01). One partner holds several roles at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the field's standard words")]
pub enum Role {
    Reseller,
    Var,
    Msp,
    Si,
    Isv,
    Referral,
    Influence,
    Consultant,
    Service,
    Technology,
    Distributor,
    Marketplace,
    Affiliate,
    Ambassador,
    Community,
    Individual,
    Analyst,
}

/// Where a partner stands (F02).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the field's standard words")]
pub enum PartnerPhase {
    /// Nothing is known of it.
    #[default]
    Unknown,
    Prospect,
    Applied,
    Onboarding,
    Active,
    Suspended,
    Retired,
}

/// A partner's state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Partner {
    phase: PartnerPhase,
}

impl Stream for Partner {
    const KIND: StreamKind = StreamKind::Partner;
    type Event = PartnerEvent;

    fn evolve(&mut self, event: &PartnerEvent, _at: Timestamp) {
        if let PartnerEvent::PartnerRegistered { .. } = event {
            self.phase = PartnerPhase::Applied;
        }
    }
}
