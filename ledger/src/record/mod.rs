//! One record is one decision: its stored form, and the hash that chains it.
//!
//! A record is a fixed header (slice, pseq, term, prev, hash) and a JSON body. On Kafka the header fields are record
//! headers and the body is the value; on SQLite both are framed into a segment, exactly as hashed.

mod body;
mod stored;

use std::fmt;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::{
    hexadecimal,
    slices::{Position, SliceId},
};

pub(crate) use body::EventsOf;
pub use body::{Body, CommandRecord, Decision, Events, Generated, LedgerCreated, Outcome, Progress, TermOpened};
pub use stored::{BodyError, FORMAT};

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// Reads what `Display` writes: 64 digits in small letters.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        hexadecimal::read(text).map(Self)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(hexadecimal::write(&self.0, &mut [0; 64]))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What chains a record to the one before it in its slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The slice.
    pub slice: SliceId,
    /// The dense sequence in the slice.
    pub pseq: u64,
    /// The writer's term.
    pub term: u64,
    /// The hash of the record before; all zero for the first.
    pub prev: Hash,
    /// SHA-256 over slice, pseq, term (little-endian), prev and the body.
    pub hash: Hash,
}

/// A record as the log keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The chain fields.
    pub header: Header,
    /// The JSON body.
    pub body: Bytes,
}

impl Record {
    /// The sequence of what is no record, though it lies where records do: never the next one. It fits where others keep a
    /// sequence as a signed number.
    pub const NO_PSEQ: u64 = i64::MAX as u64;

    /// Chains `body` after the record whose hash is `prev`.
    #[must_use]
    pub fn chain(slice: SliceId, pseq: u64, term: u64, prev: Hash, body: Bytes) -> Self {
        let hash = hash_of(slice, pseq, term, prev, &body);
        Self { header: Header { slice, pseq, term, prev, hash }, body }
    }

    /// Whether the hash is that of the record's content.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        let Header { slice, pseq, term, prev, hash } = self.header;
        hash_of(slice, pseq, term, prev, &self.body) == hash
    }

    /// Where it stands.
    #[must_use]
    pub const fn position(&self) -> Position {
        Position { slice: self.header.slice, pseq: self.header.pseq }
    }
}

fn hash_of(slice: SliceId, pseq: u64, term: u64, prev: Hash, body: &[u8]) -> Hash {
    let mut sha = Sha256::new();
    let mut head = [0_u8; 50];
    head[..2].copy_from_slice(&slice.to_le_bytes());
    head[2..10].copy_from_slice(&pseq.to_le_bytes());
    head[10..18].copy_from_slice(&term.to_le_bytes());
    head[18..].copy_from_slice(&prev.0);
    sha.update(head);
    sha.update(body);
    Hash(sha.finalize().into())
}
