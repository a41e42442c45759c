//! Ingest between an inbox and a processor that do as a test says.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    future::Future,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use parking_lot::Mutex;
use pledger_domain::{rejection::Rejection, values::Timestamp};
use pledger_ledger::{
    commands::{Answer, CommandEnvelope, CommandSink, Decided, Undecided},
    edge::{Edge, SeededRandomness, SteppedClock},
    inbox::{DeadLetters, Inbox, Letter, Message, Place},
    keys::MemoryKeyStore,
    log::LogError,
    slices::{Position, Slices},
};
use serde_json::{json, value::RawValue};

use super::{Ingest, IngestDesk, IngestStatus};

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

type Answering = Box<dyn FnMut(&CommandEnvelope) -> Decided + Send>;

/// What all of them share.
#[derive(Default)]
struct State {
    messages: VecDeque<Message>,
    delivered: usize,
    paused: BTreeSet<u32>,
    committed: BTreeMap<u32, u64>,
    sent: Vec<CommandEnvelope>,
    letters: Vec<Letter>,
    /// How often letters cannot be kept.
    refuse_letters: usize,
}

#[derive(Clone)]
struct World {
    state: Arc<Mutex<State>>,
    answer: Arc<Mutex<Answering>>,
    status: Arc<IngestStatus>,
}

struct FakeInbox(World);

impl Inbox for FakeInbox {
    fn next(&mut self, wait: Duration) -> Result<Option<Message>, LogError> {
        let mut state = self.0.state.lock();
        let next = state.messages.iter().position(|message| !state.paused.contains(&message.place.partition));
        let Some(next) = next else {
            drop(state);
            std::thread::sleep(wait.min(Duration::from_millis(2)));
            return Ok(None);
        };
        state.delivered += 1;
        Ok(state.messages.remove(next))
    }

    fn lost(&mut self) -> Vec<u32> {
        Vec::new()
    }

    fn pause(&mut self, partition: u32) {
        self.0.state.lock().paused.insert(partition);
    }

    fn resume(&mut self, partition: u32) {
        self.0.state.lock().paused.remove(&partition);
    }

    fn commit(&mut self, places: &[Place]) {
        self.0.state.lock().committed.extend(places.iter().map(|place| (place.partition, place.offset)));
    }

    fn close(mut self: Box<Self>, places: &[Place]) {
        self.commit(places);
    }
}

impl CommandSink for World {
    fn submit(&self, commands: Vec<CommandEnvelope>) -> Pin<Box<dyn Future<Output = Vec<Decided>> + Send>> {
        let answers = commands.iter().map(|command| (self.answer.lock())(command)).collect();
        self.state.lock().sent.extend(commands);
        Box::pin(std::future::ready(answers))
    }

    fn reference_positions(&self) -> Vec<Position> {
        vec![Position { slice: 0, pseq: 3 }]
    }
}

impl DeadLetters for World {
    fn keep(&self, letters: &[Letter]) -> Result<(), LogError> {
        let mut state = self.state.lock();
        if state.refuse_letters > 0 {
            state.refuse_letters -= 1;
            return Err(LogError::Store("full".into()));
        }
        state.letters.extend_from_slice(letters);
        Ok(())
    }
}

impl World {
    fn new(messages: Vec<Message>, answer: impl FnMut(&CommandEnvelope) -> Decided + Send + 'static) -> Self {
        let state = State { messages: messages.into(), ..State::default() };
        Self { state: Arc::new(Mutex::new(state)), answer: Arc::new(Mutex::new(Box::new(answer))), status: Arc::default() }
    }

    fn start(&self, parked_for: Duration) -> Ingest {
        let edge = Edge {
            slices: Slices::default(),
            keys: Arc::new(MemoryKeyStore::default()),
            directory: Arc::default(),
            clock: Arc::new(SteppedClock::fixed(at("2026-10-01T12:00:00Z"))),
            randomness: Arc::new(SeededRandomness::new(1)),
        };
        let (sink, letters) = (Arc::new(self.clone()), Arc::new(self.clone()));
        let desk = IngestDesk { edge, sink, letters, status: Arc::clone(&self.status), parked_for };
        let world = self.clone();
        Ingest::start(desk, move || Ok(Box::new(FakeInbox(world.clone())))).expect("a thread")
    }

