//! A deal is won (F47).

use serde::{Deserialize, Serialize};

use super::{Account, AccountEvent, DealPhase, business_date::closing_date, deal_address};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    values::{AccountRef, Amount, DealId, InvalidAccount, Money, Timestamp},
};

/// Closes an approved deal as won, which ends its protection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CloseWon {
    /// The deal.
    pub deal_id: DealId,
    /// Its account; looked up by the deal where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountRef>,
    /// What it was won at, in the currency of the registration.
    pub amount: Amount,
    /// The gross margin, in the same currency; may be negative.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gross_margin: Option<Money>,
    /// When; the command's business time where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Timestamp>,
}

impl CommandPayload for CloseWon {
    const NAME: &'static str = "CloseWon";
    const SUMMARY: &'static str = "Closes an approved deal as won.";
    const EXAMPLE: &'static str = r#"{"deal_id":"d-1001","account":"acme.com","amount":{"amount":"115000.00","currency":"USD"},"gross_margin":{"amount":"34500.00","currency":"USD"}}"#;
    type Stream = Account;

    fn address(&self) -> Result<Address, InvalidAccount> {
        deal_address(self.account.as_ref(), &self.deal_id)
    }

    fn business_time(&self) -> Option<Timestamp> {
        self.closed_at
    }

    fn builds_on(&self, state: &Account) -> Option<Timestamp> {
        state.registered_at(&self.deal_id)
    }

    fn decide(&self, state: &Account, facts: &Facts) -> Result<Vec<AccountEvent>, Rejection> {
        let deal = state.known_while(&self.deal_id, |phase| phase == DealPhase::Approved)?;
        let expected = deal.amount.currency();
        let currencies = [Some(self.amount.currency()), self.gross_margin.map(Money::currency)];
        if let Some(given) = currencies.into_iter().flatten().find(|given| *given != expected) {
            return Err(Rejection::WrongCurrency { expected, given });
        }
        Ok(vec![AccountEvent::DealWon {
            deal_id: self.deal_id.clone(),
            amount: self.amount,
            gross_margin: self.gross_margin,
            closed_at: closing_date(&self.deal_id, deal, self.closed_at, facts)?,
            net_new_logo: !state.has_won() && !state.is_unmatched(),
        }])
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::{Story, d1, deal, time, with, wrong_phase};
    use super::*;
    use crate::values::Currency;
    use serde_json::json;

    fn won(fields: serde_json::Value) -> serde_json::Value {
        with(with(d1(), json!({"amount": {"amount": "900.00", "currency": "USD"}})), fields)
    }

    fn is_new_logo(story: &Story, payload: &serde_json::Value) -> bool {
        match story.event("CloseWon", payload) {
            AccountEvent::DealWon { net_new_logo, .. } => net_new_logo,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_an_approved_deal_on_a_plausible_day_in_its_currency() {
        let euro = Currency::parse("EUR").expect("a currency");
        let dollar = Currency::parse("USD").expect("a currency");
        let currency = || Some(Rejection::WrongCurrency { expected: dollar, given: euro });
        let deal_id = || "d-1".parse().expect("an id");
        let early = Rejection::ClosedBeforeRegistered {
            deal_id: deal_id(),
            closed_at: time("2026-09-30T23:59:59Z"),
            registered_at: time("2026-10-01"),
        };
        let late = Rejection::DateInFuture { date: time("2026-10-02T00:00:01Z"), now: time("2026-10-01") };
        for (story, payload, refusal) in [
            (Story::approved(), won(json!({})), None),
            (Story::registered(), won(json!({})), Some(wrong_phase("in_review"))),
            (Story::approved().then("CloseWon", &won(json!({}))), won(json!({})), Some(wrong_phase("won"))),
            (Story::approved(), won(json!({"amount": {"amount": "900.00", "currency": "EUR"}})), currency()),
            (Story::approved(), won(json!({"gross_margin": {"amount": "-9.00", "currency": "EUR"}})), currency()),
            (Story::approved(), won(json!({"closed_at": "2026-09-30T23:59:59Z"})), Some(early)),
            (Story::approved(), won(json!({"closed_at": "2026-10-02"})), None),
            (Story::approved(), won(json!({"closed_at": "2026-10-02T00:00:01Z"})), Some(late)),
        ] {
            assert_eq!(story.decide("CloseWon", &payload).err(), refusal, "{payload}");
        }
    }

    #[test]
    fn a_bare_date_means_the_day() {
        let story = Story::new().at("2026-10-01T15:00:00Z").then("RegisterDeal", &deal("d-1", "p-1")).then("ApproveDeal", &d1());
        let expected = AccountEvent::DealWon {
            deal_id: "d-1".parse().expect("an id"),
            amount: Amount::new(Money::parse("900.00", Currency::parse("USD").expect("a currency")).expect("money")).expect("an amount"),
            gross_margin: None,
            closed_at: time("2026-10-01"),
            net_new_logo: true,
        };
        assert_eq!(story.event("CloseWon", &won(json!({"closed_at": "2026-10-01"}))), expected);
        let back_dated = story.dated("2026-09-01").event("CloseWon", &won(json!({})));
        assert!(matches!(back_dated, AccountEvent::DealWon { closed_at, .. } if closed_at == time("2026-10-01T15:00:00Z")));
    }

    #[test]
    fn the_first_won_deal_is_a_new_logo() {
        assert!(is_new_logo(&Story::approved(), &won(json!({}))));
        let second = json!({"deal_id": "d-2"});
        let story =
            Story::approved().then("CloseWon", &won(json!({}))).then("RegisterDeal", &deal("d-2", "p-2")).then("ApproveDeal", &second);
        assert!(!is_new_logo(&story, &won(second)));
        let unmatched = with(deal("d-1", "p-1"), json!({"account": null}));
        let story = Story::new().import(true).then("RegisterDeal", &unmatched).then("ApproveDeal", &d1());
        assert!(!is_new_logo(&story, &won(json!({}))));
    }

    #[test]
    fn a_close_ends_the_protection() {
        let story = Story::approved().then("CloseWon", &won(json!({})));
        assert_eq!(story.account.protection_in_force(time("2026-10-02"), None), None);
        assert_eq!(story.decide("RegisterDeal", &deal("d-2", "p-2")).err(), None);
    }
}
