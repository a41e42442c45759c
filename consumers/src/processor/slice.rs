//! One slice: its live aggregates, its writer, its keys, and the records on their way to the log.

use std::{collections::VecDeque, sync::Arc};

use cqrs_es::{AggregateError, CqrsFramework};
use futures_util::FutureExt;
use parking_lot::Mutex;
use pledger_domain::{
    account::Account,
    catalogue::Command,
    cost::Cost,
    deadline::Deadline,
    facts::Facts,
    fund::Fund,
    partner::Partner,
    program::Program,
    rejection::Rejection,
    stream::{StreamKind, StreamName},
    values::{PartnerId, Timestamp},
};
use pledger_ledger::{
    chain::ChainHead,
    commands::{Answer, CommandEnvelope},
    record::{Events, Hash, Outcome},
    slices::SliceId,
    writer::SliceWriter,
};

use super::{
    Waiter,
    aggregate::{Ask, Decides, Live},
    command_place::CommandPlace,
    guarded::guarded,
    key_window::KeyWindow,
    places::Places,
    unit_of_work::UnitOfWork,
};

/// The earliest time there is: before any record.
pub(crate) const BEFORE_ALL: Timestamp = Timestamp::from_micros(i64::MIN);

/// The aggregates of one kind in one slice, behind the framework that runs commands on them.
pub(crate) struct Store<S: Decides> {
    pub(crate) unit: UnitOfWork<S>,
    framework: CqrsFramework<Live<S>, UnitOfWork<S>>,
}

impl<S: Decides> Default for Store<S> {
    fn default() -> Self {
        let unit = UnitOfWork::default();
        Self { framework: CqrsFramework::new(unit.clone(), Vec::new(), ()), unit }
    }
}

/// What must be known of a stream before a command is decided in it.
pub(crate) struct Standing {
    pub(crate) version: u64,
    pub(crate) relies_on: Option<PartnerId>,
    pub(crate) builds_on: Option<Timestamp>,
}

impl<S: Decides> Store<S> {
    fn standing(&self, stream: &StreamName, command: &S::Command) -> Standing {
        let aggregate = self.unit.aggregate(stream.as_str());
        let live = aggregate.lock();
        Standing { version: live.version, relies_on: S::relies_on(command, &live.state), builds_on: S::builds_on(command, &live.state) }
    }

    /// What would be decided, without deciding it.
    fn would(&self, stream: &StreamName, command: &S::Command, facts: &Facts) -> Result<Events<'static>, Rejection> {
        let aggregate = self.unit.aggregate(stream.as_str());
        let live = aggregate.lock();
        guarded(|| S::decide(command, &live.state, facts)).map(S::events)
    }

    fn version(&self, stream: &StreamName) -> u64 {
        self.unit.aggregate(stream.as_str()).lock().version
    }

    /// The state of a stream, shown to `read`.
    pub(crate) fn read<T>(&self, stream: &StreamName, read: impl FnOnce(&S) -> T) -> T {
        read(&self.unit.aggregate(stream.as_str()).lock().state)
    }

    /// Decides through the framework. The store never waits, so the future is ready at its first poll.
    fn decide(&self, stream: &StreamName, command: &Arc<S::Command>, facts: Facts) -> Result<Events<'static>, Rejection> {
        let ask = Ask { command: Arc::clone(command), facts };
        let executed = self.framework.execute(stream.as_str(), ask).now_or_never();
        match executed.expect("the unit of work never waits") {
            Ok(()) => Ok(S::events(self.unit.take_decided())),
            Err(AggregateError::UserError(rejection)) => Err(rejection),
            Err(other) => unreachable!("the unit of work raises no error of its own: {other}"),
        }
    }
}

/// The aggregates of one slice.
#[derive(Default)]
pub(crate) struct Streams {
    pub(crate) program: Store<Program>,
    pub(crate) partner: Store<Partner>,
    pub(crate) account: Store<Account>,
    pub(crate) fund: Store<Fund>,
    pub(crate) cost: Store<Cost>,
}

impl Streams {
    pub(crate) fn standing(&self, stream: &StreamName, command: &Command) -> Standing {
        match command {
            Command::Program(command) => self.program.standing(stream, command),
            Command::Partner(command) => self.partner.standing(stream, command),
            Command::Account(command) => self.account.standing(stream, command),
            Command::Fund(command) => self.fund.standing(stream, command),
            Command::Cost(command) => self.cost.standing(stream, command),
        }
    }

