//! A partner's tier figures are told beside the thresholds, term by term.

use std::sync::Arc;

use pledger_domain::{
    account::{AccountEvent, RevenueKind},
    partner::PartnerEvent,
    values::{Amount, Currency, Money, PartnerId, RevenueId},
};
use pledger_ledger::{log::Log, slices::Position};
use serde_json::{Value, json};

use super::{ExplainError, ExplainedItem, Explanation, ManyMade, RevenueTerm, explain, figure_of_rows};
use crate::{
    engine::{Engine, Moment, Options},
    given::{Given, Ledger, deal_id, time, usd},
    given_partners::{certified, joined, logo, partner, tier},
    query::{Query, find_view},
};

/// Revenue of p1 on an account.
fn revenue(account: &str, id: &str, amount: Amount, deal: Option<&str>, kind: RevenueKind, at: &str) -> Given {
    let recorded = AccountEvent::RevenueRecorded {
        revenue_id: RevenueId::parse(id).expect("an id"),
        partner_id: PartnerId::parse("p1").ok(),
        amount,
        gross_margin: None,
        deal_id: deal.map(deal_id),
        kind,
        recognized_at: time(at),
    };
    Given::account(account, at, vec![recorded])
}

/// A silver partner that won four deals, one of them too long ago, one in another currency, one with its revenue recorded since; one
/// that was never evaluated, and one at the top.
pub(super) fn tiered() -> Ledger {
    let promoted = |id: &str, to: &str| partner(id, "2025-12-31", PartnerEvent::TierPromoted { from: None, to: tier(to) });
    let wins = [
        logo("old.com", "700000.00", "USD", "2025-03-31"),
        logo("euro.com", "900000.00", "EUR", "2026-01-20"),
        logo("acme.com", "250000.00", "USD", "2026-02-01T10:00:00Z"),
        logo("umbrella.com", "90000.00", "USD", "2026-03-01"),
    ];
    let euros = Amount::new(Money::parse("1.00", Currency::parse("EUR").expect("a currency")).expect("money")).expect("an amount");
    let mut given = vec![joined("p1"), joined("p2"), joined("p3"), promoted("p1", "silver"), promoted("p3", "gold")];
    given.extend(wins.into_iter().flatten());
    given.extend([
        revenue("umbrella.com", "r1", usd("80000.00"), Some("d-umbrella.com"), RevenueKind::New, "2026-03-05"),
        revenue("umbrella.com", "r2", usd("5000.50"), Some("d-umbrella.com"), RevenueKind::Refund, "2026-03-10"),
        revenue("acme.com", "r3", usd("1000.00"), None, RevenueKind::Expansion, "2026-03-20"),
        revenue("acme.com", "r4", euros, None, RevenueKind::Expansion, "2026-03-21"),
        certified("ann", "2025-05-01", "2026-05-01"),
        certified("ben", "2026-02-01", "2027-02-01"),
        certified("eve", "2025-01-01", "2026-01-01"),
    ]);
    Ledger::with(given)
}

#[test]
fn what_comes_after_a_record_that_cannot_be_read_counts_for_no_tier() {
    let ledger = tiered();
    let body = br#"{"decision":{"stream":"account/acme.com","v":1,"nonsense":true}}"#;
    ledger.append(ledger.slice_of("account/acme.com"), bytes::Bytes::from_static(body));
    let before = ask_of(&ledger, "p1", Some("revenue"), "2026-03-31").expect("an explanation");
    ledger.add(revenue("acme.com", "r9", usd("111.00"), None, RevenueKind::Expansion, "2026-03-22"));
    let after = ask_of(&ledger, "p1", Some("revenue"), "2026-03-31").expect("an explanation");
    assert_eq!(after.items, before.items);
    assert_eq!(after.incomplete.len(), 1);
}

fn ask(key: &str, field: Option<&str>, at: &str) -> Result<Explanation, ExplainError> {
    ask_of(&tiered(), key, field, at)
}

