//! What each contender was told, and until when it was protected itself.

use pledger_domain::{
    rejection::Rejection,
    values::{DealId, PartnerId, Timestamp},
};
use serde_json::{Value, json};

use super::row::{Contender, Decided};
use crate::{
    deals::Deal,
    figures::{money, text, time, word},
    symbol::Symbol,
};

/// The clause by which an account is protected from others.
const CLAUSE: &str = "deal_registration.protection_scope";

/// A contender, with the deal that it names as that stands now.
pub(super) fn contender(row: &Contender, deal: Option<&Deal>) -> Value {
    let own = deal.filter(|deal| row.decided != Decided::Refused && Some(deal.partner) == row.partner);
    json!({
        "partner": row.partner.map(Symbol::name),
        "seller": row.seller.map(Symbol::name),
        "deal_id": row.deal,
        "amount": row.amount.zip(row.currency).map(|(amount, currency)| money(amount.into(), currency)),
        "at": time(Some(row.at)),
        "command": row.command.name(),
        "decided": word(&row.decided),
        "code": row.code.map(Symbol::name),
        "told": told(row),
        "holder": row.held_by.map(Symbol::name),
        "holder_deal_id": text(row.held_deal.as_deref()),
        "holder_protected_until": time(row.held_until),
        "protection_granted_until": time(own.and_then(|deal| deal.granted_until)),
        "rules": row.rules,
        "clause": row.code.map(|_| CLAUSE),
        "position": row.position.to_string(),
    })
}

/// The decision's answer, in the words that the one who asked was given.
fn told(row: &Contender) -> String {
    match row.decided {
        Decided::Registered => "the deal was registered".to_owned(),
        Decided::Reassigned => "the deal was given to this partner".to_owned(),
        Decided::Claimed => "the claim was let in: no partner was protected".to_owned(),
        Decided::Disputed => "the dispute was opened".to_owned(),
        Decided::Refused => refused(row).map_or_else(|| "refused".to_owned(), |rejection| rejection.to_string()),
    }
}

/// The refusal, made again from what is kept of it.
fn refused(row: &Contender) -> Option<Rejection> {
    let until: Timestamp = row.held_until?;
    Some(Rejection::AccountProtected {
        holder: PartnerId::parse(row.held_by?.name()).ok()?,
        deal_id: DealId::parse(row.held_deal.as_deref()?).ok()?,
        // The sentence does not name it.
        product: String::new(),
        protected_until: until,
        contender: None,
    })
}
