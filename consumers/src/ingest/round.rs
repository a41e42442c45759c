//! One round of a partition: messages in their order become commands, and every command is decided.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use pledger_domain::{rejection::Rejection, stream::StreamName};
use pledger_ledger::{
    commands::{CommandEnvelope, Undecided},
    directory::{IdKind, LookUp},
    edge::{
        Incoming, Refused,
        cloud_events::{CloudEvent, InvalidEvent},
        waves,
    },
    inbox::{Letter, Message, Objection},
    slices::Position,
};

use super::{IngestDesk, buffer::Buffer};

/// The first pause before a command is sent again, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How often the messages of a round are prepared anew, since an id became known in the middle of it.
const MAX_PREPARED: usize = 10;

/// A message, and since when it waits for an id that nobody knows.
pub(super) struct Waiting {
    pub(super) message: Message,
    pub(super) since: Option<Instant>,
}

/// The partition was closed before all was done; nothing is to be committed of what is left.
pub(super) struct Abandoned;

/// What became of the messages of a round.
enum Prepared {
    Command(Box<CommandEnvelope>),
    Letter(Objection),
    /// It names an id that is not known.
    Unknown(IdKind, String),
}

/// What works on one partition.
pub(super) struct Round<'a> {
    pub(super) partition: u32,
    pub(super) desk: &'a IngestDesk,
    pub(super) buffer: &'a Buffer,
    pub(super) runtime: &'a tokio::runtime::Runtime,
}

