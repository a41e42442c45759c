//! A ledger in memory that is told a story with dates: deadlines are sent when they are due, as a server does.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use pledger_consumers::{
    chores::EmbeddedChores,
    counterfactual::{Change, Control, Draft, Options, Otherwise, Report, replay},
    embedded::Chores,
    processor::{KeyLimits, MemorySnapshots, Processor, Waiter},
};
use pledger_domain::{
    facts::Channel,
    rules::{RuleSet, Rules},
    values::Timestamp,
};
use pledger_ledger::{
    commands::CommandEnvelope,
    edge::{Edge, Incoming, SeededRandomness, SteppedClock},
    keys::MemoryKeyStore,
    log::Log,
    memory::MemoryLog,
    record::{Body, Decision, Hash, Record},
};
use serde_json::{Value, json};

pub(crate) fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).expect(text)
}

pub(crate) fn usd(amount: &str) -> Value {
    json!({"amount": amount, "currency": "USD"})
}

/// A ledger with the default rules from 2026 on.
pub(crate) struct Ledger {
    pub(crate) log: MemoryLog,
    processor: Processor,
    edge: Edge,
    chores: EmbeddedChores,
    told: usize,
}

impl Ledger {
    pub(crate) fn new() -> Self {
        Self::under(Rules::DEFAULT)
    }

    /// The same under another program.
    pub(crate) fn under(program: &str) -> Self {
        let log = MemoryLog::default();
        let snapshots = Arc::new(MemorySnapshots::default());
        let shared: Arc<dyn Log> = Arc::new(log.clone());
        let processor = Processor::restore(shared, &*snapshots, KeyLimits::default(), "story".into()).expect("an empty ledger");
        let edge = Edge {
            slices: log.slices(),
            keys: Arc::new(MemoryKeyStore::default()),
            directory: processor.directory(),
            clock: Arc::new(SteppedClock::fixed(time("2026-01-01"))),
            randomness: Arc::new(SeededRandomness::new(1)),
        };
        let chores = EmbeddedChores::new(edge.clone(), snapshots, &processor);
        let mut ledger = Self { log, processor, edge, chores, told: 0 };
        ledger.tell("2026-01-01", "PublishRules", json!({"program": program}));
        ledger
    }

    /// A partner that may do everything.
    pub(crate) fn partner(&mut self, id: &str) {
        self.tell("2026-01-01", "RegisterPartner", json!({"partner_id": id, "name": id, "roles": ["reseller"]}));
        self.tell("2026-01-01", "SignAgreement", json!({"partner_id": id}));
        self.tell("2026-01-01", "ActivatePartner", json!({"partner_id": id}));
    }

    /// A registration, on acme.com.
    pub(crate) fn register(&mut self, at: &str, deal: &str, partner: &str) -> bool {
        let account = json!({"name": "Acme", "domain": "acme.com"});
        let deal = json!({"deal_id": deal, "partner_id": partner, "account": account, "product": "GTX", "amount": usd("100.00")});
        self.tell(at, "RegisterDeal", deal)
    }

    /// Sends a command at its time, after whatever fell due before; whether it was accepted.
    pub(crate) fn tell(&mut self, at: &str, name: &str, payload: Value) -> bool {
        self.tell_on(Channel::Api, at, name, &payload)
    }

    pub(crate) fn tell_on(&mut self, channel: Channel, at: &str, name: &str, payload: &Value) -> bool {
        let now = time(at);
        for envelope in self.chores.due(&mut self.processor, now) {
            self.decide(envelope, now);
        }
        self.told += 1;
        let (key, payload) = (format!("k-{}", self.told), payload.to_string());
        let incoming =
            Incoming { key: Some(&key), received_at: Some(now), ..Incoming::new(name, payload.as_bytes(), Arc::from("story"), channel) };
        let envelope = self.edge.prepare(incoming).expect("a command");
        self.decide(envelope, now)
    }

    fn decide(&mut self, envelope: CommandEnvelope, now: Timestamp) -> bool {
        self.processor.offer(envelope, Waiter { submission: 0, index: 0 }, now);
        self.processor.flush();
        while self.processor.batches_in_flight() > 0 {
            self.processor.settle(Duration::from_millis(10));
        }
        let (_, answer) = self.processor.take_answers().pop().expect("an answer");
        answer.expect("a decision").outcome.is_ok()
    }

