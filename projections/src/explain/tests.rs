//! What is told of a figure is what makes it.

use std::{collections::BTreeMap, sync::Arc};

use pledger_domain::{
    account::AccountEvent,
    rules::Rules,
    values::{Label, PartnerId, TouchpointId},
};
use pledger_ledger::log::Log;
use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::{Value, json};

use super::{
    About, ExplainError, Explanation, Figure, Known, MAX_DECISIONS,
    by_hand::{by_hand, tier_of, value_of},
    explain, figure, figure_of_rows, find_metric,
    held_tests::tiered,
    watched::Watched,
};
use crate::{
    engine::{Engine, Moment, Options, Supposed, published},
    given::{Given, Ledger, approved, deal_id, described, registered, time, won},
    query::{Query, QueryError, VIEWS, find_view},
};

fn ledger() -> Ledger {
    let other = |n: u32| Given::account(&format!("o{n}.com"), "2026-01-05", vec![registered(&format!("x{n}"), "p2", "GTX", "7.00")]);
    let acme = vec![
        Given::account("acme.com", "2026-01-10", vec![registered("d1", "p1", "GTX", "100.00")]),
        Given::account("acme.com", "2026-01-12", vec![approved("d1")]),
        Given::account("acme.com", "2026-03-11", vec![won("d1", "120.00", "2026-03-11")]),
        Given::account("umbrella.com", "2026-02-01", vec![registered("d2", "p1", "GTX", "50.00")]),
    ];
    Ledger::with((0..9).map(other).chain(acme))
}

fn ask(ledger: &Ledger, view: &str, key: &str, field: Option<&str>) -> Result<Explanation, ExplainError> {
    let engine = Engine::in_memory(Arc::new(ledger.clone()), Options::default()).expect("it starts");
    assert!(engine.wait_until_caught_up(std::time::Duration::from_secs(20), |_| {}));
    let view = find_view(view).expect("a view");
    let asked = figure(view, key, field.map(str::to_owned), Query::default(), Moment::default(), |query| engine.query(view.name, query))?;
    explain(ledger, &asked)
}

#[test]
fn a_deal_is_made_by_its_decisions_and_no_others() {
    let told = ask(&ledger(), "deals", "d1", Some("amount")).expect("an explanation");
    assert_eq!(told.items[0].figures[0].value, json!({"amount": "120.00", "currency": "USD"}));
    let changes: Vec<_> =
        told.decisions.iter().map(|decision| (decision.stream.as_str(), decision.changes[0].after["amount"].clone())).collect();
    assert_eq!(changes, [("account/acme.com", json!("100.00")), ("account/acme.com", json!("120.00"))]);
    assert_eq!(told.looked_at, 3, "other accounts say nothing of it");
}

#[test]
fn a_group_is_made_by_the_deals_in_it() {
    let told = ask(&ledger(), "pipeline", "partner=p1", Some("conversion")).expect("an explanation");
    assert_eq!(told.items.len(), 1);
    let figure = &told.items[0].figures[0];
    assert_eq!((figure.value.clone(), figure.computed.as_deref()), (json!("1"), Some("1 / 1")));
    let of = |field: &str| told.decisions.iter().flat_map(|decision| &decision.changes).filter(|change| change.field == field).count();
    assert_eq!((of("won"), of("approved")), (1, 1));
    assert_eq!(ask(&ledger(), "pipeline", "all", Some("count")).expect("an explanation").items[0].figures[0].value, json!(11));
}

