//! Many commands a request: arrays, lines, CloudEvents, imports.

use pledger_command_api::MAX_BATCH;
use pledger_domain::rules::Rules;
use serde_json::{Value, json};

use crate::stack::{OWNER, Stack, deal_payload};

fn item(name: &str, payload: Value, key: &str) -> Value {
    json!({"type": name, "payload": payload, "idempotency_key": key})
}

fn statuses(reply: &Value) -> Vec<(u64, String)> {
    let items = reply["items"].as_array().expect("items");
    let outcome = |item: &Value| item["code"].as_str().or_else(|| item["outcome"].as_str()).unwrap_or_default().to_owned();
    items.iter().map(|item| (item["status"].as_u64().unwrap_or_default(), outcome(item))).collect()
}

fn expected(rows: &[(u64, &str)]) -> Vec<(u64, String)> {
    rows.iter().map(|(status, code)| (*status, (*code).to_owned())).collect()
}

#[tokio::test]
async fn later_items_see_what_earlier_ones_brought_about() {
    let stack = Stack::bare();
    let items = json!([
        item("PublishRules", json!({"program": Rules::DEFAULT, "effective_from": "2020-01-01"}), "1"),
        item("RegisterPartner", json!({"partner_id": "p-1", "name": "Nordwind", "roles": ["reseller"]}), "2"),
        item("SignAgreement", json!({"partner_id": "p-1"}), "3"),
        item("ActivatePartner", json!({"partner_id": "p-1"}), "4"),
        item("RegisterDeal", deal_payload("d-1", "acme.com"), "5"),
        item("ApproveDeal", json!({"deal_id": "d-1"}), "6"),
    ]);
    let reply = stack.batch(&items).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let answer = reply.json();
    assert_eq!(statuses(&answer), expected(&[(200, "accepted"); 6]), "{answer}");
    assert_eq!(answer["items"][5]["events"][0]["type"], "DealApproved");
    assert_eq!(answer["items"][5]["version"], 2);

    let again = stack.batch(&items).await.json();
    assert_eq!(statuses(&again), expected(&[(200, "accepted"); 6]));
    for (first, second) in answer["items"].as_array().expect("items").iter().zip(again["items"].as_array().expect("items")) {
        assert_eq!(first["position"], second["position"]);
        assert_eq!((first.get("replayed"), &second["replayed"]), (None, &json!(true)));
    }
}

#[tokio::test]
async fn good_and_bad_items_are_answered_each_on_its_own() {
    let stack = Stack::ready().await;
    let mut unknown_member = item("RegisterDeal", deal_payload("d-9", "acme.com"), "k");
    unknown_member["colour"] = json!("red");
    let items = json!([
        item("RegisterDeal", deal_payload("d-1", "acme.com"), "1"),
        item("RegisterDeel", json!({}), "2"),
        item("RegisterDeal", json!({"deal_id": 7}), "3"),
        unknown_member,
        {"payload": {}},
        7,
        item("ApproveDeal", json!({"deal_id": "d-404"}), "4"),
        {"type": "RegisterDeal", "payload": deal_payload("d-2", "acme.com"), "after": "soon"},
        {"type": "RegisterDeal", "payload": deal_payload("d-2", "acme.com"), "effective_at": "soon"},
        {"type": "RegisterDeal", "payload": deal_payload("d-2", "acme.com"), "if_match": 9},
        item("RegisterDeal", deal_payload("d-1", "acme.com"), "5"),
        item("RegisterDeal", deal_payload("d-3", "acme.com"), "1"),
        item("ApproveDeal", json!({"deal_id": "d-1"}), "6"),
    ]);
    let answer = stack.batch(&items).await.json();
    assert_eq!(
        statuses(&answer),
        expected(&[
            (200, "accepted"),
            (404, "UnknownCommand"),
            (422, "InvalidPayload"),
            (422, "InvalidItem"),
            (422, "InvalidItem"),
            (422, "InvalidItem"),
            (404, "UnknownId"),
            (422, "InvalidItem"),
            (422, "InvalidItem"),
            (409, "VersionConflict"),
            (409, "DealExists"),
            (409, "KeyReused"),
            (200, "accepted"),
        ]),
        "{answer}"
    );
    assert_eq!(answer["items"][3]["field"], "colour");
    assert_eq!(answer["items"][8]["field"], "effective_at");
    assert_eq!(answer["items"][11]["field"], "idempotency_key");
}

