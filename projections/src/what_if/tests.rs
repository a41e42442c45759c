//! Given decisions, then what a draft changes, recomputed by hand.

use std::{sync::Arc, time::Duration};

use pledger_domain::{
    account::AccountEvent,
    cost::{CostEvent, CostKind},
    partner::{PartnerEvent, Role},
    rules::{RuleSet, Rules},
    values::{CostId, Label, PartnerId, Period, TouchpointId},
};
use pledger_ledger::record::{Events, Outcome};
use serde_json::{Value, json};

use super::{Difference, Standing};
use crate::{
    engine::{Engine, Options, Supposed},
    given::{Given, Ledger, deal_id, registered, time, usd},
};

const LONG: Duration = Duration::from_secs(20);
const AT: &str = "2026-06-01";

fn joined(id: &str) -> Given {
    let name = Label::parse("Nordwind").expect("a label");
    let event = PartnerEvent::PartnerRegistered { name, roles: vec![Role::Reseller], country: None, region: None };
    Given::new(&format!("partner/{id}"), "2025-01-01", Outcome::Accepted(Events::Partner(vec![event].into())))
}

fn touch(id: &str, who: &str, at: &str) -> Given {
    let event = AccountEvent::TouchpointRecorded {
        touchpoint_id: TouchpointId::parse(id).expect(id),
        partner_id: PartnerId::parse(who).ok(),
        kind: Label::parse("demo").expect("a kind"),
        channel: None,
        deal_id: None,
        campaign_id: None,
        occurred_at: time(at),
    };
    Given::account("acme.com", at, vec![event])
}

/// Two partners, one deal of p1 over 120,000 that p2 touched late; p1 costs 1,000.
fn ledger() -> Ledger {
    let won = AccountEvent::DealWon {
        deal_id: deal_id("d1"),
        amount: usd("120000.00"),
        gross_margin: None,
        closed_at: time("2026-03-11"),
        net_new_logo: true,
    };
    let cost = CostEvent::ProgramCostRecorded {
        cost_id: CostId::parse("c1").expect("an id"),
        kind: CostKind::Staff,
        amount: usd("1000.00"),
        partner_id: PartnerId::parse("p1").ok(),
        period: Period::parse("2026-03").expect("a period"),
        claim_id: None,
        payout_id: None,
    };
    Ledger::with([
        joined("p1"),
        joined("p2"),
        Given::account("acme.com", "2026-01-10", vec![registered("d1", "p1", "GTX", "100.00")]),
        touch("t1", "p1", "2026-01-20"),
        touch("t2", "p2", "2026-03-01"),
        Given::account("acme.com", "2026-03-11", vec![won]),
        Given::new("cost/p1", "2026-03-31", Outcome::Accepted(Events::Cost(vec![cost].into()))),
    ])
}

/// What these changes to the default rules change, in force from a time on.
fn difference(changes: &[(&str, &str)], from: Option<&str>) -> Difference {
    let text = changes.iter().fold(Rules::DEFAULT.to_owned(), |text, (was, is)| {
        assert!(text.contains(was), "{was}");
        text.replacen(was, is, 1)
    });
    let rules = Rules::parse(&text).expect("rules");
    let rules = Arc::new(RuleSet { version: 2, effective_from: time("2020-01-01"), rules });
    let log = || Arc::new(ledger());
    let recorded = Engine::in_memory(log(), Options::default()).expect("it starts");
    let supposed = Supposed { rules: Arc::clone(&rules), from: from.map(time), paid: Vec::new() };
    let draft = Engine::supposing(log(), Options::default(), supposed).expect("it starts");
    let [before, after] = [&recorded, &draft].map(|engine| {
        assert!(engine.wait_until_caught_up(LONG, |_| {}));
        Standing::read(engine, time(AT)).expect("a reading")
    });
    let difference = before.changes_to(&after);
    if from.is_none() {
        let read = Standing::supposing(&recorded, time(AT), &rules, Vec::new()).expect("a reading");
        assert_eq!(before.changes_to(&read), difference, "read from what was folded as recorded");
    }
    difference
}

fn told(difference: &Difference) -> Value {
    serde_json::to_value(difference).expect("JSON")
}

