//! Views, streams and what else is read.

use axum::{body::Body, http::Request};
use http_body_util::BodyExt;
use pledger_command_api::{Probe, router};
use serde_json::{Value, json};
use std::sync::Arc;
use tower::ServiceExt;

use crate::stack::{PORTAL, Stack, deal_payload, in_a_year, now};

#[tokio::test]
async fn a_write_is_read_back_as_soon_as_it_is_asked_for() {
    let stack = Stack::ready().await;
    let registered = stack.deal("d-1", "acme.com").await;
    let position = registered["position"].as_str().expect("a position");
    let page = stack.get(&format!("/v1/deals?at_least={position}&partner=p-1")).await.json();
    assert_eq!(page["items"][0]["deal_id"], "d-1");
    assert_eq!(page["next"], Value::Null);
    let (slice, pseq) = position.split_once(':').expect("a position");
    assert_eq!(page["position"][slice], pseq.parse::<u64>().expect("a number"));
    let one = stack.get("/v1/deals/d-1").await.json();
    assert_eq!(one["amount"], json!({"amount": "120000.00", "currency": "USD"}));
    let pipeline = stack.get(&format!("/v1/pipeline?by=partner,status&at_least={position}")).await.json();
    assert_eq!(pipeline["items"][0]["partner"], "p-1");
    assert_eq!(pipeline["items"][0]["count"], 1);
}

#[tokio::test]
async fn pages_follow_each_other() {
    let stack = Stack::ready().await;
    let mut position = String::new();
    for n in 0..5 {
        let answer = stack.deal(&format!("d-{n}"), "acme.com").await;
        position = answer["position"].as_str().expect("a position").to_owned();
    }
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = stack.get(&format!("/v1/deals?limit=2&at_least={position}{cursor}")).await.json();
        seen.extend(page["items"].as_array().expect("items").iter().map(|item| item["deal_id"].as_str().expect("an id").to_owned()));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ["d-0", "d-1", "d-2", "d-3", "d-4"]);
}

