//! What the engine makes does not depend on how it works.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use pledger_ledger::record::Record;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Beginning, Engine, Moment, Options, WaitError};
use crate::{
    digest::TableDigest,
    given::{Given, Ledger, approved, decisions, registered, time, won},
    query::{Page, Query, VIEWS},
    table::Places,
};

pub(super) const LONG: Duration = Duration::from_secs(20);

pub(super) fn options(workers: usize) -> Options {
    Options { workers, rules_wait: Duration::ZERO, ..Options::default() }
}

pub(super) fn folded(ledger: &Ledger, options: Options) -> Engine {
    let engine = Engine::in_memory(Arc::new(ledger.clone()), options).expect("it starts");
    assert!(engine.wait_until_caught_up(LONG, |_| {}));
    engine
}

fn digests(ledger: &Ledger, workers: usize) -> Vec<TableDigest> {
    folded(ledger, options(workers)).digests(Places::Covered)
}

fn figures(page: &Page, fields: &[&str]) -> Vec<Vec<Value>> {
    let field = |item: &crate::query::Item, name: &str| item.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
    page.items.iter().map(|item| fields.iter().map(|name| field(item, name).expect("a field")).collect()).collect()
}

fn by(by: &[&str], filters: &[(&str, &str)]) -> Query {
    let own = |text: &&str| (*text).to_owned();
    Query {
        by: by.iter().map(own).collect(),
        filters: filters.iter().map(|(name, value)| (own(name), own(value))).collect(),
        ..Query::default()
    }
}

fn history() -> Vec<Given> {
    vec![
        Given::account("acme.com", "2026-01-10", vec![registered("d1", "p1", "GTX", "100.00")]),
        Given::account("acme.com", "2026-01-12", vec![approved("d1")]),
        Given::account("umbrella.com", "2026-02-01", vec![registered("d2", "p2", "GTX", "50.00")]),
        Given::account("acme.com", "2026-03-11", vec![won("d1", "120.00", "2026-03-11")]),
    ]
}

#[test]
fn a_history_becomes_figures() {
    let ledger = Ledger::with(history());
    let engine = folded(&ledger, options(2));
    let page = engine.query("pipeline", &by(&["status", "month"], &[])).expect("figures");
    assert_eq!(
        figures(&page, &["status", "month", "count", "amount", "weighted_amount", "conversion", "cycle_time_median_days"]),
        [
            vec![
                json!("open"),
                json!("2026-02"),
                json!(1),
                json!({"amount":"50.00","currency":"USD"}),
                json!({"amount":"5.00","currency":"USD"}),
                Value::Null,
                Value::Null
            ],
            vec![
                json!("won"),
                json!("2026-03"),
                json!(1),
                json!({"amount":"120.00","currency":"USD"}),
                json!({"amount":"120.00","currency":"USD"}),
                json!("1"),
                json!("60")
            ],
        ]
    );
    let deals = engine.query("deals", &by(&[], &[("partner", "p1")])).expect("deals");
    assert_eq!(figures(&deals, &["deal_id", "status", "decided_at"]), [[json!("d1"), json!("won"), json!("2026-01-12T00:00:00Z")]]);
    assert_eq!(figures(&engine.query("deals", &by(&[], &[("status", "lost")])).expect("deals"), &["deal_id"]), Vec::<Vec<Value>>::new());
}