fn ask_of(ledger: &Ledger, key: &str, field: Option<&str>, at: &str) -> Result<Explanation, ExplainError> {
    let engine = Engine::in_memory(Arc::new(ledger.clone()), Options::default()).expect("it starts");
    assert!(engine.wait_until_caught_up(std::time::Duration::from_secs(20), |_| {}));
    let query = Query { at: Some(time(at)), ..Query::default() };
    let view = find_view("tiers").expect("a view");
    let asked = engine.read(|rows| figure_of_rows(view, key, field.map(str::to_owned), query, Moment::default(), rows))?;
    let told = explain(ledger, &asked)?;
    // However many decisions there are, the same is told of the figures, but for what rows do not keep of recorded revenue.
    let many = engine.read(|rows| ManyMade::read(rows, ledger.slices(), asked))?.told(ledger, None)?;
    assert_eq!(many.items.iter().map(by_day).collect::<Vec<_>>(), told.items.iter().map(by_day).collect::<Vec<_>>());
    Ok(told)
}

/// An item without the places of decisions, and recorded revenue by its day.
fn by_day(item: &ExplainedItem) -> ExplainedItem {
    let mut item = item.clone();
    let nowhere = Position { slice: 0, pseq: 0 };
    if let Some(held) = &mut item.held {
        held.net_new_logos.iter_mut().for_each(|logo| logo.position = nowhere);
        for term in &mut held.revenue {
            let is_won = term.deal.is_some() && term.revenue_id.is_none();
            let day = time(&term.at.date());
            *term = RevenueTerm {
                position: nowhere,
                at: if is_won { term.at } else { day },
                deal: term.deal.take().filter(|_| is_won),
                revenue_id: None,
                ..term.clone()
            };
        }
    }
    item
}

#[test]
fn a_tier_is_told_with_every_threshold() {
    let told = ask("p1", Some("tier_earned"), "2026-04-01T12:00:00Z").expect("an explanation");
    let held = told.items[0].held.as_ref().expect("it is held against the tiers");
    assert_eq!((held.at, held.rules), (time("2026-04-01T12:00:00Z"), 1));
    assert_eq!((held.window_from.as_str(), held.window_to.as_str(), held.window_days), ("2025-04-02", "2026-04-01", 365));
    let stands: Vec<_> = held.tiers.iter().map(|tier| (tier.tier.as_str(), tier.is_reached, tier.stands.as_slice())).collect();
    assert_eq!(
        stands,
        [("registered", true, [].as_slice()), ("silver", true, ["awarded", "earned"].as_slice()), ("gold", false, ["next"].as_slice())]
    );
    let gold: Vec<_> =
        held.tiers[2].thresholds.iter().map(|one| (one.field, &one.value, &one.needed, &one.missing, one.is_reached)).collect();
    let usd = |amount: &str| json!({"amount": amount, "currency": "USD"});
    let (has, needs, lacks) = (usd("325999.50"), usd("500000.00"), usd("174000.50"));
    assert_eq!(
        gold,
        [
            ("revenue", &has, &needs, &lacks, false),
            ("active_certifications", &json!(2), &json!(4), &json!(2), false),
            ("net_new_logos", &json!(3), &json!(3), &json!(0), true)
        ]
    );
    let earned = &told.items[0].figures[0];
    assert_eq!((&earned.value, earned.computed.as_deref()), (&json!("silver"), Some("highest_tier(325999.50, 2, 3)")));
    let streams: Vec<_> = told.decisions.iter().map(|decision| decision.stream.as_str()).collect();
    assert!(streams.contains(&"account/acme.com") && !streams.contains(&"account/old.com"), "{streams:?}");
}

