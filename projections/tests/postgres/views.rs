//! What SQL shows: real types, the figures that pledger answers with, and nothing to those who may only read it.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use pledger_domain::{
    account::{AccountEvent, DealRegistered, RevenueKind},
    cost::{CostEvent, CostKind},
    fund::FundEvent,
    values::{AllocationId, Amount, ClaimId, CostId, Currency, Money, PartnerId, Period, RequestId, RevenueId, Text},
};
use pledger_ledger::record::{Events, Outcome};
use pledger_projections::{
    cell::CellKind,
    engine::Engine,
    query::{Item, Query},
    shard::Shard,
    sql::{joined::JOINED, postgres_type},
    table::Places,
};
use serde_json::Value;

use crate::{
    cases::{history, journeys},
    given::{Given, Ledger, deal_id, registered, registration, time, usd, won},
    home::InPostgres,
    keeping::{LONG, options},
};

pub(crate) fn views_have_the_types_that_are_documented(home: &InPostgres) {
    home.caught_up(&Ledger::with(history()), options(2)).stop();
    let sql = "SELECT table_name::text, column_name::text, CASE data_type::text WHEN 'timestamp with time zone' THEN 'timestamptz' \
               ELSE data_type::text END FROM information_schema.columns WHERE table_schema = '{}' ORDER BY table_name, ordinal_position";
    let mut shown: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for row in home.sql(sql).expect("columns") {
        let [view, column, kind] = row.try_into().expect("three of them");
        shown.entry(view).or_default().push((column, kind));
    }
    let mut documented: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    let column = |name: &str, kind: CellKind| (name.to_owned(), postgres_type(kind).to_owned());
    for table in Shard::default().tables() {
        documented.insert(table.name().into(), table.columns().iter().map(|known| column(known.name, known.kind)).collect());
    }
    for view in JOINED {
        documented.insert(view.name.into(), view.columns.iter().map(|(name, kind, _)| column(name, *kind)).collect());
    }
    assert_eq!(shown, documented);
}

pub(crate) fn amounts_and_times_are_exact(home: &InPostgres) {
    let deal = |id: &str, amount: &str, currency: &str| {
        let money = Money::parse(amount, Currency::parse(currency).expect(currency)).expect(amount);
        let event = DealRegistered { amount: Amount::new(money).expect(amount), ..registration(id, "p", "GTX", "1.00") };
        Given::account("acme.com", "2026-01-10T11:12:13.123457Z", vec![AccountEvent::DealRegistered(Box::new(event))])
    };
    let deals = [deal("d1", "12345678.91", "EUR"), deal("d2", "98765", "JPY"), deal("d3", "1.234", "BHD")];
    home.caught_up(&Ledger::with(deals), options(1)).stop();
    let sql = "SELECT deal, amount::text, currency, to_char(registered_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'), approved::text \
               FROM {}.deals ORDER BY deal";
    let at = "2026-01-10 11:12:13.123457";
    assert_eq!(
        home.sql(sql).expect("rows"),
        [["d1", "12345678.91", "EUR", at, "false"], ["d2", "98765", "JPY", at, "false"], ["d3", "1.234", "BHD", at, "false"]]
    );
    let by_month = home.sql("SELECT month::text, sum(count)::text FROM {}.pipeline GROUP BY 1").expect("rows");
    assert_eq!(by_month, [["2026-01-01", "3"]]);
}

pub(crate) fn who_may_read_views_may_read_nothing_else(home: &InPostgres) {
    home.caught_up(&Ledger::with(history()), options(2)).stop();
    let count = home.sql("SET ROLE {}_read; SELECT count(*)::text FROM {}.deals").expect("views are there to be read");
    assert_eq!(count, [["2"]]);
    for view in JOINED {
        home.sql(&format!("SET ROLE {{}}_read; SELECT count(*)::text FROM {{}}.{}", view.name)).expect(view.name);
    }
    for (what, sql) in [
        ("tables", "SELECT * FROM {}_g1.deals"),
        ("cursors", "SELECT * FROM {}_g1.cursors"),
        ("generations", "SELECT * FROM {}_state.generations"),
        ("to change a row", "UPDATE {}.partners SET name = 'x'"),
        ("to add a view", "CREATE VIEW {}.mine AS SELECT 1"),
    ] {
        let refused = home.sql(&format!("SET ROLE {{}}_read; {sql}")).expect_err(what);
        assert!(refused.contains("permission denied"), "{what}: {refused}");
    }
}