#[tokio::test]
async fn lines_are_items_and_blank_ones_are_none() {
    let stack = Stack::ready().await;
    let first = item("RegisterDeal", deal_payload("d-1", "acme.com"), "1").to_string();
    let second = item("ApproveDeal", json!({"deal_id": "d-1"}), "2").to_string();
    let body = format!("{first}\r\n\n   \n{{oops\n{second}\n\n");
    let reply = stack.post("/v1/commands:batch", "application/x-ndjson", &[], body).await;
    assert_eq!(statuses(&reply.json()), expected(&[(200, "accepted"), (400, "MalformedJson"), (200, "accepted")]));
    let nothing = stack.post("/v1/commands:batch", "application/x-ndjson", &[], "\n\n").await;
    assert_eq!((nothing.status.as_u16(), nothing.json()), (200, json!({"items": []})));
}

#[tokio::test]
async fn batches_that_are_none() {
    let stack = Stack::ready().await;
    let too_many = Value::Array(vec![item("ApproveDeal", json!({"deal_id": "d"}), "k"); MAX_BATCH + 1]);
    assert_eq!(stack.batch(&too_many).await.problem(), (422, "BatchTooLarge".into()));
    let lines = "{}\n".repeat(MAX_BATCH + 1);
    assert_eq!(stack.post("/v1/commands:batch", "application/x-ndjson", &[], lines).await.problem(), (422, "BatchTooLarge".into()));
    assert_eq!(stack.batch(&json!({"type": "ApproveDeal"})).await.problem(), (422, "InvalidBatch".into()));
    assert_eq!(stack.post("/v1/commands:batch", "application/json", &[], "[{}").await.problem(), (400, "MalformedJson".into()));
    assert_eq!(stack.post("/v1/commands:batch", "text/plain", &[], "[]").await.problem(), (415, "UnsupportedMediaType".into()));
    assert_eq!(stack.batch(&json!([])).await.json(), json!({"items": []}));
}

#[tokio::test]
async fn a_thousand_items_keep_their_order_inside_a_stream() {
    let stack = Stack::ready().await;
    let items: Vec<Value> = (0..MAX_BATCH)
        .map(|n| item("RegisterDeal", deal_payload(&format!("d-{n}"), ["acme.com", "acme.example"][n % 2]), &format!("k-{n}")))
        .collect();
    let answer = stack.batch(&Value::Array(items)).await.json();
    for (n, item) in answer["items"].as_array().expect("items").iter().enumerate() {
        assert_eq!((item["status"].as_u64(), item["version"].as_u64()), (Some(200), Some(n as u64 / 2 + 1)), "{item}");
    }
}

#[tokio::test]
async fn only_an_importer_imports_history() {
    let stack = Stack::ready().await;
    let mut history = item("RegisterDeal", deal_payload("d-1", "acme.com"), "row-1");
    history["effective_at"] = json!("2021-03-01T00:00:00Z");
    history["payload"]["expected_close"] = json!("2021-06-01");
    let body = json!([history]).to_string();
    let stranger = stack.post("/v1/commands:batch", "application/json", &[("pledger-import", "crm")], body.clone()).await;
    assert_eq!(stranger.problem(), (403, "ImportNotAllowed".into()));
    let bearer = format!("Bearer {OWNER}");
    for name in [" ", "Süd"] {
        let nameless = [("pledger-import", name), ("authorization", bearer.as_str())];
        let reply = stack.post("/v1/commands:batch", "application/json", &nameless, body.clone()).await;
        assert_eq!(reply.problem(), (400, "MalformedHeader".into()), "{name}");
    }
    let owner = [("pledger-import", "crm"), ("authorization", bearer.as_str())];
    let reply = stack.post("/v1/commands:batch", "application/json", &owner, body).await;
    assert_eq!(statuses(&reply.json()), expected(&[(200, "accepted")]), "{}", reply.text());
    let decision = stack.get("/v1/streams/account%2Facme.com").await.json()["items"][0].clone();
    assert_eq!(decision["command"]["sender"], "import:crm");
    assert_eq!(decision["command"]["channel"], "import");
    assert_eq!(decision["historical"], true);
    assert_eq!(decision["effective_at"], "2021-03-01T00:00:00Z");
}

