//! Generations of the read models: filled behind the server, compared, taken away.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use pledger_ledger::log::{LogError, Placed, Tail};
use serde_json::{Value, json};

use crate::{
    fronted::Fronted,
    stack::{PORTAL, Stack},
};

/// How often something is looked for, and how often at most.
const LOOK: Duration = Duration::from_millis(20);
const LOOKS: usize = 1_500;

/// Tells nothing of what there is while it is shut.
struct Shut(Box<dyn Tail>, Arc<AtomicBool>);

impl Tail for Shut {
    fn next(&mut self, max: usize, wait: Duration) -> Result<Vec<Placed>, LogError> {
        if self.1.load(Ordering::SeqCst) {
            thread::sleep(LOOK);
            return Ok(Vec::new());
        }
        self.0.next(max, wait)
    }
}

/// A ledger that nobody gets to the end of while the flag stands.
async fn shut() -> (Stack, Arc<AtomicBool>) {
    let is_shut = Arc::new(AtomicBool::new(false));
    let of_tail = Arc::clone(&is_shut);
    let stack = Stack::reading_ready(move |log| Fronted::tails(log, move |tail| Box::new(Shut(tail, Arc::clone(&of_tail))))).await;
    is_shut.store(true, Ordering::SeqCst);
    (stack, is_shut)
}

async fn listed(stack: &Stack) -> Value {
    stack.operate("GET", "/v1/generations", "").await.json()["items"].clone()
}

/// The first generation, once it is as expected.
async fn once(stack: &Stack, number: usize, is_expected: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..LOOKS {
        let items = listed(stack).await;
        if is_expected(&items[number]) {
            return items[number].clone();
        }
        tokio::time::sleep(LOOK).await;
    }
    panic!("it does not come to be as expected: {}", listed(stack).await)
}

async fn fill(stack: &Stack, body: &str) -> Value {
    let begun = stack.operate("POST", "/v1/generations", body).await;
    assert_eq!(begun.status, 202, "{}", begun.text());
    begun.json()
}

#[tokio::test]
async fn a_generation_is_filled_one_at_a_time_and_gone_on_with_after_a_stop() {
    let (stack, is_shut) = shut().await;
    assert_eq!(fill(&stack, "").await, json!({"generation": 1, "resumed": false}));
    let second = stack.operate("POST", "/v1/generations", "{}").await;
    assert_eq!(second.problem(), (409, "GenerationFilling".into()));
    assert_eq!(second.json()["generation"], 1);
    assert!(second.text().contains("has been filling generation 1 since 20"), "{}", second.text());
    let far = once(&stack, 0, |one| one["lag"].as_u64().is_some_and(|lag| lag > 0)).await;
    assert_eq!((&far["state"], &far["taken_in"]), (&json!("filling"), &json!(0)));

    let api = Arc::clone(&stack.api);
    tokio::task::spawn_blocking(move || api.stop_filling()).await.expect("stopped");
    let left = listed(&stack).await[0].clone();
    assert_eq!((&left["state"], &left["lag"], &left["trouble"]), (&json!("filling"), &Value::Null, &Value::Null));
    // Whoever compared it would have to fold what it lacks.
    assert_eq!(stack.operate("GET", "/v1/generations/1/compare/1", "").await.problem(), (409, "GenerationNotReady".into()));
    is_shut.store(false, Ordering::SeqCst);
    // What is for something else is another one.
    let other = fill(&stack, r#"{"projections":["tiers"],"rules_version":1}"#).await;
    assert_eq!(other, json!({"generation": 2, "resumed": false}));
    let ready = once(&stack, 1, |one| one["state"] == "ready").await;
    assert_eq!((&ready["projections"], &ready["rules_version"]), (&json!(["tiers"]), &json!(1)));
    assert_eq!(fill(&stack, "{}").await, json!({"generation": 1, "resumed": true}));
    once(&stack, 0, |one| one["state"] == "ready").await;

    let compared = stack.operate("GET", "/v1/generations/1/compare/2", "").await.json();
    let tables = compared["tables"].as_array().expect("tables");
    let differing: Vec<&Value> = tables.iter().filter(|table| table["same"] == false).map(|table| &table["table"]).collect();
    // Every decision names version 1, or is folded alike under any.
    assert_eq!((differing.len(), tables.len() > 5), (0, true), "{compared}");
    assert_eq!(stack.operate("DELETE", "/v1/generations/1", "").await.json(), json!({"dropped": 1}));
    let unknown = stack.operate("DELETE", "/v1/generations/1", "").await;
    assert_eq!(unknown.problem(), (404, "UnknownGeneration".into()));
    assert_eq!(unknown.json()["detail"], "there is no generation 1; there is 2 only");
}

#[tokio::test]
async fn whoever_takes_away_what_is_filled_here_ends_that_first() {
    let (stack, _is_shut) = shut().await;
    fill(&stack, "").await;
    assert_eq!(stack.operate("DELETE", "/v1/generations/1", "").await.json(), json!({"dropped": 1}));
    assert_eq!(listed(&stack).await, json!([]));
    assert_eq!(fill(&stack, "").await, json!({"generation": 1, "resumed": false}));
}

#[tokio::test]
async fn what_cannot_be_done_with_generations_says_why() {
    let stack = Stack::ready().await;
    for (method, path, body, status, code) in [
        ("POST", "/v1/generations", r#"{"projections":["teirs"]}"#, 422, "UnknownView"),
        ("POST", "/v1/generations", r#"{"rules_version":9}"#, 404, "UnknownRules"),
        ("POST", "/v1/generations", r#"{"rule_version":1}"#, 400, "InvalidBody"),
        ("DELETE", "/v1/generations/x", "", 400, "InvalidGeneration"),
        ("DELETE", "/v1/generations/3", "", 404, "UnknownGeneration"),
        ("GET", "/v1/generations/1/compare/2", "", 404, "UnknownGeneration"),
        ("POST", "/v1/generations/1/promote", "", 409, "NotWrittenHere"),
    ] {
        assert_eq!(stack.operate(method, path, body).await.problem(), (status, code.to_owned()), "{method} {path} {body}");
    }
    assert_eq!(listed(&stack).await, json!([]), "nothing is left behind");
    let portal = stack.post("/v1/generations", "application/json", &[("authorization", &format!("Bearer {PORTAL}"))], "").await;
    assert_eq!(portal.problem(), (403, "OperationNotAllowed".into()));
    assert_eq!(stack.get("/v1/generations/1/compare/2").await.problem(), (403, "OperationNotAllowed".into()));
}
