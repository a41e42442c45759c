//! Given decisions, then credits, recomputed by hand.

use pledger_domain::{
    account::AccountEvent,
    values::{Label, PartnerId, TouchpointId},
};

use proptest::prelude::*;

use crate::{
    asked::{ask, ask_once, by, lines},
    given::{Given, Ledger, deal_id, registered, time, won},
    query::Query,
};

/// A touchpoint: of the partner of this name, or where it begins with `#` of a channel; `deal` may name one.
fn touch(id: &str, who: &str, kind: &str, at: &str, deal: Option<&str>) -> AccountEvent {
    let channel = who.strip_prefix('#');
    AccountEvent::TouchpointRecorded {
        touchpoint_id: TouchpointId::parse(id).expect(id),
        partner_id: channel.is_none().then(|| PartnerId::parse(who).expect(who)),
        kind: Label::parse(kind).expect(kind),
        channel: channel.map(|name| Label::parse(name).expect(name)),
        deal_id: deal.map(deal_id),
        campaign_id: None,
        occurred_at: time(at),
    }
}

fn on(account: &str, at: &str, event: AccountEvent) -> Given {
    Given::account(account, at, vec![event])
}

const CREDIT: [&str; 4] = ["partner", "channel", "weight", "credited"];

fn credits(ledger: &Ledger, deal: &str, model: &str) -> Vec<String> {
    lines(&ask(ledger, "attribution", &by(&[], &[("deal", deal), ("model", model)])), &CREDIT)
}

#[test]
fn a_deal_without_touchpoints_is_its_registering_partners() {
    let ledger = Ledger::with([
        on("acme.com", "2026-01-10", registered("d1", "p1", "GTX", "100.00")),
        on("acme.com", "2026-03-11", won("d1", "120.00", "2026-03-11")),
        on("acme.com", "2026-03-12", registered("d2", "p2", "GTX", "100.00")),
    ]);
    let page = ask(&ledger, "attribution", &by(&[], &[]));
    let fields = ["deal", "account", "partner", "channel", "model", "quarter", "weight", "credited", "standing", "closed_at"];
    let expected = ["first", "last", "linear", "u_shaped", "w_shaped", "time_decay"]
        .map(|model| format!("d1 acme.com p1 - {model} 2026-Q1 1 120.00 sourced 2026-03-11T00:00:00Z"));
    assert_eq!(lines(&page, &fields), expected);
}

/// Touched by a campaign, then registered by p1, then shown by p2 twice; won on day 70.
fn touched() -> Vec<Given> {
    vec![
        on("acme.com", "2026-01-01", touch("t1", "#webinar", "event", "2026-01-01", None)),
        on("acme.com", "2026-01-10", registered("d1", "p1", "GTX", "100.00")),
        on("acme.com", "2026-02-01", touch("t2", "p2", "demo", "2026-02-01", None)),
        on("acme.com", "2026-02-08", touch("t3", "p2", "demo", "2026-02-08", None)),
        // Too old, too young, and another deal's.
        on("acme.com", "2026-02-09", touch("t4", "p3", "demo", "2025-01-01", None)),
        on("acme.com", "2026-02-10", registered("d2", "p1", "GTX", "100.00")),
        on("acme.com", "2026-02-11", touch("t5", "p3", "demo", "2026-02-11", Some("d2"))),
        on("acme.com", "2026-03-12", won("d1", "100.00", "2026-03-12")),
        on("acme.com", "2026-03-13", touch("t6", "p3", "demo", "2026-03-13", None)),
    ]
}

#[test]
fn touchpoints_share_a_deal_by_every_model() {
    let ledger = Ledger::with(touched());
    for (model, expected) in [
        ("first", vec!["- webinar 1 100.00"]),
        ("last", vec!["p2 - 1 100.00"]),
        // Three touches, two of them p2's.
        ("linear", vec!["- webinar 0.333333333333 33.33", "p2 - 0.666666666667 66.67"]),
        // 40 / 20 / 40.
        ("u_shaped", vec!["- webinar 0.4 40.00", "p2 - 0.6 60.00"]),
        // The first touch led to the registration: 30 / 10 / 30 over 70.
        ("w_shaped", vec!["- webinar 0.428571428571 42.86", "p2 - 0.571428571429 57.14"]),
        // 31 and 7 days before the last: 2^-(38/7) : 2^-1 : 1 = 0.0232186... over 1.5232186...
        ("time_decay", vec!["- webinar 0.015243156722 1.52", "p2 - 0.984756843278 98.48"]),
    ] {
        assert_eq!(credits(&ledger, "d1", model), expected, "{model}");
    }
}

