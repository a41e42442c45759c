//! What is told of a figure that many decisions made adds up to the figure.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use pledger_ledger::slices::Position;
use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{
    About, ExplainError, Explanation, Figure, MAX_DECISIONS, explain, explain_many, figure_of_rows,
    many::{Bounds, within},
    tests::touched,
    watched::Watched,
};
use crate::{
    engine::{Engine, Moment, Options},
    given::{Given, Ledger, approved, decisions, registered, time, won},
    query::{Query, QueryError, find_view},
};

/// As it is, but with little room.
const SMALL: Bounds = Bounds { decisions: 5, streams: 2, fresh: 3, work: 1_000 };
/// Room for all.
const LARGE: Bounds = Bounds { decisions: 1_000, streams: 1_000, fresh: 3, work: 1_000_000 };

fn asked(ledger: &Ledger, view: &str, key: &str, field: Option<&str>) -> Result<Figure, QueryError> {
    let engine = Engine::in_memory(Arc::new(ledger.clone()), Options::default()).expect("it starts");
    assert!(engine.wait_until_caught_up(Duration::from_secs(20), |_| {}));
    let query = Query { at: Some(time("2027-06-30")), ..Query::default() };
    let view = find_view(view).expect("a view");
    engine.read(|rows| figure_of_rows(view, key, field.map(str::to_owned), query, Moment::default(), rows))
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
    assert_eq!(added(told, |groups| &groups.by_month), figures(told), "by month");
    let groups = told.groups.as_ref().expect("groups");
    for way in [&groups.by_stream, &groups.by_month] {
        assert_eq!(way.iter().map(|group| group.decisions).sum::<usize>(), told.looked_at);
    }
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
    Ledger::with((1..=12).flat_map(deal))
}

#[test]
fn streams_and_months_add_up_to_the_figure() {
    let ledger = history();
    for (view, key, field, expected) in [
        ("ropi", "p1", "revenue", json!({"amount": "79.20", "currency": "USD"})),
        ("pipeline", "partner=p1", "won", json!(12)),
        ("deals", "d3", "amount", json!({"amount": "3.10", "currency": "USD"})),
    ] {
        let figure = asked(&ledger, view, key, Some(field)).expect("a figure");
        let told = within(&ledger, &figure, None, LARGE).expect("an explanation");
        assert_eq!(told.items[0].figures[0].value, expected, "{view} {key}");
        assert!(told.groups.as_ref().is_some_and(|groups| groups.fields.contains(&field)), "{:?}", told.groups);
        holds(&told);
    }
    let figure = asked(&ledger, "ropi", "p1", Some("revenue")).expect("a figure");
    let groups = within(&ledger, &figure, None, SMALL).expect("an explanation").groups.expect("groups");
    let of = |at: usize| (groups.by_stream[at].of.as_deref(), groups.by_stream[at].streams, groups.by_stream[at].adds[0].adds.clone());
    let usd = |amount: &str| json!({"amount": amount, "currency": "USD"});
    // Those that add most are named, the rest is told together.
    assert_eq!(of(0), (Some("account/a11.com"), 1, usd("11.10")));
    assert_eq!(of(1), (Some("account/a12.com"), 1, usd("12.10")));
    assert_eq!((of(2).0, of(2).2), (None, usd("56.00")));
    let months: Vec<_> = groups.by_month.iter().filter(|group| !group.adds.is_empty()).map(|group| group.of.as_deref()).collect();
    assert_eq!(months, [Some("2026-03"), Some("2026-04"), Some("2026-05")], "when it was recorded that they were won");
}

