//! The edge: what turns outside input into a command that may be decided and recorded.
//!
//! Here a payload is read in its type, persons are sealed, the stream is found and the input is hashed. What does not pass
//! is refused and leaves no trace in the ledger; what passes holds no plain personal value.

mod clock;
pub mod cloud_events;
mod incoming;
mod refused;
mod seal;
pub mod senders;
mod waves;

use std::sync::Arc;

use compact_str::CompactString;
use parking_lot::RwLock;
use pledger_domain::{
    catalogue::{Command, InvalidPayload},
    command::Origin,
    facts::Channel,
    stream::StreamName,
    values::{PersonId, Timestamp},
};

use crate::{
    commands::CommandEnvelope,
    directory::{Directory, LookUp, Overlay, Resolution},
    keys::KeyStore,
    slices::{Position, Slices},
};

pub use clock::{Clock, ContinuingClock, Randomness, SeededRandomness, SteppedClock, SystemClock, SystemRandomness};
pub use incoming::Incoming;
pub use refused::Refused;
pub use waves::waves;

/// The longest payload, in bytes. A record has to fit into one Kafka message.
pub const MAX_PAYLOAD_LEN: usize = 256 * 1024;
/// The longest idempotency key, in characters.
pub const MAX_KEY_LEN: usize = 200;
/// The longest sender, in characters.
pub const MAX_SENDER_LEN: usize = 200;

/// Turns input into commands.
#[derive(Clone)]
pub struct Edge {
    /// The ledger's slices.
    pub slices: Slices,
    /// Where persons' keys are.
    pub keys: Arc<dyn KeyStore>,
    /// Where ids live: kept up to date by whoever follows the ledger.
    pub directory: Arc<RwLock<Directory>>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where new idempotency keys come from.
    pub randomness: Arc<dyn Randomness>,
}

impl Edge {
    /// Prepares one command. Waits for the disk where it names a person who is new (see `KeyStore`).
    ///
    /// # Errors
    /// `Refused`: nothing is recorded.
    pub fn prepare(&self, incoming: Incoming<'_>) -> Result<CommandEnvelope, Refused> {
        let (envelope, has_personal) = self.stage(incoming, &Overlay::default())?;
        // Only a command that names a person waits while keys are written, be they another's.
        if has_personal {
            self.keys.settle()?;
        }
        Ok(envelope)
    }

    /// Prepares a batch, in order: later items may rest on ids that earlier ones introduce. The keys of all its new
    /// persons are written at once.
    ///
    /// # Errors
    /// `Refused`, item by item; a key store that fails refuses every item.
    pub fn prepare_batch(&self, batch: Vec<Incoming<'_>>) -> Vec<Result<CommandEnvelope, Refused>> {
        let mut overlay = Overlay::default();
        let mut prepared: Vec<_> =
            batch.into_iter().map(|incoming| Ok(self.stage(incoming, &overlay)?.0).inspect(|envelope| overlay.learn(envelope))).collect();
        if let Err(failed) = self.keys.settle() {
            prepared.iter_mut().filter(|item| item.is_ok()).for_each(|item| *item = Err(failed.clone().into()));
        }
        prepared
    }

    /// The command, whose persons' keys may not be durable yet, and whether it names any.
    fn stage(&self, incoming: Incoming<'_>, overlay: &Overlay) -> Result<(CommandEnvelope, bool), Refused> {
        self.check(&incoming)?;
        let received_at = incoming.received_at.unwrap_or_else(|| self.clock.now());
        let mut command = Command::parse(incoming.name, incoming.payload)?;
        check_origin(&command, incoming.channel)?;
        let historical = is_historical(&incoming, received_at);
        match command.normalise() {
            Err(invalid) if !historical => return Err(Refused::country(&command, invalid)),
            // History is what it is.
            Ok(()) | Err(_) => {}
        }
        let key = match incoming.key {
            Some(key) => CompactString::new(key),
            None => self.new_key(received_at),
        };
        let stream = self.resolve(&command, overlay, &incoming.sender, &key)?;
        let persons = seal::Persons {
            keys: &*self.keys,
            channel: incoming.channel,
            sender: &incoming.sender,
            row_id: incoming.row_id,
            stream: &stream,
            key: &key,
        };
        let has_personal = seal::seal(&mut command, persons)?;
        // A field that `visit_personal` leaves out is still plain and cannot be written: better refused than recorded.
        let payload = command.payload_json().map_err(|error| InvalidPayload::Field { field: String::new(), reason: error.to_string() })?;
        let input = seal::input_hash(&command, payload.get(), has_personal, incoming.effective_at);
        let envelope = CommandEnvelope {
            stream,
            command,
            payload,
            key,
            actor: incoming.actor.map(CompactString::new),
            channel: incoming.channel,
            received_at,
            effective_at: incoming.effective_at,
            historical,
            if_match: incoming.if_match,
            after: highest_of_each_slice(incoming.after),
            cause: incoming.cause.map(CompactString::new),
            input,
            sender: incoming.sender,
        };
        Ok((envelope, has_personal))
    }