#[test]
fn a_touchpoint_that_comes_late_credits_the_deal_again() {
    let mut given = touched();
    given.push(on("acme.com", "2026-04-01", touch("t7", "p9", "demo", "2025-12-25", None)));
    let ledger = Ledger::with(given);
    assert_eq!(credits(&ledger, "d1", "first"), ["p9 - 1 100.00"]);
    assert_eq!(credits(&ledger, "d1", "linear"), ["p9 - 0.25 25.00", "- webinar 0.25 25.00", "p2 - 0.5 50.00"]);
    let sums = ask(&ledger, "attribution", &by(&["partner"], &[("model", "linear")]));
    assert_eq!(lines(&sums, &["partner", "model", "credits", "credited"]), ["p2 linear 1 50.00", "p9 linear 1 25.00", "- linear 1 25.00"]);
}

#[test]
fn a_late_touchpoint_takes_a_deal_from_its_registering_partner() {
    let ledger = Ledger::with([
        on("acme.com", "2026-01-10", registered("d1", "p1", "GTX", "100.00")),
        on("acme.com", "2026-03-11", won("d1", "120.00", "2026-03-11")),
        on("acme.com", "2026-03-12", touch("t1", "p2", "demo", "2026-03-11", None)),
    ]);
    let sums = ask(&ledger, "attribution", &by(&["partner", "quarter"], &[("model", "first")]));
    assert_eq!(
        lines(&sums, &["partner", "quarter", "credited", "sourced", "influenced", "touched"]),
        ["p2 2026-Q1 120.00 120.00 0.00 120.00"]
    );
}

#[test]
fn a_close_of_a_bare_date_is_the_whole_day() {
    let story = |closed: &str, order: [usize; 3]| {
        let last = [
            on("acme.com", "2026-03-11T09:00:00Z", touch("t1", "p2", "demo", "2026-03-11T09:00:00Z", None)),
            on("acme.com", "2026-03-11T23:59:59Z", touch("t2", "p3", "demo", "2026-03-11T23:59:59Z", None)),
            on("acme.com", closed, won("d1", "100.00", closed)),
        ];
        let registered = on("acme.com", "2026-03-01", registered("d1", "p1", "GTX", "100.00"));
        let next_day = on("acme.com", "2026-03-12", touch("t3", "p4", "demo", "2026-03-12", None));
        Ledger::with(std::iter::once(registered).chain(order.map(|place| last[place].clone())).chain([next_day]))
    };
    // Touchpoints that were recorded after the win, too.
    for order in [[0, 1, 2], [2, 1, 0]] {
        let whole_day = story("2026-03-11", order);
        assert_eq!(credits(&whole_day, "d1", "linear"), ["p2 - 0.5 50.00", "p3 - 0.5 50.00"]);
        let details = Query { details: true, ..by(&[], &[("deal", "d1"), ("model", "time_decay"), ("partner", "p3")]) };
        // Ages are counted from the last touch where that came after the close's midnight: none is negative.
        assert_eq!(lines(&ask(&whole_day, "attribution", &details), &["party_shares"]), ["0.5^(0 / 7)"]);
        let sums = ask(&whole_day, "attribution", &by(&["partner"], &[("model", "last")]));
        assert_eq!(lines(&sums, &["partner", "credited"]), ["p3 100.00"]);
        // A time is that time.
        assert_eq!(credits(&story("2026-03-11T12:00:00Z", order), "d1", "linear"), ["p2 - 1 100.00"]);
    }
}

#[test]
fn sourced_and_influenced_are_disjoint() {
    let story = |account: &str, touches: &[(&str, &str, &str)]| {
        let mut given: Vec<_> =
            touches.iter().enumerate().map(|(n, (who, kind, at))| on(account, at, touch(&format!("t{n}"), who, kind, at, None))).collect();
        given.push(on(account, "2026-02-01", registered(&format!("d-{account}"), "p1", "GTX", "10.00")));
        given.push(on(account, "2026-03-01", won(&format!("d-{account}"), "10.00", "2026-03-01")));
        given
    };
    let given = [
        story("registered-first.com", &[("#mail", "mail", "2026-02-02")]),
        story("referred.com", &[("p2", "referral", "2026-01-02"), ("#mail", "mail", "2026-01-03")]),
        story("shown.com", &[("p2", "demo", "2026-01-02")]),
        story("mailed-and-shown.com", &[("#mail", "mail", "2026-01-02"), ("p1", "referral", "2026-01-03")]),
        story("mailed.com", &[("#mail", "mail", "2026-01-02")]),
        story("channel-referral.com", &[("#mail", "referral", "2026-01-02")]),
        story("at-once.com", &[("#mail", "mail", "2026-02-01")]),
    ];
    let ledger = Ledger::with(given.concat());
    let page = ask(&ledger, "attribution", &by(&[], &[("model", "last")]));
    assert_eq!(
        lines(&page, &["account", "standing"]),
        [
            "at-once.com sourced",
            "channel-referral.com neither",
            "mailed-and-shown.com influenced",
            "mailed.com neither",
            "referred.com sourced",
            "registered-first.com sourced",
            "shown.com influenced",
        ]
    );
    let sums = ask(&ledger, "attribution", &by(&["model"], &[("model", "last")]));
    assert_eq!(lines(&sums, &["model", "credits", "credited", "sourced", "influenced", "touched"]), ["last 7 70.00 30.00 20.00 50.00"]);
    let influenced = ask(&ledger, "attribution", &by(&["partner", "channel"], &[("model", "first"), ("standing", "influenced")]));
    assert_eq!(lines(&influenced, &["partner", "channel", "credited"]), ["p2 - 10.00", "- mail 10.00"]);
}

