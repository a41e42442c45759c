//! A record is valid if and only if it extends the chain: the one rule that every reader applies.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::record::{Hash, Record};

/// A place in a slice's chain: the last valid record. Every cursor, snapshot and tail holds one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChainHead {
    /// How many valid records there are: the next `pseq`.
    pub next_pseq: u64,
    /// The offset after the last valid record: where a reader goes on.
    pub next_offset: u64,
    /// The term of the last valid record; 0 before the first.
    pub term: u64,
    /// The hash of the last valid record; all zero before the first.
    pub hash: Hash,
}

/// What a reader makes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It extends the chain.
    Valid,
    /// It does not: skipped, counted, kept as evidence.
    Void(VoidReason),
}

/// Why a record is void.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VoidReason {
    /// It is no record: somebody else wrote it.
    Foreign,
    /// Its writer was deposed before it arrived.
    OldTerm,
    /// Its sequence is not the next one: a duplicate, or a successor of a lost record.
    OutOfSequence,
    /// It follows another record than the last one.
    OtherPredecessor,
}

impl fmt::Display for VoidReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Foreign => "it is no record of pledger's: something else wrote to the ledger's topic",
            Self::OldTerm => "its writer had been replaced",
            Self::OutOfSequence => "it is not the next one of its slice, as a replaced writer leaves them behind",
            Self::OtherPredecessor => "it does not follow the record before it, as a replaced writer leaves them behind",
        })
    }
}

impl ChainHead {
    /// Judges the record at `offset`, and moves on past it where it is valid.
    pub fn accept(&mut self, offset: u64, record: &Record) -> Verdict {
        let header = &record.header;
        if header.pseq == Record::NO_PSEQ {
            return Verdict::Void(VoidReason::Foreign);
        }
        if header.term < self.term {
            return Verdict::Void(VoidReason::OldTerm);
        }
        if header.pseq != self.next_pseq {
            return Verdict::Void(VoidReason::OutOfSequence);
        }
        if header.prev != self.hash {
            return Verdict::Void(VoidReason::OtherPredecessor);
        }
        *self = Self { next_pseq: header.pseq + 1, next_offset: offset + 1, term: header.term, hash: header.hash };
        Verdict::Valid
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn record(head: &ChainHead, term: u64, body: &'static str) -> Record {
        Record::chain(3, head.next_pseq, term, head.hash, Bytes::from_static(body.as_bytes()))
    }

    #[test]
    fn only_what_extends_the_chain_is_valid() {
        let mut head = ChainHead::default();
        let first = record(&head, 1, "a");
        assert_eq!(head.accept(0, &first), Verdict::Valid);
        let zombie = record(&head, 1, "late");
        let opened = record(&head, 2, "b");
        assert_eq!(head.accept(1, &opened), Verdict::Valid);
        for (late, reason) in [
            (Record::chain(3, Record::NO_PSEQ, 0, Hash::default(), Bytes::from_static(b"x")), VoidReason::Foreign),
            (zombie, VoidReason::OldTerm),
            (opened, VoidReason::OutOfSequence),
            (Record::chain(3, 2, 2, first.header.hash, Bytes::from_static(b"x")), VoidReason::OtherPredecessor),
        ] {
            assert_eq!(head.accept(2, &late), Verdict::Void(reason));
        }
        assert_eq!(head, ChainHead { next_pseq: 2, next_offset: 2, term: 2, hash: opened_hash(&head) });
    }

    fn opened_hash(head: &ChainHead) -> Hash {
        head.hash
    }
}