#[test]
fn a_group_of_returns_and_of_credits_is_made_by_its_members() {
    for (view, key, field) in [("ropi", "all", "revenue"), ("ropi", "year=2026", "revenue"), ("ropi", "year=2026,partner=p1", "revenue")] {
        let told = ask(&ledger(), view, key, Some(field)).expect("an explanation");
        assert_eq!(told.items.len(), 1, "{view} {key}");
        assert_eq!(told.items[0].figures[0].value, json!({"amount": "120.00", "currency": "USD"}), "{view} {key}");
        let made: Vec<_> = told.decisions.iter().map(|decision| (&*decision.stream, decision.changes[0].after["amount"].clone())).collect();
        assert_eq!(made, [("account/acme.com", json!("120.00"))], "{view} {key}");
    }
    for key in ["partner=p1,model=linear", "model=first"] {
        let told = ask(&ledger(), "attribution", key, Some("credited")).expect("an explanation");
        let made: Vec<_> = told.decisions.iter().map(|decision| (decision.changes[0].field, decision.changes[0].item.clone())).collect();
        // Where nobody touched it, the registration is what it is credited to.
        assert_eq!(made, [("registered", BTreeMap::from([("deal", json!("d1"))])), ("credited", BTreeMap::new())], "{key}");
        assert_eq!(told.decisions[1].changes[0].after, json!({"amount": "120.00", "currency": "USD"}), "{key}");
    }
    assert_eq!(ask(&ledger(), "attribution", "all", Some("credited")).expect("an explanation").items.len(), 6, "an item a model");
    assert!(matches!(ask(&ledger(), "ropi", "colour=red", None), Err(ExplainError::Query(_))));
    assert!(matches!(ask(&ledger(), "ropi", "year=1999", None), Err(ExplainError::Unknown)));
}

#[test]
fn accounts_that_may_be_one_are_so_by_what_was_registered_of_them() {
    let ledger = ledger();
    ledger.add(described("umbrella.de", "Umbrella Corp", None, None));
    ledger.add(described("umbrela.fr", "Umbrela", None, None));
    // The second says nothing new, the third where it is.
    ledger.add(described("umbrela.fr", "Umbrela SA", None, None));
    ledger.add(described("umbrela.fr", "Umbrela", Some("FR"), None));
    let told = ask(&ledger, "conflicts", "umbrela.fr,duplicate:umbrella.de", Some("score")).expect("an explanation");
    assert_eq!(told.items[0].figures[0].value, json!("0.975"));
    let changes: Vec<_> = told.decisions.iter().map(|decision| (decision.stream.as_str(), decision.changes.clone())).collect();
    let told_of = |at: usize, change: usize| (changes[at].0, changes[at].1[change].field, changes[at].1[change].after.clone());
    assert_eq!(
        [told_of(0, 0), told_of(1, 0), told_of(1, 1), told_of(2, 0)],
        [
            ("account/umbrella.de", "described_as", json!({"name": "Umbrella Corp", "compared_as": "umbrella"})),
            ("account/umbrela.fr", "described_as", json!({"name": "Umbrela", "compared_as": "umbrela"})),
            ("account/umbrela.fr", "score", json!("0.975")),
            ("account/umbrela.fr", "described_as", json!({"name": "Umbrela", "compared_as": "umbrela", "country": "FR"})),
        ]
    );
    assert_eq!((changes.len(), told.looked_at), (3, 4), "other accounts say nothing of it");
    assert_eq!(told.clauses[0].clause, "deal_registration.duplicate_similarity");
    for account in ["umbrela.fr", "umbrella.de"] {
        let by_account = ask(&ledger, "conflicts", account, Some("score")).expect("the only conflict that it has");
        assert_eq!(by_account.items[0].figures, told.items[0].figures, "{account}");
        assert_eq!(by_account.decisions.len(), told.decisions.len(), "{account}");
    }
    let error = ask(&ledger, "conflicts", "umbrela.fr,duplicate:umbrella.com", None);
    assert!(matches!(error, Err(ExplainError::Query(QueryError::NotFound { .. }))), "{error:?}");
}

#[test]
fn what_is_no_figure_is_named() {
    let error = ask(&ledger(), "deals", "d1", Some("amuont")).expect_err("no such figure").to_string();
    assert_eq!(error, "deals has no figure \"amuont\"; did you mean amount?");
    assert!(matches!(ask(&ledger(), "deals", "d9", None), Err(ExplainError::Query(_))));
    assert!(matches!(ask(&ledger(), "pipeline", "EMEA", None), Err(ExplainError::Query(_))));
    assert_eq!(find_metric("ropi_margin").map(|(view, field)| (view.name, field)), Ok(("ropi", Some("ropi_margin"))));
    assert_eq!(find_metric("tiers").map(|(view, field)| (view.name, field)), Ok(("tiers", None)));
    assert!(find_metric("revenue").is_err(), "several views have it");
}

