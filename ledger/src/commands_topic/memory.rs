//! The topic in memory, for tests and simulations: what is sent is there.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use hashbrown::HashMap;
use parking_lot::{Condvar, Mutex};

use super::{CommandReader, CommandSender, Gone, Queued, Undelivered, decode, encode};
use crate::{
    commands::{CommandEnvelope, Undecided},
    log::LogError,
    slices::{SliceId, Slices},
};

/// A topic in memory; clones are one topic.
#[derive(Clone, Debug)]
pub struct MemoryCommands {
    slices: Slices,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    messages: Mutex<Vec<Vec<Bytes>>>,
    grown: Condvar,
}

impl MemoryCommands {
    /// An empty topic.
    #[must_use]
    pub fn new(slices: Slices) -> Self {
        let messages = Mutex::new(vec![Vec::new(); usize::from(slices.count)]);
        Self { slices, shared: Arc::new(Shared { messages, grown: Condvar::new() }) }
    }

    /// Writes a message, whatever it is; answers its offset.
    pub fn write(&self, slice: SliceId, message: Bytes) -> u64 {
        let mut messages = self.shared.messages.lock();
        let slice = &mut messages[usize::from(slice)];
        slice.push(message);
        self.shared.grown.notify_all();
        slice.len() as u64 - 1
    }

    /// A reader of nothing yet.
    #[must_use]
    pub fn reader(&self) -> MemoryReader {
        MemoryReader { topic: self.clone(), places: HashMap::new() }
    }

    /// The message at an offset.
    #[must_use]
    pub fn read(&self, slice: SliceId, offset: u64) -> Option<Queued> {
        let messages = self.shared.messages.lock();
        let message = messages[usize::from(slice)].get(usize::try_from(offset).ok()?)?;
        Some(Queued { slice, offset, command: decode(self.slices, slice, message).map(Box::new) })
    }

    /// How many messages a slice has.
    #[must_use]
    pub fn end(&self, slice: SliceId) -> u64 {
        self.shared.messages.lock()[usize::from(slice)].len() as u64
    }
}

impl CommandSender for MemoryCommands {
    fn send(&self, envelope: &CommandEnvelope, _: Undelivered) -> Result<(), Undecided> {
        self.write(self.slices.of(&envelope.stream), encode(envelope));
        Ok(())
    }
}

/// Reads a topic in memory.
#[derive(Debug)]
pub struct MemoryReader {
    topic: MemoryCommands,
    places: HashMap<SliceId, u64>,
}

impl CommandReader for MemoryReader {
    fn assign(&mut self, places: &[(SliceId, u64)]) -> Result<Vec<Gone>, LogError> {
        let (there, gone): (Vec<_>, Vec<_>) = places.iter().partition(|(slice, offset)| *offset <= self.topic.end(*slice));
        self.places = there.into_iter().collect();
        let gone = gone.into_iter().map(|(slice, asked)| Gone { slice, asked, first: 0, next: self.topic.end(slice) });
        Ok(gone.collect())
    }

    fn next(&mut self, max: usize, wait: Duration) -> Result<Vec<Queued>, LogError> {
        let until = Instant::now() + wait;
        loop {
            let mut found = Vec::new();
            for (slice, next) in &mut self.places {
                while found.len() < max
                    && let Some(queued) = self.topic.read(*slice, *next)
                {
                    *next += 1;
                    found.push(queued);
                }
            }
            let mut messages = self.topic.shared.messages.lock();
            let grew =
                |messages: &Vec<Vec<Bytes>>| self.places.iter().any(|(slice, next)| messages[usize::from(*slice)].len() as u64 > *next);
            if !found.is_empty() || (!grew(&messages) && self.topic.shared.grown.wait_until(&mut messages, until).timed_out()) {
                return Ok(found);
            }
        }
    }
}
