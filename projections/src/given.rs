//! Given these decisions: a ledger in memory to fold in tests.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use pledger_domain::{
    account::{AccountEvent, DealRegistered, RevenueKind, Stage},
    facts::Channel,
    program::ProgramEvent,
    rejection::Rejection,
    rules::Rules,
    stream::StreamName,
    values::{AccountDescription, Amount, Currency, DealId, Label, Money, PartnerId, RevenueId, Text, Timestamp},
};
use pledger_ledger::{
    chain::ChainHead,
    log::{Log, LogError, Placed, Producer, Tail},
    record::{CommandRecord, Decision, Events, Outcome, Record},
    slices::{Position, SliceId, Slices},
};
use proptest::prelude::*;
use serde_json::value::RawValue;

/// Slices of a test's ledger: few, so that streams share them.
const SLICES: u16 = 16;

/// A ledger in memory.
#[derive(Clone)]
pub(crate) struct Ledger {
    state: Arc<(Mutex<State>, Condvar)>,
    slices: Slices,
}

#[derive(Default)]
struct State {
    /// Every record in the order of its commit.
    commits: Vec<Placed>,
    heads: Vec<ChainHead>,
    ends: Vec<u64>,
}

/// A decision to be recorded.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) stream: StreamName,
    pub(crate) at: Timestamp,
    pub(crate) recorded_at: Timestamp,
    pub(crate) rules: u32,
    pub(crate) outcome: Outcome<'static>,
    pub(crate) command: (&'static str, String),
}

impl Given {
    /// What happened on an account.
    pub(crate) fn account(key: &str, at: &str, events: Vec<AccountEvent>) -> Self {
        Self::new(&format!("account/{key}"), at, Outcome::Accepted(Events::Account(events.into())))
    }

    /// What was refused in a stream, by the command and its payload.
    pub(crate) fn refused(stream: &str, at: &str, rejection: Rejection, command: (&'static str, &str)) -> Self {
        let given = Self::new(stream, at, Outcome::Rejected(rejection));
        Self { command: (command.0, command.1.to_owned()), ..given }
    }

    pub(crate) fn new(stream: &str, at: &str, outcome: Outcome<'static>) -> Self {
        let stream = StreamName::parse(stream).expect("a stream's name");
        let at = time(at);
        Self { stream, at, recorded_at: at, rules: 1, outcome, command: ("Given", "{}".to_owned()) }
    }

    /// Rules are published.
    pub(crate) fn rules(version: u32, at: &str) -> Self {
        Self::rules_saying(version, at, Rules::DEFAULT)
    }

    pub(crate) fn rules_saying(version: u32, at: &str, program: &str) -> Self {
        let event = ProgramEvent::RulesPublished {
            version,
            effective_from: time(at),
            name: Label::parse("Test").expect("a label"),
            program: program.to_owned(),
        };
        Self { rules: version - 1, ..Self::new("program", at, Outcome::Accepted(Events::Program(vec![event].into()))) }
    }

    /// Whether it registers a deal as history: imports decide so.
    fn is_history(&self) -> bool {
        let Outcome::Accepted(Events::Account(events)) = &self.outcome else { return false };
        events.iter().any(|event| matches!(event, AccountEvent::DealRegistered(registered) if registered.historical))
    }

    fn encode(&self, version: u64) -> Bytes {
        let decision = Decision {
            stream: self.stream.clone(),
            version,
            command: CommandRecord {
                id: format!("{}-{version}", self.stream).into(),
                name: self.command.0.into(),
                payload: std::borrow::Cow::Owned(RawValue::from_string(self.command.1.clone()).expect("a payload")),
                sender: "test".into(),
                actor: None,
                channel: Channel::Api,
                received_at: self.at,
                effective_at: None,
                input: "00".into(),
                cause: None,
            },
            outcome: self.outcome.clone(),
            rules: self.rules,
            recorded_at: self.recorded_at,
            effective_at: self.at,
            relied_on: Vec::new(),
            historical: self.is_history(),
            next_command: None,
        };
        decision.encode().expect("a decision of a test has nothing plain in it")
    }
}

impl Ledger {
    pub(crate) fn new(slices: u16) -> Self {
        let count = usize::from(slices);
        let slices = Slices::new(slices).expect("enough slices");
        let state = State { commits: Vec::new(), heads: vec![ChainHead::default(); count], ends: vec![0; count] };
        Self { state: Arc::new((Mutex::new(state), Condvar::new())), slices }
    }

