//! A segment is one group commit: the framed records of all slices, exactly as hashed.
//!
//! A frame is `slice u16, pseq u64, term u64, prev 32, hash 32, length u32`, little-endian, and then the body.

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    body_stream::stream_of,
    log::LogError,
    record::{Hash, Header, Record},
    slices::{Position, SliceId},
};

/// The length of a frame before its body.
pub(super) const FRAME: usize = 2 + 8 + 8 + 32 + 32 + 4;

/// A segment in memory; its records share its allocation.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) id: u32,
    bytes: Bytes,
    /// Where each frame begins.
    starts: Vec<u32>,
    /// The slice of each record.
    slices: Vec<SliceId>,
}

/// Appends the frame of `record`.
pub(super) fn frame(record: &Record, into: &mut Vec<u8>) {
    let Header { slice, pseq, term, prev, hash } = &record.header;
    into.extend_from_slice(&slice.to_le_bytes());
    into.extend_from_slice(&pseq.to_le_bytes());
    into.extend_from_slice(&term.to_le_bytes());
    into.extend_from_slice(&prev.0);
    into.extend_from_slice(&hash.0);
    let length = u32::try_from(record.body.len()).expect("a producer refuses batches that long");
    into.extend_from_slice(&length.to_le_bytes());
    into.extend_from_slice(&record.body);
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("the slice is N bytes long")
}

impl Segment {
    /// Finds the frames in a stored segment of a ledger with this many slices.
    ///
    /// # Errors
    /// `LogError::Damaged` with the position of the first record that does not fit in.
    pub(super) fn parse(id: u32, bytes: Bytes, slices: u16) -> Result<Self, LogError> {
        let room = bytes.len() / 512 + 1;
        let (mut starts, mut of) = (Vec::with_capacity(room), Vec::with_capacity(room));
        let mut at = 0;
        while at < bytes.len() {
            let left = bytes.len() - at;
            let length = if left < FRAME { None } else { Some(u32::from_le_bytes(array(&bytes, at + FRAME - 4)) as usize) };
            let fits = |length: &usize| left - FRAME >= *length && u16::from_le_bytes(array(&bytes, at)) < slices;
            match (length.filter(fits), u32::try_from(at)) {
                (Some(length), Ok(start)) => {
                    starts.push(start);
                    of.push(u16::from_le_bytes(array(&bytes, at)));
                    at += FRAME + length;
                }
                _ => return Err(Self { id, bytes: bytes.slice(..at), starts, slices: of }.torn(&bytes)),
            }
        }
        Ok(Self { id, bytes, starts, slices: of })
    }

    /// What follows these records in `bytes` is no record. A length that was tampered with shows later than where it
    /// stands, so the first record that is not what was hashed is named.
    fn torn(&self, bytes: &Bytes) -> LogError {
        let (at, records) = (self.bytes.len(), (0..self.len()).map(|index| self.record(index)));
        let after = || match self.len().checked_sub(1).map(|last| self.record(last).header) {
            _ if bytes.len() - at >= 10 => {
                Position { slice: u16::from_le_bytes(array(bytes, at)), pseq: u64::from_le_bytes(array(bytes, at + 2)) }
            }
            Some(last) => Position { slice: last.slice, pseq: last.pseq + 1 },
            None => Position { slice: 0, pseq: 0 },
        };
        let position = records.into_iter().find(|record| !record.is_intact()).map_or_else(after, |record| record.position());
        LogError::Damaged {
            position,
            reason: format!("no record fits in at byte {at} of the {} bytes of segment {}", bytes.len(), self.id),
        }
    }

    /// The record to name where what it holds of a slice is not what it should: the first that is not what was hashed, or
    /// else the first of the slice.
    pub(super) fn suspect(&self, slice: SliceId) -> Position {
        let changed = (0..self.len()).find(|index| !self.record(*index).is_intact());
        let suspect = changed.or_else(|| self.of_slice(slice).next());
        suspect.map_or(Position { slice, pseq: 0 }, |index| self.record(index).position())
    }

