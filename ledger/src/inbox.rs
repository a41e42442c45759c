//! What services send, and what of it became no command: the inbox and the dead letters, behind traits.

use std::{fmt, str::FromStr, time::Duration};

use bytes::Bytes;
use pledger_domain::values::Timestamp;

use crate::log::LogError;

/// Headers in their order; a name may repeat, and a value may be absent.
pub type Headers = Vec<(String, Option<Vec<u8>>)>;

/// Where a message lies in its topic. Written `partition-offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The partition.
    pub partition: u32,
    /// Its offset in the partition.
    pub offset: u64,
}

/// A text that is no place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no place in a topic like \"3-4711\"")]
pub struct InvalidPlace(pub String);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.partition, self.offset)
    }
}

impl FromStr for Place {
    type Err = InvalidPlace;

    fn from_str(text: &str) -> Result<Self, InvalidPlace> {
        let parsed = text.split_once('-').and_then(|(partition, offset)| {
            let [partition, offset] =
                [partition, offset].map(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()).then_some(digits));
            Some(Self { partition: partition?.parse().ok()?, offset: offset?.parse().ok()? })
        });
        parsed.ok_or_else(|| InvalidPlace(text.chars().take(64).collect()))
    }
}

/// A message as it lies in a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Where it lies.
    pub place: Place,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its headers.
    pub headers: Headers,
    /// Its value; a tombstone has none.
    pub value: Option<Bytes>,
    /// When the broker took it, where the topic says so. A sender's own clock is not believed.
    pub arrived_at: Option<Timestamp>,
}

impl Message {
    /// The bytes of its value: none of a tombstone, which `value` tells from an empty one.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.value.as_deref().unwrap_or_default()
    }

    /// About how many bytes it takes in memory.
    #[must_use]
    pub fn weight(&self) -> usize {
        let header = |(name, value): &(String, Option<Vec<u8>>)| name.len() + value.as_ref().map_or(0, Vec::len) + 48;
        self.bytes().len() + self.key.as_ref().map_or(0, Bytes::len) + self.headers.iter().map(header).sum::<usize>() + 128
    }
}

/// Reads what services send, as one of a group that shares the partitions.
pub trait Inbox: Send {
    /// The next message of any partition that is ours; none where none came within `wait`.
    ///
    /// # Errors
    /// `LogError`: the inbox has to be opened anew.
    fn next(&mut self, wait: Duration) -> Result<Option<Message>, LogError>;

    /// The partitions that went to somebody else since this was last asked, which is to be before every message: what
    /// follows of such a partition begins at its committed place.
    fn lost(&mut self) -> Vec<u32>;

    /// Nothing more of this partition is to come until it is resumed.
    fn pause(&mut self, partition: u32);

    /// The partition goes on.
    fn resume(&mut self, partition: u32);

    /// Everything before these places is done with: whoever reads the partitions next begins there.
    fn commit(&mut self, places: &[Place]);

    /// The same, waiting until it is known, and leaves the group.
    fn close(self: Box<Self>, places: &[Place]);
}

/// Why a message became no command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objection {
    /// The stable code, as HTTP names it.
    pub code: String,
    /// The sentence.
    pub detail: String,
    /// The offending header, attribute or field, where it is one.
    pub field: Option<String>,
}

/// A message that became no command, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The message.
    pub message: Message,
    /// Why.
    pub objection: Objection,
    /// When that was found.
    pub at: Timestamp,
}

/// Keeps what became no command.
pub trait DeadLetters: Send + Sync + 'static {
    /// Keeps these letters; once this returns they are durable.
    ///
    /// # Errors
    /// `LogError::Store`: some may be kept all the same.
    fn keep(&self, letters: &[Letter]) -> Result<(), LogError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_read_back() {
        let place = Place { partition: 3, offset: 4711 };
        assert_eq!(place.to_string().parse(), Ok(place));
        for text in ["", "3", "3-", "-3", "3-4-5", "3:4", "+3-4", "3-+4", "99999999999-1"] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }
}
