//! A table of bad inputs, each with its exact status and code.

use axum::{body::Body, http::Request};
use serde_json::{Value, json};

use crate::stack::{Stack, deal_payload};

const DEAL: &str = "/v1/commands/RegisterDeal";

/// The good registration with one member changed.
fn deal_with(member: &str, value: Value) -> String {
    let mut payload = deal_payload("d-1", "acme.com");
    payload[member] = value;
    payload.to_string()
}

fn amount(amount: Value, currency: &str) -> String {
    deal_with("amount", json!({"amount": amount, "currency": currency}))
}

#[tokio::test]
async fn payloads() {
    let stack = Stack::ready().await;
    for (what, body, status, code, field) in [
        ("cut off", "{\"deal_id\":".to_owned(), 400, "MalformedPayload", None),
        ("no JSON", "deal".to_owned(), 400, "MalformedPayload", None),
        ("empty", String::new(), 400, "MalformedPayload", None),
        ("two values", format!("{} {{}}", deal_payload("d-1", "acme.com")), 400, "MalformedPayload", None),
        ("a list", "[]".to_owned(), 422, "InvalidPayload", None),
        (
            "the members as a list",
            r#"["d-1","p-1","acme.com","GTX",{"amount":"1.00","currency":"USD"}]"#.to_owned(),
            422,
            "InvalidPayload",
            None,
        ),
        ("a field missing", "{\"deal_id\":\"d-1\"}".to_owned(), 422, "InvalidPayload", Some("partner_id")),
        ("a field twice", "{\"deal_id\":\"d-1\",\"deal_id\":\"d-2\"}".to_owned(), 422, "InvalidPayload", Some("deal_id")),
        ("nested without end", "[".repeat(200_000), 400, "MalformedPayload", None),
        ("an unknown field", deal_with("colour", json!("red")), 422, "InvalidPayload", Some("colour")),
        ("an unknown field inside", deal_with("account", json!({"name": "A", "dom": "a.com"})), 422, "InvalidPayload", Some("account.dom")),
        ("a number for an id", deal_with("deal_id", json!(7)), 422, "InvalidPayload", Some("deal_id")),
        ("an id of other letters", deal_with("deal_id", json!("d 1")), 422, "InvalidPayload", Some("deal_id")),
        ("an id too long", deal_with("deal_id", json!("d".repeat(129))), 422, "InvalidPayload", Some("deal_id")),
        ("money as a number", amount(json!(120_000), "USD"), 422, "InvalidPayload", Some("amount")),
        ("money below zero", amount(json!("-1.00"), "USD"), 422, "InvalidPayload", Some("amount")),
        ("money too large", amount(json!("99999999999999999999.00"), "USD"), 422, "InvalidPayload", Some("amount")),
        ("money too fine", amount(json!("1.001"), "USD"), 422, "InvalidPayload", Some("amount")),
        ("no such currency", amount(json!("1.00"), "XXQ"), 422, "InvalidPayload", Some("amount")),
        (
            "no such domain",
            deal_with("account", json!({"name": "A", "domain": "not a domain"})),
            422,
            "InvalidAccount",
            Some("account.domain"),
        ),
        ("a date that is none", deal_with("expected_close", json!("2027-02-30")), 422, "InvalidPayload", Some("expected_close")),
        ("a sealed person", deal_with("contact", json!({"name": {"sealed": "AAAA"}})), 422, "SealedFromOutside", Some("contact.name")),
        ("a close in the past", deal_with("expected_close", json!("2001-01-01")), 409, "ExpectedCloseInPast", None),
        ("an unknown partner", deal_with("partner_id", json!("p-404")), 409, "PartnerUnknown", None),
        ("a payload too long", deal_with("product", json!("x".repeat(300_000))), 413, "PayloadTooLong", None),
        ("a body too long", "x".repeat(10 * 1024 * 1024), 413, "BodyTooLarge", None),
    ] {
        let reply = stack.post(DEAL, "application/json", &[], body).await;
        assert_eq!(reply.problem(), (status, code.to_owned()), "{what}: {}", reply.text());
        if let Some(field) = field {
            let found = reply.json()["field"].as_str().unwrap_or_default().to_owned();
            assert!(found.starts_with(field), "{what}: {found}");
        }
    }
}

#[tokio::test]
async fn headers() {
    let stack = Stack::ready().await;
    let long = "k".repeat(201);
    for (name, value, status, code, field) in [
        ("idempotency-key", long.as_str(), 400, "InvalidIdempotencyKey", Some("Idempotency-Key")),
        ("idempotency-key", "", 400, "InvalidIdempotencyKey", Some("Idempotency-Key")),
        ("if-match", "*", 400, "MalformedHeader", Some("If-Match")),
        ("if-match", "99", 409, "VersionConflict", None),
        ("effective-at", "yesterday", 400, "MalformedHeader", Some("Effective-At")),
        ("effective-at", "0001-01-01T00:00:00Z", 400, "MalformedHeader", Some("Effective-At")),
        ("effective-at", "2999-01-01T00:00:00Z", 409, "DateInFuture", None),
        ("after", "twelve", 400, "MalformedHeader", Some("After")),
        ("actor", "Ada Lovelace", 400, "InvalidActor", Some("Actor")),
    ] {
        let reply = stack.command("RegisterDeal", &deal_payload("d-1", "acme.com"), &[(name, value)]).await;
        assert_eq!(reply.problem(), (status, code.to_owned()), "{name}: {value}: {}", reply.text());
        assert_eq!(reply.json()["field"].as_str(), field, "{name}: {value}");
    }
    for (name, value, field) in [
        ("idempotency-key", "k-1", "Idempotency-Key"),
        ("if-match", "1", "If-Match"),
        ("effective-at", "2026-01-01", "Effective-At"),
        ("after", "1:1", "After"),
    ] {
        let twice = stack.command("RegisterDeal", &deal_payload("d-1", "acme.com"), &[(name, value), (name, value)]).await;
        assert_eq!((twice.problem(), twice.json()["field"].as_str()), ((400, "MalformedHeader".into()), Some(field)), "{name}");
    }
    let csv = stack.post(DEAL, "text/csv", &[], "a,b").await;
    assert_eq!(csv.problem(), (415, "UnsupportedMediaType".into()));
    assert_eq!(csv.json()["accepted"], json!(["application/json"]));
}

