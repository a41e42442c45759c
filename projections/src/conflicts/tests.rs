//! Given decisions, then conflicts.

use std::{sync::Arc, time::Duration};

use pledger_domain::{
    account::{AccountEvent, DealRegistered, Overlap, Share},
    rejection::Rejection,
    values::{DisputeId, Label, PartnerId, StaffId, Text},
};
use serde_json::{Value, json};

use crate::{
    engine::{Engine, Options},
    given::{Given, Ledger, approved, deal_id, described, registered, registration, time, won},
    query::{Item, Query, QueryError},
};

fn conflicts(given: impl IntoIterator<Item = Given>, filters: &[(&str, &str)]) -> Vec<Item> {
    let options = Options { workers: 2, ..Options::default() };
    let engine = Engine::in_memory(Arc::new(Ledger::with(given)), options).expect("it starts");
    assert!(engine.wait_until_caught_up(Duration::from_secs(20), |_| {}));
    let filters = filters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    engine.query("conflicts", &Query { filters, ..Query::default() }).expect("conflicts").items
}

fn pick(item: &Item, fields: &[&str]) -> Value {
    let find = |name: &str| item.0.iter().find(|(known, _)| *known == name).expect(name).1.clone();
    Value::Object(fields.iter().map(|name| ((*name).to_owned(), find(name))).collect())
}

fn partner(id: &str) -> PartnerId {
    PartnerId::parse(id).expect(id)
}

fn overlapping(deal: &str, partner_id: &str, with: (&str, &str), historical: bool) -> AccountEvent {
    let overlap = Overlap { deal_id: deal_id(with.0), partner_id: partner(with.1) };
    AccountEvent::DealRegistered(Box::new(DealRegistered {
        overlaps: vec![overlap],
        overlap_count: 1,
        historical,
        ..registration(deal, partner_id, "GTX Pro", "50.00")
    }))
}

fn protected(contender: Option<&str>) -> Rejection {
    Rejection::AccountProtected {
        holder: partner("p1"),
        deal_id: deal_id("d1"),
        product: "GTX Pro".to_owned(),
        protected_until: time("2026-06-01"),
        contender: contender.map(partner),
    }
}