#[test]
fn a_tier_figure_is_told_term_by_term() {
    let told = ask("p1", None, "2026-04-01T12:00:00Z").expect("an explanation");
    let computed = |field: &str| told.items[0].figures.iter().find(|figure| figure.field == field)?.computed.clone();
    for (field, expected) in [
        ("revenue", "250000.00 + 80000.00 - 5000.50 + 1000.00"),
        ("net_new_logos", "count([euro.com, acme.com, umbrella.com])"),
        ("active_certifications", "count([ann cloud, ben cloud])"),
        ("next_tier", "tier_above(silver, silver)"),
        ("missing_revenue", "max(0, 500000.00 - 325999.50)"),
        ("missing_certifications", "max(0, 4 - 2)"),
        ("missing_net_new_logos", "max(0, 3 - 3)"),
    ] {
        assert_eq!(computed(field).as_deref(), Some(expected), "{field}");
    }
    let held = told.items[0].held.as_ref().expect("it is held against the tiers");
    let terms = held.revenue.iter().map(|term| {
        let amount = |name: &str| term.amount[name].as_str().unwrap_or_default().to_owned();
        (term.stream.as_str(), term.revenue_id.as_deref(), term.deal.as_deref(), amount("amount") + " " + &amount("currency"))
    });
    assert_eq!(
        terms.collect::<Vec<_>>(),
        [
            ("account/euro.com", None, Some("d-euro.com"), "900000.00 EUR".to_owned()),
            ("account/acme.com", None, Some("d-acme.com"), "250000.00 USD".to_owned()),
            ("account/umbrella.com", Some("r1"), Some("d-umbrella.com"), "80000.00 USD".to_owned()),
            ("account/umbrella.com", Some("r2"), Some("d-umbrella.com"), "-5000.50 USD".to_owned()),
            ("account/acme.com", Some("r3"), None, "1000.00 USD".to_owned()),
            ("account/acme.com", Some("r4"), None, "1.00 EUR".to_owned()),
        ]
    );
    // Each is the decision that is listed below.
    let command = |position| told.decisions.iter().find(|decision| decision.position == position).map(|decision| decision.stream.clone());
    for (position, stream) in held.revenue.iter().map(|term| (term.position, &term.stream)) {
        assert_eq!(command(position).as_ref(), Some(stream));
    }
    let logos: Vec<_> = held.net_new_logos.iter().map(|logo| (logo.deal.as_str(), logo.at.to_string(), command(logo.position))).collect();
    assert_eq!(logos[1], ("d-acme.com", "2026-02-01T10:00:00Z".to_owned(), Some("account/acme.com".to_owned())));
    let held_by: Vec<_> =
        held.certifications.iter().map(|one| (one.person_id.as_str(), one.certification, one.expires_at.to_string())).collect();
    assert_eq!(held_by, [("ann", "cloud", "2026-05-01T00:00:00Z".to_owned()), ("ben", "cloud", "2027-02-01T00:00:00Z".to_owned())]);
}

#[test]
fn a_partner_is_held_at_the_moment_that_is_asked_about() {
    let figures = |key: &str, at: &str| {
        let told = ask(key, Some("missing_revenue"), at).expect("an explanation");
        let held = told.items[0].held.clone().expect("it is held against the tiers");
        (held.window_from, held.window_to, told.items[0].figures[0].computed.clone())
    };
    let (from, to, computed) = figures("p1", "2026-03-31");
    assert_eq!((from.as_str(), to.as_str()), ("2025-04-01", "2026-03-31"));
    assert_eq!(computed.as_deref(), Some("max(0, 500000.00 - 325999.50)"));
    // A day before, the first win counts still: gold is reached but for the certifications.
    assert_eq!(figures("p1", "2026-03-30").2.as_deref(), Some("max(0, 500000.00 - 1025999.50)"));
    // One that has no tier has the lowest ahead; above the highest there is none.
    assert_eq!(figures("p2", "2026-03-31").2.as_deref(), Some("max(0, 100000.00 - 0.00)"));
    assert_eq!(figures("p3", "2026-03-31").2, None);
    let told = ask("p1", Some("missing_certifications"), "2026-03-31").expect("an explanation");
    let held = told.items[0].held.clone().expect("it is held against the tiers");
    assert_eq!((held.revenue.len(), held.net_new_logos.len(), held.certifications.len()), (0, 0, 2), "only what is told");
    let told = ask("p1", Some("grace_until"), "2026-03-31").expect("an explanation");
    assert_eq!((told.items[0].figures[0].value.clone(), told.items[0].held.is_none()), (Value::Null, true));
}
