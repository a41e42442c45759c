//! Policies as a server runs them, over a real ledger in a folder, with a clock that a test sets.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use pledger_domain::{facts::Channel, stream::StreamName, values::Timestamp};
use pledger_ledger::{
    commands::{Answer, CommandSink},
    edge::{Clock, Incoming, SteppedClock},
    log::Log,
    record::{Body, Outcome},
};
use pledger_projections::query::Query;
use serde_json::{Value, json};

use crate::{
    node::{Node, runtime},
    serving::Assembly,
};

const LOOK_EVERY: Duration = Duration::from_millis(10);
const LONG: Duration = Duration::from_secs(30);
/// Looks after which whatever was to be sent would have been.
const SEVERAL: u64 = 4;

/// A folder with a ledger and a server's parts on it.
struct Served {
    dir: tempfile::TempDir,
    clock: Arc<SteppedClock>,
    assembly: Assembly,
}

fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).expect(text)
}

fn assemble(dir: &tempfile::TempDir, clock: &Arc<SteppedClock>) -> Assembly {
    let clock: Arc<dyn Clock> = Arc::clone(clock) as _;
    let node = Node::at(dir.path(), &clock).expect("the ledger opens");
    let mut assembly = Assembly::around(node, dir.path()).expect("the read models open");
    assembly.start_policies(LOOK_EVERY).expect("the policies start");
    assembly
}

impl Served {
    fn at(now: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let clock = Arc::new(SteppedClock::fixed(time(now)));
        let assembly = assemble(&dir, &clock);
        Self { dir, clock, assembly }
    }

    /// Stops in order, starts again, and lets the policies look.
    fn restart(self) -> Self {
        let Self { dir, clock, assembly } = self;
        assembly.stop();
        let served = Self { assembly: assemble(&dir, &clock), dir, clock };
        served.let_look();
        served
    }

    fn stop(self) {
        self.assembly.stop();
    }

    /// Has a command decided, with all the facts that there are.
    fn send(&self, name: &str, payload: Value) -> Answer {
        let node = self.assembly.node().expect("it writes");
        let payload = payload.to_string();
        let after = node.sink().reference_positions();
        let incoming = Incoming { after, ..Incoming::new(name, payload.as_bytes(), Arc::from("anonymous"), Channel::Api) };
        let envelope = node.edge.prepare(incoming).expect("a command");
        let answer = runtime().expect("a runtime").block_on(node.sink().submit(vec![envelope])).remove(0).expect("decided");
        assert!(answer.outcome.is_ok(), "{name}: {:?}", answer.outcome);
        answer
    }

    fn join(&self, partner: &str) {
        self.send("RegisterPartner", json!({"partner_id": partner, "name": "Nordwind GmbH", "roles": ["reseller"]}));
        self.send("SignAgreement", json!({"partner_id": partner}));
        self.send("ActivatePartner", json!({"partner_id": partner}));
    }

    fn register(&self, deal: &str, partner: &str, domain: &str) {
        let amount = json!({"amount": "150000.00", "currency": "USD"});
        let account = json!({"name": "Acme", "domain": domain});
        self.send(
            "RegisterDeal",
            json!({"deal_id": deal, "partner_id": partner, "account": account, "product": "GTX Pro", "amount": amount}),
        );
    }

    fn field(&self, view: &str, partner: &str, field: &str) -> Value {
        let query = Query { key: Some(partner.to_owned()), ..Query::default() };
        let Ok(page) = self.assembly.engine().query(view, &query) else { return Value::Null };
        page.items[0].0.iter().find(|(name, _)| *name == field).map(|(_, value)| value.clone()).expect(field)
    }