#[tokio::test]
async fn views_are_csv_where_that_is_accepted() {
    let stack = Stack::ready().await;
    stack.deal("d-1", "acme.com").await;
    let position = stack.deal("d-2", "acme.com").await["position"].as_str().expect("a position").to_owned();
    let reply = stack.get_as(&format!("/v1/pipeline?by=partner&at_least={position}"), "text/csv").await;
    assert_eq!(reply.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
    let mut lines = reply.text().lines();
    let header: Vec<&str> = lines.next().expect("a header").split(',').collect();
    assert_eq!(header[..5], ["partner", "currency", "count", "amount", "amount_currency"]);
    assert!(lines.next().expect("a row").starts_with("p-1,USD,2,240000.00,USD,"), "{}", reply.text());
    assert_eq!(lines.next(), None);
    let limited = stack.get_as("/v1/deals?limit=1", "text/csv").await;
    assert!(limited.header("next-cursor").is_some());
    assert_eq!(limited.text().lines().count(), 2);
}

#[tokio::test]
async fn a_stream_shows_its_decisions_and_opens_persons() {
    let stack = Stack::ready().await;
    let mut payload = deal_payload("d-1", "acme.com");
    payload["contact"] = json!({"person_id": "c-1", "name": "Ada Lovelace"});
    let reply = stack.command("RegisterDeal", &payload, &[]).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(!reply.text().contains("Ada"), "the answer holds what was recorded: {}", reply.text());
    assert_eq!(stack.command("ApproveDeal", &json!({"deal_id": "d-404", "account": "acme.com"}), &[]).await.status, 409);

    let page = stack.get("/v1/streams/account%2Facme.com").await.json();
    assert_eq!(page["stream"], "account/acme.com");
    let [registered, refused] = page["items"].as_array().expect("items").as_slice() else { panic!("{page}") };
    assert_eq!(registered["command"]["payload"]["contact"]["name"], "Ada Lovelace");
    assert_eq!(registered["events"][0]["data"]["contact"]["name"], "Ada Lovelace");
    assert_eq!((&registered["outcome"], &registered["version"]), (&json!("accepted"), &json!(1)));
    assert!(registered["relied_on"].as_array().is_some_and(|facts| facts.iter().any(|fact| fact["stream"] == "partner/p-1")));
    assert_eq!((&refused["outcome"], &refused["code"]), (&json!("rejected"), &json!("DealUnknown")));

    let subject = pledger_domain::values::PersonId::parse("c-1").expect("an id");
    stack.keys().erase(&subject, "asked to be forgotten", now()).expect("erased");
    let erased = stack.get("/v1/streams/account%2Facme.com").await.json();
    assert_eq!(erased["items"][0]["events"][0]["data"]["contact"]["name"], json!({"erased": true}));
}

#[tokio::test]
async fn persons_are_named_to_those_who_may_see_them() {
    let stack = Stack::ready().await;
    let manager = json!({"partner_id": "p-1", "manager_id": "m-1", "name": "Ada Lovelace"});
    let reply = stack.command("AssignPartnerManager", &manager, &[]).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let position = reply.json()["position"].as_str().expect("a position").to_owned();
    let path = format!("/v1/partners?at_least={position}");
    let as_portal = async |path: &str, accept: &str| {
        let request = Request::get(path).header("accept", accept).header("authorization", format!("Bearer {PORTAL}"));
        stack.send(request.body(Body::empty()).expect("a request")).await
    };

    assert_eq!(stack.get(&path).await.json()["items"][0]["manager_name"], "Ada Lovelace");
    assert!(stack.get_as(&path, "text/csv").await.text().contains("Ada Lovelace"));
    let page = as_portal(&path, "application/json").await.json();
    assert!(page["items"][0]["manager_name"]["sealed"].is_string(), "{page}");
    for path in [path.as_str(), "/v1/streams/partner%2Fp-1"] {
        let reply = as_portal(path, "*/*").await;
        assert!(reply.status.is_success() && !reply.text().contains("Ada"), "{}", reply.text());
    }

    let subject = pledger_domain::values::PersonId::parse("m-1").expect("an id");
    stack.keys().erase(&subject, "asked to be forgotten", now()).expect("erased");
    assert_eq!(stack.get(&path).await.json()["items"][0]["manager_name"], json!({"erased": true}));
    assert!(stack.get_as(&path, "text/csv").await.text().contains("(erased)"));
}

#[tokio::test]
async fn the_past_is_asked_for_in_two_times() {
    let stack = Stack::ready().await;
    stack.deal("d-1", "acme.com").await;
    let before = now();
    let late = json!({"touchpoint_id": "t-1", "account": "acme.com", "partner_id": "p-1", "kind": "referral", "occurred_at": "2026-01-05T00:00:00Z"});
    assert_eq!(stack.command("RecordTouchpoint", &late, &[]).await.status, 200);
    let won = json!({"deal_id": "d-1", "account": "acme.com", "amount": {"amount": "5.00", "currency": "USD"}});
    let reply = stack.command("CloseWon", &won, &[]).await;
    assert_eq!(reply.status, 409, "{}", reply.text());
    assert_eq!(stack.command("ApproveDeal", &json!({"deal_id": "d-1", "account": "acme.com"}), &[]).await.status, 200);
    assert_eq!(stack.command("CloseWon", &won, &[]).await.status, 200);

    let status = async |time: &str| {
        let page = stack.get(&format!("/v1/deals/d-1?{time}")).await.json();
        page["status"].as_str().expect("a status").to_owned()
    };
    assert_eq!(status(&format!("as_of={before}")).await, "open");
    assert_eq!(status(&format!("known_at={before}")).await, "open");
    assert_eq!(status(&format!("as_of={}", now().plus_days(1))).await, "won");
    // Asked again, the moment has the records that came since.
    let moment = format!("as_of={}", now().plus_days(1));
    assert_eq!(stack.get(&format!("/v1/deals?{moment}")).await.json()["items"].as_array().map(Vec::len), Some(1));
    let second = stack.deal("d-2", "umbrella.com").await;
    let position = second["position"].as_str().expect("a position");
    assert_eq!(stack.get(&format!("/v1/deals?{moment}&at_least={position}")).await.json()["items"].as_array().map(Vec::len), Some(2));

    for (query, status, code, field) in [
        ("as_of=soon", 400, "InvalidTime", "as_of"),
        ("as_of=2026-01-01&known_at=soon", 400, "InvalidTime", "known_at"),
        ("as_of=2026-01-01&as_of=2026-01-02", 400, "MalformedQuery", "as_of"),
        ("as_of=1999-12-31", 422, "BeforeHistory", "as_of"),
        ("known_at=2019-12-31", 422, "BeforeHistory", "known_at"),
        ("as_of=2300-01-01&known_at=2019-12-31", 422, "BeforeHistory", "known_at"),
        ("as_of=1999-12-31&known_at=2300-01-01", 422, "BeforeHistory", "as_of"),
    ] {
        let reply = stack.get(&format!("/v1/deals?{query}")).await;
        let told = reply.json();
        assert_eq!(
            (reply.status.as_u16(), told["code"].as_str(), told["field"].as_str()),
            (status, Some(code), Some(field)),
            "{query}: {told}"
        );
    }
}

#[tokio::test]
async fn what_nothing_has_and_a_day_to_come_are_said_beside_the_answer() {
    let stack = Stack::ready().await;
    let southern = json!({"partner_id": "southern", "name": "Suedwind", "roles": ["reseller"]});
    stack.command("RegisterPartner", &southern, &[]).await;
    let region = stack.command("AssignPartnerRegion", &json!({"partner_id": "southern", "region": "EMEA"}), &[]).await.json();
    stack.get(&format!("/v1/partners?at_least={}", region["position"].as_str().expect("a position"))).await;
    let position = stack.deal("d-1", "acme.com").await["position"].as_str().expect("a position").to_owned();
    let future = "known_at 2300-01-01T23:59:59.999999Z lies in the future: the answer is what is known now";
    for (path, warning) in [
        ("pipeline?region=EMAE", Some("no region EMAE; nearest: EMEA")),
        ("deals?partner=p-11&product=Nothing", Some("no partner p-11; nearest: p-1; no product Nothing")),
        ("conflicts?account=acme.comm", Some("no account acme.comm; nearest: acme.com")),
        // There is a partner in it, and it has no return.
        ("ropi?region=EMEA", None),
        ("deals?status=lost", None),
        ("deals?partner=p-11&partner=p-12", None),
        ("deals?known_at=2300-01-01", Some(future)),
        ("deals/d-1/why?known_at=2300-01-01", Some(future)),
        ("deals?limit=1", None),
    ] {
        for accept in ["application/json", "text/csv"] {
            let separator = if path.contains('?') { '&' } else { '?' };
            let reply = stack.get_as(&format!("/v1/{path}{separator}at_least={position}"), accept).await;
            assert_eq!((reply.status.as_u16(), reply.header("pledger-warning")), (200, warning), "{path}: {}", reply.text());
            if accept == "application/json" && !path.contains("why") {
                assert_eq!(reply.json()["warning"].as_str(), warning, "{path}");
            }
        }
    }
    let group = stack.get(&format!("/v1/pipeline/status=open,region=EMAE/why?at_least={position}")).await;
    assert_eq!(group.problem(), (404, "NotFound".into()));
    let told = group.json();
    assert_eq!((&told["detail"], &told["nearest"]), (&json!("no region EMAE; nearest: EMEA"), &json!(["EMEA"])), "{told}");
}

#[tokio::test]
async fn a_figure_says_which_decisions_made_it() {
    let stack = Stack::ready().await;
    stack.deal("d-1", "acme.com").await;
    stack.deal("d-2", "umbrella.com").await;
    let approved = stack.command("ApproveDeal", &json!({"deal_id": "d-1", "account": "acme.com"}), &[]).await.json();
    let position = approved["position"].as_str().expect("a position");
    let told = stack.get(&format!("/v1/deals/d-1/why?field=protected_until&at_least={position}")).await.json();
    assert_eq!(told["decisions"][0]["position"], position, "{told}");
    assert_eq!(told["decisions"][0]["changes"][0]["reckoned"]["clause"], "deal_registration.protection_days", "{told}");
    assert_eq!(told["decisions"][0]["changes"][0]["after"], approved["events"][0]["data"]["protected_until"]);
    assert_eq!(
        told["clauses"][1],
        json!({"rules": 1, "clause": "deal_registration.protection_days", "value": 90, "in_force": true}),
        "{told}"
    );
    let tier = stack.get("/v1/tiers/p-1/why?field=missing_net_new_logos").await.json();
    let held = &tier["items"][0]["held"];
    assert_eq!((&held["tiers"][1]["stands"], &held["tiers"][1]["thresholds"][0]["missing"]), (&json!(["next"]), &json!(1)), "{tier}");
    assert_eq!(held["at"], tier["at"]);
    let group = stack.get("/v1/pipeline/partner=p-1/why?field=count").await.json();
    assert_eq!(group["items"][0]["figures"][0]["value"], 2, "{group}");
    for (path, status, code) in [
        ("/v1/deals/d-9/why", 404, "NotFound"),
        ("/v1/deal/d-1/why", 404, "UnknownView"),
        ("/v1/deals/d-1/why?field=amuont", 400, "UnknownField"),
        ("/v1/deals/d-1/why?as_of=1999-01-01", 422, "BeforeHistory"),
        ("/v1/pipeline/p-1/why", 400, "InvalidValue"),
    ] {
        assert_eq!(stack.get(path).await.problem(), (status, code.into()), "{path}");
    }
    // An unknown key is told with those that are nearest, by questions and by explanations.
    let position = approved["position"].as_str().expect("a position");
    for (path, detail, nearest) in [
        ("deals/d-9/why", "no deal d-9; nearest: d-1, d-2", json!(["d-1", "d-2"])),
        ("deals/d-9", "no deal d-9; nearest: d-1, d-2", json!(["d-1", "d-2"])),
        ("ropi/p-9/why", "no partner p-9; nearest: p-1", json!(["p-1"])),
        ("tiers/p-9", "no partner p-9; nearest: p-1", json!(["p-1"])),
        ("tiers/nobody", "no partner nobody", json!([])),
        ("partners/p-9", "no partner p-9; nearest: p-1", json!(["p-1"])),
    ] {
        let told = stack.get(&format!("/v1/{path}?at_least={position}")).await.json();
        assert_eq!((&told["detail"], &told["nearest"], &told["field"]), (&json!(detail), &nearest, &Value::Null), "{path}: {told}");
        assert_eq!(told["accepted"], Value::Null, "they are not what is accepted: {told}");
    }
    let past = stack.get("/v1/tiers/p-9/why?known_at=2300-01-01").await.json();
    assert_eq!(past["detail"], "by then there was no partner p-9; nearest: p-1");
    let told = stack.get("/v1/ropi/nobody/why").await.json();
    assert_eq!(
        (&told["detail"], &told["accepted"]),
        (&json!("no partner nobody"), &json!("the id of a partner, or a group such as region=EMEA,quarter=2026-Q1, or all"))
    );
    // Views without keys of their own say what their figures are asked for by.
    for (path, accepted) in [("ropi/year=1999", "the id of a partner"), ("attribution/model=linear", "the id of a won deal")] {
        let told = stack.get(&format!("/v1/{path}/why")).await.json();
        assert!(told["accepted"].as_str().is_some_and(|said| said.starts_with(accepted)), "{told}");
    }
}

#[tokio::test]
async fn a_stream_is_told_as_of_one_time_and_as_known_at_another() {
    let stack = Stack::ready().await;
    let path = "/v1/streams/partner%2Fp-1";
    let all = stack.get(path).await.json()["items"].clone();
    let first = all[0]["recorded_at"].as_str().expect("a time").to_owned();
    let known = all.as_array().expect("items").iter().filter(|item| item["recorded_at"].as_str() <= Some(&first)).count();
    let told = stack.get(&format!("{path}?known_at={first}")).await.json();
    assert_eq!((told["items"].as_array().map(Vec::len), &told["next"]), (Some(known), &Value::Null));
    assert_eq!(told["items"][0], all[0]);
    for time in ["as_of", "known_at"] {
        let before = stack.get(&format!("{path}?{time}=2020-01-01")).await;
        assert_eq!((before.status.as_u16(), &before.json()["items"]), (200, &json!([])), "{time}");
        assert_eq!(stack.get(&format!("{path}?{time}={}", in_a_year())).await.json()["items"], all, "{time}");
        assert_eq!(stack.get(&format!("{path}?{time}=soon")).await.problem(), (400, "InvalidTime".into()));
    }
    // Rules were published with a beginning of their own: what is told is when they were decided.
    assert_eq!(stack.get("/v1/streams/program?as_of=2020-06-01").await.json()["items"], json!([]));

    let paged = format!("{path}?as_of={}&limit=1", in_a_year());
    let (mut positions, mut cursor) = (Vec::new(), Some(String::new()));
    while let Some(at) = cursor {
        let page = stack.get(&if at.is_empty() { paged.clone() } else { format!("{paged}&cursor={at}") }).await.json();
        positions.extend(page["items"].as_array().expect("items").iter().map(|item| item["position"].clone()));
        cursor = page["next"].as_str().map(str::to_owned);
    }
    assert_eq!(positions, all.as_array().expect("items").iter().map(|item| item["position"].clone()).collect::<Vec<_>>());
}

#[tokio::test]
async fn long_streams_come_in_pages() {
    let stack = Stack::ready().await;
    let first = stack.get("/v1/streams/partner%2Fp-1?limit=2").await.json();
    let cursor = first["next"].as_str().expect("more follow");
    let second = stack.get(&format!("/v1/streams/partner%2Fp-1?limit=2&cursor={cursor}")).await.json();
    let types = |page: &Value| -> Vec<String> {
        page["items"].as_array().expect("items").iter().map(|item| item["command"]["type"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(types(&first), ["RegisterPartner", "SignAgreement"]);
    assert_eq!(types(&second), ["ActivatePartner"]);
    assert_eq!(second["next"], Value::Null);
}

#[tokio::test]
async fn listeners_hear_of_new_decisions() {
    let stack = Stack::ready().await;
    let request = Request::get("/v1/changes").body(Body::empty()).expect("a request");
    let response = router(Arc::clone(&stack.api)).oneshot(request).await.expect("a response");
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();
    let answer = stack.deal("d-1", "acme.com").await;
    let wait = std::time::Duration::from_secs(20);
    let frame = tokio::time::timeout(wait, body.frame()).await.expect("in time").expect("an event").expect("readable");
    let text = String::from_utf8(frame.into_data().expect("data").to_vec()).expect("UTF-8");
    assert!(text.starts_with("event: decision\n"), "{text}");
    assert!(text.contains(&format!("id: {}/", answer["position"].as_str().expect("a position"))), "{text}");
    assert!(text.contains("\"stream\":\"account/acme.com\"") && text.contains("\"outcome\":\"accepted\""), "{text}");
}

/// The frames of `count` decisions, each with its id and the deal's stream.
async fn heard(body: &mut Body, count: usize) -> Vec<(String, String)> {
    let mut text = String::new();
    while text.matches("\n\n").count() < count {
        let frame = tokio::time::timeout(std::time::Duration::from_secs(20), body.frame()).await.expect("in time");
        let data = frame.expect("an event").expect("readable").into_data().expect("data");
        text.push_str(std::str::from_utf8(&data).expect("UTF-8"));
    }
    let event = |event: &str| {
        let id = event.lines().find_map(|line| line.strip_prefix("id: ")).expect("an id").to_owned();
        let data: Value = event.lines().find_map(|line| line.strip_prefix("data: ")).expect("data").parse().expect("JSON");
        (id, data["stream"].as_str().expect("a stream").to_owned())
    };
    text.split("\n\n").filter(|event| !event.is_empty()).map(event).collect()
}

#[tokio::test]
async fn a_listener_that_comes_back_is_told_what_it_missed() {
    let stack = Stack::ready().await;
    let listen = async |id: Option<&str>| {
        let request = Request::get("/v1/changes");
        let request = if let Some(id) = id { request.header("last-event-id", id) } else { request };
        router(Arc::clone(&stack.api)).oneshot(request.body(Body::empty()).expect("a request")).await.expect("a response")
    };
    let mut first = listen(None).await.into_body();
    let domains: Vec<String> = (0..6).map(|n| format!("c{n}.example")).collect();
    for domain in &domains[..3] {
        stack.deal("d-1", domain).await;
    }
    let told = heard(&mut first, 3).await;
    drop(first);
    stack.deal("d-1", &domains[3]).await;
    for from in 0..3 {
        let mut again = listen(Some(&told[from].0)).await.into_body();
        let missed: Vec<String> = heard(&mut again, 3 - from).await.into_iter().map(|(_, stream)| stream).collect();
        let expected: Vec<String> = domains[from + 1..4].iter().map(|domain| format!("account/{domain}")).collect();
        assert_eq!(missed, expected, "from {from}");
    }
    // And goes on with what is decided then, nothing twice.
    let mut again = listen(Some(&told[2].0)).await.into_body();
    stack.deal("d-1", &domains[4]).await;
    stack.deal("d-1", &domains[5]).await;
    let streams: Vec<String> = heard(&mut again, 3).await.into_iter().map(|(_, stream)| stream).collect();
    assert_eq!(streams, domains[3..].iter().map(|domain| format!("account/{domain}")).collect::<Vec<_>>());
    let (position, offsets) = told[0].0.split_once('/').expect("both");
    for id in ["", "1:1", "nonsense", "1:1/", "1:1/!!", &format!("{position}/{offsets}AA"), &format!("{position}/{}", "_wE".repeat(16))] {
        let request = Request::get("/v1/changes").header("last-event-id", id).body(Body::empty()).expect("a request");
        let reply = stack.send(request).await;
        assert_eq!(reply.problem(), (400, "UnknownEventId".into()), "{id}");
    }
}

#[tokio::test]
async fn operators_see_what_it_does() {
    let stack = Stack::ready().await;
    assert_eq!(stack.get("/healthz").await.json()["status"], "ok");
    assert_eq!(stack.get("/readyz").await.json()["status"], "ready");
    stack.deal("d-1", "acme.com").await;
    stack.command("RegisterDeal", &deal_payload("d-1", "acme.com"), &[]).await;
    stack.command("RegisterDeal", &json!({}), &[]).await;
    let metrics = stack.get("/metrics").await;
    assert_eq!(metrics.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    for line in [
        "pledger_decisions_accepted_total 5",
        "pledger_decisions_rejected_total{code=\"DealExists\"} 1",
        "pledger_commands_refused_total{code=\"InvalidPayload\"} 1",
        "pledger_http_requests_total{route=\"/v1/commands/RegisterDeal\",status=\"200\"} 1",
        "pledger_http_requests_total{route=\"/v1/commands/RegisterDeal\",status=\"409\"} 1",
        "pledger_http_requests_total{route=\"/v1/commands/RegisterDeal\",status=\"422\"} 1",
        "pledger_command_duration_seconds_count 6",
    ] {
        assert!(metrics.text().lines().any(|given| given == line), "{line}:\n{}", metrics.text());
    }
    let page = stack.get("/").await;
    assert!(page.text().contains("RegisterDeal"));
    let document = stack.get("/v1/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let topics = stack.get("/v1/asyncapi.json").await.json();
    assert_eq!(topics["channels"]["inbox"]["address"], "acme.inbox");
}

#[tokio::test]
async fn what_is_not_ready_says_why() {
    let probes = vec![Probe::new("projections", || Err("7,000 decisions behind".into()))];
    let stack = Stack::over(|processor| Arc::new(processor.sink()), probes);
    let reply = stack.get("/readyz").await;
    assert_eq!(reply.problem(), (503, "NotReady".into()));
    assert_eq!(reply.json()["checks"][0], json!({"name": "processor", "ok": true}));
    assert_eq!(reply.json()["checks"][1], json!({"name": "projections", "ok": false, "reason": "7,000 decisions behind"}));
    assert!(reply.header("retry-after").is_some());
    assert_eq!(stack.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn what_the_document_keeps_for_operators_is_kept_for_them() {
    let stack = Stack::ready().await;
    let document = stack.get("/v1/openapi.json").await.json();
    assert_eq!(document["components"]["securitySchemes"]["token"]["scheme"], "bearer");
    let mut guarded = 0;
    for (path, item) in document["paths"].as_object().expect("paths").iter().filter(|(path, _)| *path != "/v1/changes") {
        for (method, operation) in item.as_object().expect("operations") {
            let request = Request::builder().method(method.to_uppercase().as_str()).uri(path.replace("{generation}", "1"));
            let body = if method == "get" { "" } else { "{}" };
            let reply = stack.send(request.header("content-type", "application/json").body(body.into()).expect("a request")).await;
            let is_refused = reply.status == 403 && reply.problem().1 == "OperationNotAllowed";
            let wants_token = operation.get("security").is_some_and(|security| *security == json!([{"token": []}]));
            assert_eq!(wants_token, is_refused, "{method} {path}: {}", reply.text());
            guarded += usize::from(wants_token);
        }
    }
    assert!(guarded >= 9, "{guarded}");
}

#[tokio::test]
async fn a_text_that_a_spreadsheet_would_compute_is_quoted_in_csv_alone() {
    let stack = Stack::ready().await;
    let mut payload = deal_payload("-d-1", "acme.com");
    payload["product"] = json!("=1+1");
    let registered = stack.command("RegisterDeal", &payload, &[]).await.json();
    let path = format!("/v1/deals?at_least={}", registered["position"].as_str().expect("a position"));
    let reply = stack.get_as(&path, "text/csv").await;
    let csv = reply.text();
    assert!(csv.contains("\r\n-d-1,acme.com,p-1,p-1,'=1+1,"), "{csv}");
    assert_eq!(stack.get(&path).await.json()["items"][0]["product"], "=1+1");
}