#[test]
fn touches_of_one_time_are_told_apart_by_their_ids() {
    let touches = [("t-b", "p2"), ("t-a", "p1"), ("t-c", "p3")];
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let mut given = vec![on("acme.com", "2026-01-01", registered("d1", "p0", "GTX", "1.00"))];
        given.extend(order.map(|n| on("acme.com", "2026-01-02", touch(touches[n].0, touches[n].1, "demo", "2026-01-02", None))));
        given.push(on("acme.com", "2026-01-03", won("d1", "1.00", "2026-01-03")));
        let ledger = Ledger::with(given);
        assert_eq!(
            lines(&ask_once(&ledger, "attribution", &by(&[], &[("model", "linear")])), &["partner", "credited"]),
            ["p1 0.34", "p2 0.33", "p3 0.33"]
        );
    }
}

#[test]
fn pages_follow_each_other_inside_a_deal_too() {
    let mut given = touched();
    given.extend((0..5).flat_map(|n| {
        let (account, deal) = (format!("a{n}.com"), format!("x{n}"));
        [on(&account, "2026-01-10", registered(&deal, "p1", "GTX", "1.00")), on(&account, "2026-02-01", won(&deal, "1.00", "2026-02-01"))]
    }));
    let ledger = Ledger::with(given);
    let all = ask_once(&ledger, "attribution", &by(&[], &[])).items;
    assert_eq!(all.len(), 2 + 4 * 2 + 5 * 6);
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = ask_once(&ledger, "attribution", &Query { limit: Some(7), cursor, ..Query::default() });
        assert!(page.items.len() <= 7);
        seen.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, all);
    let one = ask_once(&ledger, "attribution", &by(&[], &[("deal", "x3")]));
    assert_eq!(lines(&one, &["deal", "account"]), vec!["x3 a3.com"; 6]);
}

/// Three accounts; every deal is registered, then won or not; touchpoints come in any order of their times.
fn stories() -> impl Strategy<Value = Vec<Given>> {
    prop::collection::vec((0..3_u8, 0..4_u8, 0..300_u16, 0..5_u8), 1..40).prop_map(|acts| {
        let day = |day: u16| time("2026-01-01").plus_days(day.into()).date();
        let mut given = Vec::new();
        for (n, (account, what, on_day, who)) in acts.into_iter().enumerate() {
            let (account, deal) = (format!("a{account}.com"), format!("d{n}"));
            let who = if who < 4 { format!("p{who}") } else { "#mail".to_owned() };
            match what {
                0 | 1 => given.push(on(&account, "2026-12-01", touch(&format!("t{n}"), &who, "demo", &day(on_day), None))),
                2 => given.push(on(&account, "2026-12-01", registered(&deal, "p1", "GTX", "9.99"))),
                _ => {
                    given.push(on(&account, &day(on_day), registered(&deal, "p2", "GTX", "9.99")));
                    given.push(on(&account, "2026-12-01", won(&deal, &format!("{}.{:02}", n * 7, n), &day(on_day + 20))));
                }
            }
        }
        given
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn sums_are_those_of_the_deals_however_they_were_made(given in stories()) {
        let ledger = Ledger::with(given);
        let sums = ask(&ledger, "attribution", &by(&["partner", "quarter"], &[]));
        let every = by(&["partner", "quarter"], &[("account", "a0.com"), ("account", "a1.com"), ("account", "a2.com")]);
        // With a filter by account the sums are made from the deals.
        prop_assert_eq!(sums.items, ask_once(&ledger, "attribution", &every).items);
    }
}