#[test]
fn the_same_rules_change_nothing() {
    assert_eq!(difference(&[("Default partner program", "Another name")], None), Difference::default());
}

#[test]
fn a_tier_names_the_figures_that_cross_its_thresholds() {
    let usd = |amount: &str| json!({"amount": amount, "currency": "USD"});
    // Silver takes no certification any more: p1 has the revenue and the logo.
    let silver = [("certifications = 1\nnet_new_logos = 1", "certifications = 0\nnet_new_logos = 1")];
    let found = told(&difference(&silver, None));
    let why = json!([{"tier": "silver", "input": "active_certifications", "had": 0, "took": 1, "has": 0, "takes": 0}]);
    let change = json!({"partner": "p1", "name": "Nordwind", "tier_awarded": null, "before": "registered", "after": "silver", "why": why});
    assert_eq!(found["tiers"], json!([change]));
    // In a shorter window the same takes the revenue out again, so nothing changes.
    assert_eq!(difference(&[silver[0], ("window_days = 365", "window_days = 30")], None), Difference::default());
    // A tier that only the draft knows.
    let lowest = [(
        "[[tiers]]\nname = \"silver\"",
        "[[tiers]]\nname = \"bronze\"\nrevenue = \"90000\"\ncertifications = 0\nnet_new_logos = 0\n\n[[tiers]]\nname = \"silver\"",
    )];
    let found = told(&difference(&lowest, None));
    assert_eq!(found["tiers"][0]["after"], "bronze");
    assert_eq!(
        found["tiers"][0]["why"],
        json!([
            {"tier": "bronze", "input": "tier", "had": null, "took": false, "has": null, "takes": true},
            {"tier": "bronze", "input": "revenue", "had": usd("120000.00"), "took": null, "has": usd("120000.00"), "takes": usd("90000.00")},
        ])
    );
    // What money crosses is told exactly.
    let dearer =
        [("revenue = \"100000\"\ncertifications = 1\nnet_new_logos = 1", "revenue = \"120000.01\"\ncertifications = 0\nnet_new_logos = 0")];
    assert_eq!(difference(&dearer, None).tiers, [], "one cent short");
    let enough =
        [("revenue = \"100000\"\ncertifications = 1\nnet_new_logos = 1", "revenue = \"120000\"\ncertifications = 0\nnet_new_logos = 0")];
    let found = told(&difference(&enough, None));
    assert_eq!(
        (&found["tiers"][0]["why"][0]["input"], &found["tiers"][0]["why"].as_array().map(Vec::len)),
        (&json!("active_certifications"), &Some(1))
    );
    assert_ne!(found["tiers"][0]["why"][0]["had"], usd("120000.00"), "the revenue sufficed before");
}

#[test]
fn credit_goes_from_one_party_to_another() {
    let short = [("window_days = 180", "window_days = 20")];
    let found = difference(&short, None);
    let of = |model: &str| {
        found.attribution.iter().filter(|shift| shift.model == model).map(|shift| (shift.partner, shift.gained_minor)).collect::<Vec<_>>()
    };
    assert_eq!(of("first"), [(Some("p1"), -12_000_000), (Some("p2"), 12_000_000)]);
    assert_eq!(of("linear"), [(Some("p1"), -6_000_000), (Some("p2"), 6_000_000)]);
    assert_eq!(of("last"), []);
    assert_eq!(found.attribution.iter().map(|shift| shift.gained_minor).sum::<i128>(), 0);
    assert_eq!((&found.tiers, &found.ropi), (&vec![], &vec![]));
    // What was won before the draft governs stays.
    assert_eq!(difference(&short, Some("2026-03-12")).attribution, []);
    assert_eq!(difference(&short, Some("2026-03-11")).attribution, found.attribution);
}

#[test]
fn what_a_customer_costs_changes_returns() {
    let found = told(&difference(&[("direct_cac = \"0\"", "direct_cac = \"2500.50\"")], None));
    let money = |amount: &str| json!({"amount": amount, "currency": "USD"});
    let figures = json!([
        {"figure": "cac_saved", "before": money("0.00"), "after": money("2500.50")},
        {"figure": "ropi_total", "before": "0", "after": "2.5005"},
    ]);
    assert_eq!(found["ropi"], json!([{"partner": "p1", "currency": "USD", "figures": figures}]));
}
