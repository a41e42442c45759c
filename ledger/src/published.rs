//! Events as they are published, and how far a ledger's slices were.

use std::time::Duration;

use bytes::Bytes;

use crate::{
    chain::ChainHead,
    log::LogError,
    record::Hash,
    slices::{Position, SliceId},
};

/// Where a published event comes from: its decision in the ledger, and which of its events it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPlace {
    /// The decision.
    pub position: Position,
    /// Which of its events, from 0.
    pub index: u32,
    /// How many it has.
    pub count: u32,
    /// The decision's offset in its slice.
    pub offset: u64,
    /// The decision's term.
    pub term: u64,
    /// The decision's hash.
    pub hash: Hash,
}

impl EventPlace {
    /// The event's id: position and index. The same whenever it is published.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}:{}", self.position, self.index)
    }

    /// The chain up to and including the decision.
    #[must_use]
    pub const fn head(&self) -> ChainHead {
        ChainHead { next_pseq: self.position.pseq + 1, next_offset: self.offset + 1, term: self.term, hash: self.hash }
    }

    /// Whether it comes before `other` of the same slice, or is the same.
    #[must_use]
    pub fn is_up_to(&self, other: &Self) -> bool {
        (self.position.pseq, self.index) <= (other.position.pseq, other.index)
    }
}

/// An event to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// Where it comes from; its slice is its partition.
    pub place: EventPlace,
    /// The key: the stream.
    pub key: String,
    /// Attributes by their names, without a prefix.
    pub attributes: Vec<(&'static str, String)>,
    /// The payload, as JSON.
    pub data: Bytes,
}

/// Where events are published.
pub trait Outlet: Send {
    /// The last event of every slice of these that was published with none left out before it, as far as can be told. What
    /// stands behind it is published once more, under the same ids.
    ///
    /// # Errors
    /// `LogError::Unfit` where it is not made for this ledger, `LogError::Store`.
    fn ends(&mut self, slices: &[SliceId]) -> Result<Vec<Option<EventPlace>>, LogError>;

    /// Hands events over, those of a slice in their order. Waits for room.
    ///
    /// # Errors
    /// `LogError::Store`: nobody knows what was published; `ends` says.
    fn send(&mut self, publications: Vec<Publication>) -> Result<(), LogError>;

    /// Waits so long at most until everything that was sent is published; answers whether it is.
    ///
    /// # Errors
    /// As of `send`.
    fn settle(&mut self, wait: Duration) -> Result<bool, LogError>;

    /// Keeps the places of what was published, for the day when the events themselves are deleted.
    ///
    /// # Errors
    /// `LogError::Store`.
    fn keep(&mut self) -> Result<(), LogError>;
}

/// Reads the events of a slice in the order they were published in, and finds the last before which none is missing.
///
/// Each names the one before it. One may be missing where a message was not written and a later one was, and one may be
/// there twice where a publisher did not know that it was written.
#[derive(Clone, Copy, Debug, Default)]
pub struct LastPublished {
    last: Option<EventPlace>,
    broken: bool,
}

impl LastPublished {
    /// Begins behind what is known to be published.
    #[must_use]
    pub const fn behind(last: Option<EventPlace>) -> Self {
        Self { last, broken: false }
    }

    /// Takes the next event, which names the one before it.
    pub fn take(&mut self, place: EventPlace, previous: Option<&str>) {
        match &self.last {
            // What stood before may have been deleted.
            None => self.last = Some(place),
            Some(last) if place.is_up_to(last) => {}
            Some(last) if previous == Some(last.id().as_str()) => (self.last, self.broken) = (Some(place), false),
            Some(_) => self.broken = true,
        }
    }

    /// The last before which none is missing.
    #[must_use]
    pub const fn last(&self) -> Option<EventPlace> {
        self.last
    }

    /// Whether the last one that was taken stands behind a gap.
    #[must_use]
    pub const fn is_broken(&self) -> bool {
        self.broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(pseq: u64, index: u32) -> EventPlace {
        EventPlace { position: Position { slice: 3, pseq }, index, count: 2, offset: pseq + 1, term: 1, hash: Hash([7; 32]) }
    }

    #[test]
    fn the_last_is_the_one_before_which_none_is_missing() {
        let mut read = LastPublished::behind(Some(place(4, 1)));
        // A repetition, then a gap that is filled later.
        for (taken, previous, last, broken) in [
            (place(4, 0), None, place(4, 1), false),
            (place(6, 0), Some("3:4:1"), place(6, 0), false),
            (place(9, 0), Some("3:6:1"), place(6, 0), true),
            (place(6, 1), Some("3:6:0"), place(6, 1), false),
            (place(9, 0), Some("3:6:1"), place(9, 0), false),
        ] {
            read.take(taken, previous);
            assert_eq!((read.last(), read.is_broken()), (Some(last), broken));
        }
        assert_eq!(place(9, 0).id(), "3:9:0");
        assert_eq!(place(9, 0).head().next_offset, 11);
    }
}
