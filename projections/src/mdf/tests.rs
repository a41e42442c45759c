//! Given decisions, then balances and returns, recomputed by hand.

use pledger_domain::{
    account::{AccountEvent, RevenueKind},
    fund::FundEvent,
    values::{AllocationId, Amount, CampaignId, ClaimId, Currency, Label, Money, PartnerId, RequestId, RevenueId, Text, TouchpointId},
};
use pledger_ledger::record::{Events, Outcome};
use proptest::prelude::*;

use crate::{
    asked::{ask, ask_once, by, lines},
    given::{Given, Ledger, deal_id, registered, time, usd},
    query::Query,
};

fn fund(budget: &str, events: Vec<FundEvent>) -> Given {
    Given::new(&format!("fund/{budget}"), "2026-02-01", Outcome::Accepted(Events::Fund(events.into())))
}

fn opened(amount: &str) -> FundEvent {
    FundEvent::BudgetOpened { amount: usd(amount), starts_on: time("2026-01-01"), ends_on: time("2027-01-01") }
}

fn allocated(id: &str, partner: &str, amount: &str) -> FundEvent {
    let (allocation_id, partner_id) = (AllocationId::parse(id).expect(id), PartnerId::parse(partner).expect(partner));
    FundEvent::FundsAllocated { allocation_id, partner_id, amount: usd(amount) }
}

fn request(id: &str) -> RequestId {
    RequestId::parse(id).expect(id)
}

fn claim(id: &str) -> ClaimId {
    ClaimId::parse(id).expect(id)
}

fn text(text: &str) -> Text {
    Text::parse(text).expect(text)
}

fn requested(id: &str, allocation: &str, partner: &str, amount: &str, campaign: Option<&str>) -> FundEvent {
    FundEvent::FundsRequested {
        request_id: request(id),
        allocation_id: AllocationId::parse(allocation).expect(allocation),
        partner_id: PartnerId::parse(partner).expect(partner),
        activity: text("Webinar"),
        amount: usd(amount),
        campaign_id: campaign.map(|id| CampaignId::parse(id).expect(id)),
        goal: text("30 leads"),
    }
}

fn approved(id: &str, amount: &str) -> FundEvent {
    FundEvent::FundRequestApproved { request_id: request(id), amount: usd(amount), claim_until: time("2026-05-01"), historical: false }
}

fn claimed(id: &str, of: &str, amount: &str) -> FundEvent {
    let partner_id = PartnerId::parse("p1").expect("an id");
    FundEvent::ClaimSubmitted { claim_id: claim(id), request_id: request(of), partner_id, amount: usd(amount), proof: Vec::new() }
}

fn claim_approved(id: &str, of: &str, amount: &str) -> FundEvent {
    FundEvent::ClaimApproved { claim_id: claim(id), request_id: request(of), amount: usd(amount) }
}

fn claim_rejected(id: &str, of: &str) -> FundEvent {
    FundEvent::ClaimRejected { claim_id: claim(id), request_id: request(of), reason: text("No proof") }
}

fn paid(id: &str, of: &str, amount: &str) -> FundEvent {
    let partner_id = PartnerId::parse("p1").expect("an id");
    FundEvent::ClaimPaid {
        claim_id: claim(id),
        request_id: request(of),
        partner_id,
        campaign_id: None,
        amount: usd(amount),
        paid_at: time("2026-04-01"),
    }
}

fn closed(of: &str, released: &str) -> FundEvent {
    FundEvent::ClaimWindowClosed { request_id: request(of), released: usd(released).money(), closed_at: time("2026-05-01") }
}

/// p1 has 400.00 of b1 and asked three times; p2 has 100.00 of it and asked for nothing.
fn history() -> Vec<FundEvent> {
    vec![
        opened("1000.00"),
        allocated("a1", "p1", "400.00"),
        allocated("a2", "p2", "100.00"),
        requested("q1", "a1", "p1", "150.00", Some("spring")),
        approved("q1", "120.00"),
        claimed("c1", "q1", "50.00"),
        claim_approved("c1", "q1", "45.00"),
        paid("c1", "q1", "45.00"),
        claimed("c2", "q1", "30.00"),
        requested("q2", "a1", "p1", "80.00", None),
        requested("q3", "a1", "p1", "70.00", None),
        FundEvent::FundRequestRecalled { request_id: request("q3") },
    ]
}

const BALANCES: [&str; 9] = ["budget", "allocated", "requested", "approved", "released", "claimed", "paid", "available", "uncommitted"];

fn balances(events: Vec<FundEvent>) -> Vec<String> {
    lines(&ask(&Ledger::with([fund("b1", events)]), "mdf", &by(&[], &[])), &BALANCES)
}