#[test]
fn more_than_can_be_told_is_said() {
    let many = (0..=MAX_DECISIONS).map(|_| Given::account("acme.com", "2026-01-10", vec![approved("d1")]));
    let ledger = Ledger::with(many);
    let asked = Figure {
        view: find_view("deals").expect("a view"),
        query: Query { key: Some("d1".to_owned()), ..Query::default() },
        field: None,
        moment: Moment::default(),
        about: About::Id("d1".to_owned()),
        known: None,
        rules_version: None,
    };
    assert!(ledger.end(0).is_ok());
    assert!(matches!(explain(&ledger, &asked), Err(ExplainError::TooMany)));
}

/// Every formula, computed anew from what is printed of its operands, is the figure.
#[test]
fn what_is_printed_can_be_computed_by_hand() {
    let (ledger, tiered) = (ledger(), tiered());
    let mut computed = 0;
    for (ledger, view, key) in [
        (&ledger, "pipeline", "partner=p1"),
        (&ledger, "pipeline", "all"),
        (&ledger, "ropi", "p1"),
        (&ledger, "ropi", "year=2026"),
        (&ledger, "attribution", "d1"),
        (&ledger, "deals", "d1"),
        (&tiered, "tiers", "p1"),
        (&tiered, "tiers", "p2"),
        (&tiered, "tiers", "p3"),
    ] {
        let told = ask(ledger, view, key, None).expect("an explanation");
        for (item, figure) in told.items.iter().flat_map(|item| item.figures.iter().map(move |figure| (item, figure))) {
            // Weights are computed below.
            let Some(text) = figure.computed.as_ref().filter(|_| figure.field != "weight") else { continue };
            let tiers = item.held.as_ref().map(|held| held.tiers.as_slice()).unwrap_or_default();
            let expected = match &figure.value {
                tier if tier_of(text, tiers).is_some() => {
                    assert_eq!(tier_of(text, tiers).as_deref(), Some(tier.as_str().unwrap_or_default()), "{text}");
                    continue;
                }
                Value::String(text) => text.parse().expect("a decimal"),
                Value::Number(count) => count.to_string().parse().expect("a count"),
                Value::Object(money) => money["amount"].as_str().expect("an amount").parse::<Decimal>().expect("a decimal"),
                // Nothing can be said: something is divided by nothing.
                Value::Null => {
                    assert_eq!(value_of(text), None, "{text}");
                    continue;
                }
                other => panic!("{other}"),
            };
            let value = value_of(text).expect("it can be computed");
            let is_fine = figure.value.is_string() && !figure.field.ends_with("_hours") && !figure.field.ends_with("_days");
            let places = if is_fine { 6 } else { 2 };
            assert_eq!(value.round_dp_with_strategy(places, RoundingStrategy::MidpointNearestEven), expected, "{}: {text}", figure.field);
            computed += 1;
        }
    }
    assert!(computed >= 25, "{computed}");
    // What the view does not show is told of an item all the same.
    let rows = Engine::in_memory(Arc::new(ledger.clone()), Options::default()).expect("it starts");
    assert!(rows.wait_until_caught_up(std::time::Duration::from_secs(20), |_| {}));
    let detailed = rows.query("pipeline", &Query { details: true, ..Query::default() }).expect("an answer").items.remove(0);
    let is_told = |operand: &str| detailed.0.iter().any(|(name, _)| *name == operand);
    let told = ask(&tiered, "tiers", "p1", None).expect("an explanation");
    let computed = |figure: &super::ExplainedFigure| figure.computed.as_ref().and(figure.formula);
    let of_tiers: Vec<&str> = told.items[0].figures.iter().filter_map(computed).collect();
    let formulas = VIEWS.iter().flat_map(|view| view.fields.iter().map(move |field| (view, field)));
    for (view, field) in formulas.filter_map(|(view, field)| Some((view, field.formula?))) {
        for operand in super::operands(field) {
            let is_detail = match view.name {
                "pipeline" => is_told(operand),
                "attribution" => operand.ends_with("_shares"),
                "ropi" => operand.ends_with("_cac"),
                "tiers" => of_tiers.contains(&field),
                _ => false,
            };
            let is_known = view.fields.iter().any(|field| field.name == operand) || is_detail;
            assert!(is_known, "{}: {field} names {operand}", view.name);
        }
    }
}

