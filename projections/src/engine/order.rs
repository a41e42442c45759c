//! What the engine makes depends on the order inside each stream, and on nothing else of where decisions stand.

use pledger_domain::{
    account::{AccountEvent, RevenueKind},
    cost::{CostEvent, CostKind},
    fund::FundEvent,
    values::{ClaimId, CostId, Label, PartnerId, Period, RequestId, RevenueId, TouchpointId},
};
use pledger_ledger::record::{Events, Outcome};
use proptest::prelude::*;

use super::tests::{folded, options};
use crate::{
    given::{Given, Ledger, deal_id, event, time, usd},
    table::Places,
};

/// Accounts, then streams of costs, then funds: few, so that several of one kind share a slice.
const ACCOUNTS: u8 = 6;
const COSTS: u8 = 3;
const STREAMS: u8 = ACCOUNTS + COSTS + 3;
/// Versions of the rules.
const RULES: u32 = 3;

fn partner(number: u32) -> PartnerId {
    PartnerId::parse(&format!("p{}", number % 3)).expect("an id")
}

/// Any event of an account that a row of several streams might be made from, or that moves a deal to another partner.
fn account_event() -> impl Strategy<Value = AccountEvent> {
    let shared = (0..3_u8, 0..4_u8, 0..5000_u32).prop_map(|(kind, deal, number)| {
        let (deal, at) = (deal_id(&format!("d{deal}")), time("2026-01-01").plus_days(i64::from(number % 60)));
        match kind {
            0 => AccountEvent::RevenueRecorded {
                revenue_id: RevenueId::parse(&format!("r{number}")).expect("an id"),
                partner_id: Some(partner(number)),
                amount: usd(&format!("{}.50", number + 1)),
                gross_margin: None,
                deal_id: (number % 2 == 0).then_some(deal),
                kind: if number % 5 == 0 { RevenueKind::Refund } else { RevenueKind::New },
                recognized_at: at,
            },
            1 => AccountEvent::DealReassigned { deal_id: deal, from: partner(number), to: partner(number + 1) },
            _ => AccountEvent::TouchpointRecorded {
                touchpoint_id: TouchpointId::parse(&format!("t{number}")).expect("an id"),
                partner_id: Some(partner(number)),
                kind: Label::parse("demo").expect("a label"),
                channel: None,
                deal_id: None,
                campaign_id: None,
                occurred_at: at,
            },
        }
    });
    prop_oneof![event(), shared]
}

fn cost(number: u32) -> CostEvent {
    CostEvent::ProgramCostRecorded {
        cost_id: CostId::parse(&format!("c{number}")).expect("an id"),
        kind: [CostKind::Mdf, CostKind::Staff][number as usize % 2],
        amount: usd(&format!("{}.00", number + 1)),
        // Costs of the program as a whole, so that several streams count in one month.
        partner_id: None,
        period: Period::parse(["2026-01", "2026-Q1"][number as usize % 2]).expect("a period"),
        claim_id: None,
        payout_id: None,
    }
}

fn paid(number: u32) -> FundEvent {
    FundEvent::ClaimPaid {
        claim_id: ClaimId::parse(&format!("k{number}")).expect("an id"),
        request_id: RequestId::parse("q1").expect("an id"),
        partner_id: partner(number),
        campaign_id: None,
        amount: usd(&format!("{}.00", number + 1)),
        paid_at: time("2026-01-01").plus_days(i64::from(number % 60)),
    }
}

/// Decisions by the number of their stream.
pub(super) fn decisions() -> impl Strategy<Value = Vec<(u8, Given)>> {
    let one = (0..STREAMS, account_event(), 0..400_i64, 0..5000_u32).prop_map(|(stream, event, day, number)| {
        let at = time("2026-01-01").plus_days(day).to_string();
        let given = if stream < ACCOUNTS {
            Given::account(&format!("a{stream}.com"), &at, vec![event])
        } else if stream < ACCOUNTS + COSTS {
            Given::new(&format!("cost/p{stream}"), &at, Outcome::Accepted(Events::Cost(vec![cost(number)].into())))
        } else {
            Given::new(&format!("fund/b{stream}"), &at, Outcome::Accepted(Events::Fund(vec![paid(number)].into())))
        };
        (stream, Given { rules: 1 + number % RULES, ..given })
    });
    prop::collection::vec(one, 1..80)
}

/// The same decisions with the streams interleaved otherwise: each keeps its own order.
fn interleaved(decisions: &[(u8, Given)], picks: &[u8]) -> Vec<Given> {
    let mut streams: Vec<Vec<Given>> = vec![Vec::new(); usize::from(STREAMS)];
    for (stream, given) in decisions.iter().rev() {
        streams[usize::from(*stream)].push(given.clone());
    }
    let (many, mut picks) = (streams.len(), picks.iter().cycle());
    let mut result = Vec::new();
    while streams.iter().any(|stream| !stream.is_empty()) {
        let first = usize::from(*picks.next().expect("picks go round"));
        let next = (0..many).map(|n| (first + n) % many).find(|at| !streams[*at].is_empty()).expect("one is left");
        result.extend(streams[next].pop());
    }
    result
}

pub(super) fn ledger(slices: u16, decisions: impl IntoIterator<Item = Given>) -> Ledger {
    let ledger = Ledger::new(slices);
    for version in 1..=RULES {
        ledger.add(Given::rules(version, "2020-01-01"));
    }
    for given in decisions {
        ledger.add(given);
    }
    ledger
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn streams_may_interleave_in_any_way(decisions in decisions(), picks in prop::collection::vec(0..STREAMS, 1..30)) {
        let other = ledger(3, interleaved(&decisions, &picks));
        let one = ledger(3, decisions.into_iter().map(|(_, given)| given));
        let left = |ledger, workers| folded(ledger, options(workers)).digests(Places::Left);
        prop_assert_eq!(left(&other, 2), left(&one, 1));
    }

    #[test]
    fn streams_may_lie_in_any_slice(decisions in decisions(), picks in prop::collection::vec(0..STREAMS, 1..30), slices in 2..20_u16) {
        let other = ledger(slices, interleaved(&decisions, &picks));
        let one = ledger(5, decisions.into_iter().map(|(_, given)| given));
        let left = |ledger, workers| folded(ledger, options(workers)).digests(Places::Left);
        prop_assert_eq!(left(&other, 3), left(&one, 2));
    }
}
