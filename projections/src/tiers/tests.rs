//! Given decisions, then tiers, recomputed by hand.

use pledger_domain::{
    account::{AccountEvent, RevenueKind},
    partner::PartnerEvent,
    program::ProgramEvent,
    rules::Rules,
    values::{Amount, CertificationId, Currency, Label, Money, PartnerId, PersonId, RevenueId},
};
use pledger_ledger::record::{Events, Outcome};

use crate::{
    asked::{ask, by, lines},
    given::{Given, Ledger, time},
    given_partners::{certified, joined, logo, partner, tier},
    query::{Query, QueryError},
};

const FIGURES: [&str; 10] = [
    "tier_awarded",
    "tier_earned",
    "revenue",
    "active_certifications",
    "net_new_logos",
    "next_tier",
    "missing_revenue",
    "missing_certifications",
    "missing_net_new_logos",
    "at_risk_since",
];

fn figures(ledger: &Ledger, at: &str) -> Vec<String> {
    lines(&ask(ledger, "tiers", &Query { at: Some(time(at)), ..Query::default() }), &FIGURES)
}

#[test]
fn windows_certifications_and_logos_are_those_of_the_questions_time() {
    let mut given = vec![joined("p1"), certified("ann", "2026-01-01", "2026-07-01"), certified("ben", "2026-02-01", "2027-02-01")];
    given.extend(logo("acme.com", "90000.00", "USD", "2026-03-01T10:00:00Z"));
    given.extend(logo("umbrella.com", "15000.00", "USD", "2025-06-02"));
    let refund = AccountEvent::RevenueRecorded {
        revenue_id: RevenueId::parse("r1").expect("an id"),
        partner_id: PartnerId::parse("p1").ok(),
        amount: Amount::new(Money::parse("1000.00", Currency::USD).expect("money")).expect("an amount"),
        gross_margin: None,
        deal_id: None,
        kind: RevenueKind::Refund,
        recognized_at: time("2026-05-01"),
    };
    given.push(Given::account("acme.com", "2026-05-01", vec![refund]));
    given.push(partner("p1", "2026-03-05", PartnerEvent::TierPromoted { from: None, to: tier("registered") }));
    let ledger = Ledger::with(given);
    for (at, expected) in [
        // 365 days that end with 2026-06-01 begin with 2025-06-02: both deals, less the refund.
        ("2026-06-01T23:00:00Z", "registered silver 104000.00 2 2 gold 396000.00 2 1 -"),
        // A day later the older deal has left the window.
        ("2026-06-02", "registered registered 89000.00 2 1 silver 11000.00 0 0 -"),
        // Ann's certification ran out at the very instant.
        ("2026-07-01", "registered registered 89000.00 1 1 silver 11000.00 0 0 -"),
        // Before the refund, and before the win counted.
        ("2026-04-30", "registered silver 105000.00 2 2 gold 395000.00 2 1 -"),
        ("2026-02-28", "registered registered 15000.00 2 1 silver 85000.00 0 0 -"),
    ] {
        assert_eq!(figures(&ledger, at), [expected], "{at}");
    }
}

#[test]
fn an_accounts_logo_is_the_deal_that_was_closed_first_whenever_that_was_recorded() {
    let win = |deal: &str, partner: &str, closed: &str| {
        let [registered, mut won] = <[Given; 2]>::try_from(logo("acme.com", "1.00", "USD", closed)).expect("two decisions");
        let event = AccountEvent::DealRegistered(Box::new(crate::given::registration(deal, partner, "GTX", "1.00")));
        won.outcome = Outcome::Accepted(Events::Account(vec![crate::given::won(deal, "1.00", closed)].into()));
        [Given { outcome: Outcome::Accepted(Events::Account(vec![event].into())), ..registered }, won]
    };
    let joined = [joined("p1"), joined("p2")];
    let logos = |wins: &[[Given; 2]], at: &str| {
        let ledger = Ledger::with(joined.iter().chain(wins.iter().flatten()).cloned());
        lines(&ask(&ledger, "tiers", &Query { at: Some(time(at)), ..Query::default() }), &["partner", "net_new_logos"])
    };
    let [may, march, april] = [win("d1", "p1", "2026-05-01"), win("d2", "p2", "2026-03-01"), win("d3", "p1", "2026-04-01")];
    assert_eq!(logos(std::slice::from_ref(&may), "2026-06-01"), ["p1 1", "p2 0"]);
    assert_eq!(logos(&[may.clone(), march.clone()], "2026-06-01"), ["p1 0", "p2 1"]);
    for order in [[&may, &march, &april], [&april, &may, &march], [&march, &april, &may]] {
        let order = order.map(Clone::clone);
        assert_eq!(logos(&order, "2026-06-01"), ["p1 0", "p2 1"]);
        assert_eq!(logos(&order, "2026-03-01"), ["p1 0", "p2 1"], "the window ends with the win");
        assert_eq!(logos(&order, "2026-02-28"), ["p1 0", "p2 0"]);
    }
    // Of two closed at one time, the one recorded first.
    let twin = win("d4", "p1", "2026-03-01");
    assert_eq!(logos(&[march.clone(), twin.clone()], "2026-06-01"), ["p1 0", "p2 1"]);
    assert_eq!(logos(&[twin, march], "2026-06-01"), ["p1 1", "p2 0"]);
}

