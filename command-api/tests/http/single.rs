//! One command a request.

use serde_json::json;

use crate::stack::{OWNER, Stack, deal_payload};

#[tokio::test]
async fn a_command_is_answered_with_its_decision() {
    let stack = Stack::ready().await;
    let reply = stack.command("RegisterDeal", &deal_payload("d-1", "acme.com"), &[("idempotency-key", "k-1")]).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("idempotent-replay"), None);
    let answer = reply.json();
    assert_eq!(answer["command_id"], "k-1");
    assert_eq!(answer["stream"], "account/acme.com");
    assert_eq!(answer["version"], 1);
    assert_eq!(answer["outcome"], "accepted");
    assert_eq!(answer["rules"], 1);
    assert_eq!(answer["events"][0]["type"], "DealRegistered");
    assert_eq!(answer["events"][0]["data"]["deal_id"], "d-1");
    assert!(answer["position"].as_str().expect("a position").contains(':'));
    assert!(answer["recorded_at"].as_str() >= answer["effective_at"].as_str());
    let mut names: Vec<&String> = answer.as_object().expect("an object").keys().collect();
    names.sort();
    assert_eq!(
        names,
        ["command_id", "effective_at", "events", "outcome", "position", "recorded_at", "rules", "stream", "version"],
        "a batch's members stay in batches"
    );

    let again = stack.command("RegisterDeal", &deal_payload("d-1", "acme.com"), &[("idempotency-key", "k-1")]).await;
    assert_eq!((again.status.as_u16(), again.header("idempotent-replay")), (200, Some("true")));
    assert_eq!(again.body, reply.body);
}

#[tokio::test]
async fn a_refusal_is_a_problem_with_its_place_and_facts() {
    let stack = Stack::ready().await;
    stack.deal("d-1", "acme.com").await;
    assert_eq!(stack.command("ApproveDeal", &json!({"deal_id": "d-1"}), &[]).await.status, 200);
    for (name, payload) in [
        ("RegisterPartner", json!({"partner_id": "p-2", "name": "Ostwind", "roles": ["msp"]})),
        ("SignAgreement", json!({"partner_id": "p-2"})),
        ("ActivatePartner", json!({"partner_id": "p-2"})),
    ] {
        assert_eq!(stack.command(name, &payload, &[]).await.status, 200, "{name}");
    }
    let mut rival = deal_payload("d-2", "acme.com");
    rival["partner_id"] = json!("p-2");
    let reply = stack.command("RegisterDeal", &rival, &[("idempotency-key", "k-r")]).await;
    assert_eq!(reply.problem(), (409, "AccountProtected".into()));
    let problem = reply.json();
    assert_eq!(problem["title"], "Account protected");
    assert_eq!(problem["outcome"], "rejected");
    assert_eq!(problem["command_id"], "k-r");
    assert_eq!(problem["facts"]["holder"], "p-1");
    assert_eq!(problem["facts"]["deal_id"], "d-1");
    assert_eq!(problem["version"], 2);
    let again = stack.command("RegisterDeal", &rival, &[("idempotency-key", "k-r")]).await;
    assert_eq!((again.problem(), again.header("idempotent-replay")), ((409, "AccountProtected".into()), Some("true")));
    assert_eq!(again.json()["position"], problem["position"]);
    // A business date before the protection began does not get around it.
    let early = stack.command("RegisterDeal", &rival, &[("effective-at", "2020-06-01T00:00:00Z")]).await;
    assert_eq!(early.problem(), (409, "AccountProtected".into()));
}

#[tokio::test]
async fn versions_and_keys_are_held_to() {
    let stack = Stack::ready().await;
    let first = stack.command("RegisterDeal", &deal_payload("d-1", "acme.com"), &[("idempotency-key", "k")]).await.json();
    let other = stack.command("RegisterDeal", &deal_payload("d-9", "acme.com"), &[("idempotency-key", "k")]).await;
    assert_eq!(other.problem(), (409, "KeyReused".into()));
    assert_eq!(other.json()["first"], first["position"]);
    let stale = stack.command("ApproveDeal", &json!({"deal_id": "d-1"}), &[("if-match", "\"7\"")]).await;
    assert_eq!(stale.problem(), (409, "VersionConflict".into()));
    assert_eq!(stale.json()["facts"], json!({"expected": 7, "actual": 1}));
    let current =
        stack.command("ApproveDeal", &json!({"deal_id": "d-1"}), &[("if-match", "1"), ("actor", "s-17"), ("x-actor", "ignored")]).await;
    assert_eq!((current.status.as_u16(), current.json()["version"].as_u64()), (200, Some(2)));
    let decisions = stack.get("/v1/streams/account%2Facme.com").await.json();
    assert_eq!(decisions["items"][2]["command"]["actor"], "s-17");
}

#[tokio::test]
async fn positions_of_one_answer_are_awaited_by_the_next_command() {
    let stack = Stack::ready().await;
    let registered = stack.command("RegisterPartner", &json!({"partner_id": "p-7", "name": "Süd", "roles": ["si"]}), &[]).await.json();
    let position = registered["position"].as_str().expect("a position");
    let reply = stack.command("RegisterDeal", &deal_payload("d-7", "sued.example"), &[("after", position)]).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let (slice, _) = position.split_once(':').expect("a position");
    let ahead = stack.command("RegisterDeal", &deal_payload("d-8", "sued.example"), &[("after", &format!("{slice}:9999"))]).await;
    assert_eq!(ahead.problem(), (422, "AfterAhead".into()));
    let elsewhere = stack.command("RegisterDeal", &deal_payload("d-8", "sued.example"), &[("after", "15:0")]).await;
    assert_eq!(elsewhere.problem(), (422, "InvalidAfter".into()));
}

#[tokio::test]
async fn the_sender_is_who_the_token_says() {
    let stack = Stack::ready().await;
    let bearer = format!("Bearer {OWNER}");
    let reply = stack.command("RegisterDeal", &deal_payload("d-1", "acme.com"), &[("authorization", &bearer)]).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let unknown = stack.command("RegisterDeal", &deal_payload("d-2", "acme.com"), &[("authorization", "Bearer guess")]).await;
    assert_eq!(unknown.problem(), (401, "UnknownToken".into()));
    let decisions = stack.get("/v1/streams/account%2Facme.com").await.json();
    assert_eq!(decisions["items"][0]["command"]["sender"], "owner");
    assert_eq!(decisions["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn the_catalogue_lists_what_the_routes_take() {
    let stack = Stack::bare();
    let catalogue = stack.get("/v1/commands").await.json();
    for entry in catalogue["items"].as_array().expect("items") {
        let path = entry["path"].as_str().expect("a path");
        assert_eq!(stack.get(path).await.json()["example"], entry["example"], "{path}");
        let empty = stack.post(path, "application/json", &[], "{").await;
        assert_eq!(empty.problem(), (400, "MalformedPayload".into()), "{path}");
    }
}
