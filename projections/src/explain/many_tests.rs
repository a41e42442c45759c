//! What is told of a figure that many decisions made adds up to the figure.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use pledger_domain::account::AccountEvent;
use pledger_ledger::{
    log::Log,
    record::{Events, Outcome},
};
use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{
    ExplainError, Explanation, Figure, MAX_DECISIONS, ManyMade, explain, figure_of_rows,
    many::{BOUNDS, Bounds},
    tests::touched,
    watched::Watched,
};
use crate::{
    engine::{Engine, Moment, Options},
    given::{Given, Ledger, approved, decisions, registered, time, won},
    given_partners::joined,
    query::{Query, QueryError, find_view},
};

/// As it is, but with little room.
const SMALL: Bounds = Bounds { decisions: 5, streams: 2 };
/// Room for all.
const LARGE: Bounds = Bounds { decisions: 1_000, streams: 1_000 };

/// A figure, and the rows that have it.
struct Asked {
    engine: Engine,
    figure: Figure,
}

fn asked(ledger: &Ledger, view: &str, key: &str, field: Option<&str>) -> Result<Asked, QueryError> {
    let engine = Engine::in_memory(Arc::new(ledger.clone()), Options::default()).expect("it starts");
    assert!(engine.wait_until_caught_up(Duration::from_secs(20), |_| {}));
    let query = Query { at: Some(time("2027-06-30")), ..Query::default() };
    let view = find_view(view).expect("a view");
    let figure = engine.read(|rows| figure_of_rows(view, key, field.map(str::to_owned), query, Moment::default(), rows))?;
    Ok(Asked { engine, figure })
}

impl Asked {
    fn told(&self, log: &dyn Log, after: Option<&str>, bounds: Bounds) -> Result<Explanation, ExplainError> {
        let many = self.engine.read(|rows| ManyMade::within(rows, log.slices(), self.figure.clone(), bounds))?;
        many.told(log, after)
    }
}

/// A number of an answer, with its currency.
fn number(value: &Value) -> Option<(Decimal, String)> {
    match value {
        Value::Number(count) => Some((Decimal::from(count.as_i64()?), String::new())),
        Value::String(text) => Some((text.parse().ok()?, String::new())),
        Value::Object(money) => Some((money["amount"].as_str()?.parse().ok()?, money["currency"].as_str()?.to_owned())),
        Value::Null | Value::Bool(_) | Value::Array(_) => None,
    }
}

type Sums = BTreeMap<(String, String), Decimal>;

/// What is printed of parts, added up by hand; all items together.
fn added(told: &Explanation, groups: impl Fn(&super::Groups) -> &Vec<super::Group>) -> Sums {
    let mut sums = Sums::new();
    for add in groups(told.groups.as_ref().expect("groups")).iter().flat_map(|group| &group.adds) {
        let (number, currency) = number(&add.adds).expect("a number");
        *sums.entry((add.field.to_owned(), currency)).or_default() += number;
    }
    sums.retain(|_, sum| !sum.is_zero());
    sums
}

/// The figures that are said to be added up, as they are printed.
fn figures(told: &Explanation) -> Sums {
    let mut sums = Sums::new();
    let fields = &told.groups.as_ref().expect("groups").fields;
    for figure in told.items.iter().flat_map(|item| &item.figures).filter(|figure| fields.contains(&figure.field)) {
        if let Some((number, currency)) = number(&figure.value) {
            *sums.entry((figure.field.to_owned(), currency)).or_default() += number;
        }
    }
    sums.retain(|_, sum| !sum.is_zero());
    sums
}

fn holds(told: &Explanation) {
    assert_eq!(added(told, |groups| &groups.by_stream), figures(told), "by stream");
    let mut of_months = figures(told);
    let months = added(told, |groups| &groups.by_month);
    of_months.retain(|cell, _| months.keys().any(|(field, _)| *field == cell.0));
    assert_eq!(months, of_months, "by month");
    let groups = told.groups.as_ref().expect("groups");
    assert_eq!(groups.by_stream.iter().map(|group| group.decisions).sum::<Option<usize>>(), told.of);
}

fn history() -> Ledger {
    let deal = |n: u32| {
        let (account, deal, month) = (format!("a{n:02}.com"), format!("d{n}"), n % 3 + 1);
        [
            Given::account(&account, &format!("2026-0{month}-10"), vec![registered(&deal, "p1", "GTX", "100.00")]),
            Given::account(&account, &format!("2026-0{month}-20"), vec![approved(&deal)]),
            Given::account(&account, &format!("2026-0{}-11", month + 2), vec![won(&deal, &format!("{n}.10"), "2026-05-11")]),
        ]
    };
    Ledger::with([joined("p1")].into_iter().chain((1..=12).flat_map(deal)))
}

