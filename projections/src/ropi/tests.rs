//! Given decisions, then returns, recomputed by hand.

use std::{sync::Arc, time::Duration};

use pledger_domain::{
    account::{AccountEvent, RevenueKind},
    cost::{CostEvent, CostKind},
    fund::FundEvent,
    partner::{PartnerEvent, Role},
    program::ProgramEvent,
    rules::Rules,
    values::{Amount, ClaimId, CostId, Currency, Label, Money, PartnerId, PayoutId, Period, RequestId, RevenueId, TierName},
};
use pledger_ledger::record::{Events, Outcome};

use crate::{
    asked::{ask, ask_as_of, by, lines},
    engine::{Engine, Moment, Options},
    given::{Given, Ledger, deal_id, registered, time, usd},
};

fn joined(id: &str, roles: &[Role], region: &str) -> Given {
    let label = |text| Label::parse(text).expect(text);
    let event =
        PartnerEvent::PartnerRegistered { name: label("Nordwind"), roles: roles.to_vec(), country: None, region: Some(label(region)) };
    Given::new(&format!("partner/{id}"), "2025-01-01", Outcome::Accepted(Events::Partner(vec![event].into())))
}

/// A cost of a partner, or of the program where there is none.
fn cost(id: &str, kind: CostKind, amount: Amount, partner: Option<&str>, period: &str) -> Given {
    paying(id, kind, amount, partner, period, None, None)
}

fn paying(
    id: &str,
    kind: CostKind,
    amount: Amount,
    partner: Option<&str>,
    period: &str,
    claim: Option<&str>,
    payout: Option<&str>,
) -> Given {
    let event = CostEvent::ProgramCostRecorded {
        cost_id: CostId::parse(id).expect(id),
        kind,
        amount,
        partner_id: partner.map(|id| PartnerId::parse(id).expect(id)),
        period: Period::parse(period).expect(period),
        claim_id: claim.map(|id| ClaimId::parse(id).expect(id)),
        payout_id: payout.map(|id| PayoutId::parse(id).expect(id)),
    };
    Given::new(&format!("cost/{}", partner.unwrap_or("program")), "2026-06-01", Outcome::Accepted(Events::Cost(vec![event].into())))
}

fn paid(claim: &str, partner: &str, amount: &str, at: &str) -> Given {
    let event = FundEvent::ClaimPaid {
        claim_id: ClaimId::parse(claim).expect(claim),
        request_id: RequestId::parse("q1").expect("an id"),
        partner_id: PartnerId::parse(partner).expect(partner),
        campaign_id: None,
        amount: usd(amount),
        paid_at: time(at),
    };
    Given::new("fund/b1", at, Outcome::Accepted(Events::Fund(vec![event].into())))
}

fn revenue(id: &str, partner: &str, amount: Amount, margin: Option<Money>, at: &str) -> Given {
    let event = AccountEvent::RevenueRecorded {
        revenue_id: RevenueId::parse(id).expect(id),
        partner_id: PartnerId::parse(partner).ok(),
        amount,
        gross_margin: margin,
        deal_id: None,
        kind: RevenueKind::New,
        recognized_at: time(at),
    };
    Given::account(&format!("{id}.com"), at, vec![event])
}

fn first_win(account: &str, partner: &str, amount: &str, margin: &str, at: &str) -> Vec<Given> {
    let deal = format!("d-{account}");
    let won = AccountEvent::DealWon {
        deal_id: deal_id(&deal),
        amount: usd(amount),
        gross_margin: Some(usd(margin).money()),
        closed_at: time(at),
        net_new_logo: true,
    };
    vec![Given::account(account, "2026-01-01", vec![registered(&deal, partner, "GTX", "1.00")]), Given::account(account, at, vec![won])]
}

/// Rules by which a customer won through a partner saves 250.00.
fn rules_with_cac() -> Given {
    let program =
        Rules::DEFAULT.replace("direct_cac = \"0\"", "direct_cac = \"400.00\"").replace("partner_cac = \"0\"", "partner_cac = \"150.00\"");
    assert_ne!(program, Rules::DEFAULT);
    let event = ProgramEvent::RulesPublished {
        version: 2,
        effective_from: time("2021-01-01"),
        name: Label::parse("CAC").expect("a label"),
        program,
    };
    Given::new("program", "2021-01-01", Outcome::Accepted(Events::Program(vec![event].into())))
}

