//! The streams of the domain as `cqrs-es` aggregates: `handle` is `decide`, `apply` is `evolve`, and nothing is added.

use std::sync::Arc;

use cqrs_es::{Aggregate, DomainEvent, event_sink::EventSink};
use pledger_domain::{
    account::Account,
    catalogue::{AccountCommand, CostCommand, FundCommand, PartnerCommand, ProgramCommand},
    cost::Cost,
    deadline::Deadline,
    facts::Facts,
    fund::Fund,
    partner::Partner,
    program::Program,
    rejection::Rejection,
    stream::Stream,
    values::{PartnerId, Timestamp},
};
use pledger_ledger::record::Events;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::guarded::guarded;

/// A stream with its commands.
pub(crate) trait Decides: Stream {
    /// The commands that are decided in such a stream.
    type Command: Send + Sync;

    fn decide(command: &Self::Command, state: &Self, facts: &Facts) -> Result<Vec<Self::Event>, Rejection>;
    fn relies_on(command: &Self::Command, state: &Self) -> Option<PartnerId>;
    fn builds_on(command: &Self::Command, state: &Self) -> Option<Timestamp>;
    fn events(events: Vec<Self::Event>) -> Events<'static>;

    /// What falls due, as the state says now.
    fn due(&self) -> Vec<Deadline>;
    /// When the first of that does.
    fn first_due(&self) -> Option<Timestamp>;
}

macro_rules! decides {
    ($($stream:ident: $command:ident, $due:expr, $first_due:expr;)*) => {$(
        impl Decides for $stream {
            type Command = $command;
            fn decide(command: &$command, state: &Self, facts: &Facts) -> Result<Vec<Self::Event>, Rejection> {
                command.decide(state, facts)
            }
            fn relies_on(command: &$command, state: &Self) -> Option<PartnerId> {
                command.relies_on(state)
            }
            fn builds_on(command: &$command, state: &Self) -> Option<Timestamp> {
                command.builds_on(state)
            }
            fn events(events: Vec<Self::Event>) -> Events<'static> {
                Events::$stream(events.into())
            }
            fn due(&self) -> Vec<Deadline> {
                let due: fn(&Self) -> Vec<Deadline> = $due;
                due(self)
            }
            fn first_due(&self) -> Option<Timestamp> {
                let first_due: fn(&Self) -> Option<Timestamp> = $first_due;
                first_due(self)
            }
        }
    )*};
}
decides! {
    Program: ProgramCommand, |_| Vec::new(), |_| None;
    Partner: PartnerCommand, |partner| partner.deadlines().collect(), Partner::first_due;
    Account: AccountCommand, |account| account.deadlines().collect(), Account::first_due;
    Fund: FundCommand, |fund| fund.deadlines().collect(), Fund::first_due;
    Cost: CostCommand, |_| Vec::new(), |_| None;
}

/// A stream's state in memory, with its version: how many decisions were accepted in it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(bound = "")]
pub(crate) struct Live<S: Stream> {
    pub(crate) version: u64,
    pub(crate) state: S,
}

/// An event with the business time of its decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "E: Serialize + DeserializeOwned")]
pub(crate) struct Timed<E> {
    pub(crate) event: E,
    pub(crate) at: Timestamp,
}

/// A command with the facts it is decided on: `Services` is one per framework, so they ride along.
pub(crate) struct Ask<S: Decides> {
    pub(crate) command: Arc<S::Command>,
    pub(crate) facts: Facts,
}

impl<E> DomainEvent for Timed<E>
where
    E: Clone + std::fmt::Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync,
{
    /// Not asked for: the ledger's own records name their events.
    fn event_type(&self) -> String {
        std::any::type_name::<E>().to_owned()
    }

    fn event_version(&self) -> String {
        pledger_ledger::record::FORMAT.to_string()
    }
}

impl<S: Decides> Aggregate for Live<S> {
    const TYPE: &'static str = S::KIND.prefix();
    type Command = Ask<S>;
    type Event = Timed<S::Event>;
    type Error = Rejection;
    type Services = ();

    async fn handle(&mut self, ask: Ask<S>, _services: &(), sink: &EventSink<Self>) -> Result<(), Rejection> {
        let events = guarded(|| S::decide(&ask.command, &self.state, &ask.facts))?;
        for event in events {
            sink.write(Timed { event, at: ask.facts.effective_at }, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: Timed<S::Event>) {
        self.state.evolve(&event.event, event.at);
    }
}
