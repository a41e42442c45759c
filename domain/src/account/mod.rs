//! The stream `account/<key>`: the boundary within which partners compete (F40-F48).

mod event;
mod register_deal;

use serde::{Deserialize, Serialize};

pub use event::{AccountEvent, Contact, DealRegistered, Overlap, RevenueKind, Share, Stage, Visibility};
pub use register_deal::RegisterDeal;

use crate::{
    stream::{Stream, StreamKind},
    values::Timestamp,
};

/// An account's state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Account {
    deals: u32,
}

impl Stream for Account {
    const KIND: StreamKind = StreamKind::Account;
    type Event = AccountEvent;

    fn evolve(&mut self, event: &AccountEvent, _at: Timestamp) {
        if let AccountEvent::DealRegistered(_) = event {
            self.deals += 1;
        }
    }
}
