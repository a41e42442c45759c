//! A long explanation is made in its turn: whoever asks meanwhile is told to come again.

use std::{
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use pledger_domain::stream::StreamName;
use pledger_ledger::{
    log::{Log, LogError, Placed, Producer, Tail},
    slices::{SliceId, Slices},
};

use crate::stack::Stack;

/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whether streams are read.
#[derive(Default)]
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    is_shut: bool,
    /// How many have come while it was shut.
    came: usize,
}

impl Gate {
    fn set(&self, is_shut: bool) {
        self.state.lock().expect("unpoisoned").is_shut = is_shut;
        self.changed.notify_all();
    }

    fn pass(&self) {
        let mut state = self.state.lock().expect("unpoisoned");
        if state.is_shut {
            state.came += 1;
            self.changed.notify_all();
            drop(self.changed.wait_timeout_while(state, PATIENCE, |state| state.is_shut).expect("unpoisoned"));
        }
    }

    /// Waits until somebody stands before it.
    fn somebody_came(&self) -> bool {
        let state = self.state.lock().expect("unpoisoned");
        let (state, _) = self.changed.wait_timeout_while(state, PATIENCE, |state| state.came == 0).expect("unpoisoned");
        state.came > 0
    }
}

/// A ledger of which no stream is read while the gate is shut.
struct Held {
    log: Arc<dyn Log>,
    gate: Arc<Gate>,
}

impl Log for Held {
    fn slices(&self) -> Slices {
        self.log.slices()
    }
    fn end(&self, slice: SliceId) -> Result<u64, LogError> {
        self.log.end(slice)
    }
    fn read(&self, slice: SliceId, offset: u64, max: usize) -> Result<Vec<Placed>, LogError> {
        self.log.read(slice, offset, max)
    }
    fn read_stream(&self, stream: &StreamName, offset: u64, max: usize) -> Result<Vec<Placed>, LogError> {
        self.gate.pass();
        self.log.read_stream(stream, offset, max)
    }
    fn may_hold_void(&self) -> bool {
        self.log.may_hold_void()
    }
    fn tail(&self, from: &[u64]) -> Result<Box<dyn Tail>, LogError> {
        self.log.tail(from)
    }
    fn producer(&self) -> Result<Box<dyn Producer>, LogError> {
        self.log.producer()
    }
}

#[tokio::test]
async fn one_long_explanation_is_made_at_a_time() {
    let gate = Arc::new(Gate::default());
    let stack = {
        let gate = Arc::clone(&gate);
        Stack::reading_ready(move |log| Arc::new(Held { log, gate })).await
    };
    let position = stack.deal("d-1", "acme.com").await["position"].as_str().expect("a position").to_owned();
    // Pages are of figures that many decisions made, and are made in turn whatever their length.
    let page = format!("/v1/deals/d-1/why?field=amount&at_least={position}&cursor={position}");
    gate.set(true);
    let meanwhile = async {
        let came = {
            let gate = Arc::clone(&gate);
            tokio::task::spawn_blocking(move || gate.somebody_came()).await.expect("waited")
        };
        assert!(came, "the first one reads");
        let second = tokio::time::timeout(PATIENCE, stack.get(&page)).await.expect("it is not kept waiting");
        gate.set(false);
        second
    };
    let (first, second) = tokio::join!(stack.get(&page), meanwhile);
    assert_eq!(second.problem(), (429, "AnalysisRunning".into()));
    assert_eq!(second.header("retry-after"), Some("5"));
    assert_eq!(first.status, 200, "{}", first.text());
    assert_eq!(stack.get(&page).await.status, 200, "the turn is given back");
}
