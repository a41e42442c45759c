//! A long explanation is made in its turn: whoever asks meanwhile is told to come again.

use std::{
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use crate::{fronted::Fronted, stack::Stack};

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

#[tokio::test]
async fn one_long_explanation_is_made_at_a_time() {
    let gate = Arc::new(Gate::default());
    let stack = {
        let gate = Arc::clone(&gate);
        Stack::reading_ready(move |log| Fronted::streams(log, move || gate.pass())).await
    };
    let position = stack.deal("d-1", "acme.com").await["position"].as_str().expect("a position").to_owned();
    // Pages are of figures that many decisions made, and are made in turn whatever their length.
    let page = format!("/v1/deals/d-1/why?field=amount&at_least={position}&cursor=account/acme.com@{position}");
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