fn money(amount: &str) -> Option<Money> {
    Some(usd(amount).money())
}

/// p1 is reseller and MSP in EMEA, p2 a reseller in AMER.
fn history() -> Vec<Given> {
    let mut given = vec![
        rules_with_cac(),
        joined("p1", &[Role::Reseller, Role::Msp], "EMEA"),
        joined("p2", &[Role::Reseller], "AMER"),
        revenue("r1", "p1", usd("1000.00"), money("300.00"), "2026-02-10"),
        revenue("r2", "p1", usd("500.00"), None, "2026-04-10"),
        revenue("r3", "p2", usd("200.00"), money("50.00"), "2026-02-20"),
        cost("c1", CostKind::Commission, usd("100.00"), Some("p1"), "2026-02"),
        cost("c2", CostKind::PartnerManager, usd("100.00"), Some("p1"), "2026-Q1"),
        cost("c3", CostKind::Staff, usd("50.00"), Some("p1"), "2026-02"),
        cost("c4", CostKind::Mdf, usd("20.00"), Some("p1"), "2026-02"),
        cost("c5", CostKind::Technology, usd("1200.00"), None, "2026"),
        cost("c6", CostKind::Other, usd("5.00"), Some("p1"), "2026-02"),
        paid("m1", "p1", "30.00", "2026-02-27"),
        // These pay what counts already.
        paying("c7", CostKind::Mdf, usd("30.00"), Some("p1"), "2026-02", Some("m1"), None),
        paying("c8", CostKind::Commission, usd("9.00"), Some("p1"), "2026-02", None, Some("o1")),
    ];
    given.extend(first_win("acme.com", "p1", "400.00", "100.00", "2026-02-15"));
    given
}

const COSTS: [&str; 9] = ["commission", "mdf", "partner_manager", "staff", "technology", "other", "costs", "costs_listed", "cac_saved"];
const RETURNS: [&str; 7] =
    ["revenue", "gross_margin", "revenue_without_margin", "new_customers", "ropi_revenue", "ropi_margin", "ropi_total"];

#[test]
fn every_figure_of_a_partners_month_as_recomputed_by_hand() {
    let ledger = Ledger::with(history());
    let february = ask(&ledger, "ropi", &by(&["partner", "month"], &[("partner", "p1"), ("month", "2026-02")]));
    // A third of 100.00 falls on February; the cent left over is January's.
    assert_eq!(lines(&february, &COSTS), ["100.00 50.00 33.33 50.00 0.00 5.00 238.33 39.00 250.00"]);
    // 1400 / (100 + 50 + 33.33); 400 / (50 + 0 + 50); (400 + 250) / 238.33.
    assert_eq!(lines(&february, &RETURNS), ["1400.00 400.00 0.00 1 7.636502 4 2.727311"]);
    let year = ask(&ledger, "ropi", &by(&["year"], &[("partner", "p1")]));
    // 1900 / (100 + 50 + 100); 400 / 100; 650 / 305.
    assert_eq!(lines(&year, &["year"]), ["2026"]);
    assert_eq!(lines(&year, &RETURNS), ["1900.00 400.00 500.00 1 7.6 4 2.131148"]);
}

#[test]
fn without_costs_there_is_no_return() {
    let ledger = Ledger::with(history());
    let april = ask(&ledger, "ropi", &by(&["month"], &[("partner", "p2")]));
    assert_eq!(lines(&april, &["month"]), ["2026-02"]);
    assert_eq!(lines(&april, &RETURNS), ["200.00 50.00 0.00 0 - - -"]);
}

#[test]
fn costs_of_a_period_are_spread_to_the_cent() {
    let ledger = Ledger::with([
        cost("c1", CostKind::Staff, usd("100.00"), None, "2026"),
        cost("c2", CostKind::Staff, usd("0.02"), None, "2026-Q3"),
        cost("c3", CostKind::Staff, usd("1.00"), None, "2026-07"),
    ]);
    let months = ask(&ledger, "ropi", &by(&["month"], &[]));
    let expected = ["8.34", "8.34", "8.34", "8.34", "8.33", "8.33", "9.34", "8.34", "8.33", "8.33", "8.33", "8.33"];
    assert_eq!(lines(&months, &["staff"]), expected);
    assert_eq!(lines(&ask(&ledger, "ropi", &by(&["year", "partner"], &[])), &["partner", "staff"]), ["- 101.02"]);
}

