//! What a server does by itself.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::program::{PARTNER, Server, succeed};

const LONG: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);

fn wait_for(server: &Server, field: &str, expected: &Value) {
    let until = Instant::now() + LONG;
    loop {
        let (status, _, partner) = server.get("/v1/partners/p-1");
        if status == 200 && partner[field] == *expected {
            return;
        }
        assert!(Instant::now() < until, "{field} is not {expected}: {partner}");
        thread::sleep(LOOK_EVERY);
    }
}

#[test]
fn a_retiring_partner_leaves_once_its_deals_are_settled() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    let server = Server::start(dir);
    succeed(dir, &["command", "RegisterPartner", PARTNER]);
    succeed(dir, &["command", "SignAgreement", r#"{"partner_id":"p-1"}"#]);
    succeed(dir, &["command", "ActivatePartner", r#"{"partner_id":"p-1"}"#]);
    let deal = r#"{"deal_id":"d-1","partner_id":"p-1","account":{"name":"Acme","domain":"acme.com"},"product":"GTX Pro","amount":{"amount":"9.00","currency":"USD"}}"#;
    succeed(dir, &["command", "RegisterDeal", deal]);
    succeed(dir, &["command", "RetirePartner", r#"{"partner_id":"p-1"}"#]);
    wait_for(&server, "retirement_blocked_by", &json!(["account/acme.com#d-1"]));
    succeed(dir, &["command", "CloseLost", r#"{"deal_id":"d-1","account":"acme.com","reason":"the customer left"}"#]);
    wait_for(&server, "phase", &json!("retired"));
    let (status, _, ready) = server.get("/readyz");
    let checks = ready["checks"].as_array().expect("checks");
    assert!(status == 200 && checks.contains(&json!({"name": "policies", "ok": true})), "{ready}");
    server.stop();
}