fn cost(number: u32, kind: CostKind, partner: Option<&str>) -> Given {
    let event = CostEvent::ProgramCostRecorded {
        cost_id: CostId::parse(&format!("c{number}")).expect("an id"),
        kind,
        amount: usd(&format!("{number}.10")),
        partner_id: partner.map(|id| PartnerId::parse(id).expect("an id")),
        period: Period::parse("2026-03").expect("a period"),
        claim_id: None,
        payout_id: None,
    };
    let stream = partner.map_or_else(|| "cost/program".to_owned(), |id| format!("cost/{id}"));
    Given::new(&stream, "2026-03-20", Outcome::Accepted(Events::Cost(vec![event].into())))
}

fn revenue(id: &str, deal: Option<&str>) -> AccountEvent {
    AccountEvent::RevenueRecorded {
        revenue_id: RevenueId::parse(id).expect("an id"),
        partner_id: PartnerId::parse("p1").ok(),
        amount: usd("40.50"),
        gross_margin: None,
        deal_id: deal.map(deal_id),
        kind: RevenueKind::New,
        recognized_at: time("2026-03-15"),
    }
}

/// A budget with allocations, requests and a claim in every state that figures tell apart.
fn funds() -> Vec<Given> {
    let request = |id: &str| RequestId::parse(id).expect("an id");
    let partner_id = || PartnerId::parse("p1").expect("an id");
    let allocation_id = || AllocationId::parse("a1").expect("an id");
    let claim_id = || ClaimId::parse("k1").expect("an id");
    let text = |text: &str| Text::parse(text).expect("a text");
    let requested = |id: &str, amount: &str| FundEvent::FundsRequested {
        request_id: request(id),
        allocation_id: allocation_id(),
        partner_id: partner_id(),
        activity: text("Webinar"),
        amount: usd(amount),
        campaign_id: None,
        goal: text("30 leads"),
    };
    let events = vec![
        FundEvent::BudgetOpened { amount: usd("1000.00"), starts_on: time("2026-01-01"), ends_on: time("2027-01-01") },
        FundEvent::FundsAllocated { allocation_id: allocation_id(), partner_id: partner_id(), amount: usd("400.00") },
        requested("q1", "150.00"),
        requested("q2", "80.00"),
        requested("q3", "70.00"),
        FundEvent::FundRequestRecalled { request_id: request("q3") },
        FundEvent::FundRequestApproved {
            request_id: request("q1"),
            amount: usd("120.00"),
            claim_until: time("2026-05-01"),
            historical: false,
        },
        FundEvent::ClaimSubmitted {
            claim_id: claim_id(),
            request_id: request("q1"),
            partner_id: partner_id(),
            amount: usd("50.00"),
            proof: Vec::new(),
        },
        FundEvent::ClaimPaid {
            claim_id: claim_id(),
            request_id: request("q1"),
            partner_id: partner_id(),
            campaign_id: None,
            amount: usd("45.00"),
            paid_at: time("2026-04-01"),
        },
        FundEvent::ClaimWindowClosed { request_id: request("q1"), released: usd("75.00").money(), closed_at: time("2026-05-01") },
    ];
    events.into_iter().map(|event| Given::new("fund/b1", "2026-02-01", Outcome::Accepted(Events::Fund(vec![event].into())))).collect()
}

/// A field of every item that pledger answers with, in the order of its keys.
fn answered(engine: &Engine, view: &str, by: &[&str], fields: &[&str]) -> Vec<Vec<String>> {
    let query = Query { by: by.iter().map(|dim| (*dim).to_owned()).collect(), ..Query::default() };
    let page = engine.query(view, &query).expect("an answer");
    let text = |value: &Value| match value {
        Value::Null => "null".to_owned(),
        Value::String(text) => text.clone(),
        Value::Object(money) => money["amount"].as_str().expect("an amount").to_owned(),
        other => other.to_string(),
    };
    let field = |item: &Item, name: &str| item.0.iter().find(|(known, _)| *known == name).map(|(_, value)| text(value)).expect("a field");
    let mut rows: Vec<Vec<String>> = page.items.iter().map(|item| fields.iter().map(|name| field(item, name)).collect()).collect();
    rows.sort();
    rows
}