#[test]
fn streams_and_months_add_up_to_the_figure() {
    let ledger = history();
    for (view, key, field, expected) in [
        ("ropi", "p1", "revenue", json!({"amount": "79.20", "currency": "USD"})),
        ("pipeline", "partner=p1", "won", json!(12)),
        ("partners", "p1", "won_deals", json!(12)),
        ("deals", "d3", "amount", json!({"amount": "3.10", "currency": "USD"})),
    ] {
        let told = asked(&ledger, view, key, Some(field)).expect("a figure").told(&ledger, None, LARGE).expect("an explanation");
        assert_eq!(told.items[0].figures[0].value, expected, "{view} {key}");
        assert!(told.groups.as_ref().is_some_and(|groups| groups.fields.contains(&field)), "{:?}", told.groups);
        holds(&told);
    }
    let asked = asked(&ledger, "ropi", "p1", Some("revenue")).expect("a figure");
    let told = asked.told(&Watched::new(ledger.clone(), false), None, SMALL).expect("an explanation");
    holds(&told);
    assert_eq!(told.of, Some(37));
    let groups = told.groups.expect("groups");
    let of = |at: usize| {
        let group = &groups.by_stream[at];
        (group.of.as_deref(), group.streams, group.decisions, group.adds[0].adds.clone())
    };
    let usd = |amount: &str| json!({"amount": amount, "currency": "USD"});
    // Those that add most are named, the rest is told together: of a partner's and the costs' streams there are no decisions.
    assert_eq!(of(0), (Some("account/a12.com"), 1, Some(3), usd("12.10")));
    assert_eq!(of(1), (Some("account/a11.com"), 1, Some(3), usd("11.10")));
    assert_eq!(of(2), (None, 13, Some(31), usd("56.00")));
    let months: Vec<_> = groups.by_month.iter().map(|group| (group.of.as_deref(), group.adds[0].adds.clone())).collect();
    assert_eq!(months, [(Some("2026-05"), usd("79.20"))], "the month that they were closed in");
}