    pub(crate) fn decide(&self, stream: &StreamName, command: &Command, facts: Facts) -> Result<Events<'static>, Rejection> {
        match command {
            Command::Program(command) => self.program.decide(stream, command, facts),
            Command::Partner(command) => self.partner.decide(stream, command, facts),
            Command::Account(command) => self.account.decide(stream, command, facts),
            Command::Fund(command) => self.fund.decide(stream, command, facts),
            Command::Cost(command) => self.cost.decide(stream, command, facts),
        }
    }

    /// What would be decided, without deciding it: `evolve` takes it in.
    pub(crate) fn would(&self, stream: &StreamName, command: &Command, facts: &Facts) -> Result<Events<'static>, Rejection> {
        match command {
            Command::Program(command) => self.program.would(stream, command, facts),
            Command::Partner(command) => self.partner.would(stream, command, facts),
            Command::Account(command) => self.account.would(stream, command, facts),
            Command::Fund(command) => self.fund.would(stream, command, facts),
            Command::Cost(command) => self.cost.would(stream, command, facts),
        }
    }

    /// Takes in a recorded decision: the way state comes back from the ledger.
    pub(crate) fn evolve(&self, stream: &StreamName, version: u64, events: &Events<'_>, at: Timestamp) {
        match events {
            Events::Program(events) => evolve(&self.program, stream, version, events, at),
            Events::Partner(events) => evolve(&self.partner, stream, version, events, at),
            Events::Account(events) => evolve(&self.account, stream, version, events, at),
            Events::Fund(events) => evolve(&self.fund, stream, version, events, at),
            Events::Cost(events) => evolve(&self.cost, stream, version, events, at),
        }
    }

    /// The version of a stream.
    pub(crate) fn version(&self, stream: &StreamName) -> u64 {
        match stream.kind() {
            StreamKind::Program => self.program.version(stream),
            StreamKind::Partner => self.partner.version(stream),
            StreamKind::Account => self.account.version(stream),
            StreamKind::Fund => self.fund.version(stream),
            StreamKind::Cost => self.cost.version(stream),
        }
    }

    /// Takes over what another has of a stream.
    pub(crate) fn copy(&self, stream: &StreamName, other: &Self) {
        match stream.kind() {
            StreamKind::Program => self.program.unit.copy(stream, &other.program.unit),
            StreamKind::Partner => self.partner.unit.copy(stream, &other.partner.unit),
            StreamKind::Account => self.account.unit.copy(stream, &other.account.unit),
            StreamKind::Fund => self.fund.unit.copy(stream, &other.fund.unit),
            StreamKind::Cost => self.cost.unit.copy(stream, &other.cost.unit),
        }
    }

    pub(crate) fn is_stale(&self, stream: &StreamName) -> bool {
        match stream.kind() {
            StreamKind::Program => self.program.unit.is_stale(stream),
            StreamKind::Partner => self.partner.unit.is_stale(stream),
            StreamKind::Account => self.account.unit.is_stale(stream),
            StreamKind::Fund => self.fund.unit.is_stale(stream),
            StreamKind::Cost => self.cost.unit.is_stale(stream),
        }
    }

    /// The streams whose aggregates were forgotten and not folded again.
    pub(crate) fn stale(&self) -> Vec<StreamName> {
        let Self { program, partner, account, fund, cost } = self;
        [program.unit.stale(), partner.unit.stale(), account.unit.stale(), fund.unit.stale(), cost.unit.stale()].concat()
    }

    /// What falls due in a stream, as its state says now.
    pub(crate) fn deadlines(&self, stream: &StreamName) -> Vec<Deadline> {
        match stream.kind() {
            StreamKind::Program => deadlines(&self.program, stream),
            StreamKind::Partner => deadlines(&self.partner, stream),
            StreamKind::Account => deadlines(&self.account, stream),
            StreamKind::Fund => deadlines(&self.fund, stream),
            StreamKind::Cost => deadlines(&self.cost, stream),
        }
    }

    /// When the first thing falls due in a stream, as its state says now.
    pub(crate) fn first_due(&self, stream: &StreamName) -> Option<Timestamp> {
        match stream.kind() {
            StreamKind::Program => first_due(&self.program, stream),
            StreamKind::Partner => first_due(&self.partner, stream),
            StreamKind::Account => first_due(&self.account, stream),
            StreamKind::Fund => first_due(&self.fund, stream),
            StreamKind::Cost => first_due(&self.cost, stream),
        }
    }

    /// Shows the streams in which something falls due, with the earliest instant.
    pub(crate) fn for_each_due(&self, mut f: impl FnMut(Timestamp, &StreamName)) {
        for_each_due(&self.program, &mut f);
        for_each_due(&self.partner, &mut f);
        for_each_due(&self.account, &mut f);
        for_each_due(&self.fund, &mut f);
        for_each_due(&self.cost, &mut f);
    }

    /// Forgets an aggregate that a failed append had touched.
    pub(crate) fn forget(&self, stream: &StreamName) {
        match stream.kind() {
            StreamKind::Program => self.program.unit.forget(stream),
            StreamKind::Partner => self.partner.unit.forget(stream),
            StreamKind::Account => self.account.unit.forget(stream),
            StreamKind::Fund => self.fund.unit.forget(stream),
            StreamKind::Cost => self.cost.unit.forget(stream),
        }
    }

    /// Starts a forgotten aggregate from nothing, to be folded again.
    pub(crate) fn renew(&self, stream: &StreamName) {
        match stream.kind() {
            StreamKind::Program => self.program.unit.put(stream.clone(), Live::default()),
            StreamKind::Partner => self.partner.unit.put(stream.clone(), Live::default()),
            StreamKind::Account => self.account.unit.put(stream.clone(), Live::default()),
            StreamKind::Fund => self.fund.unit.put(stream.clone(), Live::default()),
            StreamKind::Cost => self.cost.unit.put(stream.clone(), Live::default()),
        }
    }
}