impl Round<'_> {
    /// Works on messages, in their order, until each is decided, a dead letter or waits; answers those that wait. `seen` are
    /// the positions in reference slices that messages before them were decided at.
    pub(super) fn run(&self, messages: Vec<Waiting>, seen: &mut Vec<Position>) -> Result<Vec<Waiting>, Abandoned> {
        let prepared = self.prepare(&messages)?;
        let (mut commands, mut senders, mut letters, mut waiting) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (Waiting { message, since }, prepared) in messages.into_iter().zip(prepared) {
            match prepared {
                Prepared::Command(envelope) => {
                    commands.push(*envelope);
                    senders.push(message);
                }
                Prepared::Letter(objection) => letters.push(self.letter(message, objection)),
                Prepared::Unknown(kind, id) => match self.out_of_patience(since, kind, &id) {
                    Some(objection) => letters.push(self.letter(message, objection)),
                    None => waiting.push(Waiting { message, since: since.or_else(|| Some(Instant::now())) }),
                },
            }
        }
        letters.extend(self.decide(commands, senders, seen)?);
        self.keep(&letters)?;
        Ok(waiting)
    }

    /// Why an event waits no longer. Where nothing is decided any more, ids that seem unknown may only not have been read.
    fn out_of_patience(&self, since: Option<Instant>, kind: IdKind, id: &str) -> Option<Objection> {
        let waited = since.is_some_and(|since| since.elapsed() >= self.desk.parked_for);
        (waited && self.desk.sink.halted().is_none()).then(|| {
            let refused = Refused::UnknownId { kind, id: id.to_owned() };
            let waited = self.desk.parked_for.as_secs();
            Objection { detail: format!("{refused} (waited for {waited} s)"), ..objection(&refused) }
        })
    }

    /// Every message as a command, or why it is none. Where an id is unknown, whatever else names it waits behind.
    fn prepare(&self, messages: &[Waiting]) -> Result<Vec<Prepared>, Abandoned> {
        let events: Vec<_> =
            messages.iter().map(|waiting| CloudEvent::message(&waiting.message.headers, waiting.message.bytes())).collect();
        let mut pause = FIRST_PAUSE;
        let mut tries = 0;
        loop {
            tries += 1;
            match self.prepare_once(messages, &events) {
                Ok((prepared, overtaken)) if !overtaken || tries >= MAX_PREPARED => return Ok(prepared),
                Ok(_) => {}
                Err(refused) => {
                    self.note(Some(&refused.to_string()));
                    self.pause(&mut pause)?;
                }
            }
        }
    }

    /// The same, and whether a command would overtake an event that waits for the same id.
    fn prepare_once(
        &self,
        messages: &[Waiting],
        events: &[Result<CloudEvent<'_>, InvalidEvent>],
    ) -> Result<(Vec<Prepared>, bool), Refused> {
        let (after, now) = (self.desk.sink.reference_positions(), self.desk.edge.clock.now());
        let incoming = messages.iter().zip(events).filter_map(|(waiting, event)| {
            let arrived_at = waiting.message.arrived_at.map(|arrived_at| arrived_at.min(now));
            event.as_ref().ok().map(|event| Incoming { received_at: arrived_at, after: after.clone(), ..event.incoming() })
        });
        let mut answers = self.desk.edge.prepare_batch(incoming.collect()).into_iter();
        let (mut unknown, mut overtaken) = (HashSet::new(), false);
        let mut prepared = Vec::with_capacity(events.len());
        for event in events {
            prepared.push(match event {
                Err(invalid) => Prepared::Letter(of_event(invalid)),
                Ok(_) => match answers.next().expect("the edge answers every event") {
                    Ok(envelope) => {
                        overtaken |= looked_up(&envelope).is_some_and(|look_up| unknown.contains(&look_up));
                        Prepared::Command(Box::new(envelope))
                    }
                    Err(Refused::UnknownId { kind, id }) => {
                        unknown.insert((kind, id.clone()));
                        Prepared::Unknown(kind, id)
                    }
                    Err(refused) if refused.may_pass_later() => return Err(refused),
                    Err(refused) => Prepared::Letter(objection(&refused)),
                },
            });
        }
        Ok((prepared, overtaken))
    }

    /// Has commands decided, wave after wave, each seeing what those before brought about; answers those that became letters.
    fn decide(
        &self,
        mut commands: Vec<CommandEnvelope>,
        mut messages: Vec<Message>,
        seen: &mut Vec<Position>,
    ) -> Result<Vec<Letter>, Abandoned> {
        let mut letters = Vec::new();
        for wave in waves(&commands) {
            let (commands, messages) = (commands.drain(..wave.len()), messages.drain(..wave.len()));
            let mut streams: Vec<Vec<(CommandEnvelope, Message)>> = Vec::new();
            let mut known: HashMap<StreamName, usize> = HashMap::new();
            for (mut command, message) in commands.zip(messages) {
                command.after = highest(command.after.iter().chain(&*seen).copied().collect());
                let stream = *known.entry(command.stream.clone()).or_insert_with(|| {
                    streams.push(Vec::new());
                    streams.len() - 1
                });
                streams[stream].push((command, message));
            }
            let chains = streams.into_iter().map(|chain| self.chain(chain));
            for decided in self.runtime.block_on(join_all(chains)) {
                let (refused, positions) = decided?;
                letters.extend(refused);
                seen.extend(positions.into_iter().filter(|position| position.slice < self.desk.edge.slices.reference));
            }
            *seen = highest(std::mem::take(seen));
        }
        Ok(letters)
    }

    /// Has the commands of one stream decided, one after the other.
    async fn chain(&self, commands: Vec<(CommandEnvelope, Message)>) -> Result<(Vec<Letter>, Vec<Position>), Abandoned> {
        let (mut letters, mut positions) = (Vec::new(), Vec::new());
        for (command, message) in commands {
            match self.one(command).await? {
                Ok(position) => positions.push(position),
                Err(objection) => letters.push(self.letter(message, objection)),
            }
        }
        Ok((letters, positions))
    }

    /// Sends a command until it is decided; answers where, or why it never will be.
    async fn one(&self, command: CommandEnvelope) -> Result<Result<Position, Objection>, Abandoned> {
        let mut pause = FIRST_PAUSE;
        loop {
            let decided = self.desk.sink.submit(vec![command.clone()]).await.pop();
            let why = match decided.unwrap_or_else(|| Err(Undecided::Unknown("no answer came".to_owned()))) {
                Ok(answer) if matches!(answer.outcome, Err(Rejection::FactsBehind {})) => None,
                Ok(answer) => {
                    self.desk.status.decided(&answer);
                    return Ok(Ok(answer.position));
                }
                Err(reused @ Undecided::KeyReused { .. }) => {
                    let field = Some("id".to_owned());
                    return Ok(Err(Objection { code: "KeyReused".to_owned(), detail: reused.to_string(), field }));
                }
                Err(Undecided::Overloaded) => None,
                Err(undecided @ (Undecided::Unavailable(_) | Undecided::Unknown(_))) => Some(undecided.to_string()),
            };
            if let Some(why) = why {
                self.note(Some(&why));
            }
            self.desk.status.again();
            if self.buffer.is_closed() {
                return Err(Abandoned);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn note(&self, trouble: Option<&str>) {
        self.desk.status.note(Some(self.partition), trouble);
    }

    fn letter(&self, message: Message, objection: Objection) -> Letter {
        Letter { message, objection, at: self.desk.edge.clock.now() }
    }

    /// Keeps letters, however often that has to be tried.
    fn keep(&self, letters: &[Letter]) -> Result<(), Abandoned> {
        let mut pause = FIRST_PAUSE;
        while !letters.is_empty() {
            match self.desk.letters.keep(letters) {
                Ok(()) => break,
                Err(error) => {
                    self.note(Some(&error.to_string()));
                    self.pause(&mut pause)?;
                }
            }
        }
        for letter in letters {
            let Letter { message: Message { place, .. }, objection: Objection { code, detail, .. }, .. } = letter;
            tracing::warn!(%place, code, detail, "a message of the inbox became a dead letter");
        }
        self.desk.status.kept(letters.len());
        Ok(())
    }

    fn pause(&self, pause: &mut Duration) -> Result<(), Abandoned> {
        self.buffer.pause(*pause);
        *pause = (*pause * 2).min(LONGEST_PAUSE);
        if self.buffer.is_closed() { Err(Abandoned) } else { Ok(()) }
    }
}

/// The id that a command's stream was looked up by.
fn looked_up(envelope: &CommandEnvelope) -> Option<(IdKind, String)> {
    let address = envelope.command.address().ok()?;
    LookUp::of(&address).ok().map(|look_up| (look_up.kind, look_up.id.to_owned()))
}

fn of_event(invalid: &InvalidEvent) -> Objection {
    let detail = format!("{invalid}; expected {}", invalid.accepted());
    Objection { code: invalid.code().to_owned(), detail, field: invalid.field().map(str::to_owned) }
}

fn objection(refused: &Refused) -> Objection {
    let field = match refused {
        Refused::InvalidKey => Some("id"),
        Refused::InvalidSender | Refused::ReservedSender(_) => Some("source"),
        other => other.field(),
    };
    Objection { code: refused.code().to_owned(), detail: refused.to_string(), field: field.map(str::to_owned) }
}

/// One position a slice says it all.
fn highest(mut positions: Vec<Position>) -> Vec<Position> {
    positions.sort_unstable_by(|a, b| b.cmp(a));
    positions.dedup_by_key(|position| position.slice);
    positions.reverse();
    positions
}