/// Five touches of two partners and a channel, the last one recorded after the win; what is too old or too young does not count.
pub(super) fn touched() -> Ledger {
    let touch = |id: &str, who: &str, at: &str, recorded: &str| Given::account("acme.com", recorded, vec![touched_by(id, who, at)]);
    Ledger::with([
        touch("t0", "p3", "2024-01-01", "2026-01-01"),
        touch("t1", "#webinar", "2026-01-01", "2026-01-01"),
        touch("t2", "p1", "2026-01-05T06:00:00Z", "2026-01-06"),
        Given::account("acme.com", "2026-01-10", vec![registered("d1", "p1", "GTX", "100.00")]),
        touch("t3", "p2", "2026-02-01", "2026-02-01"),
        touch("t4", "p2", "2026-02-08", "2026-02-08"),
        Given::account("acme.com", "2026-03-12", vec![won("d1", "100.00", "2026-03-12")]),
        touch("t6", "p2", "2026-03-13", "2026-03-13"),
        touch("t5", "p1", "2026-03-01", "2026-03-14"),
    ])
}

#[test]
fn what_is_folded_under_one_version_of_the_rules_is_explained_under_it() {
    let ledger = touched();
    ledger.add(Given::rules_saying(2, "2026-03-15", &Rules::DEFAULT.replacen("half_life_days = 7", "half_life_days = 30", 1)));
    let rules = Arc::clone(published(&ledger).expect("read").version(2).expect("published"));
    let supposed = Supposed { rules, from: None, paid: Vec::new() };
    let engine = Engine::supposing(Arc::new(ledger.clone()), Options::default(), supposed).expect("it starts");
    assert!(engine.wait_until_caught_up(std::time::Duration::from_secs(20), |_| {}));
    let asked = Query { filters: vec![("model".to_owned(), "time_decay".to_owned())], ..Query::default() };
    let view = find_view("attribution").expect("a view");
    let asked = engine.read(|rows| figure_of_rows(view, "d1", None, asked, Moment::default(), rows)).expect("a figure");
    let known = asked.known.clone().expect("what rows know").items;
    let told = explain(&ledger, &asked).expect("an explanation");
    let searched = explain(&ledger, &Figure { known: None, ..asked }).expect("an explanation");
    for (told, known) in [&told, &searched].into_iter().flat_map(|told| told.items.iter().zip(&known)) {
        let weight = told.figures.iter().find(|figure| figure.field == "weight").expect("a weight");
        let field = known.0.iter().find(|(name, _)| *name == "weight").map(|(_, value)| value);
        assert_eq!(Some(&weight.value), field);
        assert!(weight.computed.as_deref().is_some_and(|text| text.contains("0.5^(70 / 30)")), "{weight:?}");
    }
    assert!(told.items.len() == 3 && told.clauses.iter().any(|clause| clause.rules == 2 && clause.in_force), "{told:?}");
}

