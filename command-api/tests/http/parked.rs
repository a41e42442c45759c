//! A record that the read models cannot read: every answer says so, and the stream goes on after the fix.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::body::Bytes;
use pledger_domain::stream::StreamName;
use pledger_ledger::{
    log::{Log, LogError, Placed, Producer, Tail},
    slices::{SliceId, Slices},
};
use serde_json::{Value, json};

use crate::stack::{OWNER, PORTAL, Stack};

/// A reader that cannot read what holds `d-2`, until it is mended.
struct Faulty {
    log: Arc<dyn Log>,
    is_mended: Arc<AtomicBool>,
}

fn spoil(mut placed: Vec<Placed>, is_mended: &AtomicBool) -> Vec<Placed> {
    for one in placed.iter_mut().filter(|_| !is_mended.load(Ordering::SeqCst)) {
        let text = String::from_utf8(one.record.body.to_vec()).expect("JSON");
        if text.contains("\"d-2\"") {
            one.record.body = Bytes::from(text.replace("\"recorded_at\"", "\"recorded_when\""));
        }
    }
    placed
}

struct Spoiling(Box<dyn Tail>, Arc<AtomicBool>);

impl Tail for Spoiling {
    fn next(&mut self, max: usize, wait: Duration) -> Result<Vec<Placed>, LogError> {
        Ok(spoil(self.0.next(max, wait)?, &self.1))
    }
}

impl Log for Faulty {
    fn slices(&self) -> Slices {
        self.log.slices()
    }
    fn end(&self, slice: SliceId) -> Result<u64, LogError> {
        self.log.end(slice)
    }
    fn read(&self, slice: SliceId, offset: u64, max: usize) -> Result<Vec<Placed>, LogError> {
        Ok(spoil(self.log.read(slice, offset, max)?, &self.is_mended))
    }
    fn read_stream(&self, stream: &StreamName, offset: u64, max: usize) -> Result<Vec<Placed>, LogError> {
        self.log.read_stream(stream, offset, max)
    }
    fn tail(&self, from: &[u64]) -> Result<Box<dyn Tail>, LogError> {
        Ok(Box::new(Spoiling(self.log.tail(from)?, Arc::clone(&self.is_mended))))
    }
    fn producer(&self) -> Result<Box<dyn Producer>, LogError> {
        self.log.producer()
    }
}

async fn retry(stack: &Stack, token: &str) -> crate::stack::Reply {
    stack.post("/v1/parked/retry", "application/json", &[("authorization", &format!("Bearer {token}"))], "").await
}

#[tokio::test]
async fn what_is_left_out_is_said_in_every_form_until_it_is_taken_up_again() {
    let is_mended = Arc::new(AtomicBool::new(false));
    let stack = {
        let is_mended = Arc::clone(&is_mended);
        Stack::reading_ready(move |log| Arc::new(Faulty { log, is_mended })).await
    };
    stack.deal("d-1", "acme.com").await;
    let poisoned = stack.deal("d-2", "acme.com").await["position"].as_str().expect("a position").to_owned();
    let last = stack.deal("d-3", "acme.com").await["position"].as_str().expect("a position").to_owned();
    let says = format!("account/acme.com since {poisoned}");
    let deals = stack.get(&format!("/v1/deals?at_least={last}")).await;
    let seen: Vec<_> = deals.json()["items"].as_array().expect("items").iter().map(|deal| deal["deal_id"].clone()).collect();
    assert_eq!(seen, ["d-1"]);
    assert_eq!(deals.json()["incomplete"][0]["stream"], "account/acme.com");
    assert_eq!(deals.json()["items"][0]["incomplete_since"], json!(poisoned));
    for path in ["/v1/deals", "/v1/deals/d-1", "/v1/pipeline?by=region", "/v1/tiers/p-1", "/v1/mdf"] {
        for accept in ["application/json", "text/csv"] {
            assert_eq!(stack.get_as(path, accept).await.header("pledger-incomplete"), Some(says.as_str()), "{path} {accept}");
        }
    }
    assert_eq!(stack.get("/v1/tiers/p-1").await.json()["incomplete_since"], json!(poisoned));
    assert!(stack.get_as("/v1/deals", "text/csv").await.text().contains(&poisoned));

    assert_eq!(retry(&stack, PORTAL).await.problem(), (403, "OperationNotAllowed".into()));
    let tried = retry(&stack, OWNER).await.json();
    assert_eq!((&tried["items"][0]["outcome"], &tried["items"][0]["at"]), (&json!("parked"), &json!(poisoned)));
    is_mended.store(true, Ordering::SeqCst);
    let tried = retry(&stack, OWNER).await.json();
    assert_eq!((&tried["items"][0]["outcome"], &tried["items"][0]["records"]), (&json!("taken_up"), &json!(2)));
    let deals = stack.get("/v1/deals").await;
    assert_eq!((deals.json()["items"].as_array().map(Vec::len), deals.header("pledger-incomplete")), (Some(3), None));
    assert_eq!(stack.get("/v1/tiers/p-1").await.json()["incomplete_since"], Value::Null);
}
