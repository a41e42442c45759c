//! Revenue is recognised on an account (F72).

use serde::{Deserialize, Serialize};

use super::{
    Account, AccountEvent, RevenueKind, business_date::not_in_future, standing::any_named_deal_known, standing::any_named_partner_known,
};
use crate::{
    command::{Address, CommandPayload},
    facts::{Channel, Facts},
    rejection::Rejection,
    stream::StreamName,
    values::{AccountRef, Amount, DealId, InvalidAccount, InvalidCountry, Money, PartnerId, RevenueId, Timestamp},
};

/// Records revenue, or what was given back of it. It is the named partner's, else that of the partner whose deal it belongs to, else nobody's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordRevenue {
    /// The recognition; unique on the account.
    pub revenue_id: RevenueId,
    /// Whose revenue; the deal's partner where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partner_id: Option<PartnerId>,
    /// The customer.
    pub account: AccountRef,
    /// How much; of a refund how much was given back, of a deal no more than it brought in.
    pub amount: Amount,
    /// The gross margin in it, in the same currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gross_margin: Option<Money>,
    /// The deal it belongs to, where it is to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deal_id: Option<DealId>,
    /// What kind; `new` where left out, `refund` counts against.
    #[serde(default)]
    pub kind: RevenueKind,
    /// When; the command's business time where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recognized_at: Option<Timestamp>,
}

impl RecordRevenue {
    /// Refuses a refund of more than the deal that it names brought in, where somebody asks who hears that. History and events of
    /// services come in any order.
    fn within_what_was_recorded(&self, state: &Account, facts: &Facts) -> Result<(), Rejection> {
        let is_held = self.kind == RevenueKind::Refund && facts.channel == Channel::Api && !facts.historical;
        let Some(deal_id) = self.deal_id.as_ref().filter(|_| is_held) else { return Ok(()) };
        let (available, requested) = (state.refundable(deal_id, self.amount.currency()), self.amount.money());
        if requested.minor() > available.minor() {
            return Err(Rejection::RefundExceeded { deal_id: deal_id.clone(), available, requested });
        }
        Ok(())
    }
}

impl CommandPayload for RecordRevenue {
    const NAME: &'static str = "RecordRevenue";
    const SUMMARY: &'static str = "Records revenue recognised on an account.";
    const EXAMPLE: &'static str = r#"{"revenue_id":"r-1","partner_id":"p-nordwind","account":"acme.com","amount":{"amount":"115000.00","currency":"USD"},"deal_id":"d-1001"}"#;
    const RELIES_ON_A_PARTNER: bool = true;
    type Stream = Account;

    fn address(&self) -> Result<Address, InvalidAccount> {
        Ok(Address::Stream(StreamName::account(&self.account.opening_key()?)))
    }

    fn normalise(&mut self) -> Result<(), InvalidCountry> {
        self.account.normalise()
    }

    fn business_time(&self) -> Option<Timestamp> {
        self.recognized_at
    }

    fn relies_on(&self, _state: &Account) -> Option<PartnerId> {
        self.partner_id.clone()
    }

    fn builds_on(&self, state: &Account) -> Option<Timestamp> {
        self.deal_id.as_ref().and_then(|id| state.registered_at(id))
    }