#[test]
fn a_won_deal_was_approved_whatever_day_its_approval_is_dated() {
    // d1 was closed before the day that its approval is dated; d2 is approved and open, d3 rejected.
    let given = [("d1", "a.com"), ("d2", "b.com"), ("d3", "c.com")]
        .map(|(deal, account)| Given::account(account, "2026-01-10", vec![registered(deal, "p1", "GTX", "100.00")]));
    let ledger = Ledger::with(given.into_iter().chain([
        Given::account("b.com", "2026-01-12", vec![approved("d2")]),
        Given::account("a.com", "2026-04-01", vec![approved("d1")]),
        Given::account("a.com", "2026-03-01", vec![won("d1", "100.00", "2026-03-01")]),
    ]));
    for (as_of, expected) in [
        ("2026-02-01", [json!(1), json!(1), json!(0), json!("1"), json!("0")]),
        ("2026-03-15", [json!(2), json!(2), json!(1), json!("1"), json!("0.5")]),
        ("2026-04-02", [json!(2), json!(2), json!(1), json!("1"), json!("0.5")]),
    ] {
        let moment = Moment { as_of: Some(time(as_of)), known_at: None };
        let page = folded(&ledger, Options { moment, ..options(1) }).query("pipeline", &by(&[], &[])).expect("figures");
        assert_eq!(figures(&page, &["approved", "decided", "won", "approval_rate", "conversion"]), [expected], "{as_of}");
    }
}

#[test]
fn a_moment_before_history_says_where_it_begins() {
    let [long_before, before, within] = ["2010-12-31", "2019-12-31", "2026-01-11"].map(|day| Some(time(day)));
    // Recorded after d1, and true years before it.
    let added_later = Given::account("acme.com", "2019-05-01", vec![registered("d9", "p1", "GTX", "70.00")]);
    let added_later = Given { recorded_at: time("2026-04-01"), ..added_later };
    let ledger = Ledger::with(history().into_iter().chain([added_later]));
    let begins = |as_of, known_at| folded(&ledger, Options { moment: Moment { as_of, known_at }, ..options(2) }).begins_later();
    assert_eq!(begins(long_before, None), Some(Beginning::EffectiveAt(time("2019-05-01"))));
    assert_eq!(begins(None, before), Some(Beginning::RecordedAt(time("2020-01-01"))));
    assert_eq!(begins(long_before, before), Some(Beginning::RecordedAt(time("2020-01-01"))), "nothing was known, whatever was true");
    assert_eq!(begins(long_before, within), Some(Beginning::EffectiveAt(time("2020-01-01"))), "the one of 2019 was not known");
    assert_eq!(begins(within, None), None);
    assert_eq!(begins(None, within), None);
    let nothing = folded(&Ledger::with([]), Options { moment: Moment { as_of: within, known_at: None }, ..options(1) });
    assert_eq!(nothing.begins_later(), None, "an empty ledger is not asked about its past");
}

#[test]
fn deals_are_paged_in_the_order_of_their_ids() {
    let deals = (0..25)
        .map(|n| Given::account(&format!("a{}.com", n % 7), "2026-01-01", vec![registered(&format!("d{n:02}"), "p", "GTX", "1.00")]));
    let engine = folded(&Ledger::with(deals), options(2));
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = engine.query("deals", &Query { limit: Some(10), cursor, ..Query::default() }).expect("a page");
        seen.extend(figures(&page, &["deal_id"]).into_iter().flatten());
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, (0..25).map(|n| json!(format!("d{n:02}"))).collect::<Vec<_>>());
}

#[test]
fn many_groups_are_paged_as_few_are() {
    let deals = (0..2_300).map(|n| {
        let event = registered(&format!("d{n}"), &format!("p{}", n % 3), "GTX", "1.00");
        Given::account(&format!("a{:04}.com", n % 2_200), "2026-01-01", vec![event])
    });
    let engine = folded(&Ledger::with(deals), options(2));
    let all = engine.query("pipeline", &by(&["account", "partner"], &[])).expect("figures");
    assert_eq!(all.items.len(), 2_300);
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = engine.query("pipeline", &Query { limit: Some(700), cursor, ..by(&["account", "partner"], &[]) }).expect("a page");
        seen.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, all.items);
}

#[test]
fn what_tells_most_is_there() {
    for view in VIEWS {
        for name in view.headline {
            assert!(view.fields.iter().any(|field| field.name == *name), "{} has no {name}", view.name);
        }
    }
}