    /// What is decided again under these changes to the default rules, up to a time. With every command decided again, under the
    /// rules as recorded too, these have to come out as recorded, and the draft has to change the same.
    pub(crate) fn again(&self, changes: &[(&str, &str)], from: Option<&str>, to: &str) -> Report {
        let drafts = [Draft { from: from.map(time), ..draft(changes) }];
        let report = |control| replay(&self.log, &drafts, Options::telling_all(control, time(to)), &mut |_| {}).expect("the log is read");
        let (report, all) = (report(Control::Differences), report(Control::Everything));
        assert_eq!(all.drafts, report.drafts);
        assert_eq!((all.controlled, all.unrepeated), (all.decided, vec![]));
        assert!(report.decided <= all.decided, "{} of {}", report.decided, all.decided);
        report
    }

    /// The same ledger, had these decisions been recorded otherwise. The chain holds.
    pub(crate) fn forged(&self, forge: impl Fn(&mut Decision<'_>)) -> MemoryLog {
        self.chained(|body| {
            let mut read = Body::decode(body).expect("a body");
            if let Body::Decision(decision) = &mut read {
                forge(decision);
            }
            read.encode().expect("no person is in it")
        })
    }

    /// The same ledger, had the decisions that are picked been written in a way that cannot be read. The chain holds.
    pub(crate) fn garbled(&self, is_picked: impl Fn(&Decision<'_>) -> bool) -> MemoryLog {
        self.with_unreadable(is_picked, |decision| decision.stream.to_string())
    }

    /// The same, had these been written in this stream.
    pub(crate) fn garbled_as(&self, stream: &str, is_picked: impl Fn(&Decision<'_>) -> bool) -> MemoryLog {
        self.with_unreadable(is_picked, |_| stream.to_owned())
    }

    fn with_unreadable(&self, is_picked: impl Fn(&Decision<'_>) -> bool, stream: impl Fn(&Decision<'_>) -> String) -> MemoryLog {
        self.chained(|body| match Body::decode(body).expect("a body") {
            Body::Decision(decision) if is_picked(&decision) => {
                Bytes::from(format!(r#"{{"decision":{{"v":1,"stream":"{}","outcome":17}}}}"#, stream(&decision)))
            }
            _ => body.clone(),
        })
    }

    /// The same records with other bodies.
    fn chained(&self, write: impl Fn(&Bytes) -> Bytes) -> MemoryLog {
        let chained = MemoryLog::bare(self.log.slices());
        for slice in self.log.slices().all() {
            let mut prev = Hash::default();
            for placed in self.log.read(slice, 0, usize::MAX).expect("read") {
                let Record { header, body } = placed.record;
                let record = Record::chain(slice, header.pseq, header.term, prev, write(&body));
                prev = record.header.hash;
                chained.append([record]);
            }
        }
        chained
    }

    /// The same, a line a difference: when, command, what it is about, how it differs, and whether it follows from another.
    pub(crate) fn told(&self, changes: &[(&str, &str)], to: &str) -> Vec<String> {
        self.again(changes, None, to).drafts[0].decisions.iter().map(line).collect()
    }
}

/// These changes to the default rules, always in force.
pub(crate) fn draft(changes: &[(&str, &str)]) -> Draft {
    let text = changes.iter().fold(Rules::DEFAULT.to_owned(), |text, (was, is)| {
        assert!(text.contains(was), "{was}");
        text.replacen(was, is, 1)
    });
    let rules = RuleSet { version: 9, effective_from: time("2020-01-01"), rules: Rules::parse(&text).expect("rules") };
    Draft { rules: Arc::new(rules), from: None }
}

pub(crate) fn line(otherwise: &Otherwise) -> String {
    let Otherwise { effective_at, command, subject, change, fields, follows, .. } = otherwise;
    let fields: Vec<&str> = fields.iter().map(|field| field.field.as_str()).collect();
    let how = match change {
        Change::Refused => "refused".to_owned(),
        Change::Accepted => "accepted".to_owned(),
        Change::OtherReason => "refused otherwise".to_owned(),
        Change::OtherDates => "refused with other dates".to_owned(),
        Change::OtherTime => format!("at another time: {}", fields.join("+")),
        Change::FallsDue => "due".to_owned(),
        Change::OtherConsequences => fields.join("+"),
    };
    let follows = if follows.is_some() { ", follows" } else { "" };
    format!("{} {command} {}: {how}{follows}", effective_at.date(), subject.as_deref().unwrap_or("-"))
}
