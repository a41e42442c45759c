//! Where the records of a slice, and of a stream, lie: in memory, loaded from `segment_index`.

use crate::{log::LogError, slices::SliceId};

/// Where one record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The id of its segment, from 1.
    pub(super) segment: u32,
    /// How many records of its slice lie before it in the segment.
    pub(super) nth: u32,
}

/// The records of one slice: 4 bytes each, and 8 for each segment that holds any.
#[derive(Clone, Debug, Default)]
struct SliceIndex {
    /// The hash of each record's stream name by offset; 0 for none.
    streams: Vec<u32>,
    /// The segments that hold any, in order.
    runs: Vec<Run>,
}

/// The records of one slice in one segment.
#[derive(Clone, Copy, Debug)]
struct Run {
    segment: u32,
    /// The offset of the first.
    first: u32,
}

impl SliceIndex {
    /// The run that begins in `segment` or after it.
    fn run_from(&self, segment: u32) -> Option<Run> {
        self.runs.get(self.runs.partition_point(|run| run.segment < segment)).copied()
    }

    fn push(&mut self, segment: u32, stream: u32) {
        if self.runs.last().is_none_or(|run| run.segment != segment) {
            let first = u32::try_from(self.streams.len()).expect("a slice of so many records takes terabytes");
            self.runs.push(Run { segment, first });
        }
        self.streams.push(stream);
    }
}

/// The index of the whole log.
#[derive(Debug)]
pub(super) struct Index {
    slices: Vec<SliceIndex>,
    /// How many records lie in the segments up to and with each.
    records: Vec<u64>,
}

impl Index {
    pub(super) fn new(slices: u16) -> Self {
        Self { slices: vec![SliceIndex::default(); usize::from(slices)], records: Vec::new() }
    }

    /// The id of the last segment it knows; 0 before the first.
    pub(super) fn last(&self) -> u32 {
        u32::try_from(self.records.len()).expect("ids of segments are u32")
    }

    /// The stream hashes of a slice's records by offset.
    pub(super) fn streams(&self, slice: SliceId) -> &[u32] {
        self.slices.get(usize::from(slice)).map_or(&[], |slice| &slice.streams)
    }

    /// The offset that the next record of a slice will have.
    pub(super) fn end(&self, slice: SliceId) -> u64 {
        self.streams(slice).len() as u64
    }

    /// Where the record at an offset lies.
    pub(super) fn place(&self, slice: SliceId, offset: u64) -> Option<Place> {
        let offset = u32::try_from(offset).ok().filter(|offset| u64::from(*offset) < self.end(slice))?;
        let runs = &self.slices.get(usize::from(slice))?.runs;
        let Run { segment, first } = *runs.get(runs.partition_point(|run| run.first <= offset).checked_sub(1)?)?;
        Some(Place { segment, nth: offset - first })
    }

    /// How many records of `slice` lie before the segment.
    pub(super) fn before(&self, slice: SliceId, segment: u32) -> u64 {
        let run = self.slices.get(usize::from(slice)).and_then(|slice| slice.run_from(segment));
        run.map_or_else(|| self.end(slice), |run| u64::from(run.first))
    }

    /// The first segment from `segment` on that holds a record of `slice`.
    pub(super) fn at_or_after(&self, slice: SliceId, segment: u32) -> Option<u32> {
        self.slices.get(usize::from(slice))?.run_from(segment).map(|run| run.segment)
    }

    /// Makes room for so many records, spread over the slices evenly: room that is never used costs nothing.
    pub(super) fn reserve(&mut self, records: usize) {
        let each = records / self.slices.len().max(1) * 5 / 4;
        self.slices.iter_mut().for_each(|slice| slice.streams.reserve(each));
    }