#[test]
fn a_budgets_balances_as_recomputed_by_hand() {
    // 150 + 80 were asked for; of 120 approved 45 are paid and 30 claimed; 1000 - 500 may be allocated, 500 - 120 approved.
    assert_eq!(balances(history()), ["1000.00 500.00 230.00 120.00 0.00 75.00 45.00 500.00 380.00"]);
    let then = |more: Vec<FundEvent>| balances([history(), more].concat());
    // The window closes: 120 - 45 - 30 go back. The claim that was open is rejected: its 30 follow.
    assert_eq!(then(vec![closed("q1", "45.00")]), ["1000.00 500.00 230.00 120.00 45.00 75.00 45.00 500.00 425.00"]);
    let rejected = vec![closed("q1", "45.00"), claim_rejected("c2", "q1")];
    assert_eq!(then(rejected), ["1000.00 500.00 230.00 120.00 75.00 45.00 45.00 500.00 455.00"]);
    // Before the window closes, a rejected claim leaves its money to be claimed again.
    assert_eq!(then(vec![claim_rejected("c2", "q1")]), ["1000.00 500.00 230.00 120.00 0.00 45.00 45.00 500.00 380.00"]);
    let canceled = vec![FundEvent::FundRequestCanceled { request_id: request("q2") }];
    assert_eq!(then(canceled), ["1000.00 500.00 150.00 120.00 0.00 75.00 45.00 500.00 380.00"]);
}

#[test]
fn an_amended_request_asks_for_the_last_amount() {
    let amended = FundEvent::FundRequestAmended {
        request_id: request("q3"),
        revision: 2,
        activity: text("Fair"),
        amount: usd("10.00"),
        campaign_id: None,
        goal: text("9 leads"),
    };
    assert_eq!(balances([history(), vec![amended]].concat()), ["1000.00 500.00 240.00 120.00 0.00 75.00 45.00 500.00 380.00"]);
}

#[test]
fn partners_and_allocations_have_their_own_balances() {
    let ledger = Ledger::with([fund("b1", history()), fund("b2", vec![opened("10.00"), allocated("a3", "p1", "5.00")])]);
    let asked = |dims: &[&str], filters: &[(&str, &str)]| ask(&ledger, "mdf", &by(dims, filters));
    let shown = |dim: &'static str| [dim, "budget", "allocated", "approved", "paid", "available"];
    assert_eq!(lines(&asked(&["partner"], &[]), &shown("partner")), ["p1 - 405.00 120.00 45.00 285.00", "p2 - 100.00 0.00 0.00 100.00"]);
    assert_eq!(
        lines(&asked(&["allocation_id"], &[("partner", "p1")]), &shown("allocation_id")),
        ["a1 - 400.00 120.00 45.00 280.00", "a3 - 5.00 0.00 0.00 5.00"]
    );
    let one = ask(&ledger, "mdf", &Query { key: Some("b2".into()), ..Query::default() });
    assert_eq!(lines(&one, &shown("budget_id")), ["b2 10.00 5.00 0.00 0.00 5.00"]);
}

fn on(account: &str, at: &str, event: AccountEvent) -> Given {
    Given::account(account, at, vec![event])
}

fn touched(id: &str, account: &str, campaign: &str, at: &str, deal: Option<&str>) -> Given {
    let event = AccountEvent::TouchpointRecorded {
        touchpoint_id: TouchpointId::parse(id).expect(id),
        partner_id: None,
        kind: Label::parse("event").expect("a kind"),
        channel: Label::parse("webinar").ok(),
        deal_id: deal.map(deal_id),
        campaign_id: CampaignId::parse(campaign).ok(),
        occurred_at: time(at),
    };
    on(account, at, event)
}

fn won(account: &str, deal: &str, amount: &str, margin: &str, at: &str) -> Given {
    let (deal_id, amount, gross_margin) = (deal_id(deal), usd(amount), Some(usd(margin).money()));
    on(account, at, AccountEvent::DealWon { deal_id, amount, gross_margin, closed_at: time(at), net_new_logo: false })
}

fn campaigns() -> Vec<Given> {
    vec![
        fund("b1", history()),
        on("acme.com", "2026-01-01", registered("d1", "p1", "GTX", "500.00")),
        touched("t1", "acme.com", "spring", "2026-02-01", None),
        touched("t2", "acme.com", "spring", "2026-02-02", None),
        won("acme.com", "d1", "600.00", "180.00", "2026-03-01"),
        on("acme.com", "2026-03-02", registered("d2", "p1", "GTX", "90.00")),
        // Won before the campaign touched the account.
        on("umbrella.com", "2026-01-01", registered("d3", "p2", "GTX", "70.00")),
        won("umbrella.com", "d3", "70.00", "20.00", "2026-01-15"),
        touched("t3", "umbrella.com", "spring", "2026-02-01", None),
        // The touchpoint names one of two deals.
        on("initech.com", "2026-01-01", registered("d4", "p2", "GTX", "8.00")),
        on("initech.com", "2026-01-01", registered("d5", "p2", "GTX", "9.00")),
        touched("t4", "initech.com", "autumn", "2026-02-01", Some("d5")),
    ]
}

const RETURNS: [&str; 7] = ["campaign", "paid", "linked_gross_margin", "linked_won", "linked_pipeline", "roi", "roi_pipeline"];