#[tokio::test]
async fn what_speaks_of_one_command_is_not_taken_for_a_batch() {
    let stack = Stack::ready().await;
    let body = json!([item("RegisterDeal", deal_payload("d-1", "acme.com"), "1")]).to_string();
    for (header, value, member) in [
        ("Idempotency-Key", "k", "idempotency_key in each item"),
        ("If-Match", "1", "if_match in each item"),
        ("Effective-At", "2026-01-01", "effective_at in each item"),
        ("Actor", "jo", "actor in each item"),
    ] {
        let reply = stack.post("/v1/commands:batch", "application/json", &[(header, value)], body.clone()).await;
        assert_eq!(reply.problem(), (400, "HeaderForOneCommand".into()), "{header}");
        assert_eq!((&reply.json()["field"], &reply.json()["accepted"]), (&json!(header), &json!(member)));
    }
}

#[tokio::test]
async fn a_bad_line_is_named_by_its_number() {
    let stack = Stack::ready().await;
    let good = |n: u32| item("RegisterDeal", deal_payload(&format!("d-{n}"), "acme.com"), &n.to_string()).to_string();
    let body = format!("{}\n\n{{bad\n[7]\n{}\r\n", good(1), good(2));
    let reply = stack.post("/v1/commands:batch", "application/x-ndjson", &[], body).await.json();
    assert_eq!(
        statuses(&reply),
        expected(&[(200, "accepted"), (400, "MalformedJson"), (422, "InvalidItem"), (200, "accepted")]),
        "{reply}"
    );
    assert_eq!((&reply["items"][1]["line"], &reply["items"][2]["line"]), (&json!(3), &json!(4)));
}

fn event(kind: &str, id: &str, data: &Value) -> Value {
    json!({"specversion": "1.0", "id": id, "source": "/crm/eu", "type": kind, "data": data, "traceparent": "00-1-2-01"})
}

#[tokio::test]
async fn cloud_events_are_commands_of_their_source() {
    let stack = Stack::ready().await;
    let deal = deal_payload("d-1", "acme.com");
    let one = event("pledger.RegisterDeal", "e-1", &deal);
    let reply = stack.post("/v1/events", "application/cloudevents+json", &[], one.to_string()).await;
    assert_eq!((reply.status.as_u16(), reply.json()["command_id"].clone()), (200, json!("e-1")), "{}", reply.text());
    let again = stack.post("/v1/events", "application/json", &[], one.to_string()).await;
    assert_eq!(again.header("idempotent-replay"), Some("true"));
    let decision = stack.get("/v1/streams/account%2Facme.com").await.json()["items"][0].clone();
    assert_eq!((&decision["command"]["sender"], &decision["command"]["channel"]), (&json!("/crm/eu"), &json!("ingest")));

    let events = json!([
        event("pledger.ApproveDeal", "e-2", &json!({"deal_id": "d-1"})),
        event("pledger.ApproveDeel", "e-3", &json!({})),
        event("com.example.other", "e-4", &json!({})),
        {"specversion": "0.3", "id": "e-5", "source": "s", "type": "pledger.ApproveDeal", "data": {}},
        {"specversion": "1.0", "id": "e-6", "source": "s", "type": "pledger.ApproveDeal"},
        {"specversion": "1.0", "source": "s", "type": "pledger.ApproveDeal", "data": {}},
        {"specversion": "1.0", "id": "e-7", "source": "", "type": "pledger.ApproveDeal", "data": {"deal_id": "d-1"}},
        {"specversion": "1.0", "id": "e-8", "source": "import:crm", "type": "pledger.ApproveDeal", "data": {"deal_id": "d-1"}},
        {"specversion": "1.0", "id": "e-8", "source": "s", "type": "pledger.RejectDeal", "data_base64": "e30="},
        {"specversion": "1.0", "id": "e-9", "source": "s", "type": "pledger.RejectDeal", "data_base64": "?"},
    ]);
    let reply = stack.post("/v1/events", "application/cloudevents-batch+json", &[], events.to_string()).await;
    assert_eq!(
        statuses(&reply.json()),
        expected(&[
            (200, "accepted"),
            (404, "UnknownCommand"),
            (404, "UnknownEventType"),
            (422, "InvalidCloudEvent"),
            (422, "InvalidCloudEvent"),
            (422, "InvalidCloudEvent"),
            (400, "InvalidSender"),
            (422, "ReservedSender"),
            (422, "InvalidPayload"),
            (422, "InvalidCloudEvent"),
        ]),
        "{}",
        reply.text()
    );
    assert_eq!(stack.post("/v1/events", "application/cloudevents+json", &[], "{").await.problem(), (400, "MalformedJson".into()));
}