#[test]
fn weights_can_be_computed_by_hand() {
    for (ledger, computed_by) in [(ledger(), 6), (touched(), 14)] {
        let told = ask(&ledger, "attribution", "d1", None).expect("an explanation");
        let mut computed = 0;
        for item in &told.items {
            let of = |name: &str| item.figures.iter().find(|figure| figure.field == name).expect("a figure");
            let (weight, credited, amount) = (of("weight"), of("credited"), of("amount"));
            let text = weight.computed.as_deref().expect("it is computed");
            let expected: f64 = weight.value.as_str().expect("a decimal").parse().expect("a number");
            assert!((by_hand(text) - expected).abs() < 1e-9, "{:?}: {text} is not {expected}", item.item);
            // The rest of a minor unit goes to whom rounding takes most from.
            let text = credited.computed.as_deref().expect("it is computed");
            let parts = format!("{} * {}", weight.value.as_str().expect("text"), amount.value["amount"].as_str().expect("text"));
            assert_eq!(text, format!("apportioned({parts})"));
            let expected: f64 = credited.value["amount"].as_str().expect("text").parse().expect("a number");
            assert!((by_hand(&parts) - expected).abs() < 0.01, "{:?}: {text} is not {expected}", item.item);
            computed += 1;
        }
        assert_eq!(computed, computed_by);
    }
    let told = ask(&touched(), "attribution", "d1", None).expect("an explanation");
    let weight = |model: &str, party: (&str, &str)| {
        let item = told.items.iter().find(|item| item.item["model"] == model && item.item.get(party.0) == Some(&json!(party.1)));
        item.and_then(|item| item.figures.iter().find(|figure| figure.field == "weight")?.computed.clone())
    };
    for (model, partner, expected) in [
        ("last", "p1", "(1) / (1)"),
        ("linear", "p2", "(2) / (5)"),
        ("u_shaped", "p1", "(0.2 / 3 + 0.4) / (0.4 + 3 * 0.2 / 3 + 0.4)"),
        ("w_shaped", "p2", "(2 * 0.1 / 2) / (2 * 0.3 + 2 * 0.1 / 2 + 0.3)"),
        (
            "time_decay",
            "p1",
            "(0.5^(65.75 / 7) + 0.5^(11 / 7)) / (0.5^(70 / 7) + 0.5^(65.75 / 7) + 0.5^(39 / 7) + 0.5^(32 / 7) + 0.5^(11 / 7))",
        ),
    ] {
        assert_eq!(weight(model, ("partner", partner)).as_deref(), Some(expected), "{model} {partner}");
    }
    // What only sums have is no figure of it, unless that is asked for.
    let names = |told: Explanation| told.items[0].figures.iter().map(|figure| figure.field).collect::<Vec<_>>();
    let (of_one, of_sums) = (names(told), names(ask(&touched(), "attribution", "partner=p1", None).expect("an explanation")));
    assert_eq!(
        of_one,
        ["deal", "channel", "model", "quarter", "currency", "weight", "credited", "account", "standing", "amount", "closed_at"]
    );
    assert!(of_sums.contains(&"touched") && !of_sums.contains(&"weight"), "{of_sums:?}");
    assert_eq!(names(ask(&touched(), "attribution", "d1", Some("credits")).expect("an explanation")), ["credits"]);
    // A sum of credits has no such arithmetic.
    let told = ask(&touched(), "attribution", "partner=p1,model=last", Some("credited")).expect("an explanation");
    let figure = &told.items[0].figures[0];
    assert_eq!((figure.formula, &figure.value["amount"]), (None, &json!("100.00")), "recorded after the win as it was");
}

#[test]
fn a_credit_is_made_by_every_touch_that_counts() {
    let told = ask(&touched(), "attribution", "d1", None).expect("an explanation");
    let first: Vec<_> = told.decisions.iter().map(|decision| (decision.changes[0].field, decision.changes[0].after.clone())).collect();
    let touch = |place: u8, (who, name): (&str, &str), at: &str, age: &str| {
        ("touch", json!({"place": place, "of": 5, "kind": "demo", who: name, "at": format!("2026-{at}Z"), "age_days": age}))
    };
    assert_eq!(first[0], touch(1, ("channel", "webinar"), "01-01T00:00:00", "70"));
    assert_eq!(first[1], touch(2, ("partner", "p1"), "01-05T06:00:00", "65.75"));
    assert_eq!(first[2], ("registered", json!({"partner": "p1", "at": "2026-01-10T00:00:00Z"})));
    assert_eq!(first[3], touch(3, ("partner", "p2"), "02-01T00:00:00", "39"));
    assert_eq!(first[4], touch(4, ("partner", "p2"), "02-08T00:00:00", "32"));
    assert_eq!(first[5].0, "weight", "it is won: {first:?}");
    assert_eq!(first[6], touch(5, ("partner", "p1"), "03-01T00:00:00", "11"));
    assert_eq!((first.len(), told.looked_at), (7, 9), "neither the one too early nor the one after the close");
    let named = |change: &super::Change| ["deal", "partner", "channel", "model"].contains(&change.field);
    assert!(!told.decisions.iter().flat_map(|decision| &decision.changes).any(named), "items are told by their names");
    let told = ask(&ledger(), "attribution", "d1", Some("amount")).expect("an explanation");
    assert_eq!(told.decisions.len(), 1, "who touched it says nothing of the amount");
    let told = ask(&ledger(), "attribution", "d1", Some("weight")).expect("an explanation");
    let made: Vec<_> = told.decisions.iter().map(|decision| decision.changes[0].field).collect();
    assert_eq!(made, ["registered", "weight"], "without any touch it is the registering partner's");
}

