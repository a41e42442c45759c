//! What was read of a partition and is not worked on yet: bounded, between the thread that reads and the one that works.

use std::{collections::VecDeque, time::Duration};

use parking_lot::{Condvar, Mutex};
use pledger_ledger::inbox::Message;

/// From so many messages or bytes on, nothing more of the partition is read.
const FULL_MESSAGES: usize = 2_000;
const FULL_BYTES: usize = 16 << 20;
/// The most messages that are worked on together.
const MAX_BATCH: usize = 500;

/// A partition's messages.
#[derive(Default)]
pub(super) struct Buffer {
    held: Mutex<Held>,
    changed: Condvar,
}

#[derive(Default)]
struct Held {
    messages: VecDeque<Message>,
    bytes: usize,
    closed: bool,
}

impl Buffer {
    /// Takes a message in; answers whether that was enough for now.
    pub(super) fn push(&self, message: Message) -> bool {
        let mut held = self.held.lock();
        held.bytes += message.weight();
        held.messages.push_back(message);
        self.changed.notify_one();
        held.messages.len() >= FULL_MESSAGES || held.bytes >= FULL_BYTES
    }

    /// Whether there is room again, for a while to come.
    pub(super) fn has_room(&self) -> bool {
        let held = self.held.lock();
        held.messages.len() <= FULL_MESSAGES / 2 && held.bytes <= FULL_BYTES / 2
    }

    /// The next messages in their order; none where none came within `wait` or it was closed.
    pub(super) fn take(&self, wait: Duration) -> Vec<Message> {
        let mut held = self.held.lock();
        self.changed.wait_while_for(&mut held, |held| held.messages.is_empty() && !held.closed, wait);
        if held.closed {
            return Vec::new();
        }
        let count = held.messages.len().min(MAX_BATCH);
        let taken: Vec<Message> = held.messages.drain(..count).collect();
        held.bytes -= taken.iter().map(Message::weight).sum::<usize>();
        taken
    }

    /// Nothing more is to be worked on.
    pub(super) fn close(&self) {
        self.held.lock().closed = true;
        self.changed.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.held.lock().closed
    }

    /// Waits so long, or until it is closed.
    pub(super) fn pause(&self, wait: Duration) {
        let mut held = self.held.lock();
        self.changed.wait_while_for(&mut held, |held| !held.closed, wait);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use pledger_ledger::inbox::Place;

    use super::*;

    fn message(offset: u64, len: usize) -> Message {
        let place = Place { partition: 0, offset };
        Message { place, key: None, headers: Vec::new(), value: Some(Bytes::from(vec![0; len])), arrived_at: None }
    }

    #[test]
    fn it_is_full_by_count_or_bytes_and_comes_out_in_order() {
        let buffer = Buffer::default();
        let full = (0..FULL_MESSAGES as u64).map(|offset| buffer.push(message(offset, 1))).collect::<Vec<_>>();
        assert_eq!(full.iter().position(|full| *full), Some(FULL_MESSAGES - 1));
        let mut offsets = Vec::new();
        while offsets.len() < FULL_MESSAGES {
            assert_eq!(buffer.has_room(), offsets.len() >= FULL_MESSAGES / 2);
            offsets.extend(buffer.take(Duration::ZERO).iter().map(|message| message.place.offset));
        }
        assert!(offsets.is_sorted());
        assert!(!buffer.push(message(0, FULL_BYTES / 2)));
        assert!(buffer.push(message(1, FULL_BYTES / 2)));
        buffer.close();
        assert!(buffer.take(Duration::from_secs(60)).is_empty(), "what is left is somebody else's");
    }
}