pub(crate) fn sql_credits_as_pledger_does(home: &InPostgres) {
    let engine = home.caught_up(&Ledger::with(journeys()), options(2));
    let start = Instant::now();
    while home.stored_digests() != engine.digests(Places::Covered) {
        assert!(start.elapsed() < LONG, "it was not written");
        thread::sleep(Duration::from_millis(20));
    }
    let fields = ["deal", "account", "partner", "channel", "model", "quarter", "currency", "weight", "credited", "standing", "amount"];
    let answered = answered(&engine, "attribution", &[], &fields);
    let sql = "SELECT deal, account, coalesce(partner, 'null'), coalesce(channel, 'null'), model, to_char(quarter, 'YYYY-\"Q\"Q'), currency, \
               trim_scale(weight)::text, round(credited, 2)::text, standing, round(amount, 2)::text FROM {}.attribution";
    let mut rows = home.sql(sql).expect("rows");
    rows.sort();
    assert!(answered.len() > 900, "{}", answered.len());
    for standing in ["sourced", "influenced", "neither"] {
        assert!(answered.iter().any(|row| row[9] == standing), "no deal is {standing}");
    }
    let differ = rows.iter().zip(&answered).find(|(sql, pledger)| sql != pledger);
    assert_eq!((rows.len(), differ), (answered.len(), None));
    // Of one deal it is asked without making the credits of the others.
    let one = home.sql("SELECT sum(credited)::text FROM {}.attribution WHERE deal = 'a8' AND model = 'time_decay'").expect("a sum");
    assert_eq!(one, [["63352.01"]]);
}

pub(crate) fn sql_gives_the_figures_that_pledger_answers_with(home: &InPostgres) {
    let mut given = history();
    given.push(Given::account("beta.com", "2026-03-01", vec![registered("d4", "p1", "MG", "70.00"), won("d4", "75.00", "2026-03-02")]));
    given.push(Given::account("beta.com", "2026-03-16", vec![revenue("r1", Some("d4")), revenue("r2", None)]));
    given.extend(funds());
    given.extend([cost(3, CostKind::Staff, None), cost(4, CostKind::Commission, Some("p1")), cost(5, CostKind::Mdf, Some("p2"))]);
    let engine = home.caught_up(&Ledger::with(given), options(2));
    let compare = |view: &str, by: &[&str], fields: &[&str], sql: &str| {
        let mut rows = home.sql(sql).expect("rows");
        rows.sort();
        assert_eq!(rows, answered(&engine, view, by, fields), "{view} by {by:?}");
    };
    // What is folded is not yet stored.
    let start = Instant::now();
    while home.stored_digests() != engine.digests(Places::Covered) {
        assert!(start.elapsed() < LONG, "it was not written");
        thread::sleep(Duration::from_millis(20));
    }
    compare(
        "pipeline",
        &["partner", "status", "month"],
        &["partner", "status", "month", "count", "amount"],
        "SELECT partner, status, to_char(month, 'YYYY-MM'), sum(count)::text, sum(amount)::text FROM {}.pipeline GROUP BY 1, 2, 3",
    );
    compare(
        "pipeline",
        &["registered_month", "product"],
        &["registered_month", "product", "count", "amount"],
        "SELECT to_char(registered_month, 'YYYY-MM'), product, sum(count)::text, sum(amount)::text FROM {}.pipeline GROUP BY 1, 2",
    );
    compare(
        "mdf",
        &["budget_id"],
        &["budget_id", "budget", "allocated", "requested", "approved", "released", "claimed", "paid", "available"],
        "SELECT budget, amount::text, allocated::text, requested::text, approved::text, released::text, claimed::text, paid::text, \
         available::text FROM {}.mdf",
    );
    compare(
        "ropi",
        &["partner", "month"],
        &["partner", "month", "revenue", "gross_margin", "commission", "mdf", "staff", "costs"],
        "SELECT partner, to_char(month, 'YYYY-MM'), round(revenue, 2)::text, round(gross_margin, 2)::text, \
         round(coalesce(commission, 0), 2)::text, round(coalesce(mdf, 0), 2)::text, round(coalesce(staff, 0), 2)::text, \
         round(costs, 2)::text FROM {}.ropi",
    );
}