    /// A ledger with rules and these decisions.
    pub(crate) fn with(given: impl IntoIterator<Item = Given>) -> Self {
        let ledger = Self::new(SLICES);
        ledger.add(Given::rules(1, "2020-01-01"));
        given.into_iter().for_each(|given| {
            ledger.add(given);
        });
        ledger
    }

    /// Records a decision; where it stands.
    pub(crate) fn add(&self, given: Given) -> Position {
        let slice = self.slices.of(&given.stream);
        let version = self.state.0.lock().commits.len() as u64;
        self.append(slice, given.encode(version))
    }

    /// Appends any body to the chain of a slice.
    pub(crate) fn append(&self, slice: SliceId, body: Bytes) -> Position {
        let head = self.state.0.lock().heads[usize::from(slice)];
        self.place(Record::chain(slice, head.next_pseq, head.term, head.hash, body))
    }

    /// Lays a record down, valid or not.
    pub(crate) fn place(&self, record: Record) -> Position {
        let (state, moved) = &*self.state;
        let mut state = state.lock();
        let slice = usize::from(record.header.slice);
        let offset = state.ends[slice];
        state.ends[slice] += 1;
        let position = record.position();
        let _ = state.heads[slice].accept(offset, &record);
        state.commits.push(Placed { offset, record });
        moved.notify_all();
        position
    }

    pub(crate) fn slice_of(&self, stream: &str) -> SliceId {
        self.slices.of(&StreamName::parse(stream).expect("a stream's name"))
    }
}

impl Log for Ledger {
    fn slices(&self) -> Slices {
        self.slices
    }

    fn end(&self, slice: SliceId) -> Result<u64, LogError> {
        Ok(self.state.0.lock().ends[usize::from(slice)])
    }

    fn read(&self, slice: SliceId, offset: u64, max: usize) -> Result<Vec<Placed>, LogError> {
        let state = self.state.0.lock();
        let wanted = state.commits.iter().filter(|placed| placed.record.header.slice == slice && placed.offset >= offset);
        Ok(wanted.take(max).cloned().collect())
    }

    fn read_stream(&self, stream: &StreamName, offset: u64, max: usize) -> Result<Vec<Placed>, LogError> {
        self.read(self.slices.of(stream), offset, max)
    }

    fn tail(&self, from: &[u64]) -> Result<Box<dyn Tail>, LogError> {
        Ok(Box::new(Follow { ledger: self.clone(), from: from.to_vec(), next: 0 }))
    }

    fn producer(&self) -> Result<Box<dyn Producer>, LogError> {
        Err(LogError::Unfit("tests append".to_owned()))
    }
}

struct Follow {
    ledger: Ledger,
    from: Vec<u64>,
    next: usize,
}

impl Tail for Follow {
    fn next(&mut self, max: usize, wait: Duration) -> Result<Vec<Placed>, LogError> {
        let (state, moved) = &*self.ledger.state;
        let until = Instant::now() + wait;
        let mut state = state.lock();
        while state.commits.len() == self.next {
            if moved.wait_until(&mut state, until).timed_out() {
                return Ok(Vec::new());
            }
        }
        let end = state.commits.len().min(self.next + max);
        let read = &state.commits[self.next..end];
        self.next = end;
        let wanted = read.iter().filter(|placed| placed.offset >= self.from[usize::from(placed.record.header.slice)]);
        Ok(wanted.cloned().collect())
    }
}

pub(crate) fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).expect(text)
}

pub(crate) fn usd(amount: &str) -> Amount {
    Amount::new(Money::parse(amount, Currency::USD).expect(amount)).expect(amount)
}

pub(crate) fn deal_id(id: &str) -> DealId {
    DealId::parse(id).expect(id)
}

