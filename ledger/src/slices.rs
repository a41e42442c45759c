//! Slices: the units of order and of single writing. A stream belongs to one of them, for ever.

use std::{fmt, str::FromStr};

use pledger_domain::stream::StreamName;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use xxhash_rust::xxh3::xxh3_64;

/// The slices of a new ledger, where nothing else is asked for.
pub const DEFAULT_SLICES: u16 = 64;
/// Of these, the reference slices.
pub const DEFAULT_REFERENCE_SLICES: u16 = 4;
/// The most slices a ledger may have.
pub const MAX_SLICES: u16 = 4096;

/// The number of a slice, from 0.
pub type SliceId = u16;

/// How many slices a ledger has: fixed when it is created, written in its first record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slices {
    /// All of them.
    pub count: u16,
    /// The first of them: `program` and `partner/*` live there and nowhere else.
    pub reference: u16,
}

/// A number of slices that no ledger can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} slices are not possible: a ledger has 2 to {MAX_SLICES}")]
pub struct InvalidSlices(pub u16);

impl Slices {
    /// `count` slices, a sixteenth of them (at least one, at most four) for reference.
    ///
    /// # Errors
    /// `InvalidSlices` for fewer than 2 or more than `MAX_SLICES`.
    pub fn new(count: u16) -> Result<Self, InvalidSlices> {
        if !(2..=MAX_SLICES).contains(&count) {
            return Err(InvalidSlices(count));
        }
        Ok(Self { count, reference: (count / 16).clamp(1, DEFAULT_REFERENCE_SLICES) })
    }

    /// Where a stream lives: XXH3-64 of its name, among the reference slices or the others.
    #[must_use]
    pub fn of(self, stream: &StreamName) -> SliceId {
        let hash = xxh3_64(stream.as_str().as_bytes());
        let (first, many) = if stream.kind().is_reference() { (0, self.reference) } else { (self.reference, self.count - self.reference) };
        #[expect(clippy::cast_possible_truncation, reason = "a remainder of a u16")]
        {
            first + (hash % u64::from(many)) as u16
        }
    }

    /// Every slice.
    pub fn all(self) -> impl Iterator<Item = SliceId> {
        0..self.count
    }

    /// The reference slices.
    pub fn references(self) -> impl Iterator<Item = SliceId> {
        0..self.reference
    }
}

impl Default for Slices {
    fn default() -> Self {
        Self { count: DEFAULT_SLICES, reference: DEFAULT_REFERENCE_SLICES }
    }
}

/// A place in the ledger: a slice, and a dense sequence in it. Written `"slice:pseq"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// The slice.
    pub slice: SliceId,
    /// 0, 1, 2, ... without holes.
    pub pseq: u64,
}

/// A text that is no position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a position like \"12:4711\"")]
pub struct InvalidPosition(pub String);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.slice, self.pseq)
    }
}

impl FromStr for Position {
    type Err = InvalidPosition;
    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        let parsed = text.split_once(':').and_then(|(slice, pseq)| Some(Self { slice: slice.parse().ok()?, pseq: pseq.parse().ok()? }));
        parsed.ok_or_else(|| InvalidPosition(text.chars().take(64).collect()))
    }
}

impl Serialize for Position {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_stay_where_they_are() {
        let slices = Slices::default();
        let slice = |name: &str| slices.of(&StreamName::parse(name).expect(name));
        // These numbers are for ever: a ledger made with other ones could not be read.
        assert_eq!(
            [slice("program"), slice("partner/p-1"), slice("account/acme.com"), slice("fund/mdf-2027"), slice("cost/program")],
            [0, 1, 19, 25, 10]
        );
        for n in 0..1000 {
            assert!(slice(&format!("partner/p{n}")) < 4);
            assert!((4..64).contains(&slice(&format!("account/a{n}.com"))));
        }
    }

    #[test]
    fn positions_read_back() {
        let position = Position { slice: 12, pseq: 4711 };
        assert_eq!(position.to_string().parse(), Ok(position));
        for text in ["", "12", "12:", ":1", "70000:1", "1:-1", "1:1:1"] {
            assert!(text.parse::<Position>().is_err(), "{text}");
        }
    }
}