    fn decide(&self, state: &Account, facts: &Facts) -> Result<Vec<AccountEvent>, Rejection> {
        any_named_partner_known(facts, self.partner_id.as_ref())?;
        if state.has_revenue(&self.revenue_id) {
            return Err(Rejection::RevenueExists { revenue_id: self.revenue_id.clone() });
        }
        any_named_deal_known(state, self.deal_id.as_ref())?;
        let expected = self.amount.currency();
        if let Some(given) = self.gross_margin.map(Money::currency).filter(|given| *given != expected) {
            return Err(Rejection::WrongCurrency { expected, given });
        }
        self.within_what_was_recorded(state, facts)?;
        let deal = self.deal_id.as_ref().and_then(|id| state.deal(id));
        let recognized_at =
            self.recognized_at.unwrap_or_else(|| self.builds_on(state).map_or(facts.effective_at, |at| facts.effective_at.max(at)));
        Ok(vec![AccountEvent::RevenueRecorded {
            revenue_id: self.revenue_id.clone(),
            partner_id: self.partner_id.clone().or_else(|| deal.map(|deal| deal.partner_id().clone())),
            amount: self.amount,
            gross_margin: self.gross_margin,
            deal_id: self.deal_id.clone(),
            kind: self.kind,
            recognized_at: not_in_future(recognized_at, facts)?,
        }])
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::{Story, d1, time, with};
    use super::*;
    use crate::values::Currency;
    use serde_json::{Value, json};

    fn revenue(fields: Value) -> Value {
        with(json!({"revenue_id": "r-1", "account": "acme.com", "amount": {"amount": "10.00", "currency": "USD"}}), fields)
    }

    #[test]
    fn once_by_a_known_partner_on_a_known_deal_in_one_currency() {
        let plain = || revenue(json!({}));
        let ahead = Rejection::DateInFuture { date: time("2026-10-03"), now: time("2026-10-01") };
        let currency = |code| Currency::parse(code).expect("a currency");
        let euros = Rejection::WrongCurrency { expected: currency("USD"), given: currency("EUR") };
        for (story, payload, refusal) in [
            (Story::new(), plain(), None),
            (Story::new(), revenue(json!({"deal_id": "d-1"})), Some(Rejection::DealUnknown { deal_id: "d-1".parse().expect("an id") })),
            (
                Story::new(),
                revenue(json!({"partner_id": "p-9"})),
                Some(Rejection::PartnerUnknown { partner_id: "p-9".parse().expect("an id") }),
            ),
            (Story::new(), revenue(json!({"recognized_at": "2026-10-03"})), Some(ahead)),
            (Story::new(), revenue(json!({"gross_margin": {"amount": "1", "currency": "EUR"}})), Some(euros)),
            (
                Story::new().then("RecordRevenue", &plain()),
                plain(),
                Some(Rejection::RevenueExists { revenue_id: "r-1".parse().expect("an id") }),
            ),
        ] {
            assert_eq!(story.decide("RecordRevenue", &payload).err(), refusal, "{payload}");
        }
    }

    #[test]
    fn a_deals_revenue_is_its_partners_and_new_unless_it_says_otherwise() {
        for (fields, partner, kind, at) in [
            (json!({}), None, RevenueKind::New, "2026-10-01"),
            (json!({"deal_id": "d-1"}), Some("p-1"), RevenueKind::New, "2026-10-01"),
            (json!({"deal_id": "d-1", "partner_id": "p-2"}), Some("p-2"), RevenueKind::New, "2026-10-01"),
            (json!({"kind": "refund"}), None, RevenueKind::Refund, "2026-10-01"),
            (json!({"kind": "renewal", "recognized_at": "2026-07-01"}), None, RevenueKind::Renewal, "2026-07-01"),
        ] {
            match Story::registered().event("RecordRevenue", &revenue(fields)) {
                AccountEvent::RevenueRecorded { partner_id, kind: recorded, recognized_at, .. } => {
                    assert_eq!((partner_id.as_ref().map(PartnerId::as_str), recorded, recognized_at), (partner, kind, time(at)));
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn no_more_of_a_deal_is_given_back_than_was_recorded() {
        let of_deal = |id: &str, kind: &str, amount: &str| {
            revenue(json!({"revenue_id": id, "deal_id": "d-1", "kind": kind, "amount": {"amount": amount, "currency": "USD"}}))
        };
        let usd = |amount: &str| Money::parse(amount, Currency::USD).expect(amount);
        let exceeded = |available: &str, requested: &str| {
            let deal_id = "d-1".parse().expect("an id");
            Some(Rejection::RefundExceeded { deal_id, available: usd(available), requested: usd(requested) })
        };
        let sold = || Story::registered().then("RecordRevenue", &of_deal("r-1", "new", "40.00"));
        let renewed = || sold().then("RecordRevenue", &of_deal("r-2", "renewal", "10.00"));
        let refunded = || renewed().then("RecordRevenue", &of_deal("r-3", "refund", "45.00"));
        let won = || Story::approved().then("CloseWon", &with(d1(), json!({"amount": {"amount": "900.00", "currency": "USD"}})));
        let euros = with(of_deal("r-9", "refund", "1.00"), json!({"amount": {"amount": "1.00", "currency": "EUR"}}));
        let none_in_euros = Rejection::RefundExceeded {
            deal_id: "d-1".parse().expect("an id"),
            available: Money::parse("0.00", Currency::parse("EUR").expect("EUR")).expect("money"),
            requested: Money::parse("1.00", Currency::parse("EUR").expect("EUR")).expect("money"),
        };
        for (story, payload, refusal) in [
            (sold(), of_deal("r-9", "refund", "40.00"), None),
            (sold(), of_deal("r-9", "refund", "40.01"), exceeded("40.00", "40.01")),
            (renewed(), of_deal("r-9", "refund", "50.00"), None),
            (refunded(), of_deal("r-9", "refund", "5.00"), None),
            (refunded(), of_deal("r-9", "refund", "5.01"), exceeded("5.00", "5.01")),
            (sold(), euros, Some(none_in_euros)),
            // A won deal counts with its own amount until revenue names it.
            (Story::registered(), of_deal("r-9", "refund", "1.00"), exceeded("0.00", "1.00")),
            (won(), of_deal("r-9", "refund", "900.00"), None),
            (won(), of_deal("r-9", "refund", "900.01"), exceeded("900.00", "900.01")),
            (won().then("RecordRevenue", &of_deal("r-1", "new", "40.00")), of_deal("r-9", "refund", "41.00"), exceeded("40.00", "41.00")),
            // What names no deal is held against none, and history happened.
            (Story::new(), revenue(json!({"kind": "refund"})), None),
            (sold().import(true), of_deal("r-9", "refund", "40.01"), None),
            // A service's events come in any order.
            (Story::registered().ingest(), of_deal("r-9", "refund", "40.01"), None),
        ] {
            assert_eq!(story.decide("RecordRevenue", &payload).err(), refusal, "{payload}");
        }
    }
}