#[test]
fn pages_together_are_the_whole_list() {
    let ledger = history();
    let by_name = Watched::new(ledger.clone(), false);
    let asked = asked(&ledger, "ropi", "p1", Some("revenue")).expect("a figure");
    let whole = asked.told(&ledger, None, LARGE).expect("an explanation");
    assert_eq!((whole.next.as_ref(), whole.looked_at), (None, 37));
    for log in [&ledger as &dyn Log, &by_name] {
        let (mut pages, mut after, mut looked_at) = (Vec::new(), None, 0);
        loop {
            let page = asked.told(log, after.as_deref(), SMALL).expect("a page");
            assert_eq!(page.items, whole.items);
            looked_at += page.looked_at;
            pages.extend(page.decisions);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!((&pages, looked_at), (&whole.decisions, 37));
    }
    // A stream that is no part of the figure any more is passed over.
    let elsewhere = asked.told(&ledger, Some("account/elsewhere.com@0:1"), LARGE).expect("a page");
    assert!(whole.decisions.ends_with(&elsewhere.decisions) && elsewhere.decisions.len() < whole.decisions.len());
    for after in ["account/a01.com@0:9999", "x@0:1", "account/a01.com@y", "3:17", "@", ""] {
        let told = asked.told(&ledger, Some(after), SMALL);
        assert!(matches!(told, Err(ExplainError::Query(QueryError::InvalidCursor { view: "ropi" }))), "{after}: {told:?}");
    }
}

#[test]
fn pages_of_credits_name_the_touches() {
    let ledger = touched();
    for key in ["d1", "partner=p1,model=linear"] {
        let asked = asked(&ledger, "attribution", key, None).expect("a figure");
        let told = explain(&ledger, &asked.figure).expect("an explanation");
        assert!(told.decisions.iter().any(|decision| decision.changes[0].field == "touch"), "{key}");
        let (mut pages, mut after) = (Vec::new(), None);
        for _ in 0..told.looked_at {
            let page = asked.told(&ledger, after.as_deref(), SMALL).expect("a page");
            pages.extend(page.decisions);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        // What a page begins after is known on it.
        assert_eq!(pages, told.decisions, "{key}");
    }
}

#[test]
fn any_number_of_decisions_is_explained() {
    let first = Given::account("acme.com", "2026-01-01", vec![registered("d1", "p1", "GTX", "100.00")]);
    let many = (0..MAX_DECISIONS).map(|_| Given::account("acme.com", "2026-02-10", vec![approved("d1")]));
    let ledger = Ledger::with([first].into_iter().chain(many));
    ledger.add(Given::account("acme.com", "2026-03-10", vec![won("d1", "90.00", "2026-03-10")]));
    let asked = asked(&ledger, "deals", "d1", Some("amount")).expect("a figure");
    assert!(matches!(explain(&ledger, &asked.figure), Err(ExplainError::TooMany)));
    let counting = Watched::new(ledger.clone(), false);
    assert!(matches!(explain(&counting, &asked.figure), Err(ExplainError::TooMany)));
    assert_eq!(counting.streams_read(), 0, "it was known that there are too many");
    let before = Moment { known_at: Some(time("2026-01-31")), as_of: None };
    let first = explain(&counting, &Figure { moment: before, known: None, ..asked.figure.clone() }).expect("an explanation");
    assert_eq!(first.looked_at, 1, "not all of them count");
    let told = asked.told(&counting, None, BOUNDS).expect("an explanation");
    assert_eq!((told.looked_at, told.of), (BOUNDS.decisions, Some(MAX_DECISIONS + 2)));
    assert_eq!(told.items[0].figures[0].value, json!({"amount": "90.00", "currency": "USD"}));
    holds(&told);
    assert_eq!(told.decisions.len(), 1, "the last one is on the last page");
    let (mut after, mut pages) = (told.next, Vec::new());
    while let Some(next) = after {
        let page = asked.told(&counting, Some(&next), BOUNDS).expect("a page");
        pages.extend(page.decisions);
        after = page.next;
    }
    let amounts: Vec<_> = pages.iter().map(|decision| &decision.changes[0].after).collect();
    assert_eq!(amounts, [&json!({"amount": "90.00", "currency": "USD"})]);
}

/// The figures, without what they are held against.
fn told_figures(told: &Explanation) -> Vec<super::ExplainedItem> {
    told.items.iter().map(|item| super::ExplainedItem { held: None, ..item.clone() }).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever happened: the figures are those that are told decision by decision, and the parts add up to them.
    #[test]
    fn parts_add_up_whatever_happened(given in decisions(), streams in 0..4_usize) {
        // Writers' clocks do not go back.
        let mut given = given;
        given.sort_by_key(|given| given.recorded_at);
        // Nor is a deal decided that is won: rows say nothing of a win that came to nothing.
        let mut won = BTreeSet::new();
        given.retain(|given| match event_of(given) {
            AccountEvent::DealWon { deal_id, .. } => won.insert((given.stream.clone(), deal_id.clone())),
            AccountEvent::DealRegistered(registered) => !won.contains(&(given.stream.clone(), registered.deal_id.clone())),
            AccountEvent::DealApproved { deal_id, .. }
            | AccountEvent::DealLost { deal_id, .. }
            | AccountEvent::DealExpired { deal_id, .. }
            | AccountEvent::DealReassigned { deal_id, .. }
            | AccountEvent::DealCanceled { deal_id } => !won.contains(&(given.stream.clone(), deal_id.clone())),
            // Revenue of a deal is a partner's, which these do not say.
            AccountEvent::RevenueRecorded { .. } => false,
            _ => true,
        });
        let ledger = Ledger::with(["p0", "p1", "p2"].map(joined).into_iter().chain(given));
        let sound = Watched::new(ledger.clone(), false);
        for (view, key, adds_up) in ALL {
            let Ok(asked) = asked(&ledger, view, key, None) else { continue };
            let bounds = Bounds { streams, ..LARGE };
            match (explain(&ledger, &asked.figure), asked.told(&ledger, None, bounds), asked.told(&sound, None, bounds)) {
                (Ok(one_by_one), Ok(told), Ok(by_name)) => {
                    prop_assert_eq!(told_figures(&told), told_figures(&one_by_one));
                    prop_assert_eq!(&told.items, &by_name.items);
                    prop_assert_eq!(&told.decisions, &by_name.decisions);
                    // Where a page ends says nothing of what is told on it.
                    let (mut pages, mut after) = (Vec::new(), None);
                    loop {
                        let page = asked.told(&sound, after.as_deref(), SMALL).expect("a page");
                        pages.extend(page.decisions);
                        after = page.next;
                        if after.is_none() {
                            break;
                        }
                    }
                    prop_assert_eq!(&pages, &told.decisions);
                    // What has no figures is searched for.
                    prop_assert!(told.looked_at == one_by_one.looked_at || told.items.is_empty(), "{} {}", view, key);
                    holds(&told);
                    holds(&by_name);
                    let fields = &told.groups.as_ref().expect("groups").fields;
                    prop_assert!(told.items.is_empty() || adds_up.iter().all(|field| fields.contains(field)), "{view} {key} {:?}", fields);
                }
                (Err(one), Err(other), Err(_)) => prop_assert_eq!(one.to_string(), other.to_string()),
                (one, other, _) => prop_assert!(false, "{:?} and {:?}", one, other),
            }
        }
    }
}

fn event_of(given: &Given) -> &AccountEvent {
    match &given.outcome {
        Outcome::Accepted(Events::Account(events)) => &events[0],
        other => panic!("{other:?}"),
    }
}

/// Figures of all views, and fields of them that add up whatever happened.
const ALL: [(&str, &str, &[&str]); 11] = [
    ("pipeline", "all", &["count", "amount"]),
    ("pipeline", "partner=p1", &["count", "amount"]),
    ("partners", "p1", &["deals", "open_deals", "won_deals"]),
    ("tiers", "p1", &["net_new_logos"]),
    ("ropi", "p1", &["revenue", "new_customers"]),
    ("ropi", "year=2026", &["revenue", "new_customers"]),
    ("deals", "d1", &["amount"]),
    ("attribution", "d1", &[]),
    ("attribution", "all", &["credits", "credited", "sourced", "influenced"]),
    ("mdf", "all", &[]),
    ("conflicts", "a0.com", &[]),
];