#[test]
fn what_is_asked_in_vain_is_named() {
    let engine = folded(&Ledger::with(history()), options(1));
    for (view, query, message) in [
        ("pipelin", by(&[], &[]), "there is no view \"pipelin\"; did you mean pipeline?"),
        (
            "pipeline",
            by(&[], &[("status", "closed")]),
            "\"closed\" is no status; expected one of open, won, lost, rejected, expired, withdrawn",
        ),
        ("pipeline", by(&[], &[("month", "2026-Q1")]), "\"2026-Q1\" is no month; expected a month like 2026-09"),
        ("deals", Query { key: Some("d9".into()), ..Query::default() }, "deals has no \"d9\""),
    ] {
        assert_eq!(engine.query(view, &query).expect_err("no answer").to_string(), message);
    }
}

#[test]
fn void_records_change_nothing() {
    let ledger = Ledger::with(history());
    let before = digests(&ledger, 2);
    let slice = ledger.slice_of("account/acme.com");
    let zombie = pledger_ledger::log::Log::read(&ledger, slice, 0, 1).expect("read").remove(0).record;
    ledger.place(Record::chain(slice, 0, 0, zombie.header.prev, zombie.body.clone()));
    let engine = folded(&ledger, options(2));
    assert_eq!(engine.digests(Places::Covered), before);
    assert_eq!(engine.status().void, 1);
}