#[test]
fn refusals_name_who_tried_and_who_held() {
    let payload = r#"{"deal_id":"d2","partner_id":"p2","amount":{"amount":"70.00","currency":"USD"}}"#;
    let given = [
        Given::account("acme.com", "2026-01-01", vec![registered("d1", "p1", "GTX Pro", "100.00"), approved("d1")]),
        Given::refused("account/acme.com", "2026-01-05", protected(Some("p2")), ("RegisterDeal", payload)),
        Given::refused("account/acme.com", "2026-01-06", protected(None), ("ClaimAccountDirect", r#"{"claim_id":"c1","seller":"s1"}"#)),
    ];
    let found = conflicts(given.clone(), &[]);
    let fields = ["conflict_id", "kind", "status", "holder", "deal_id", "contender_count", "refused_count"];
    assert_eq!(
        pick(&found[0], &fields),
        json!({"conflict_id": "acme.com,product:gtx pro", "kind": "refused_registration", "status": "ruled", "holder": "p1",
               "deal_id": "d1", "contender_count": 2, "refused_count": 2})
    );
    assert_eq!(pick(&found[0], &["ruled_at"]), json!({"ruled_at": "2026-01-06T00:00:00Z"}), "the last refusal decided it");
    let contenders = pick(&found[0], &["contenders"])["contenders"].clone();
    let tried = |at: usize| ["partner", "seller", "deal_id", "command", "decided", "code"].map(|name| contenders[at][name].clone());
    assert_eq!(tried(0), [Value::Null, json!("s1"), json!("c1"), json!("ClaimAccountDirect"), json!("refused"), json!("AccountProtected")]);
    assert_eq!(tried(1), [json!("p2"), Value::Null, json!("d2"), json!("RegisterDeal"), json!("refused"), json!("AccountProtected")]);
    assert_eq!(contenders[1]["amount"], json!({"amount": "70.00", "currency": "USD"}));
    let told = ["told", "holder", "holder_deal_id", "holder_protected_until", "protection_granted_until", "rules", "clause"];
    let told = |at: usize| told.map(|name| contenders[at][name].clone());
    let until = json!("2026-06-01T00:00:00Z");
    let sentence = json!("the account is protected for p1 until 2026-06-01T00:00:00Z by the deal d1");
    let clause = json!("deal_registration.protection_scope");
    assert_eq!(told(1), [sentence, json!("p1"), json!("d1"), until, Value::Null, json!(1), clause]);
    for (filter, count) in
        [(("partner", "p2"), 1), (("partner", "p1"), 1), (("partner", "p9"), 0), (("kind", "overlap"), 0), (("status", "ruled"), 1)]
    {
        assert_eq!(conflicts(given.clone(), &[filter]).len(), count, "{filter:?}");
    }
}

#[test]
fn an_overlap_is_open_while_several_partners_compete() {
    let mut given = vec![
        Given::account("acme.com", "2026-01-01", vec![registered("d1", "p1", "GTX Pro", "100.00")]),
        Given::account("acme.com", "2026-01-02", vec![overlapping("d2", "p2", ("d1", "p1"), false)]),
    ];
    let fields = ["kind", "status", "contender_count", "refused_count"];
    let open = json!({"kind": "overlap", "status": "open", "contender_count": 2, "refused_count": 0});
    let found = conflicts(given.clone(), &[]);
    assert_eq!(pick(&found[0], &fields), open);
    let contenders = pick(&found[0], &["contenders"])["contenders"].clone();
    let sequence = |at: usize| contenders[at]["position"].as_str().and_then(|position| position.split(':').nth(1)).map(str::to_owned);
    assert_eq!([sequence(0), sequence(1)], [Some("1".to_owned()), Some("0".to_owned())], "each stands where it was decided: {contenders}");
    assert_eq!(pick(&found[0], &["ruled_at"]), json!({"ruled_at": null}));
    given.push(Given::account("acme.com", "2026-02-02", vec![won("d1", "90.00", "2026-02-02")]));
    // What happens to the other one later was no contest any more.
    given.push(Given::account("acme.com", "2026-03-03", vec![AccountEvent::DealCanceled { deal_id: deal_id("d2") }]));
    let ruled = json!({"kind": "overlap", "status": "ruled", "contender_count": 2, "refused_count": 0});
    let found = conflicts(given.clone(), &[]);
    assert_eq!(pick(&found[0], &fields), ruled);
    assert_eq!(pick(&found[0], &["ruled_at"]), json!({"ruled_at": "2026-02-02T00:00:00Z"}));
    // It may be contended anew, and be decided again.
    given.push(Given::account("acme.com", "2026-04-01", vec![registered("d3", "p3", "GTX Pro", "10.00")]));
    given.push(Given::account("acme.com", "2026-04-02", vec![overlapping("d4", "p4", ("d3", "p3"), false)]));
    assert_eq!(pick(&conflicts(given.clone(), &[])[0], &["status", "ruled_at"]), json!({"status": "open", "ruled_at": null}));
    let moved = AccountEvent::DealReassigned { deal_id: deal_id("d4"), from: partner("p4"), to: partner("p3") };
    given.push(Given::account("acme.com", "2026-04-05", vec![moved]));
    let decided = json!({"status": "ruled", "ruled_at": "2026-04-05T00:00:00Z"});
    assert_eq!(pick(&conflicts(given, &[])[0], &["status", "ruled_at"]), decided);
}

#[test]
fn a_direct_claim_and_a_partners_deal_contend_whichever_came_first() {
    let claimed = |id: &str, product: Option<&str>| AccountEvent::DirectClaimed {
        claim_id: id.parse().expect("an id"),
        seller: StaffId::parse("s1").expect("an id"),
        product: product.map(|product| Label::parse(product).expect("a label")),
    };
    let event = |day: &str, event| Given::account("acme.com", day, vec![event]);
    let registered = |day: &str| event(day, registered("d1", "p1", "GTX Pro", "100.00"));
    let fields = ["conflict_id", "kind", "status", "holder", "contender_count", "refused_count"];
    for (claim, subject) in [(Some("gtx pro"), "acme.com,product:gtx pro"), (None, "acme.com,account")] {
        let open = json!({"conflict_id": subject, "kind": "direct_claim", "status": "open", "holder": null, "contender_count": 2,
                          "refused_count": 0});
        for mut given in [
            vec![registered("2026-01-01"), event("2026-01-02", claimed("c1", claim))],
            vec![event("2026-01-01", claimed("c1", claim)), registered("2026-01-02")],
        ] {
            assert!(conflicts(given[..1].to_vec(), &[]).is_empty(), "alone it is none");
            let found = conflicts(given.clone(), &[]);
            assert_eq!((found.len(), pick(&found[0], &fields)), (1, open.clone()));
            let contenders = pick(&found[0], &["contenders"])["contenders"].clone();
            let told = |at: usize| ["partner", "seller", "deal_id", "command", "decided"].map(|name| contenders[at][name].clone());
            let both = [told(0), told(1)];
            assert!(both.contains(&[Value::Null, json!("s1"), json!("c1"), json!("ClaimAccountDirect"), json!("claimed")]), "{both:?}");
            assert!(both.contains(&[json!("p1"), Value::Null, json!("d1"), json!("RegisterDeal"), json!("registered")]), "{both:?}");
            // Another claim is one more contender, and the end of the deal decides it.
            given.push(event("2026-01-05", claimed("c2", claim)));
            given.push(event("2026-02-01", AccountEvent::DealCanceled { deal_id: deal_id("d1") }));
            let decided = json!({"status": "ruled", "ruled_at": "2026-02-01T00:00:00Z", "contender_count": 3});
            assert_eq!(pick(&conflicts(given.clone(), &[])[0], &["status", "ruled_at", "contender_count"]), decided);
            // It may be claimed anew beside another deal, and be decided again.
            given.push(event("2026-03-01", crate::given::registered("d2", "p1", "GTX Pro", "10.00")));
            given.push(event("2026-03-02", claimed("c3", claim)));
            assert_eq!(pick(&conflicts(given.clone(), &[])[0], &["status", "ruled_at"]), json!({"status": "open", "ruled_at": null}));
            given.push(event("2026-04-01", won("d2", "9.00", "2026-04-01")));
            let again = json!({"status": "ruled", "ruled_at": "2026-04-01T00:00:00Z"});
            assert_eq!(pick(&conflicts(given, &[])[0], &["status", "ruled_at"]), again);
        }
    }
    let apart = [registered("2026-01-01"), event("2026-01-02", claimed("c1", Some("Other")))];
    assert!(conflicts(apart, &[]).is_empty(), "they compete for different products");
}

fn moved(when: &str, deal: &str, product: &str) -> Given {
    Given::account("acme.com", when, vec![updated(deal, product, true)])
}

fn updated(deal: &str, product: &str, submitted: bool) -> AccountEvent {
    let registration = registration(deal, "p1", product, "50.00");
    AccountEvent::DealUpdated {
        deal_id: registration.deal_id,
        product: registration.product,
        amount: registration.amount,
        region: None,
        expected_close: None,
        submitted,
        sla_due: None,
    }
}

#[test]
fn a_deal_that_goes_to_another_product_leaves_one_contest_and_enters_another() {
    let mut given = vec![
        Given::account("acme.com", "2026-01-01", vec![registered("d1", "p1", "GTX Pro", "100.00")]),
        Given::account("acme.com", "2026-01-02", vec![overlapping("d2", "p2", ("d1", "p1"), false)]),
        Given::account("acme.com", "2026-01-03", vec![registered("d3", "p3", "GTX Basic", "10.00")]),
    ];
    let mut then = |next: Given, status: &str, ruled_at: Option<&str>| {
        given.push(next);
        let found = conflicts(given.clone(), &[("product", "GTX Pro")]);
        assert_eq!(pick(&found[0], &["status", "ruled_at"]), json!({"status": status, "ruled_at": ruled_at}), "{} decisions", given.len());
    };
    then(moved("2026-02-01", "d2", "GTX Basic"), "ruled", Some("2026-02-01T00:00:00Z"));
    then(moved("2026-03-01", "d2", "gtx pro"), "open", None);
    then(moved("2026-03-02", "d2", "GTX Basic"), "ruled", Some("2026-03-02T00:00:00Z"));
    // One that never contended before comes instead, and goes.
    then(moved("2026-04-01", "d3", "GTX Pro"), "open", None);
    let canceled = AccountEvent::DealCanceled { deal_id: deal_id("d3") };
    then(Given::account("acme.com", "2026-05-01", vec![canceled]), "ruled", Some("2026-05-01T00:00:00Z"));
}

#[test]
fn a_deal_that_goes_to_another_partner_may_begin_a_contest_again() {
    let reassigned = AccountEvent::DealReassigned { deal_id: deal_id("d3"), from: partner("p2"), to: partner("p3") };
    let given = [
        Given::account("acme.com", "2026-01-01", vec![registered("d1", "p1", "GTX Pro", "100.00")]),
        Given::account("acme.com", "2026-01-02", vec![overlapping("d2", "p2", ("d1", "p1"), false)]),
        Given::account("acme.com", "2026-02-01", vec![won("d1", "90.00", "2026-02-01")]),
        // Beside its partner's own deal it contends with nobody, until it is another's.
        Given::account("acme.com", "2026-03-01", vec![registered("d3", "p2", "GTX Pro", "10.00")]),
        Given::account("acme.com", "2026-03-02", vec![reassigned]),
        Given::account("acme.com", "2026-04-01", vec![AccountEvent::DealCanceled { deal_id: deal_id("d2") }]),
    ];
    let told = |many: usize| pick(&conflicts(given[..many].to_vec(), &[])[0], &["status", "ruled_at"]);
    assert_eq!(told(4), json!({"status": "ruled", "ruled_at": "2026-02-01T00:00:00Z"}));
    assert_eq!(told(5), json!({"status": "open", "ruled_at": null}));
    assert_eq!(told(6), json!({"status": "ruled", "ruled_at": "2026-04-01T00:00:00Z"}));
}

#[test]
fn a_change_begins_a_contest_where_none_was() {
    let on = |when: &str, event: AccountEvent| Given::account("acme.com", when, vec![event]);
    let draft = DealRegistered { draft: true, ..registration("d2", "p2", "GTX Pro", "50.00") };
    let reassigned = AccountEvent::DealReassigned { deal_id: deal_id("d2"), from: partner("p1"), to: partner("p3") };
    let drafted = [
        on("2026-01-01", registered("d1", "p1", "GTX Pro", "100.00")),
        on("2026-01-02", AccountEvent::DealRegistered(Box::new(draft))),
        on("2026-01-03", updated("d2", "GTX Pro", false)),
        on("2026-01-04", updated("d2", "GTX Pro", true)),
    ];
    let other_product = [
        on("2026-01-01", registered("d1", "p1", "GTX Pro", "100.00")),
        on("2026-01-02", registered("d2", "p2", "GTX Basic", "50.00")),
        on("2026-01-04", updated("d2", "gtx PRO", false)),
    ];
    let given_away = [
        on("2026-01-01", registered("d1", "p1", "GTX Pro", "100.00")),
        on("2026-01-02", registered("d2", "p1", "GTX Pro", "50.00")),
        on("2026-01-04", reassigned),
    ];
    for (given, contenders) in [
        (&drafted[..], &[("p2", "RegisterDeal"), ("p1", "RegisterDeal")][..]),
        (&other_product[..], &[("p2", "RegisterDeal"), ("p1", "RegisterDeal")][..]),
        (&given_away[..], &[("p3", "ReassignDeal"), ("p1", "RegisterDeal"), ("p1", "RegisterDeal")][..]),
    ] {
        assert_eq!(conflicts(given[..given.len() - 1].to_vec(), &[]).len(), 0, "no contest yet");
        let found = conflicts(given.to_vec(), &[]);
        let expected = json!({"conflict_id": "acme.com,product:gtx pro", "kind": "overlap", "status": "open", "holder": "p1", "deal_id": "d1",
                              "since": "2026-01-04T00:00:00Z", "contender_count": contenders.len()});
        let fields = ["conflict_id", "kind", "status", "holder", "deal_id", "since", "contender_count"];
        assert_eq!((found.len(), pick(&found[0], &fields)), (1, expected));
        let listed = pick(&found[0], &["contenders"])["contenders"].clone();
        let listed: Vec<_> =
            listed.as_array().expect("a list").iter().map(|one| (one["partner"].clone(), one["command"].clone())).collect();
        assert_eq!(listed, contenders.iter().map(|(partner, command)| (json!(partner), json!(command))).collect::<Vec<_>>());
    }
}

/// Who is listed as a contender, in the order of the entries, and who holds.
fn contended(given: &[Given]) -> (Value, Vec<Value>) {
    let found = conflicts(given.to_vec(), &[]);
    let listed = pick(&found[0], &["contenders"])["contenders"].clone();
    let mut deals: Vec<Value> = listed.as_array().expect("a list").iter().map(|one| json!([one["deal_id"], one["partner"]])).collect();
    deals.sort_unstable_by_key(Value::to_string);
    (pick(&found[0], &["holder", "deal_id"]), deals)
}

#[test]
fn whoever_comes_back_meets_those_who_came_meanwhile() {
    let mut given = vec![
        Given::account("acme.com", "2026-01-01", vec![registered("d1", "p1", "GTX Pro", "100.00")]),
        Given::account("acme.com", "2026-01-02", vec![registered("d2", "p2", "GTX Pro", "100.00")]),
        moved("2026-01-03", "d2", "GTX Basic"),
        Given::account("acme.com", "2026-02-01", vec![AccountEvent::DealCanceled { deal_id: deal_id("d1") }]),
        Given::account("acme.com", "2026-02-02", vec![registered("d9", "p9", "GTX Pro", "10.00")]),
        moved("2026-03-01", "d2", "GTX Pro"),
    ];
    let all = vec![json!(["d1", "p1"]), json!(["d2", "p2"]), json!(["d9", "p9"])];
    assert_eq!(contended(&given), (json!({"holder": "p9", "deal_id": "d9"}), all.clone()));
    // A change that moves nothing says nothing of who holds.
    given.push(Given::account("acme.com", "2026-03-02", vec![updated("d9", "GTX Pro", false)]));
    assert_eq!(contended(&given), (json!({"holder": "p9", "deal_id": "d9"}), all));
}

#[test]
fn whoever_comes_to_be_protected_holds_from_then_on() {
    let protected =
        |deal: &str| AccountEvent::DealApproved { deal_id: deal_id(deal), protected_until: Some(time("2026-12-31")), expires_at: None };
    let on = |at: &str, event| Given::account("acme.com", at, vec![event]);
    let given = [
        on("2026-01-01", registered("d1", "p1", "GTX Pro", "100.00")),
        on("2026-01-02", registered("d2", "p2", "GTX Pro", "100.00")),
        on("2026-01-03", protected("d2")),
    ];
    assert_eq!(contended(&given[..2]).0, json!({"holder": "p1", "deal_id": "d1"}), "who came first");
    assert_eq!(contended(&given).0, json!({"holder": "p2", "deal_id": "d2"}));
    // Who never contended is no part of an old contest.
    let later = [
        on("2026-02-01", AccountEvent::DealCanceled { deal_id: deal_id("d1") }),
        on("2026-02-01", AccountEvent::DealCanceled { deal_id: deal_id("d2") }),
        on("2026-03-01", registered("d3", "p3", "GTX Pro", "100.00")),
        on("2026-03-02", protected("d3")),
    ];
    assert_eq!(contended(&[&given[..], &later[..]].concat()).0, json!({"holder": "p2", "deal_id": "d2"}));
}

#[test]
fn an_account_stands_for_its_only_conflict() {
    let on = |day: u8, deal: &str, partner: &str, product: &str| {
        Given::account("acme.com", &format!("2026-01-0{day}"), vec![registered(deal, partner, product, "100.00")])
    };
    let given = [on(1, "d1", "p1", "GTX"), on(2, "d2", "p2", "GTX"), on(3, "d3", "p1", "MG"), on(4, "d4", "p2", "MG")];
    let ask = |given: &[Given]| {
        let engine = Engine::in_memory(Arc::new(Ledger::with(given.to_vec())), Options::default()).expect("it starts");
        assert!(engine.wait_until_caught_up(Duration::from_secs(20), |_| {}));
        engine.query("conflicts", &Query { key: Some("acme.com".to_owned()), ..Query::default() })
    };
    assert_eq!(ask(&given[..3]).expect("it").items.len(), 1);
    assert!(matches!(ask(&given), Err(QueryError::Ambiguous { candidates, .. }) if candidates.len() == 2));
}

#[test]
fn who_is_protected_holds() {
    let opened = AccountEvent::ProtectionOpened { deal_id: deal_id("d2"), protected_until: time("2026-12-31") };
    let given = [
        Given::account("acme.com", "2026-01-01", vec![registered("d1", "p1", "GTX Pro", "100.00")]),
        Given::account("acme.com", "2026-01-02", vec![registered("d2", "p2", "GTX Pro", "100.00")]),
        Given::account("acme.com", "2026-01-03", vec![opened]),
        Given::account("acme.com", "2026-01-04", vec![overlapping("d3", "p5", ("d2", "p2"), true)]),
    ];
    assert_eq!(contended(&given).0, json!({"holder": "p2", "deal_id": "d2"}));
    let given_away = AccountEvent::DealReassigned { deal_id: deal_id("d2"), from: partner("p2"), to: partner("p7") };
    let given = [&given[..], &[Given::account("acme.com", "2026-01-05", vec![given_away])]].concat();
    let (holder, contenders) = contended(&given);
    assert_eq!(holder, json!({"holder": "p7", "deal_id": "d2"}));
    assert_eq!(contenders, [json!(["d1", "p1"]), json!(["d2", "p2"]), json!(["d2", "p7"]), json!(["d3", "p5"])]);
}

#[test]
fn a_contest_is_ruled_when_the_last_of_many_deals_beside_it_is_closed() {
    let lost = |n: usize| AccountEvent::DealCanceled { deal_id: deal_id(&format!("d{n:02}")) };
    let mut given: Vec<Given> =
        (0..12).map(|n| Given::account("acme.com", "2026-01-01", vec![registered(&format!("d{n:02}"), "p1", "GTX Pro", "1.00")])).collect();
    given.push(Given::account("acme.com", "2026-01-02", vec![registered("e1", "p2", "GTX Pro", "1.00")]));
    given.extend((0..11).map(|n| Given::account("acme.com", &format!("2026-02-{:02}", n + 1), vec![lost(n)])));
    assert_eq!(
        pick(&conflicts(given.clone(), &[])[0], &["status", "ruled_at", "contender_count"]),
        json!({"status": "open", "ruled_at": null, "contender_count": 11})
    );
    given.push(Given::account("acme.com", "2026-03-01", vec![lost(11)]));
    assert_eq!(
        pick(&conflicts(given, &[])[0], &["status", "ruled_at", "last_at"]),
        json!({"status": "ruled", "ruled_at": "2026-03-01T00:00:00Z", "last_at": "2026-03-01T00:00:00Z"})
    );
}

#[test]
fn a_product_is_contended_however_it_is_written() {
    let product = Label::parse("ＧＴＸ   PRO").expect("a label");
    let overlaps = vec![Overlap { deal_id: deal_id("d1"), partner_id: partner("p1") }];
    let registered_so = DealRegistered { product, overlaps, overlap_count: 1, ..registration("d2", "p2", "GTX Pro", "50.00") };
    let given = [
        Given::account("acme.com", "2026-01-01", vec![registered("d1", "p1", "GTX Pro", "100.00")]),
        Given::account("acme.com", "2026-01-02", vec![AccountEvent::DealRegistered(Box::new(registered_so))]),
        Given::account("acme.com", "2026-01-03", vec![overlapping("d3", "p3", ("d1", "p1"), false)]),
    ];
    // Whichever of the spellings somebody asks by, also one that nobody wrote before.
    for filters in [&[][..], &[("product", "GTX Pro")], &[("product", "ＧＴＸ   PRO")], &[("product", "gtX  pRo")]] {
        let found = conflicts(given.clone(), filters);
        let seen: Vec<_> = found.iter().map(|item| pick(item, &["conflict_id", "status", "contender_count"])).collect();
        assert_eq!(seen, [json!({"conflict_id": "acme.com,product:gtx pro", "status": "open", "contender_count": 3})]);
    }
    assert_eq!(conflicts(given, &[("product", "GTX")]).len(), 0);
}

#[test]
fn history_shows_its_overlaps_as_such() {
    let given = [
        Given::account("acme.com", "2017-01-01", vec![registered("d1", "p1", "GTX Pro", "100.00")]),
        Given::account("acme.com", "2017-01-02", vec![overlapping("d2", "p2", ("d1", "p1"), true)]),
        Given::account("acme.com", "2017-01-03", vec![overlapping("d3", "p3", ("d1", "p1"), true)]),
    ];
    let found = conflicts(given, &[]);
    assert_eq!(found.len(), 1);
    assert_eq!(pick(&found[0], &["kind", "contender_count"]), json!({"kind": "historical_overlap", "contender_count": 3}));
}

#[test]
fn what_is_done_today_with_a_deal_of_history_is_an_overlap_of_today() {
    let mut draft = registration("d2", "p1", "GTX Pro", "50.00");
    (draft.historical, draft.draft) = (true, true);
    let given = [
        Given::account("acme.com", "2017-01-01", vec![registered("d1", "p2", "GTX Pro", "100.00")]),
        Given::account("acme.com", "2017-01-02", vec![AccountEvent::DealRegistered(Box::new(draft))]),
        moved("2026-01-03", "d2", "GTX Pro"),
    ];
    assert_eq!(pick(&conflicts(given, &[])[0], &["kind", "contender_count"]), json!({"kind": "overlap", "contender_count": 2}));
}

#[test]
fn a_dispute_is_open_until_it_is_ruled() {
    let dispute_id = DisputeId::parse("dis-1").expect("an id");
    let text = |text: &str| Text::parse(text).expect("a text");
    let opened = AccountEvent::DisputeOpened {
        dispute_id: dispute_id.clone(),
        deal_id: deal_id("d1"),
        contender: partner("p2"),
        reason: text("Ours."),
    };
    let escalated = AccountEvent::DisputeEscalated { dispute_id: dispute_id.clone(), to: StaffId::parse("s-9").expect("an id") };
    let share = |id: &str, share: &str| Share { partner_id: partner(id), share: share.parse().expect("a number") };
    let shares = vec![share("p1", "0.60"), share("p2", "0.4")];
    let ruled = AccountEvent::DisputeRuled { dispute_id, deal_id: deal_id("d1"), shares, reason: text("Both did.") };
    let mut given = vec![
        Given::account("acme.com", "2026-01-01", vec![registered("d1", "p1", "GTX Pro", "100.00")]),
        Given::account("acme.com", "2026-01-02", vec![opened]),
        Given::account("acme.com", "2026-01-03", vec![escalated]),
    ];
    let fields = ["conflict_id", "status", "holder", "escalated_to", "shares", "reason"];
    assert_eq!(
        pick(&conflicts(given.clone(), &[("status", "open")])[0], &fields),
        json!({"conflict_id": "acme.com,dispute:dis-1", "status": "open", "holder": "p1", "escalated_to": "s-9", "shares": [], "reason": "Ours."})
    );
    given.push(Given::account("acme.com", "2026-01-04", vec![ruled]));
    assert_eq!(
        pick(&conflicts(given, &[])[0], &["status", "ruled_at", "shares", "reason"]),
        json!({"status": "ruled", "ruled_at": "2026-01-04T00:00:00Z", "reason": "Both did.",
               "shares": [{"partner": "p1", "share": "0.6"}, {"partner": "p2", "share": "0.4"}]})
    );
}

#[test]
fn accounts_that_may_be_one_are_flagged() {
    let given = [
        described("acme.com", "Acme Corporation", Some("us"), None),
        described("acme.de", "ACME Inc.", Some("US"), None),
        described("acme.fr", "Acme", Some("FR"), None),
        described("globex.com", "Globex", None, Some("12-345-6789")),
        described("initech.com", "Initech", None, Some("123456789")),
        described("umbrella.com", "Umbrella Corp", None, None),
        described("umbrela.com", "Umbrela", None, None),
        described("store12.com", "Store 12", None, None),
        described("store13.com", "Store 13", None, None),
    ];
    // They are about no product, and nobody takes part in them.
    for (filter, found) in [(("product", ""), 3), (("partner", ""), 3), (("product", "GTX"), 0), (("partner", "p1"), 0)] {
        assert_eq!(conflicts(given.clone(), &[filter]).len(), found, "{filter:?}");
    }
    let pairs: Vec<_> = conflicts(given, &[("kind", "possible_duplicate")])
        .iter()
        .map(|item| pick(item, &["account", "other_account", "score", "alike_by"]))
        .collect();
    assert_eq!(
        pairs,
        [
            json!({"account": "acme.com", "other_account": "acme.de", "score": "1", "alike_by": "name_and_country"}),
            json!({"account": "globex.com", "other_account": "initech.com", "score": "1", "alike_by": "duns"}),
            json!({"account": "umbrela.com", "other_account": "umbrella.com", "score": "0.975", "alike_by": "similar_name"}),
        ]
    );
}

#[test]
fn what_was_protected_is_told_after_the_deal_is_closed() {
    let on = |at: &str, event| Given::account("acme.com", at, vec![event]);
    let until = Some(time("2026-06-01"));
    let mut given = vec![
        on("2026-01-01", registered("d1", "p1", "GTX Pro", "100.00")),
        on("2026-01-02", registered("d2", "p2", "GTX Pro", "100.00")),
        on("2026-01-03", AccountEvent::DealApproved { deal_id: deal_id("d1"), protected_until: until, expires_at: None }),
    ];
    let told = |given: &[Given]| {
        let found = conflicts(given.to_vec(), &[]);
        let listed = pick(&found[0], &["contenders"])["contenders"].clone();
        let of = |at: usize| listed[at]["protection_granted_until"].clone();
        (pick(&found[0], &["protected_until", "protection_granted_until"]), [of(0), of(1)], listed[1]["told"].clone())
    };
    let until = "2026-06-01T00:00:00Z";
    let both = json!({"protected_until": until, "protection_granted_until": until});
    assert_eq!(told(&given), (both, [Value::Null, json!(until)], json!("the deal was registered")));
    given.push(on("2026-02-02", won("d1", "90.00", "2026-02-02")));
    let granted = json!({"protected_until": null, "protection_granted_until": until});
    assert_eq!(told(&given), (granted, [Value::Null, json!(until)], json!("the deal was registered")));
}
