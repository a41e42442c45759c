//! A ledger that does not decide.

use std::{future::Future, pin::Pin, sync::Arc};

use pledger_domain::rejection::Rejection;
use pledger_ledger::{
    commands::{Answer, CommandEnvelope, CommandSink, Decided, Undecided},
    slices::Position,
};
use serde_json::json;

use crate::stack::{Stack, deal_payload, now};

/// Answers every command with the same fault.
struct Faulty(Decided);

impl CommandSink for Faulty {
    fn submit(&self, commands: Vec<CommandEnvelope>) -> Pin<Box<dyn Future<Output = Vec<Decided>> + Send>> {
        Box::pin(std::future::ready(vec![self.0.clone(); commands.len()]))
    }

    fn reference_positions(&self) -> Vec<Position> {
        Vec::new()
    }
}

fn behind() -> Decided {
    let position = Position { slice: 3, pseq: 8 };
    let outcome = Err(Rejection::FactsBehind {});
    Ok(Answer { position, version: 2, rules: 1, recorded_at: now(), effective_at: now(), outcome, replayed: false })
}

#[tokio::test]
async fn a_decision_that_failed_is_our_own_fault() {
    let outcome = Err(Rejection::DecisionFailed { reason: "a bug in a rule".into() });
    let decided = behind().map(|answer| Answer { outcome, ..answer });
    let stack = Stack::over(|_| Arc::new(Faulty(decided)), Vec::new());
    let reply = stack.command("RegisterDeal", &deal_payload("d-1", "acme.com"), &[("idempotency-key", "k")]).await;
    assert_eq!(reply.problem(), (500, "DecisionFailed".to_owned()));
    assert_eq!((&reply.json()["position"], &reply.json()["facts"]["reason"]), (&json!("3:8"), &json!("a bug in a rule")));
}

#[tokio::test]
async fn a_command_without_a_decision_says_when_to_try_again() {
    for (fault, status, code) in [
        (Err(Undecided::Overloaded), 429, "Overloaded"),
        (Err(Undecided::Unavailable("the disk is full".into())), 503, "LedgerUnavailable"),
        (Err(Undecided::Unknown("the writer was deposed".into())), 503, "OutcomeUnknown"),
        (behind(), 503, "FactsBehind"),
    ] {
        let stack = Stack::over(|_| Arc::new(Faulty(fault)), Vec::new());
        let reply = stack.command("RegisterDeal", &deal_payload("d-1", "acme.com"), &[("idempotency-key", "k")]).await;
        assert_eq!(reply.problem(), (status, code.to_owned()));
        assert!(reply.header("retry-after").and_then(|seconds| seconds.parse::<u32>().ok()).is_some_and(|seconds| seconds > 0), "{code}");
        assert_eq!(reply.json()["command_id"], "k", "{code}");
        let batch = stack.batch(&json!([{"type": "RegisterDeal", "payload": deal_payload("d-1", "acme.com")}])).await.json();
        assert_eq!((batch["items"][0]["status"].as_u64(), batch["items"][0]["code"].as_str()), (Some(u64::from(status)), Some(code)));
    }
}

/// Answers nothing at all.
struct Silent;

impl CommandSink for Silent {
    fn submit(&self, _commands: Vec<CommandEnvelope>) -> Pin<Box<dyn Future<Output = Vec<Decided>> + Send>> {
        Box::pin(std::future::pending())
    }

    fn reference_positions(&self) -> Vec<Position> {
        Vec::new()
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_ever() {
    let stack = Stack::over(|_| Arc::new(Silent), Vec::new());
    let reply = stack.command("RegisterDeal", &deal_payload("d-1", "acme.com"), &[]).await;
    assert_eq!(reply.problem(), (503, "OutcomeUnknown".into()));
}

/// Panics.
struct Panicking;

impl CommandSink for Panicking {
    fn submit(&self, _commands: Vec<CommandEnvelope>) -> Pin<Box<dyn Future<Output = Vec<Decided>> + Send>> {
        panic!("the sink broke");
    }

    fn reference_positions(&self) -> Vec<Position> {
        Vec::new()
    }
}

#[tokio::test]
async fn a_fault_of_ours_is_a_problem_document_that_tells_nothing() {
    let stack = Stack::over(|_| Arc::new(Panicking), Vec::new());
    let reply = stack.command("RegisterDeal", &deal_payload("d-1", "acme.com"), &[]).await;
    assert_eq!(reply.problem(), (500, "InternalError".into()));
    assert!(!reply.text().contains("sink broke"), "{}", reply.text());
}