#[test]
fn a_person_counts_for_the_partner_that_certified_it_last() {
    let at_partner = |partner_id: &str, person: &str, certification: &str, awarded: &str, expires: &str| {
        let event = PartnerEvent::CertificationAwarded {
            person_id: PersonId::parse(person).expect(person),
            certification: CertificationId::parse(certification).expect(certification),
            level: Label::parse("expert").expect("a level"),
            awarded_at: time(awarded),
            expires_at: time(expires),
            person_name: None,
        };
        partner(partner_id, awarded, event)
    };
    let given = [
        joined("p1"),
        joined("p2"),
        at_partner("p1", "ann", "cloud", "2026-01-01", "2027-01-01"),
        at_partner("p1", "ann", "data", "2026-01-01", "2027-01-01"),
        at_partner("p1", "ben", "cloud", "2026-01-01", "2027-01-01"),
        at_partner("p2", "ann", "cloud", "2026-03-01", "2026-06-01"),
        at_partner("p2", "cid", "cloud", "2026-02-01", "2027-01-01"),
        // Certified at both at the same time: the first partner by its id.
        at_partner("p1", "cid", "cloud", "2026-02-01", "2027-01-01"),
    ];
    let ledger = Ledger::with(given);
    let active =
        |at: &str| lines(&ask(&ledger, "tiers", &Query { at: Some(time(at)), ..Query::default() }), &["partner", "active_certifications"]);
    assert_eq!(active("2026-02-15"), ["p1 4", "p2 0"]);
    assert_eq!(active("2026-04-01"), ["p1 2", "p2 1"], "ann has moved on");
    assert_eq!(active("2026-07-01"), ["p1 4", "p2 0"], "what she had there ran out");
}

#[test]
fn grace_is_a_risk_until_it_ends() {
    let grace = PartnerEvent::TierGraceStarted { tier: tier("silver"), earned: tier("registered"), until: time("2026-06-29") };
    let mut given = vec![
        joined("p1"),
        partner("p1", "2025-01-05", PartnerEvent::TierPromoted { from: None, to: tier("silver") }),
        partner("p1", "2026-03-31", grace),
    ];
    let silver = "silver registered 0.00 0 0 gold 500000.00 4 3";
    assert_eq!(figures(&Ledger::with(given.clone()), "2026-04-01"), [format!("{silver} 2026-03-31T00:00:00Z")]);
    for (event, expected) in [
        (PartnerEvent::TierGraceEnded { tier: tier("silver") }, format!("{silver} -")),
        (
            PartnerEvent::TierDemoted { from: tier("silver"), to: tier("registered") },
            "registered registered 0.00 0 0 silver 100000.00 1 1 -".to_owned(),
        ),
    ] {
        given.push(partner("p1", "2026-06-29", event));
        assert_eq!(figures(&Ledger::with(given.clone()), "2026-07-01"), [expected]);
        given.pop();
    }
}

#[test]
fn the_highest_tier_has_none_above_and_nothing_is_missing() {
    let ledger = Ledger::with([joined("p1"), partner("p1", "2025-01-05", PartnerEvent::TierPromoted { from: None, to: tier("gold") })]);
    assert_eq!(figures(&ledger, "2026-04-01"), ["gold registered 0.00 0 0 - - - - -"]);
}