#[tokio::test]
async fn names() {
    let stack = Stack::ready().await;
    let typo = stack.command("RegisterDeel", &json!({}), &[]).await;
    assert_eq!(typo.problem(), (404, "UnknownCommand".into()));
    assert_eq!(typo.json()["accepted"], "RegisterDeal");
    let nothing = stack.command("Zzz", &json!({}), &[]).await;
    assert!(nothing.json()["accepted"].as_array().is_some_and(|names| names.contains(&json!("RegisterDeal"))));
    let unknown = stack.command("ApproveDeal", &json!({"deal_id": "d-404"}), &[]).await;
    assert_eq!(unknown.problem(), (404, "UnknownId".into()));
    assert_eq!(unknown.json()["field"], "deal_id");
    let system = stack.command("CompleteRetirement", &json!({"partner_id": "p-1", "still_open": [], "as_of": []}), &[]).await;
    assert_eq!(system.problem(), (403, "SystemOnly".into()));
    stack.deal("d-1", "acme.com").await;
    stack.deal("d-1", "acme.example").await;
    let ambiguous = stack.command("ApproveDeal", &json!({"deal_id": "d-1"}), &[]).await;
    assert_eq!(ambiguous.problem(), (409, "AmbiguousId".into()));
    assert_eq!(ambiguous.json()["accepted"], json!(["acme.com", "acme.example"]));
}

#[tokio::test]
async fn routes() {
    let stack = Stack::bare();
    for path in ["/nothing", "/v1", "/v2/deals", "/v1/deals/d-1/what/ever"] {
        assert_eq!(stack.get(path).await.problem(), (404, "NotFound".into()), "{path}");
    }
    for (method, path, allow) in
        [("DELETE", DEAL, "POST"), ("GET", "/v1/commands:batch", "POST"), ("POST", "/v1/pipeline", "GET"), ("PUT", "/healthz", "GET")]
    {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).expect("a request");
        let reply = stack.send(request).await;
        assert_eq!(reply.problem(), (405, "MethodNotAllowed".into()), "{method} {path}");
        assert!(reply.header("allow").is_some_and(|given| given.contains(allow)), "{method} {path}: {:?}", reply.header("allow"));
    }
}

#[tokio::test]
async fn questions() {
    let stack = Stack::ready().await;
    stack.deal("d-1", "acme.com").await;
    for (path, status, code, field) in [
        ("/v1/pipelin", 404, "UnknownView", None),
        ("/v1/deals?colour=red", 400, "UnknownDimension", Some("colour")),
        ("/v1/pipeline?by=colour", 400, "UnknownDimension", Some("colour")),
        ("/v1/deals?cursor=!!", 400, "InvalidCursor", Some("cursor")),
        ("/v1/deals?limit=0", 400, "InvalidLimit", Some("limit")),
        ("/v1/deals?limit=many", 400, "InvalidLimit", Some("limit")),
        ("/v1/deals?limit=1&limit=2", 400, "MalformedQuery", Some("limit")),
        ("/v1/deals?at_least=now", 400, "InvalidPosition", Some("at_least")),
        ("/v1/deals?partner=%FF", 400, "MalformedQuery", None),
        ("/v1/deals?by=stage", 400, "UnknownDimension", Some("stage")),
        ("/v1/deals/%FF", 400, "MalformedPath", None),
        ("/v1/pipeline/x", 404, "NotFound", None),
        ("/v1/streams/account%2F%FF", 400, "MalformedPath", None),
        ("/v1/streams/account/acme.com", 404, "NotFound", None),
        ("/v1/deals?at_least=4000:1", 400, "InvalidPosition", Some("at_least")),
        ("/v1/deals/d-404", 404, "NotFound", None),
        ("/v1/streams/colour%2Fred", 404, "UnknownStream", None),
        ("/v1/streams/account%2Fnobody.example", 404, "UnknownStream", None),
        ("/v1/streams/program?cursor=x", 400, "InvalidCursor", Some("cursor")),
        ("/v1/streams/program?colour=red", 400, "UnknownParameter", Some("colour")),
        ("/v1/commands/RegisterDeel", 404, "UnknownCommand", None),
    ] {
        let reply = stack.get(path).await;
        assert_eq!(reply.problem(), (status, code.to_owned()), "{path}: {}", reply.text());
        assert_eq!(reply.json()["field"].as_str(), field, "{path}");
    }
    let hints = [("/v1/streams/account/acme.com", "a stream is one segment: /v1/streams/account%2Facme.com"), ("/v1/deals/", "/v1/deals")];
    for (path, hint) in hints {
        assert_eq!(stack.get(path).await.json()["accepted"], hint, "{path}");
    }
    assert!(stack.get("/v1/pipelin").await.json()["detail"].as_str().expect("text").contains("did you mean pipeline?"));
    assert_eq!(stack.get_as("/v1/deals", "image/png").await.problem(), (406, "NotAcceptable".into()));
}