#[test]
fn a_campaigns_return_is_that_of_the_accounts_it_touched() {
    let page = ask(&Ledger::with(campaigns()), "mdf", &by(&["campaign"], &[]));
    assert_eq!(
        lines(&page, &RETURNS),
        // (180 - 45) / 45 and (90 - 45) / 45; nothing was paid for autumn.
        ["autumn 0.00 0.00 0.00 9.00 - -", "spring 45.00 180.00 600.00 90.00 3 1", "- 0.00 - - - - -"]
    );
    let of_partner = ask(&Ledger::with(campaigns()), "mdf", &by(&["campaign", "partner"], &[("campaign", "spring")]));
    assert_eq!(lines(&of_partner, &["campaign", "partner", "paid", "linked_won", "roi"]), ["spring p1 45.00 - -"]);
}

#[test]
fn refunds_are_taken_off_what_a_campaign_brought() {
    let refund = |id: &str, deal: &str, amount: Amount, margin: Option<Money>, kind: RevenueKind| {
        let event = AccountEvent::RevenueRecorded {
            revenue_id: RevenueId::parse(id).expect(id),
            partner_id: PartnerId::parse("p1").ok(),
            amount,
            gross_margin: margin,
            deal_id: Some(deal_id(deal)),
            kind,
            recognized_at: time("2026-04-01"),
        };
        on("acme.com", "2026-04-01", event)
    };
    let spring = |more: Vec<Given>| {
        let page = ask(&Ledger::with([campaigns(), more].concat()), "mdf", &by(&["campaign"], &[("campaign", "spring")]));
        lines(&page, &["linked_gross_margin", "linked_won", "linked_pipeline", "roi"])
    };
    let euros = Amount::new(Money::parse("5.00", Currency::parse("EUR").expect("EUR")).expect("money")).expect("an amount");
    for (more, expected) in [
        (vec![], "180.00 600.00 90.00 3"),
        // The margin that a refund gives is taken off.
        (vec![refund("r1", "d1", usd("100.00"), Some(usd("45.00").money()), RevenueKind::Refund)], "135.00 500.00 90.00 2"),
        // One that gives none takes the deal's margin with it in proportion: 180 / 600 of 150.
        (vec![refund("r1", "d1", usd("150.00"), None, RevenueKind::Refund)], "135.00 450.00 90.00 2"),
        (vec![refund("r1", "d1", usd("600.00"), None, RevenueKind::Refund)], "0.00 0.00 90.00 -1"),
        // What more was given back was of renewals, which the campaign had not brought in.
        (vec![refund("r1", "d1", usd("900.00"), None, RevenueKind::Refund)], "0.00 0.00 90.00 -1"),
        // Revenue is none, nor what another currency was given back of; an open deal's value stays.
        (vec![refund("r1", "d1", usd("600.00"), None, RevenueKind::New)], "180.00 600.00 90.00 3"),
        (vec![refund("r1", "d1", euros, None, RevenueKind::Refund)], "180.00 600.00 90.00 3"),
        (vec![refund("r1", "d2", usd("1.00"), None, RevenueKind::Refund)], "180.00 600.00 90.00 3"),
    ] {
        assert_eq!(spring(more), [expected]);
    }
}

#[test]
fn a_campaign_touched_on_the_day_of_a_close_counts_for_it() {
    let given = vec![
        fund("b1", history()),
        on("acme.com", "2026-01-01", registered("d1", "p1", "GTX", "500.00")),
        touched("t1", "acme.com", "spring", "2026-03-01T15:00:00Z", None),
        won("acme.com", "d1", "600.00", "180.00", "2026-03-01"),
    ];
    let page = ask(&Ledger::with(given), "mdf", &by(&["campaign"], &[("campaign", "spring")]));
    assert_eq!(lines(&page, &["linked_won"]), ["600.00"]);
}

#[test]
fn a_campaign_that_brought_nothing_lost_what_was_paid() {
    let page = ask(&Ledger::with([fund("b1", history())]), "mdf", &by(&["campaign"], &[("campaign", "spring")]));
    assert_eq!(lines(&page, &RETURNS), ["spring 45.00 0.00 0.00 0.00 -1 -1"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn returns_do_not_depend_on_which_stream_came_first(seed in prop::collection::vec(any::<u32>(), 12)) {
        let expected = ask_once(&Ledger::with(campaigns()), "mdf", &by(&["campaign"], &[])).items;
        // Streams are interleaved at random; each keeps its own order.
        let mut streams: Vec<Vec<Given>> = Vec::new();
        for given in campaigns() {
            match streams.iter_mut().find(|stream| stream[0].stream == given.stream) {
                Some(stream) => stream.push(given),
                None => streams.push(vec![given]),
            }
        }
        let mut given = Vec::new();
        for n in seed {
            streams.retain(|stream| !stream.is_empty());
            let chosen = n as usize % streams.len();
            given.push(streams[chosen].remove(0));
        }
        prop_assert_eq!(ask_once(&Ledger::with(given), "mdf", &by(&["campaign"], &[])).items, expected);
    }
}