    /// Runs until it is so, and stops.
    fn run_until(&self, is_so: impl Fn(&State) -> bool) {
        let ingest = self.start(Duration::from_millis(300));
        let until = Instant::now() + PATIENCE;
        while !is_so(&self.state.lock()) {
            assert!(Instant::now() < until, "{:?}, {:?}", self.status, self.state.lock().committed);
            std::thread::sleep(Duration::from_millis(2));
        }
        ingest.stop();
    }

    fn run_to(&self, offset: u64) {
        self.run_until(|state| state.committed.get(&0) == Some(&offset));
    }

    fn keys(&self) -> Vec<String> {
        self.state.lock().sent.iter().map(|command| command.key.to_string()).collect()
    }
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect(text)
}

fn accepted(command: &CommandEnvelope) -> Decided {
    decided(command, None)
}

fn decided(command: &CommandEnvelope, refusal: Option<Rejection>) -> Decided {
    let position = Position { slice: Slices::default().of(&command.stream), pseq: 9 };
    let outcome = refusal.map_or_else(|| Ok(RawValue::NULL.to_owned()), Err);
    let time = at("2026-10-01");
    Ok(Answer { position, version: 1, rules: 1, recorded_at: time, effective_at: time, outcome, replayed: false })
}

fn event(offset: u64, id: &str, kind: &str, data: &serde_json::Value) -> Message {
    let headers = [("ce_specversion", "1.0"), ("ce_id", id), ("ce_source", "/crm"), ("ce_type", kind)];
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), Some(value.as_bytes().to_vec()))).collect();
    let value = Some(Bytes::from(data.to_string()));
    Message { place: Place { partition: 0, offset }, key: None, headers, value, arrived_at: Some(at("2026-10-01T11:59:00Z")) }
}

fn lost(offset: u64, id: &str, account: &str) -> Message {
    event(offset, id, "pledger.CloseLost", &json!({"deal_id": "d-1", "account": account, "reason": "price"}))
}

#[test]
fn what_is_sent_again_is_overtaken_by_none_of_its_stream() {
    let mut turned_away =
        vec![Err(Undecided::Unknown("no answer".into())), Err(Undecided::Overloaded), Err(Undecided::Unavailable("away".into()))];
    let messages = vec![lost(0, "k-1", "a.com"), lost(1, "k-2", "a.com"), lost(2, "k-3", "b.com")];
    let world = World::new(messages, move |command| match &*command.key {
        "k-1" if turned_away.len() == 2 => {
            turned_away.pop();
            decided(command, Some(Rejection::FactsBehind {}))
        }
        "k-1" => turned_away.pop().unwrap_or_else(|| accepted(command)),
        _ => accepted(command),
    });
    world.run_to(3);
    let keys = world.keys();
    let of_a: Vec<&str> = keys.iter().map(String::as_str).filter(|key| *key != "k-3").collect();
    assert_eq!(of_a, ["k-1", "k-1", "k-1", "k-1", "k-2"]);
    assert_eq!(keys.iter().filter(|key| *key == "k-3").count(), 1, "another stream does not wait");
    let figures = world.status.figures();
    assert_eq!((figures.accepted, figures.sent_again, figures.letters), (3, 3, 0));
    assert_eq!(world.status.trouble(), None);
}

