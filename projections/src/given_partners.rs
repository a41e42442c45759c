//! Given what happened to partners, and what they won.

use pledger_domain::{
    account::AccountEvent,
    partner::{PartnerEvent, Role},
    values::{Amount, CertificationId, Currency, Label, Money, PersonId, TierName},
};
use pledger_ledger::record::{Events, Outcome};

use crate::given::{Given, deal_id, registered, time};

/// What happened to a partner.
pub(crate) fn partner(id: &str, at: &str, event: PartnerEvent) -> Given {
    Given::new(&format!("partner/{id}"), at, Outcome::Accepted(Events::Partner(vec![event].into())))
}

pub(crate) fn joined(id: &str) -> Given {
    let label = |text| Label::parse(text).expect(text);
    let event = PartnerEvent::PartnerRegistered {
        name: label("Nordwind"),
        roles: vec![Role::Reseller],
        country: None,
        region: Some(label("EMEA")),
    };
    partner(id, "2024-01-01", event)
}

pub(crate) fn certified(person: &str, awarded: &str, expires: &str) -> Given {
    let event = PartnerEvent::CertificationAwarded {
        person_id: PersonId::parse(person).expect(person),
        certification: CertificationId::parse("cloud").expect("an id"),
        level: Label::parse("expert").expect("a level"),
        awarded_at: time(awarded),
        expires_at: time(expires),
        person_name: None,
    };
    partner("p1", awarded, event)
}

pub(crate) fn tier(name: &str) -> TierName {
    TierName::parse(name).expect(name)
}

/// A deal of p1 that is the account's first to be won.
pub(crate) fn logo(account: &str, amount: &str, code: &str, closed: &str) -> Vec<Given> {
    let currency = Currency::parse(code).expect(code);
    let deal = format!("d-{account}");
    let won = AccountEvent::DealWon {
        deal_id: deal_id(&deal),
        amount: Amount::new(Money::parse(amount, currency).expect(amount)).expect(amount),
        gross_margin: None,
        closed_at: time(closed),
        net_new_logo: true,
    };
    vec![Given::account(account, "2025-01-01", vec![registered(&deal, "p1", "GTX", "1.00")]), Given::account(account, closed, vec![won])]
}