/// The registration of a deal over `amount` dollars.
pub(crate) fn registered(deal: &str, partner: &str, product: &str, amount: &str) -> AccountEvent {
    AccountEvent::DealRegistered(Box::new(registration(deal, partner, product, amount)))
}

pub(crate) fn registration(deal: &str, partner: &str, product: &str, amount: &str) -> DealRegistered {
    DealRegistered {
        deal_id: deal_id(deal),
        partner_id: PartnerId::parse(partner).expect(partner),
        account: None,
        product: Label::parse(product).expect(product),
        amount: usd(amount),
        estimated: false,
        region: Label::parse("EMEA").ok(),
        expected_close: None,
        draft: false,
        historical: false,
        reviewer: None,
        sla_due: None,
        overlaps: Vec::new(),
        overlap_count: 0,
        contact: None,
    }
}

/// A deal `d-{key}` registered on an account of this name.
pub(crate) fn described(key: &str, name: &str, country: Option<&str>, duns: Option<&str>) -> Given {
    let account = AccountDescription {
        name: Label::parse(name).expect(name),
        domain: Some(key.to_owned()),
        duns: duns.map(str::to_owned),
        country: country.map(str::to_owned),
    };
    let deal = registration(&format!("d-{key}"), "p1", "GTX Pro", "1.00");
    let event = AccountEvent::DealRegistered(Box::new(DealRegistered { account: Some(account), ..deal }));
    Given::account(key, "2026-01-01", vec![event])
}

pub(crate) fn approved(deal: &str) -> AccountEvent {
    AccountEvent::DealApproved { deal_id: deal_id(deal), protected_until: None, expires_at: None }
}

pub(crate) fn won(deal: &str, amount: &str, closed_at: &str) -> AccountEvent {
    AccountEvent::DealWon {
        deal_id: deal_id(deal),
        amount: usd(amount),
        gross_margin: None,
        closed_at: time(closed_at),
        net_new_logo: false,
    }
}

/// Any event of a deal, whether or not the domain would have let it happen.
pub(crate) fn event() -> impl Strategy<Value = AccountEvent> {
    let deal = (0..4_u8).prop_map(|n| format!("d{n}"));
    (deal, 0..12_u8, 1..5000_u32).prop_map(|(deal, kind, number)| {
        let (id, at) = (deal_id(&deal), time("2026-01-01").plus_hours(i64::from(number)));
        let partner = format!("p{}", number % 3);
        let amount = format!("{number}.25");
        match kind {
            0..=2 => registered(&deal, &partner, ["GTX", "MG"][number as usize % 2], &amount),
            3 => approved(&deal),
            4 => won(&deal, &amount, &at.to_string()),
            5 => AccountEvent::DealLost { deal_id: id, reason: Text::parse("price").expect("a text"), closed_at: at },
            6 => AccountEvent::StageAdvanced { deal_id: id, from: Stage::Prospect, to: Stage::Committed },
            7 => AccountEvent::DealExpired { deal_id: id, expired_at: at },
            8 => AccountEvent::DealReassigned {
                deal_id: id,
                from: PartnerId::parse(&partner).expect("an id"),
                to: PartnerId::parse(&format!("p{}", (number + 1) % 3)).expect("an id"),
            },
            9 | 10 => AccountEvent::RevenueRecorded {
                revenue_id: RevenueId::parse(&format!("r{number}")).expect("an id"),
                partner_id: None,
                amount: usd(&amount),
                gross_margin: None,
                deal_id: Some(id),
                kind: if kind == 9 { RevenueKind::New } else { RevenueKind::Refund },
                recognized_at: at,
            },
            _ => AccountEvent::DealCanceled { deal_id: id },
        }
    })
}

/// Decisions on a few accounts.
pub(crate) fn decisions() -> impl Strategy<Value = Vec<Given>> {
    let one = (0..6_u8, event(), 0..400_i64).prop_map(|(account, event, day)| {
        let at = time("2026-01-01").plus_days(day).to_string();
        Given::account(&format!("a{account}.com"), &at, vec![event])
    });
    prop::collection::vec(one, 1..80)
}
