//! A decision that fails is the refusal of its command, and takes nobody else along.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

use pledger_domain::rejection::Rejection;

/// The most characters of a reason that are recorded.
const MAX_REASON: usize = 200;

/// What the domain says of one command. It reads states and changes none, so nothing is half done where it panics.
///
/// Without this, whoever took the command over next would fail on it as well, one process after the other.
pub(crate) fn guarded<T>(decide: impl FnOnce() -> Result<T, Rejection>) -> Result<T, Rejection> {
    let decided = catch_unwind(AssertUnwindSafe(|| {
        #[cfg(test)]
        tests::fail_if_asked();
        decide()
    }));
    decided.unwrap_or_else(|panic| Err(Rejection::DecisionFailed { reason: panic_text(&*panic).chars().take(MAX_REASON).collect() }))
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("it panicked")
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, sync::Arc, time::Duration};

    use pledger_domain::facts::Channel;
    use pledger_ledger::{
        commands::{Answer, CommandEnvelope},
        edge::{Clock, Edge, Incoming, SeededRandomness, SteppedClock},
        keys::MemoryKeyStore,
        log::Log,
        memory::MemoryLog,
        record::{Body, FORMAT, LedgerCreated, Outcome},
        slices::Slices,
    };
    use serde_json::{Value, json};

    use super::*;
    use crate::processor::{KeyLimits, MemorySnapshots, Processor, Waiter};

    thread_local! {
        static FAILS: Cell<bool> = const { Cell::new(false) };
    }

    pub(super) fn fail_if_asked() {
        assert!(!FAILS.get(), "a bug in a rule");
    }

    struct Home {
        log: MemoryLog,
        clock: Arc<SteppedClock>,
        processor: Processor,
    }

    impl Home {
        fn new() -> Self {
            let clock = Arc::new(SteppedClock::new(serde_json::from_value("2026-02-01T00:00:00Z".into()).expect("a time"), 1_000));
            let slices = Slices::new(4).expect("four");
            let log =
                MemoryLog::new(LedgerCreated { v: FORMAT, ledger_id: "test".into(), slices, created_at: clock.now(), generated: None });
            let processor = Self::processor(&log);
            Self { log, clock, processor }
        }

        fn processor(log: &MemoryLog) -> Processor {
            let log: Arc<dyn Log> = Arc::new(log.clone());
            Processor::restore(log, &MemorySnapshots::default(), KeyLimits::default(), "test".into()).expect("restored")
        }

        fn envelope(&self, name: &str, payload: &Value, key: &str) -> CommandEnvelope {
            let edge = Edge {
                slices: self.log.slices(),
                keys: Arc::new(MemoryKeyStore::default()),
                directory: self.processor.directory(),
                clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
                randomness: Arc::new(SeededRandomness::new(1)),
            };
            let payload = payload.to_string();
            let after = self.processor.reference_positions();
            let sender = Arc::from("anonymous");
            edge.prepare(Incoming { key: Some(key), after, ..Incoming::new(name, payload.as_bytes(), sender, Channel::Api) }).expect("one")
        }

        fn ask(&mut self, name: &str, payload: &Value, key: &str) -> Answer {
            let envelope = self.envelope(name, payload, key);
            self.processor.offer(envelope, Waiter { submission: 1, index: 0 }, self.clock.now());
            self.answer()
        }

        fn answer(&mut self) -> Answer {
            self.processor.flush();
            self.processor.settle(Duration::from_secs(10));
            let (_, decided) = self.processor.take_answers().pop().expect("an answer");
            decided.expect("decided")
        }

        fn publish(&mut self) {
            let rules = json!({"program": pledger_domain::rules::Rules::DEFAULT, "effective_from": "2020-01-01"});
            assert!(self.ask("PublishRules", &rules, "rules").outcome.is_ok());
        }
    }

    fn register(partner: &str) -> Value {
        json!({"partner_id": partner, "name": partner, "roles": ["reseller"]})
    }

    #[test]
    fn a_decision_that_fails_is_a_refusal_and_others_go_on() {
        let mut home = Home::new();
        home.publish();
        FAILS.set(true);
        let failed = home.ask("RegisterPartner", &register("p-1"), "k-1");
        FAILS.set(false);
        assert_eq!(failed.outcome.expect_err("it failed"), Rejection::DecisionFailed { reason: "a bug in a rule".into() });
        assert_eq!(home.processor.failed_decisions(), 1);
        assert!(home.ask("RegisterPartner", &register("p-2"), "k-2").outcome.is_ok());
        // Once the fault is mended the same request succeeds, under the same key.
        let again = home.ask("RegisterPartner", &register("p-1"), "k-1");
        assert!(again.outcome.is_ok() && !again.replayed);
        // A successor finds the refusal in the ledger, and the state as it was without it.
        let successor = Home::processor(&home.log);
        for slice in home.log.slices().all() {
            assert_eq!(home.processor.digest(slice).expect("a digest"), successor.digest(slice).expect("a digest"));
        }
    }

    #[test]
    fn whoever_takes_the_slice_over_is_past_it() {
        let mut home = Home::new();
        home.publish();
        let envelope = home.envelope("RegisterPartner", &register("p-1"), "k-1");
        let slice = home.log.slices().of(&envelope.stream);
        let log: Arc<dyn Log> = Arc::new(home.log.clone());
        let of_topic = || Processor::of_no_slice(Arc::clone(&log), &MemorySnapshots::default(), KeyLimits::default(), "other".into());
        let mut first = of_topic().expect("restored");
        first.activate(&[slice], &MemorySnapshots::default()).expect("taken over");
        FAILS.set(true);
        first.offer_from_topic(slice, 7, envelope, home.clock.now());
        FAILS.set(false);
        first.flush();
        first.settle(Duration::from_secs(10));
        let end = home.log.end(slice).expect("an end");
        let last = home.log.read(slice, end - 1, 1).expect("read").pop().expect("a record").record;
        let Body::Decision(decision) = Body::decode(&last.body).expect("readable") else { panic!("a decision is the last") };
        assert!(matches!(decision.outcome, Outcome::Rejected(Rejection::DecisionFailed { .. })), "{:?}", decision.outcome);
        let next = of_topic().expect("restored").activate(&[slice], &MemorySnapshots::default()).expect("taken over");
        assert_eq!(next, [(slice, 8)]);
    }
}