    /// Waits until a partner's field is this.
    fn wait_for(&self, view: &str, partner: &str, field: &str, expected: &Value) {
        let until = Instant::now() + LONG;
        while self.field(view, partner, field) != *expected {
            assert!(Instant::now() < until, "{partner}'s {field} is {}, not {expected}", self.field(view, partner, field));
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Waits until the policies looked several times.
    fn let_look(&self) {
        let (until, enough) = (Instant::now() + LONG, self.assembly.policy_status().looks() + SEVERAL);
        while self.assembly.policy_status().looks() < enough {
            assert!(Instant::now() < until, "the policies do not look: {:?}", self.assembly.policy_status().trouble());
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// What policies had decided on a partner: sender, channel, cause and whether it was accepted.
    fn decided(&self, partner: &str) -> Vec<(String, Channel, Option<String>, bool)> {
        let stream = StreamName::parse(&format!("partner/{partner}")).expect("a stream");
        let records = self.assembly.node().expect("it writes").log.read_stream(&stream, 0, 1_000).expect("the ledger is read");
        let decided = records.iter().filter_map(|placed| match Body::decode(&placed.record.body).expect("a record") {
            Body::Decision(decision) => {
                let accepted = matches!(decision.outcome, Outcome::Accepted(_));
                let cause = decision.command.cause.map(|cause| cause.to_string());
                Some((decision.command.sender.to_string(), decision.command.channel, cause, accepted))
            }
            Body::LedgerCreated(_) | Body::TermOpened(_) | Body::Progress(_) => None,
        });
        decided.filter(|(sender, ..)| sender.starts_with("policy:")).collect()
    }
}

#[test]
fn a_retirement_completes_once_nothing_is_open_any_more() {
    let served = Served::at("2026-08-15");
    served.join("p-1");
    served.join("p-2");
    served.register("d-1", "p-1", "acme.com");
    served.register("d-2", "p-2", "brewery.de");
    let started = served.send("RetirePartner", json!({"partner_id": "p-1"})).position.to_string();
    served.wait_for("partners", "p-1", "retirement_blocked_by", &json!(["account/acme.com#d-1"]));
    let said = |accepted| ("policy:complete-retirement".to_owned(), Channel::Policy, Some(started.clone()), accepted);
    served.let_look();
    assert_eq!(served.decided("p-1"), [said(false)], "what blocks it is said once");

    let served = served.restart();
    assert_eq!(served.decided("p-1"), [said(false)], "and not again after a restart");
    served.send("CloseLost", json!({"deal_id": "d-1", "account": "acme.com", "reason": "gone"}));
    served.wait_for("partners", "p-1", "phase", &json!("retired"));
    assert_eq!(served.field("partners", "p-1", "retirement_blocked_by"), Value::Null);

    let served = served.restart();
    assert_eq!(served.decided("p-1"), [said(false), said(true)]);
    assert_eq!((served.field("partners", "p-2", "phase"), served.decided("p-2")), (json!("active"), vec![]));
    served.stop();
}

#[test]
fn a_retirement_with_nothing_open_completes_by_itself() {
    let served = Served::at("2026-08-15");
    served.join("p-1");
    served.send("RetirePartner", json!({"partner_id": "p-1"}));
    served.wait_for("partners", "p-1", "phase", &json!("retired"));
    assert_eq!(served.decided("p-1").len(), 1);
    served.stop();
}

#[test]
fn every_partner_is_evaluated_once_a_quarter_has_ended() {
    let served = Served::at("2026-09-20");
    served.join("p-1");
    served.join("p-2");
    served.register("d-1", "p-1", "acme.com");
    served.send("ApproveDeal", json!({"deal_id": "d-1", "account": "acme.com"}));
    let amount = json!({"amount": "150000.00", "currency": "USD"});
    served.send("CloseWon", json!({"deal_id": "d-1", "account": "acme.com", "amount": amount}));
    let award = json!({"partner_id": "p-1", "person_id": "p-1.eng", "certification": "architect", "level": "professional"});
    served.send("AwardCertification", award);
    served.let_look();
    assert_eq!(served.decided("p-1"), [], "nobody was there when the second quarter ended");

    served.clock.advance_to(time("2026-10-01T00:00:01Z"));
    for partner in ["p-1", "p-2"] {
        served.wait_for("tiers", partner, "evaluated_until", &json!("2026-10-01T00:00:00Z"));
    }
    assert_eq!(served.field("tiers", "p-1", "tier_awarded"), json!("silver"));
    assert_eq!(served.field("tiers", "p-2", "tier_awarded"), json!("registered"));
    served.join("p-3");
    let evaluated = |quarter: &str| ("policy:evaluate-tiers".to_owned(), Channel::Policy, Some(format!("period/{quarter}")), true);
    let served = served.restart();
    for (partner, expected) in [("p-1", vec![evaluated("2026-Q3")]), ("p-2", vec![evaluated("2026-Q3")]), ("p-3", vec![])] {
        assert_eq!(served.decided(partner), expected, "{partner}");
    }

    // Of the quarters that ended while nobody looked, the last one counts.
    served.clock.advance_to(time("2027-04-10"));
    for partner in ["p-1", "p-2", "p-3"] {
        served.wait_for("tiers", partner, "evaluated_until", &json!("2027-04-01T00:00:00Z"));
    }
    served.let_look();
    for (partner, expected) in [("p-1", vec![evaluated("2026-Q3"), evaluated("2027-Q1")]), ("p-3", vec![evaluated("2027-Q1")])] {
        assert_eq!(served.decided(partner), expected, "{partner}");
    }
    served.stop();
}