    /// Everything that can be told without reading the payload.
    fn check(&self, incoming: &Incoming<'_>) -> Result<(), Refused> {
        if incoming.payload.len() > MAX_PAYLOAD_LEN {
            return Err(Refused::PayloadTooLong { len: incoming.payload.len() });
        }
        if incoming.key.is_some_and(|key| !is_printable(key, MAX_KEY_LEN)) {
            return Err(Refused::InvalidKey);
        }
        if !is_printable(&incoming.sender, MAX_SENDER_LEN) {
            return Err(Refused::InvalidSender);
        }
        if incoming.channel == Channel::Ingest {
            senders::free(&incoming.sender)?;
        }
        if let Some(actor) = incoming.actor {
            PersonId::parse(actor).map_err(Refused::InvalidActor)?;
        }
        match incoming.after.iter().find(|position| position.slice >= self.slices.reference) {
            Some(position) => Err(Refused::InvalidAfter(*position)),
            None => Ok(()),
        }
    }

    fn resolve(&self, command: &Command, overlay: &Overlay, sender: &str, key: &str) -> Result<StreamName, Refused> {
        let address = command.address()?;
        let look_up = match LookUp::of(&address) {
            Ok(look_up) => look_up,
            Err(stream) => return Ok(stream.clone()),
        };
        match self.directory.read().find(look_up, overlay, sender, key) {
            Resolution::Found(stream) => Ok(stream),
            Resolution::Unknown => Err(Refused::unresolved(look_up, vec![])),
            Resolution::Ambiguous(streams) => {
                Err(Refused::unresolved(look_up, streams.iter().map(|stream| stream.key().to_owned()).collect()))
            }
        }
    }

    /// A UUID, version 7.
    fn new_key(&self, now: Timestamp) -> CompactString {
        let millis = u64::try_from(now.micros() / 1000).unwrap_or_default();
        let bytes = self.randomness.bytes();
        let mut tail = [0; 10];
        tail.copy_from_slice(&bytes[..10]);
        compact_str::format_compact!("{}", uuid::Builder::from_unix_timestamp_millis(millis, &tail).into_uuid())
    }
}

/// Refuses what only pledger itself sends.
fn check_origin(command: &Command, channel: Channel) -> Result<(), Refused> {
    let spec = command.spec();
    match (spec.origin, channel) {
        (Origin::Anyone, _) | (Origin::System, Channel::Policy | Channel::Deadline) => Ok(()),
        (Origin::System, Channel::Api | Channel::Ingest | Channel::Import) => Err(Refused::SystemOnly { name: spec.name }),
    }
}

fn is_printable(text: &str, max: usize) -> bool {
    let len = text.chars().take(max + 1).count();
    (1..=max).contains(&len) && !text.chars().any(char::is_control) && text.chars().any(|c| !c.is_whitespace())
}

/// Whether the rules of its business time decide, not those of today.
fn is_historical(incoming: &Incoming<'_>, received_at: Timestamp) -> bool {
    match incoming.channel {
        Channel::Import => incoming.backdate,
        Channel::Api | Channel::Ingest | Channel::Policy | Channel::Deadline => {
            incoming.backdate && incoming.effective_at.is_some_and(|at| at < received_at)
        }
    }
}

/// One position a slice says it all: who has seen it has seen those before it.
fn highest_of_each_slice(mut after: Vec<Position>) -> Vec<Position> {
    after.sort_unstable_by(|a, b| b.cmp(a));
    after.dedup_by_key(|position| position.slice);
    after.reverse();
    after
}
