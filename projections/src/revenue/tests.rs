//! Given decisions, then days.

use pledger_domain::{
    account::{AccountEvent, RevenueKind},
    values::{PartnerId, RevenueId},
};

use crate::{
    asked::{ask, by, lines},
    given::{Given, Ledger, deal_id, registered, time, usd, won},
};

/// Revenue of p1 on acme.com.
pub(crate) fn revenue(id: &str, amount: &str, kind: RevenueKind, deal: Option<&str>, at: &str) -> AccountEvent {
    AccountEvent::RevenueRecorded {
        revenue_id: RevenueId::parse(id).expect(id),
        partner_id: PartnerId::parse("p1").ok(),
        amount: usd(amount),
        gross_margin: None,
        deal_id: deal.map(deal_id),
        kind,
        recognized_at: time(at),
    }
}

fn on(at: &str, event: AccountEvent) -> Given {
    Given::account("acme.com", at, vec![event])
}

fn deals() -> Vec<Given> {
    vec![
        on("2026-01-01", registered("d1", "p1", "GTX", "100.00")),
        on("2026-01-02", registered("d2", "p1", "GTX", "10.00")),
        on("2026-02-01", won("d1", "100.00", "2026-02-01")),
    ]
}

/// Revenue by month, all of it p1's unless a line says otherwise.
fn months(given: Vec<Given>) -> Vec<String> {
    lines(&ask(&Ledger::with(given), "ropi", &by(&["partner", "month"], &[])), &["partner", "month", "revenue"])
}

#[test]
fn a_won_deal_counts_until_revenue_names_it() {
    let with = |more: Vec<Given>| months([deals(), more].concat());
    assert_eq!(with(vec![]), ["p1 2026-02 100.00"]);
    // Revenue that names no deal, or one that is not won, stands beside it.
    assert_eq!(
        with(vec![on("2026-03-01", revenue("r1", "7.00", RevenueKind::New, None, "2026-03-01"))]),
        ["p1 2026-02 100.00", "p1 2026-03 7.00"]
    );
    assert_eq!(
        with(vec![on("2026-03-01", revenue("r1", "7.00", RevenueKind::New, Some("d2"), "2026-03-01"))]),
        ["p1 2026-02 100.00", "p1 2026-03 7.00"]
    );
    // Revenue that names it takes its place, however little it is; in the month of the close the new customer is left.
    let first = on("2026-03-01", revenue("r1", "40.00", RevenueKind::New, Some("d1"), "2026-03-01"));
    assert_eq!(with(vec![first.clone()]), ["p1 2026-02 0.00", "p1 2026-03 40.00"]);
    let second = on("2026-04-01", revenue("r2", "60.00", RevenueKind::Renewal, Some("d1"), "2026-04-01"));
    assert_eq!(with(vec![first.clone(), second]), ["p1 2026-02 0.00", "p1 2026-03 40.00", "p1 2026-04 60.00"]);
    // A refund is taken off, and takes no deal's place.
    let refund = on("2026-02-05", revenue("r3", "30.00", RevenueKind::Refund, Some("d1"), "2026-02-05"));
    assert_eq!(with(vec![refund.clone()]), ["p1 2026-02 70.00"]);
    assert_eq!(with(vec![refund, first]), ["p1 2026-02 -30.00", "p1 2026-03 40.00"]);
}

#[test]
fn revenue_that_came_before_the_win_counts_in_its_place() {
    let mut given = deals();
    given.insert(2, on("2026-01-15", revenue("r1", "40.00", RevenueKind::New, Some("d1"), "2026-01-15")));
    assert_eq!(months(given), ["p1 2026-01 40.00", "p1 2026-02 0.00"]);
}

#[test]
fn a_deal_that_goes_to_another_partner_takes_its_amount_along() {
    let reassigned = AccountEvent::DealReassigned {
        deal_id: deal_id("d1"),
        from: PartnerId::parse("p1").expect("an id"),
        to: PartnerId::parse("p2").expect("an id"),
    };
    assert_eq!(months([deals(), vec![on("2026-03-01", reassigned)]].concat()), ["p2 2026-02 100.00"]);
}

#[test]
fn the_vendors_own_revenue_appears_nowhere() {
    let AccountEvent::RevenueRecorded { revenue_id, amount, gross_margin, deal_id, kind, recognized_at, .. } =
        revenue("r1", "7.00", RevenueKind::New, None, "2026-03-01")
    else {
        unreachable!("it is revenue")
    };
    let own = AccountEvent::RevenueRecorded { revenue_id, partner_id: None, amount, gross_margin, deal_id, kind, recognized_at };
    assert_eq!(months([deals(), vec![on("2026-03-01", own)]].concat()), ["p1 2026-02 100.00"]);
}