#[test]
fn sums_of_credits_are_made_by_the_touches_of_their_deals() {
    let one = ask(&touched(), "attribution", "d1", None).expect("an explanation");
    let brought = |told: &Explanation| -> Vec<_> {
        let changes = told.decisions.iter().flat_map(|decision| decision.changes.iter().map(|change| (decision.position, change.clone())));
        changes.filter(|(_, change)| ["touch", "registered"].contains(&change.field)).collect()
    };
    let expected: Vec<_> = brought(&one)
        .into_iter()
        .map(|(position, change)| (position, super::Change { item: BTreeMap::from([("deal", json!("d1"))]), ..change }))
        .collect();
    assert_eq!(expected.len(), 6);
    for (key, field) in
        [("partner=p1,model=linear", None), ("all", None), ("quarter=2026-Q1", Some("sourced")), ("deal=d1", Some("credited"))]
    {
        let told = ask(&touched(), "attribution", key, field).expect("an explanation");
        assert_eq!(brought(&told), expected, "{key}");
    }
    // Whose deals are not in the group says nothing of it.
    let ledger = touched();
    ledger.add(Given::account("b.com", "2026-01-01", vec![touched_by("t9", "p4", "2026-01-01")]));
    ledger.add(Given::account("b.com", "2026-01-10", vec![registered("d9", "p4", "GTX", "100.00"), won("d9", "100.00", "2026-03-12")]));
    let told = ask(&ledger, "attribution", "partner=p1,model=linear", None).expect("an explanation");
    assert_eq!(brought(&told), expected);
}

/// A touchpoint of a partner, or where it begins with `#` of a channel.
fn touched_by(id: &str, who: &str, at: &str) -> AccountEvent {
    let channel = who.strip_prefix('#');
    AccountEvent::TouchpointRecorded {
        touchpoint_id: TouchpointId::parse(id).expect(id),
        partner_id: channel.is_none().then(|| PartnerId::parse(who).expect(who)),
        kind: Label::parse("demo").expect("a label"),
        channel: channel.map(|name| Label::parse(name).expect(name)),
        deal_id: None,
        campaign_id: None,
        occurred_at: time(at),
    }
}

#[test]
fn what_rows_know_is_told_without_a_search_and_tells_the_same() {
    let ledger = ledger();
    ledger.add(Given::account("acme.com", "2026-04-01", vec![moved("d1", "p1", "p2")]));
    let engine = Engine::in_memory(Arc::new(ledger.clone()), Options::default()).expect("it starts");
    assert!(engine.wait_until_caught_up(std::time::Duration::from_secs(20), |_| {}));
    for (view, key, field) in [
        ("deals", "d1", "amount"),
        ("ropi", "p2", "revenue"),
        ("ropi", "all", "revenue"),
        ("attribution", "d1", "credited"),
        ("attribution", "partner=p1,model=last", "credited"),
    ] {
        let view = find_view(view).expect("a view");
        let ask = |rows: &crate::query::Rows<'_>| {
            figure_of_rows(view, key, Some(field.to_owned()), Query::default(), Moment::default(), rows).expect("a figure")
        };
        let known = engine.read(ask);
        let searched = Watched::new(ledger.clone(), true);
        let quick = explain(&searched, &known).expect("an explanation");
        assert_eq!(searched.searches(), 0, "{} {key}", view.name);
        let slow = explain(&searched, &Figure { known: None, ..known.clone() }).expect("an explanation");
        assert_eq!((&quick.items, &quick.decisions), (&slow.items, &slow.decisions), "{} {key}", view.name);
        // Where rows know too little, the figure comes out otherwise, and the ledger is searched after all.
        let too_few = Known { streams: std::collections::BTreeSet::new(), ..known.known.clone().expect("rows were asked") };
        assert_eq!(explain(&searched, &Figure { known: Some(too_few), ..known }).expect("an explanation"), slow);
    }
}

fn moved(deal: &str, from: &str, to: &str) -> AccountEvent {
    let partner = |id| PartnerId::parse(id).expect("an id");
    AccountEvent::DealReassigned { deal_id: deal_id(deal), from: partner(from), to: partner(to) }
}
