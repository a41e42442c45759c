//! Given decisions, then partners.

use std::{sync::Arc, time::Duration};

use pledger_domain::{
    partner::{PartnerEvent, Role},
    values::{CertificationId, Label, PersonId, Personal, StaffId},
};
use pledger_ledger::record::{Events, Outcome};
use serde_json::{Value, json};

use crate::{
    engine::{Engine, Options},
    given::{Given, Ledger, registered, time, won},
    query::{Item, Query},
};

fn partner(id: &str, at: &str, events: Vec<PartnerEvent>) -> Given {
    Given::new(&format!("partner/{id}"), at, Outcome::Accepted(Events::Partner(events.into())))
}

fn applied(name: &str, roles: Vec<Role>) -> PartnerEvent {
    PartnerEvent::PartnerRegistered { name: Label::parse(name).expect(name), roles, country: None, region: Label::parse("EMEA").ok() }
}

fn certified(person: &str, from: &str, until: &str) -> PartnerEvent {
    PartnerEvent::CertificationAwarded {
        person_id: PersonId::parse(person).expect(person),
        certification: CertificationId::parse("cloud").expect("an id"),
        level: Label::parse("expert").expect("a label"),
        awarded_at: time(from),
        expires_at: time(until),
        person_name: None,
    }
}

fn partners(filters: &[(&str, &str)]) -> Vec<Item> {
    let manager = PartnerEvent::PartnerManagerAssigned {
        manager_id: StaffId::parse("s-1").expect("an id"),
        name: Some(Personal::Sealed("AAEC".to_owned())),
    };
    let given = [
        partner("p1", "2026-01-01", vec![applied("Nordwind GmbH", vec![Role::Si, Role::Reseller])]),
        partner("p1", "2026-01-02", vec![PartnerEvent::AgreementSigned { signed_at: time("2026-01-02") }]),
        partner("p1", "2026-01-03", vec![PartnerEvent::PartnerActivated {}]),
        partner("p1", "2026-01-04", vec![manager]),
        partner("p1", "2026-02-01", vec![certified("u1", "2026-02-01", "2027-02-01"), certified("u2", "2025-01-01", "2026-01-01")]),
        partner("p2", "2026-01-05", vec![applied("Südlicht AG", vec![Role::Msp])]),
        partner("p3", "2026-01-06", vec![PartnerEvent::PartnerNominated { name: Label::parse("Westwind").expect("a label") }]),
        Given::account("acme.com", "2026-01-20", vec![registered("d1", "p1", "GTX", "10.00")]),
        Given::account("acme.com", "2026-01-10", vec![registered("d2", "p1", "GTX", "10.00")]),
        Given::account("acme.com", "2026-03-10", vec![won("d2", "9.00", "2026-03-09")]),
    ];
    let options = Options { workers: 2, ..Options::default() };
    let engine = Engine::in_memory(Arc::new(Ledger::with(given)), options).expect("it starts");
    assert!(engine.wait_until_caught_up(Duration::from_secs(20), |_| {}));
    let filters = filters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    engine.query("partners", &Query { filters, ..Query::default() }).expect("partners").items
}

fn pick(item: &Item, fields: &[&str]) -> Value {
    let find = |name: &str| item.0.iter().find(|(known, _)| *known == name).expect(name).1.clone();
    Value::Object(fields.iter().map(|name| ((*name).to_owned(), find(name))).collect())
}

#[test]
fn a_partner_is_shown_with_its_life_and_its_deals() {
    let found = partners(&[]);
    assert_eq!(
        pick(
            &found[0],
            &["partner_id", "name", "roles", "phase", "region", "manager", "manager_name", "activated_at", "certifications_held"]
        ),
        json!({"partner_id": "p1", "name": "Nordwind GmbH", "roles": ["reseller", "si"], "phase": "active", "region": "EMEA", "manager": "s-1",
               "manager_name": {"sealed": "AAEC"}, "activated_at": "2026-01-03T00:00:00Z", "certifications_held": 1})
    );
    assert_eq!(
        pick(&found[0], &["deals", "open_deals", "won_deals", "first_deal_at", "first_win_at"]),
        json!({"deals": 2, "open_deals": 1, "won_deals": 1, "first_deal_at": "2026-01-10T00:00:00Z", "first_win_at": "2026-03-09T00:00:00Z"})
    );
    assert_eq!(
        pick(&found[1], &["partner_id", "phase", "deals", "first_deal_at"]),
        json!({"partner_id": "p2", "phase": "applied", "deals": 0, "first_deal_at": null})
    );
}

#[test]
fn partners_are_filtered_by_what_they_are() {
    for (filters, ids) in [
        (&[("role", "si")][..], &["p1"][..]),
        (&[("role", "si"), ("role", "msp")], &["p1", "p2"]),
        (&[("phase", "applied")], &["p2"]),
        (&[("region", "EMEA"), ("manager", "s-1")], &["p1"]),
        (&[("tier", "")], &["p1", "p2", "p3"]),
        (&[("role", "")], &["p3"]),
        (&[("role", ""), ("role", "msp")], &["p2", "p3"]),
        (&[("tier", "gold")], &[]),
    ] {
        let found: Vec<_> = partners(filters).iter().map(|item| pick(item, &["partner_id"])["partner_id"].clone()).collect();
        assert_eq!(found, ids, "{filters:?}");
    }
}