fn evolve<S: Decides>(store: &Store<S>, stream: &StreamName, version: u64, events: &[S::Event], at: Timestamp) {
    let aggregate: Arc<Mutex<Live<S>>> = store.unit.aggregate(stream.as_str());
    let mut live = aggregate.lock();
    events.iter().for_each(|event| live.state.evolve(event, at));
    live.version = version;
}

fn deadlines<S: Decides>(store: &Store<S>, stream: &StreamName) -> Vec<Deadline> {
    let aggregate: Arc<Mutex<Live<S>>> = store.unit.aggregate(stream.as_str());
    let live = aggregate.lock();
    live.state.due()
}

fn first_due<S: Decides>(store: &Store<S>, stream: &StreamName) -> Option<Timestamp> {
    store.unit.aggregate(stream.as_str()).lock().state.first_due()
}

fn for_each_due<S: Decides>(store: &Store<S>, f: &mut impl FnMut(Timestamp, &StreamName)) {
    store.unit.for_each(|stream, live| {
        if let Some(first) = live.state.first_due() {
            f(first, stream);
        }
    });
}

/// A record that was framed and is not acknowledged yet.
pub(crate) struct InFlight {
    pub(crate) pseq: u64,
    pub(crate) hash: Hash,
    /// What the record says of it.
    pub(crate) next_command: Option<u64>,
    /// What is done once it is acknowledged; absent for a `TermOpened` and a `Progress`. Behind a pointer: there may be thousands,
    /// and the queue keeps the room that it once took.
    pub(crate) decided: Option<Box<InFlightDecision>>,
}

impl InFlight {
    /// Who is answered once it is acknowledged.
    pub(crate) fn asked(&mut self) -> Option<&mut AskedHere> {
        self.decided.as_mut()?.asked.as_deref_mut()
    }
}

/// A decision on its way to the log.
pub(crate) struct InFlightDecision {
    pub(crate) stream: StreamName,
    pub(crate) version: u64,
    pub(crate) effective_at: Timestamp,
    pub(crate) outcome: Outcome<'static>,
    /// Who is answered; nobody where the command came from the topic: whoever waits, waits for the record.
    pub(crate) asked: Option<Box<AskedHere>>,
}

/// What somebody here waits for.
pub(crate) struct AskedHere {
    pub(crate) envelope: CommandEnvelope,
    pub(crate) answer: Answer,
    pub(crate) waiter: Waiter,
    /// Those who wait for it too, since they repeated its key.
    pub(crate) repeated: Vec<Waiter>,
    /// Those who used its key for something else; they are refused once it is durable.
    pub(crate) reused: Vec<Waiter>,
}

/// One slice.
pub(crate) struct Slice {
    pub(crate) id: SliceId,
    pub(crate) streams: Streams,
    pub(crate) writer: SliceWriter,
    pub(crate) places: Places,
    pub(crate) keys: KeyWindow,
    pub(crate) in_flight: VecDeque<InFlight>,
    pub(crate) last_recorded_at: Timestamp,
    pub(crate) place: CommandPlace,
}

impl Slice {
    pub(crate) fn new(id: SliceId) -> Self {
        Self {
            id,
            streams: Streams::default(),
            writer: SliceWriter::new(id, ChainHead::default()),
            places: Places::default(),
            keys: KeyWindow::default(),
            in_flight: VecDeque::new(),
            last_recorded_at: BEFORE_ALL,
            place: CommandPlace::default(),
        }
    }

    /// The record in flight with this sequence.
    pub(crate) fn pending(&mut self, pseq: u64) -> Option<&mut InFlight> {
        let first = self.in_flight.front()?.pseq;
        self.in_flight.get_mut(usize::try_from(pseq.checked_sub(first)?).ok()?)
    }
}