#[test]
fn a_poisoned_record_parks_its_stream_and_says_so() {
    let ledger = Ledger::with(history());
    let slice = ledger.slice_of("account/acme.com");
    let at = ledger.append(slice, Bytes::from_static(br#"{"decision":{"stream":"account/acme.com","v":1,"nonsense":true}}"#));
    ledger.add(Given::account("acme.com", "2026-04-01", vec![registered("d3", "p1", "GTX", "7.00")]));
    ledger.add(Given::account("umbrella.com", "2026-04-02", vec![approved("d2")]));
    let engine = folded(&ledger, options(2));
    let deals = engine.query("deals", &by(&[], &[])).expect("deals");
    assert_eq!(
        figures(&deals, &["deal_id", "registration", "incomplete_since"]),
        [[json!("d1"), json!("approved"), json!(at.to_string())], [json!("d2"), json!("approved"), Value::Null]]
    );
    assert_eq!(
        deals.incomplete.iter().map(|parked| (parked.stream.as_str(), parked.since)).collect::<Vec<_>>(),
        [("account/acme.com", at)]
    );
    assert_eq!(engine.status().parked, 1);
}

#[test]
fn a_slice_waits_for_the_rules_that_its_decision_names() {
    let ledger = Ledger::with([]);
    let under = |rules, given: Given| Given { rules, ..given };
    let early = ledger.add(under(2, Given::account("acme.com", "2026-01-10", vec![registered("d1", "p1", "GTX", "100.00")])));
    let wait = Options { rules_wait: LONG, ..options(2) };
    let engine = Engine::in_memory(Arc::new(ledger.clone()), wait).expect("it starts");
    assert_eq!(engine.wait_for(&[early], Duration::from_millis(60)), Err(WaitError::Behind(early)));
    ledger.add(Given::rules(2, "2026-01-01"));
    assert_eq!(engine.wait_for(&[early], LONG), Ok(()));
    let page = engine.query("deals", &by(&[], &[])).expect("deals");
    assert_eq!(figures(&page, &["deal_id", "rules", "incomplete_since"]), [[json!("d1"), json!(2), Value::Null]]);
}

#[test]
fn rules_that_never_come_park_the_stream() {
    let ledger = Ledger::with(history());
    ledger.add(Given { rules: 9, ..Given::account("acme.com", "2026-05-10", vec![registered("d9", "p1", "GTX", "1.00")]) });
    ledger.add(Given::account("acme.com", "2026-05-11", vec![registered("d10", "p1", "GTX", "1.00")]));
    let engine = folded(&ledger, options(2));
    let page = engine.query("deals", &by(&[], &[])).expect("deals");
    assert_eq!(figures(&page, &["deal_id"]), [[json!("d1")], [json!("d2")]]);
    assert_eq!(page.incomplete.len(), 1);
}

#[test]
fn sql_reads_rows_by_their_columns() {
    let data = tempfile::tempdir().expect("a directory");
    let engine = Engine::open(data.path(), Arc::new(Ledger::with(history())), options(2)).expect("it starts");
    assert!(engine.wait_until_caught_up(LONG, |_| {}));
    engine.stop();
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(data.path().join("projections/1/read.db"));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let rows: Vec<(String, String, i64, Option<i64>)> = runtime.block_on(async {
        let mut connection = <sqlx::SqliteConnection as sqlx::Connection>::connect_with(&options).await.expect("it opens");
        let sql = "SELECT deal, status, amount, closed_at FROM deals ORDER BY deal";
        sqlx::query_as::<sqlx::Sqlite, _>(sql).fetch_all(&mut connection).await.expect("rows")
    });
    let closed = time("2026-03-11").micros();
    assert_eq!(rows, [("d1".into(), "won".into(), 12_000, Some(closed)), ("d2".into(), "open".into(), 5_000, None)]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn workers_and_batches_change_nothing(decisions in decisions(), read_records in 1..50_usize) {
        let ledger = Ledger::with(decisions);
        let one = digests(&ledger, 1);
        prop_assert_eq!(&digests(&ledger, 2), &one);
        prop_assert_eq!(&folded(&ledger, Options { read_records, ..options(8) }).digests(Places::Covered), &one);
    }

    #[test]
    fn a_moment_is_a_fold_of_what_counts(decisions in decisions(), as_of in prop::option::of(0..400_i64), known_at in prop::option::of(0..80_i64)) {
        let [as_of, known_at] = [as_of, known_at].map(|day| day.map(|day| time("2026-01-01").plus_days(day)));
        // Recorded one after the other, whatever the day on which it was true.
        let recorded: Vec<Given> = decisions
            .into_iter()
            .enumerate()
            .map(|(day, given)| Given { recorded_at: time("2026-01-01").plus_days(day as i64), ..given })
            .collect();
        let counts = |given: &&Given| as_of.is_none_or(|as_of| given.at <= as_of) && known_at.is_none_or(|known_at| given.recorded_at <= known_at);
        let counted = folded(&Ledger::with(recorded.iter().filter(counts).cloned()), options(1));
        let past = folded(&Ledger::with(recorded.clone()), Options { moment: Moment { as_of, known_at }, ..options(2) });
        prop_assert_eq!(past.digests(Places::Left), counted.digests(Places::Left));
    }

    #[test]
    fn figures_are_the_sums_of_deals(decisions in decisions()) {
        let engine = folded(&Ledger::with(decisions), options(3));
        let deals = engine.query("deals", &by(&[], &[])).expect("deals");
        for dims in [&["partner"][..], &["status", "stage"], &["product", "account", "month", "quarter"], &["registered_month"]] {
            let page = engine.query("pipeline", &by(dims, &[])).expect("figures");
            let count: u64 = figures(&page, &["count"]).iter().filter_map(|row| row[0].as_u64()).sum();
            prop_assert_eq!(count, deals.items.len() as u64);
            for row in figures(&page, &["count", "amount", dims[0]]) {
                let filter = [(dims[0], row[2].as_str().unwrap_or_default())];
                if dims.len() == 1 {
                    let same = engine.query("deals", &by(&[], &filter)).expect("deals");
                    prop_assert_eq!(row[0].as_u64(), Some(same.items.len() as u64));
                    prop_assert_eq!(cents(&row[1]), figures(&same, &["amount"]).iter().map(|deal| cents(&deal[0])).sum::<i64>());
                }
            }
        }
    }
}

fn cents(money: &Value) -> i64 {
    money["amount"].as_str().expect("an amount").replace('.', "").parse().expect("digits")
}