#[test]
fn as_of_a_day_costs_count_by_the_months_that_they_are_booked_on() {
    // All of them were recorded, and dated, on 2026-06-01.
    let ledger = Ledger::with([
        cost("c1", CostKind::Commission, usd("100.00"), Some("p1"), "2026-02"),
        cost("c2", CostKind::Staff, usd("90.00"), None, "2026-Q2"),
        cost("c3", CostKind::Technology, usd("7.00"), None, "2026-09"),
    ]);
    let costs = |at: &str| lines(&ask_as_of(&ledger, time(at), "ropi", &by(&["month"], &[])), &["month", "costs"]);
    assert_eq!(costs("2026-01-31T23:59:59Z"), [""; 0]);
    assert_eq!(costs("2026-02-01"), ["2026-02 100.00"]);
    assert_eq!(costs("2026-05-15"), ["2026-02 100.00", "2026-04 30.00", "2026-05 30.00"]);
    assert_eq!(costs("2026-07-15").len(), 4, "September is yet to come");
    assert_eq!(lines(&ask(&ledger, "ropi", &by(&[], &[])), &["costs"]), ["197.00"], "where no day is asked about, all count");
}

#[test]
fn what_was_booked_on_a_month_is_history_from_then_on() {
    // It was recorded years later.
    let ledger = Ledger::with([cost("c1", CostKind::Staff, usd("1.00"), None, "2019-Q4")]);
    let begins_later = |at: &str| {
        let options = Options { moment: Moment { as_of: Some(time(at)), known_at: None }, ..Options::default() };
        let engine = Engine::in_memory(Arc::new(ledger.clone()), options).expect("it starts");
        assert!(engine.wait_until_caught_up(Duration::from_secs(20), |_| {}));
        engine.begins_later().is_some()
    };
    assert!(begins_later("2019-09-30") && !begins_later("2019-10-01"));
}

#[test]
fn a_partner_stands_under_each_of_its_roles_and_totals_never_sum_them() {
    let ledger = Ledger::with(history());
    let asked = |dims: &[&str], filters: &[(&str, &str)]| ask(&ledger, "ropi", &by(dims, filters));
    assert_eq!(
        lines(&asked(&["role"], &[]), &["role", "revenue", "technology"]),
        ["reseller 2100.00 0.00", "msp 1900.00 0.00", "- 0.00 1200.00"]
    );
    assert_eq!(lines(&asked(&[], &[]), &["revenue", "technology"]), ["2100.00 1200.00"]);
    // A partner of both roles counts once.
    assert_eq!(lines(&asked(&[], &[("role", "reseller"), ("role", "msp")]), &["revenue"]), ["2100.00"]);
    assert_eq!(lines(&asked(&["partner"], &[("role", "msp")]), &["partner", "revenue"]), ["p1 1900.00"]);
    assert_eq!(lines(&asked(&["role"], &[("role", "msp")]), &["role", "revenue"]), ["msp 1900.00"]);
    assert_eq!(
        lines(&asked(&["region", "quarter"], &[("quarter", "2026-Q1")]), &["region", "revenue"]),
        ["AMER 200.00", "EMEA 1400.00", "- 0.00"]
    );
}

#[test]
fn a_partner_stands_under_the_tier_that_it_is_awarded() {
    let promoted = PartnerEvent::TierPromoted { from: None, to: TierName::parse("gold").expect("a tier") };
    let promoted = Given::new("partner/p1", "2026-08-01", Outcome::Accepted(Events::Partner(vec![promoted].into())));
    let ledger = Ledger::with(history().into_iter().chain([promoted]));
    let tiers = ask(&ledger, "ropi", &by(&["tier"], &[]));
    assert_eq!(lines(&tiers, &["tier", "revenue"]), ["gold 1900.00", "- 200.00"]);
}

#[test]
fn currencies_are_never_summed() {
    let euros = Amount::new(Money::parse("70.00", Currency::parse("EUR").expect("EUR")).expect("money")).expect("an amount");
    let given = history()
        .into_iter()
        .chain([revenue("r9", "p1", euros, None, "2026-02-10"), cost("c9", CostKind::Commission, euros, Some("p1"), "2026-02")]);
    let page = ask(&Ledger::with(given), "ropi", &by(&["partner"], &[("partner", "p1")]));
    assert_eq!(lines(&page, &["currency", "revenue", "ropi_revenue", "new_customers"]), ["EUR 70.00 1 0", "USD 1900.00 7.6 1"]);
}