#[test]
fn a_command_sees_what_events_before_it_brought_about() {
    let deal = json!({"deal_id": "d", "partner_id": "p-1", "account": {"name": "A", "domain": "a.com"}, "product": "x",
                      "amount": {"amount": "1.00", "currency": "USD"}});
    let messages = vec![
        event(0, "k-1", "pledger.RegisterPartner", &json!({"partner_id": "p-1", "name": "P", "roles": ["reseller"]})),
        event(1, "k-2", "pledger.RegisterDeal", &deal),
    ];
    let world = World::new(messages, accepted);
    world.run_to(2);
    let sent = world.state.lock().sent.clone();
    let partner = Slices::default().of(&sent[0].stream);
    assert_eq!(sent[0].after, [Position { slice: 0, pseq: 3 }]);
    assert!(sent[1].after.contains(&Position { slice: partner, pseq: 9 }), "{:?}", sent[1].after);
    assert_eq!((sent[1].received_at, &*sent[1].sender), (at("2026-10-01T11:59:00Z"), "/crm"));
}

#[test]
fn what_can_be_no_command_is_a_dead_letter_and_a_refusal_is_none() {
    let reused = Undecided::KeyReused { first: Position { slice: 9, pseq: 1 } };
    let mut hostile = lost(2, "k-2", "a.com");
    hostile.headers.retain(|(name, _)| name != "ce_id");
    let mut large = lost(6, "k-6", "a.com");
    large.value = Some(Bytes::from(vec![b' '; 5 << 20]));
    let messages = vec![
        lost(0, "k-0", "a.com"),
        lost(1, "reused", "a.com"),
        hostile,
        event(3, "k-3", "pledger.CloseLoss", &json!({})),
        event(4, "k-4", "pledger.CloseLost", &json!({"deal_id": "d", "account": "a.com", "reason": "r", "what": 1})),
        event(5, "k-5", "pledger.ApproveDeal", &json!({"deal_id": "nobody-knows"})),
        large,
        lost(7, "k-7", "a.com"),
    ];
    let world = World::new(messages.clone(), move |command| match &*command.key {
        "reused" => Err(reused.clone()),
        "k-0" => decided(command, Some(Rejection::NothingAsked {})),
        _ => accepted(command),
    });
    world.state.lock().refuse_letters = 2;
    world.run_to(8);
    let state = world.state.lock();
    let mut told: Vec<_> = state
        .letters
        .iter()
        .map(|letter| (letter.message.place.offset, &*letter.objection.code, letter.objection.field.as_deref()))
        .collect();
    told.sort_unstable();
    assert_eq!(
        told,
        [
            (1, "KeyReused", Some("id")),
            (2, "InvalidCloudEvent", Some("ce_id")),
            (3, "UnknownCommand", None),
            (4, "InvalidPayload", Some("what")),
            (5, "UnknownId", Some("deal_id")),
            (6, "PayloadTooLong", None),
        ]
    );
    assert!(state.letters.iter().all(|letter| messages.contains(&letter.message)), "letters are what came");
    drop(state);
    let figures = world.status.figures();
    assert_eq!((figures.accepted, figures.refused, figures.letters, figures.parked), (1, 1, 6, 0));
}

#[test]
fn nothing_is_committed_past_what_is_not_decided() {
    let messages = (0..4).map(|n| lost(n, &format!("k-{n}"), &format!("a{n}.com"))).collect();
    let world = World::new(messages, |command| match &*command.key {
        "k-2" => Err(Undecided::Unavailable("damaged".into())),
        _ => accepted(command),
    });
    world.run_until(|state| state.sent.iter().filter(|command| command.key == "k-2").count() > 3);
    let committed = world.state.lock().committed.get(&0).copied();
    assert!(committed <= Some(2), "the next reader begins at {committed:?}");
}

#[test]
fn a_partition_that_is_stuck_is_paused_and_others_go_on() {
    let mut messages: Vec<Message> = (0..10_000).map(|n| lost(n, &format!("k-{n}"), "a.com")).collect();
    let mut other = lost(0, "other", "b.com");
    other.place.partition = 1;
    messages.push(other);
    let world = World::new(messages, |command| match &*command.key {
        "other" => accepted(command),
        _ => Err(Undecided::Overloaded),
    });
    world.run_until(|state| state.committed.get(&1) == Some(&1));
    let state = world.state.lock();
    assert!(state.delivered < 4_000 && state.paused.contains(&0), "{} messages were read", state.delivered);
}