#[test]
fn pages_together_are_the_whole_list() {
    let ledger = history();
    let figure = asked(&ledger, "ropi", "p1", Some("revenue")).expect("a figure");
    let whole = within(&ledger, &figure, None, LARGE).expect("an explanation");
    assert_eq!((whole.next, whole.looked_at), (None, 36));
    let (mut pages, mut after, mut last) = (Vec::new(), None, 0);
    loop {
        let page = within(&ledger, &figure, after, SMALL).expect("a page");
        assert_eq!(page.items, whole.items);
        let listed = page.listed.expect("some are listed");
        assert_eq!(listed.first, last + 1);
        last = listed.last;
        pages.extend(page.decisions);
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!((pages, last), (whole.decisions, 36));
    let nowhere = Position { slice: 0, pseq: 9_999 };
    assert!(matches!(within(&ledger, &figure, Some(nowhere), SMALL), Err(ExplainError::Query(QueryError::InvalidCursor { view: "ropi" }))));
    // Where telling takes more than a page may, pages are shorter, and go on all the same.
    let short = within(&ledger, &figure, None, Bounds { work: 1, ..LARGE }).expect("a page");
    assert_eq!(short.listed.map(|listed| listed.last), Some(2));
    assert!(short.next.is_some());
}

#[test]
fn pages_of_credits_name_the_touches() {
    let ledger = touched();
    for key in ["d1", "partner=p1,model=linear"] {
        let figure = asked(&ledger, "attribution", key, None).expect("a figure");
        let told = explain(&ledger, &figure).expect("an explanation");
        assert!(told.decisions.iter().any(|decision| decision.changes[0].field == "touch"), "{key}");
        let (mut pages, mut after) = (Vec::new(), None);
        for _ in 0..told.looked_at {
            let page = within(&ledger, &figure, after, SMALL).expect("a page");
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
    let figure = Figure {
        view: find_view("deals").expect("a view"),
        query: Query { key: Some("d1".to_owned()), ..Query::default() },
        field: Some("amount".to_owned()),
        moment: Moment::default(),
        about: About::Id("d1".to_owned()),
        known: None,
    };
    assert!(matches!(explain(&ledger, &figure), Err(ExplainError::TooMany)));
    let counting = Watched::new(ledger.clone(), false);
    assert!(matches!(explain(&counting, &figure), Err(ExplainError::TooMany)));
    assert_eq!(counting.streams_read(), 0, "it was known that there are too many");
    let before = Moment { known_at: Some(time("2026-01-31")), as_of: None };
    let first = explain(&counting, &Figure { moment: before, ..figure.clone() }).expect("an explanation");
    assert_eq!(first.looked_at, 1, "not all of them count");
    let told = explain_many(&ledger, &figure, None).expect("an explanation");
    assert_eq!(told.looked_at, MAX_DECISIONS + 2);
    assert_eq!(told.items[0].figures[0].value, json!({"amount": "90.00", "currency": "USD"}));
    holds(&told);
    assert_eq!(told.decisions.len(), 1, "the last one is on the next page");
    let rest = explain_many(&ledger, &figure, told.next).expect("a page");
    assert_eq!(rest.decisions[0].changes[0].after, json!({"amount": "90.00", "currency": "USD"}));
    assert_eq!((rest.decisions.len(), rest.next), (1, None));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever happened: the figures are those that are told decision by decision, and the parts add up to them.
    #[test]
    fn parts_add_up_whatever_happened(given in decisions(), streams in 0..4_usize, fresh in 0..6_usize) {
        // Writers' clocks do not go back.
        let mut given = given;
        given.sort_by_key(|given| given.recorded_at);
        let ledger = Ledger::with(given);
        let sound = Watched::new(ledger.clone(), false);
        for (view, key) in [("pipeline", "all"), ("pipeline", "partner=p1"), ("ropi", "p1"), ("ropi", "year=2026"), ("deals", "d1"), ("attribution", "d1"), ("attribution", "all")] {
            let Ok(figure) = asked(&ledger, view, key, None) else { continue };
            let bounds = Bounds { streams, fresh, ..LARGE };
            match (explain(&ledger, &figure), within(&ledger, &figure, None, bounds), within(&sound, &figure, None, bounds)) {
                (Ok(one_by_one), Ok(told), Ok(by_name)) => {
                    prop_assert_eq!(&told.items, &one_by_one.items);
                    prop_assert_eq!(&told.items, &by_name.items);
                    prop_assert_eq!(&told.groups.as_ref().map(|groups| &groups.by_stream), &by_name.groups.as_ref().map(|groups| &groups.by_stream));
                    prop_assert_eq!(told.looked_at, one_by_one.looked_at);
                    holds(&told);
                    if view == "pipeline" {
                        let fields = &told.groups.as_ref().expect("groups").fields;
                        prop_assert!(fields.contains(&"count") && fields.contains(&"amount"), "{:?}", fields);
                    }
                }
                (Err(one), Err(other), Err(_)) => prop_assert_eq!(one.to_string(), other.to_string()),
                (one, other, _) => prop_assert!(false, "{:?} and {:?}", one, other),
            }
        }
    }
}