    /// How many records it has.
    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }

    /// Its size in bytes.
    pub(super) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The slice of the record at `index`.
    pub(super) fn slice(&self, index: usize) -> SliceId {
        self.slices[index]
    }

    /// Which of its records are of this slice, in order.
    pub(super) fn of_slice(&self, slice: SliceId) -> impl Iterator<Item = usize> {
        (0..).zip(&self.slices).filter(move |(_, of)| **of == slice).map(|(index, _)| index)
    }

    fn body(&self, index: usize) -> std::ops::Range<usize> {
        let from = self.starts[index] as usize + FRAME;
        let to = self.starts.get(index + 1).map_or(self.bytes.len(), |start| *start as usize);
        from..to
    }

    /// The record at `index`, its body a slice of the segment.
    pub(super) fn record(&self, index: usize) -> Record {
        let (bytes, at) = (&self.bytes, self.starts[index] as usize);
        let header = Header {
            slice: u16::from_le_bytes(array(bytes, at)),
            pseq: u64::from_le_bytes(array(bytes, at + 2)),
            term: u64::from_le_bytes(array(bytes, at + 10)),
            prev: Hash(array(bytes, at + 18)),
            hash: Hash(array(bytes, at + 50)),
        };
        Record { header, body: bytes.slice(self.body(index)) }
    }

    /// The index entry of every record: its slice and the hash of its stream's name.
    pub(super) fn entries(&self) -> impl Iterator<Item = (SliceId, u32)> {
        (0..self.len()).map(|index| (self.slice(index), stream_hash(&self.bytes[self.body(index)])))
    }
}

/// What the index keeps of a stream's name; 0 for none.
pub(super) fn name_hash(stream: &str) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "the low half of a hash")]
    {
        (xxh3_64(stream.as_bytes()) as u32).max(1)
    }
}

/// The name hash of the stream that a body belongs to; 0 for a record without a stream.
pub(super) fn stream_hash(body: &[u8]) -> u32 {
    stream_of(body).map_or(0, |name| name_hash(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records() -> Vec<Record> {
        let bodies = [r#"{"decision":{"v":1,"stream":"account/acme.com","version":1}}"#, r#"{"term_opened":{"v":1}}"#, ""];
        (0..).zip(bodies).map(|(n, body)| Record::chain(n, u64::from(n) * 7, 3, Hash([9; 32]), Bytes::from(body))).collect()
    }

    fn framed() -> Vec<u8> {
        let mut bytes = Vec::new();
        records().iter().for_each(|record| frame(record, &mut bytes));
        bytes
    }

    #[test]
    fn records_read_back_as_they_were() {
        let segment = Segment::parse(5, framed().into(), 3).expect("whole");
        assert_eq!((0..segment.len()).map(|index| segment.record(index)).collect::<Vec<_>>(), records());
        assert_eq!(segment.entries().collect::<Vec<_>>(), [(0, name_hash("account/acme.com")), (1, 0), (2, 0)]);
    }

    #[test]
    fn a_torn_segment_names_the_record() {
        let bytes = framed();
        let whole: Vec<usize> = [0, FRAME + 60, 2 * FRAME + 83, 3 * FRAME + 83].to_vec();
        assert_eq!(bytes.len(), whole[3]);
        for cut in 0..bytes.len() {
            let parsed = Segment::parse(5, Bytes::copy_from_slice(&bytes[..cut]), 3);
            assert_eq!(parsed.is_ok(), whole.contains(&cut), "cut at {cut}");
            if let Err(error) = parsed {
                assert!(matches!(error, LogError::Damaged { .. }), "{error}");
                assert!(error.to_string().contains("segment 5"), "{error}");
            }
        }
    }

    #[test]
    fn a_damaged_length_is_named_where_it_stands() {
        let second = FRAME + records()[0].body.len();
        // One less, one more, and more than there is.
        for (at, mask, pseq) in [(FRAME - 4, 1, 0), (second + FRAME - 4, 8, 7), (second + FRAME - 3, 8, 7)] {
            let mut bytes = framed();
            bytes[at] ^= mask;
            let error = Segment::parse(5, bytes.into(), 3).expect_err("damaged");
            assert!(matches!(error, LogError::Damaged { position, .. } if position.pseq == pseq), "byte {at}: {error}");
        }
    }
}