    /// Takes in the next segment.
    ///
    /// # Errors
    /// `LogError::Store` where an entry names a slice that the ledger does not have; nothing is taken in then.
    pub(super) fn push(&mut self, entries: impl ExactSizeIterator<Item = (SliceId, u32)> + Clone) -> Result<(), LogError> {
        let (segment, count) = (self.last() + 1, entries.len() as u64);
        if let Some((slice, _)) = entries.clone().find(|(slice, _)| usize::from(*slice) >= self.slices.len()) {
            return Err(LogError::Store(format!("segment {segment} holds a record of slice {slice}, which the ledger does not have")));
        }
        for (slice, stream) in entries {
            self.slices[usize::from(slice)].push(segment, stream);
        }
        self.records.push(self.records.last().unwrap_or(&0) + count);
        Ok(())
    }

    /// The last segment of a run from `first` on that holds about `records` records: at least one segment.
    pub(super) fn run(&self, first: u32, records: usize) -> u32 {
        let before = if first <= 1 { 0 } else { self.records[first as usize - 2] };
        let run = self.records.partition_point(|sum| *sum < before + records as u64);
        u32::try_from(run + 1).expect("ids of segments are u32").clamp(first, self.last())
    }
}

/// The row of `segment_index`: per record its slice and its stream's hash.
pub(super) fn encode(entries: &[(SliceId, u32)]) -> Vec<u8> {
    entries.iter().flat_map(|(slice, stream)| slice.to_le_bytes().into_iter().chain(stream.to_le_bytes())).collect()
}

/// What a row says; none where it is none.
pub(super) fn decode(bytes: &[u8]) -> Option<impl ExactSizeIterator<Item = (SliceId, u32)> + Clone> {
    let (entries, rest) = bytes.as_chunks::<ENTRY>();
    let entry = |[a, b, c, d, e, f]: &[u8; ENTRY]| (u16::from_le_bytes([*a, *b]), u32::from_le_bytes([*c, *d, *e, *f]));
    rest.is_empty().then(|| entries.iter().map(entry))
}

/// What an entry takes in a row, in bytes.
pub(super) const ENTRY: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_by_offset_and_segment() {
        let mut index = Index::new(3);
        index.push([(0, 1), (2, 5), (0, 2)].into_iter()).expect("fits");
        index.push([(2, 6)].into_iter()).expect("fits");
        assert!(index.push([(0, 1), (3, 1)].into_iter()).is_err());
        index.push([(0, 3), (2, 7)].into_iter()).expect("fits");
        assert_eq!((index.end(0), index.end(1), index.end(2), index.last()), (3, 0, 3, 3));
        assert_eq!(index.streams(2), [5, 6, 7]);
        let place = |slice, offset| index.place(slice, offset).map(|place| (place.segment, place.nth));
        assert_eq!([0, 1, 2, 3].map(|offset| place(0, offset)), [Some((1, 0)), Some((1, 1)), Some((3, 0)), None]);
        assert_eq!([(1, 0), (2, 2), (2, 3), (3, 0)].map(|(slice, offset)| place(slice, offset)), [None, Some((3, 0)), None, None]);
        assert_eq!((index.before(0, 1), index.before(0, 3), index.before(2, 3), index.before(0, 4)), (0, 2, 2, 3));
        assert_eq!(
            [(0, 1), (0, 2), (0, 4), (1, 1), (2, 2)].map(|(slice, from)| index.at_or_after(slice, from)),
            [Some(1), Some(3), None, None, Some(2)]
        );
        assert_eq!((index.run(1, 1), index.run(1, 3), index.run(1, 4), index.run(2, 1), index.run(2, 99)), (1, 1, 2, 2, 3));
    }

    #[test]
    fn rows_read_back() {
        let entries = [(0, 0), (63, u32::MAX), (7, 0x0102_0304)];
        let read = |bytes: &[u8]| decode(bytes).map(Iterator::collect::<Vec<_>>);
        assert_eq!(read(&encode(&entries)).as_deref(), Some(entries.as_slice()));
        assert_eq!(read(&encode(&entries)[1..]), None);
    }
}
