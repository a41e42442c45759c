//! A partner registers a deal on an account (F41).

use serde::{Deserialize, Serialize};

use super::{Account, AccountEvent, Contact, DealRegistered};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    stream::StreamName,
    values::{AccountKey, AccountRef, Amount, DealId, InvalidAccount, Label, PartnerId, Timestamp},
};

/// Registers a deal; it is up for decision at once unless it is a draft.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterDeal {
    /// The deal, as the partner or the CRM names it; unique on its account.
    pub deal_id: DealId,
    /// Whose deal it is.
    pub partner_id: PartnerId,
    /// The customer. Only an import may leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountRef>,
    /// What is sold.
    pub product: Label,
    /// The expected value.
    pub amount: Amount,
    /// Whether the amount is an estimate made by an import.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
    /// The sales region; the partner's where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Label>,
    /// When the partner expects to close.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_close: Option<Timestamp>,
    /// Keep it as a draft for now.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub draft: bool,
    /// A person at the customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<Contact>,
}

impl CommandPayload for RegisterDeal {
    const NAME: &'static str = "RegisterDeal";
    const SUMMARY: &'static str = "Registers a partner's deal on an account.";
    const EXAMPLE: &'static str = r#"{"deal_id":"d-1001","partner_id":"p-nordwind","account":{"name":"Acme Corporation","domain":"acme.com"},"product":"GTX Pro","amount":{"amount":"120000.00","currency":"USD"},"expected_close":"2027-03-31"}"#;
    type Stream = Account;

    fn address(&self) -> Result<Address, InvalidAccount> {
        let key = match &self.account {
            Some(account) => account.key()?,
            None => AccountKey::none(&self.partner_id, &self.deal_id),
        };
        Ok(Address::Stream(StreamName::account(&key)))
    }

    fn introduces(&self) -> Option<Address> {
        Some(Address::Deal(self.deal_id.clone()))
    }

    fn relies_on(&self, _state: &Account) -> Option<PartnerId> {
        Some(self.partner_id.clone())
    }

    fn decide(&self, _state: &Account, _facts: &Facts) -> Result<Vec<AccountEvent>, Rejection> {
        Ok(vec![AccountEvent::DealRegistered(Box::new(DealRegistered {
            deal_id: self.deal_id.clone(),
            partner_id: self.partner_id.clone(),
            account: None,
            product: self.product.clone(),
            amount: self.amount,
            estimated: self.estimated,
            region: self.region.clone(),
            expected_close: self.expected_close,
            draft: self.draft,
            historical: false,
            reviewer: None,
            sla_due: None,
            overlaps: vec![],
            overlap_count: 0,
            contact: self.contact.clone(),
        }))])
    }
}
