//! What an operator watches: a processor that decides nothing any more, read models that are behind.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use pledger_domain::rules::Rules;
use pledger_ledger::{
    commands::{CommandEnvelope, CommandSink, Decided, Undecided},
    log::{LogError, Placed, Tail},
    slices::Position,
};
use serde_json::json;

use crate::{
    fronted::Fronted,
    stack::{Stack, deal_payload},
};

const LONG: Duration = Duration::from_secs(20);

/// Takes no commands, as a processor does that found the ledger damaged.
struct Halted;

const REASON: &str = "the ledger is damaged at 3:7: \u{fc}ble Folgen\nfor all";

impl CommandSink for Halted {
    fn submit(&self, commands: Vec<CommandEnvelope>) -> Pin<Box<dyn Future<Output = Vec<Decided>> + Send>> {
        Box::pin(std::future::ready(vec![Err(Undecided::Unavailable(REASON.into())); commands.len()]))
    }

    fn reference_positions(&self) -> Vec<Position> {
        Vec::new()
    }

    fn halted(&self) -> Option<Arc<str>> {
        Some(REASON.into())
    }

    fn queued(&self) -> usize {
        17
    }
}

/// The sample of a metric without labels.
async fn sample(stack: &Stack, name: &str) -> f64 {
    let metrics = stack.get("/metrics").await;
    let line = metrics.text().lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).map(str::to_owned);
    line.unwrap_or_else(|| panic!("{name}:\n{}", metrics.text())).parse().expect("a number")
}

#[tokio::test]
async fn a_processor_that_takes_no_commands_shows_everywhere() {
    let stack = Stack::over(|_| Arc::new(Halted), Vec::new());
    let ready = stack.get("/readyz").await;
    assert_eq!(ready.problem(), (503, "NotReady".into()));
    assert_eq!(ready.json()["checks"][0], json!({"name": "processor", "ok": false, "reason": REASON}));
    assert_eq!(stack.get("/healthz").await.status, 200);
    assert_eq!((sample(&stack, "pledger_commands_halted").await, sample(&stack, "pledger_commands_queued").await), (1.0, 17.0));
    // Questions are answered, and say so.
    let deals = stack.get("/v1/deals").await;
    assert_eq!((deals.status.as_u16(), deals.json()["warning"].as_str()), (200, Some(REASON)));
    assert_eq!(deals.header("pledger-warning"), Some("the ledger is damaged at 3:7: ?ble Folgen?for all"));
    assert_eq!(stack.get_as("/v1/deals", "text/csv").await.header("pledger-warning"), deals.header("pledger-warning"));
    let refused = stack.command("RegisterDeal", &deal_payload("d-1", "acme.com"), &[]).await;
    assert_eq!(refused.problem(), (503, "LedgerUnavailable".into()));
}

#[tokio::test]
async fn a_processor_that_decides_is_not_warned_of() {
    let stack = Stack::ready().await;
    stack.deal("d-1", "acme.com").await;
    assert_eq!((sample(&stack, "pledger_commands_halted").await, sample(&stack, "pledger_commands_queued").await), (0.0, 0.0));
    assert_eq!(stack.get("/readyz").await.json()["checks"][0], json!({"name": "processor", "ok": true}));
    for path in ["/v1/deals", "/v1/streams/account%2Facme.com"] {
        let reply = stack.get(path).await;
        assert_eq!((reply.header("pledger-warning"), reply.json().get("warning")), (None, None), "{path}");
    }
}

/// Of which nothing comes while the gate is closed.
struct GatedTail(Box<dyn Tail>, Arc<AtomicBool>);

impl Tail for GatedTail {
    fn next(&mut self, max: usize, wait: Duration) -> Result<Vec<Placed>, LogError> {
        if self.1.load(Ordering::SeqCst) {
            return self.0.next(max, wait);
        }
        std::thread::sleep(Duration::from_millis(1));
        Ok(Vec::new())
    }
}

#[tokio::test]
async fn the_lag_is_what_the_read_models_have_not_taken_in() {
    let open = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&open);
    let stack = Stack::reading(
        |processor| Arc::new(processor.sink()),
        Vec::new(),
        |log| Fronted::tails(log, move |tail| Box::new(GatedTail(tail, Arc::clone(&gate)))),
    );
    // The record that creates the ledger is there already.
    assert_eq!(sample(&stack, "pledger_projections_lag_records").await, 1.0);
    let publish = json!({"program": Rules::DEFAULT, "effective_from": "2020-01-01"});
    assert_eq!(stack.command("PublishRules", &publish, &[]).await.status, 200);
    let partners: Vec<_> = (0..200)
        .map(
            |n| json!({"type": "RegisterPartner", "payload": {"partner_id": format!("p-{n}"), "name": format!("P {n}"), "roles": ["msp"]}}),
        )
        .collect();
    assert_eq!(stack.batch(&json!(partners)).await.status, 200);
    // Created, then the rules and the partners, and the `TermOpened` of the slice that all of these lie in.
    assert_eq!(sample(&stack, "pledger_projections_lag_records").await, 1.0 + 201.0 + 1.0);
    open.store(true, Ordering::SeqCst);
    let until = Instant::now() + LONG;
    while sample(&stack, "pledger_projections_lag_records").await > 0.0 {
        assert!(Instant::now() < until, "the read models do not catch up");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(stack.get("/v1/partners?limit=500").await.json()["items"].as_array().map(Vec::len), Some(200));
}