#[test]
fn other_currencies_are_listed_and_count_for_no_tier() {
    let given = [vec![joined("p1")], logo("acme.com", "900000.00", "EUR", "2026-03-01"), logo("umbrella.com", "5.00", "USD", "2026-03-01")]
        .concat();
    let page = ask(&Ledger::with(given), "tiers", &by(&[], &[]));
    assert_eq!(
        lines(&page, &["tier_earned", "revenue", "other_revenue", "net_new_logos", "window_from", "window_to", "rules"]),
        [r#"registered 5.00 [{"amount":"900000.00","currency":"EUR"}] 2 2025-03-02 2026-03-01 1"#]
    );
}

#[test]
fn partners_are_found_by_key_filter_and_page() {
    let given = ["p1", "p2", "p3"].map(joined);
    let ledger =
        Ledger::with(given.into_iter().chain([partner("p2", "2025-01-01", PartnerEvent::TierPromoted { from: None, to: tier("gold") })]));
    let names = |query: &Query| lines(&ask(&ledger, "tiers", query), &["partner", "name", "region", "status"]);
    assert_eq!(names(&Query { key: Some("p3".into()), ..Query::default() }), ["p3 Nordwind EMEA applied"]);
    assert_eq!(names(&by(&[], &[("tier_awarded", "gold")])), ["p2 Nordwind EMEA applied"]);
    assert_eq!(names(&by(&[], &[("status", "applied")])).len(), 3);
    assert_eq!(names(&by(&[], &[("status", "active")])), Vec::<String>::new());
    assert_eq!(names(&by(&[], &[("tier_earned", "registered"), ("partner", "p1"), ("partner", "p2")])).len(), 2);
    let first = ask(&ledger, "tiers", &Query { limit: Some(2), ..Query::default() });
    let second = ask(&ledger, "tiers", &Query { limit: Some(2), cursor: first.next.clone(), ..Query::default() });
    assert_eq!(
        (lines(&first, &["partner"]), lines(&second, &["partner"]), second.next),
        (vec!["p1".into(), "p2".into()], vec!["p3".into()], None)
    );
}

/// A tier that is earned and was never awarded is in no row, and nobody asked for it before.
#[test]
fn an_earned_tier_is_found_by_whoever_asks_first() {
    let of_quartz = Rules::DEFAULT.replacen("name = \"registered\"", "name = \"quartz\"", 1);
    let published = ProgramEvent::RulesPublished {
        version: 2,
        effective_from: time("2024-01-01"),
        name: Label::parse("Test").expect("a label"),
        program: of_quartz,
    };
    let published = Given::new("program", "2024-01-01", Outcome::Accepted(Events::Program(vec![published].into())));
    let ledger = Ledger::with([published, joined("p1")]);
    let at = Some(time("2026-03-01"));
    let of = |tier: &str| lines(&ask(&ledger, "tiers", &Query { at, ..by(&[], &[("tier_earned", tier)]) }), &["partner", "tier_earned"]);
    assert_eq!(of("quartz"), ["p1 quartz"]);
    assert_eq!(of("opal"), Vec::<String>::new());
}

#[test]
fn what_is_asked_in_vain_is_named() {
    let ledger = Ledger::with([joined("p1")]);
    let engine = crate::engine::Engine::in_memory(std::sync::Arc::new(ledger), crate::engine::Options::default()).expect("it starts");
    assert!(engine.wait_until_caught_up(std::time::Duration::from_secs(20), |_| {}));
    let asked = |query: Query| engine.query("tiers", &query).expect_err("no answer");
    assert_eq!(asked(Query { key: Some("p9".into()), ..Query::default() }), QueryError::NotFound { view: "tiers", key: "p9".into() });
    let unknown = asked(by(&[], &[("status", "activ")])).to_string();
    assert!(unknown.contains("active, suspended, retired"), "{unknown}");
    let accepted = vec!["partner", "tier_awarded", "tier_earned", "region", "status"];
    assert_eq!(asked(by(&[], &[("tier", "gold")])), QueryError::UnknownDimension { view: "tiers", dimension: "tier".into(), accepted });
}
