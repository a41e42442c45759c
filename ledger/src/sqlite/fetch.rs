//! Records by the names of their streams, or by their places: segments that hold several of them are read once.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use hashbrown::HashMap;
use pledger_domain::stream::StreamName;

use super::{
    READERS, Shared, connection,
    index::Place,
    segment::{Segment, name_hash},
    state,
};
use crate::{
    body_stream::is_of,
    log::{LogError, Placed},
    record::Record,
    slices::SliceId,
};

/// How many segments a read holds at a time: others' reads wait for no more.
const READ_SEGMENTS: usize = 32;

/// A record's place with what it is called by.
#[derive(Clone, Copy)]
pub(super) struct Located {
    pub(super) slice: SliceId,
    pub(super) offset: u64,
    pub(super) place: Place,
}

impl Located {
    /// Whether both are of one slice and lie in one segment.
    fn is_beside(&self, other: &Self) -> bool {
        (self.slice, self.place.segment) == (other.slice, other.place.segment)
    }
}

impl Shared {
    /// The records of streams, as `Log::read_streams` says.
    pub(super) fn read_streams(&self, streams: &[StreamName], offset: u64, max: usize) -> Result<Vec<(usize, Placed)>, LogError> {
        let (mut found, mut first, mut from) = (Vec::new(), 0, offset);
        loop {
            let room = max - found.len();
            let places = self.places_of(&streams[first..], from, room);
            let Some((last, located)) = places.last() else { return Ok(found) };
            let (next, is_all) = ((first + last, located.offset + 1), places.len() < room);
            let (of, places): (Vec<usize>, Vec<Located>) = places.into_iter().unzip();
            let placed = of.into_iter().map(|at| first + at).zip(self.fetch(&places)?);
            // Names may have one hash.
            found.extend(placed.filter(|(at, placed)| is_of(&placed.record.body, &streams[*at])));
            if is_all || found.len() == max {
                return Ok(found);
            }
            (first, from) = next;
        }
    }

    /// Where the first `max` records lie whose streams' names have the hashes of these, in the order of the streams, each with which
    /// of them that is; of the first from the slice's `offset` on.
    fn places_of(&self, streams: &[StreamName], offset: u64, max: usize) -> Vec<(usize, Located)> {
        if max == 0 {
            return Vec::new();
        }
        // Of several streams nobody knows before the end which of their records are the first.
        let (from, most) = if streams.len() == 1 { (offset, max) } else { (0, usize::MAX) };
        let skip = usize::try_from(from).unwrap_or(usize::MAX);
        let mut found: Vec<(usize, SliceId, u64)> = Vec::new();
        for (slice, hashes) in self.hashes(streams) {
            // Commits wait for no more than one slice.
            let index = self.state.index.read();
            let records = (from..).zip(index.streams(slice).iter().skip(skip));
            let places = records.filter_map(|(at, hash)| Some((at, hashes.get(hash)?)));
            let places = places.flat_map(|(at, streams)| streams.iter().map(move |stream| (*stream, slice, at)));
            found.extend(places.filter(|(stream, _, at)| *stream > 0 || *at >= offset).take(most));
        }
        if found.len() > max {
            found.select_nth_unstable(max - 1);
            found.truncate(max);
        }
        found.sort_unstable();
        let index = self.state.index.read();
        let located = |(at, slice, offset)| Some((at, Located { slice, offset, place: index.place(slice, offset)? }));
        found.into_iter().filter_map(located).collect()
    }

    /// How many records have the hash of each of these streams' names.
    pub(super) fn counts(&self, streams: &[StreamName]) -> Vec<usize> {
        let mut counts = vec![0; streams.len()];
        for (slice, hashes) in self.hashes(streams) {
            let index = self.state.index.read();
            for alike in index.streams(slice).iter().filter_map(|hash| hashes.get(hash)) {
                alike.iter().for_each(|stream| counts[*stream] += 1);
            }
        }
        counts
    }

    /// The streams by slice and by the hash of their names.
    fn hashes(&self, streams: &[StreamName]) -> BTreeMap<SliceId, HashMap<u32, Vec<usize>>> {
        let mut hashes: BTreeMap<SliceId, HashMap<u32, Vec<usize>>> = BTreeMap::new();
        for (at, stream) in streams.iter().enumerate() {
            let of_slice = hashes.entry(self.state.slices.of(stream)).or_default();
            of_slice.entry(name_hash(stream.as_str())).or_default().push(at);
        }
        hashes
    }

    /// Reads the records at these places, each segment once; in the order of the places.
    pub(super) fn fetch(&self, places: &[Located]) -> Result<Vec<Placed>, LogError> {
        let mut order: Vec<usize> = (0..places.len()).collect();
        order.sort_by_key(|at| (places[*at].place.segment, places[*at].slice));
        let mut placed: Vec<Option<Placed>> = vec![None; places.len()];
        let mut rest: &[usize] = &order;
        while !rest.is_empty() {
            let mut segments = BTreeMap::new();
            let take = rest.iter().take_while(|at| {
                let segment = places[**at].place.segment;
                let room = segments.len() < READ_SEGMENTS || segments.contains_key(&segment);
                if room {
                    segments.entry(segment).or_insert(None);
                }
                room
            });
            let (now, later) = rest.split_at(take.count());
            // What is read from one end to the other is no use to keep.
            self.fill(&mut segments, now.len() == order.len())?;
            for beside in now.chunk_by(|one, other| places[*one].is_beside(&places[*other])) {
                let Located { slice, place, .. } = places[beside[0]];
                let segment = segments[&place.segment].as_ref().expect("all of them were read");
                let indices = self.of_slice(slice, segment)?;
                for at in beside {
                    let Record { header, body } = segment.record(indices[places[*at].place.nth as usize]);
                    // A few of a segment's records must not keep all of it in memory.
                    let record = Record { header, body: Bytes::copy_from_slice(&body) };
                    placed[*at] = Some(Placed { offset: places[*at].offset, record });
                }
            }
            rest = later;
        }
        Ok(placed.into_iter().flatten().collect())
    }

    /// Gets segments from memory or the file, and keeps them in memory or not; all readers read.
    fn fill(&self, segments: &mut BTreeMap<u32, Option<Arc<Segment>>>, keeps: bool) -> Result<(), LogError> {
        let mut missing = Vec::new();
        for (id, segment) in segments.iter_mut() {
            *segment = self.state.cached(*id);
            if segment.is_none() {
                missing.push(*id);
            }
        }
        let slices = self.state.slices.count;
        let read = |part: &[u32]| {
            let part = part.to_vec();
            self.readers.ask(move |link| part.into_iter().map(|id| state::read(link, id, slices)).collect::<Result<Vec<_>, _>>())
        };
        let asked: Vec<_> = missing.chunks(missing.len().div_ceil(READERS).max(1)).map(read).collect();
        for answer in asked {
            for segment in answer.recv().map_err(|_| connection::gone())??.into_iter().map(Arc::new) {
                if keeps {
                    self.state.keep(&segment);
                }
                segments.insert(segment.id, Some(segment));
            }
        }
        Ok(())
    }

    /// Which records of the segment are of the slice: as many as the index says, which nothing chains.
    fn of_slice(&self, slice: SliceId, segment: &Segment) -> Result<Vec<usize>, LogError> {
        let index = self.state.index.read();
        let known = index.before(slice, segment.id + 1) - index.before(slice, segment.id);
        drop(index);
        let indices: Vec<usize> = segment.of_slice(slice).collect();
        if indices.len() as u64 == known {
            return Ok(indices);
        }
        let (file, id) = (self.state.file.display(), segment.id);
        Err(LogError::Store(format!(
            "{file}: the index of segment {id} does not fit it; `DELETE FROM segment_index` there, and it is rebuilt"
        )))
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use super::*;
    use crate::{
        log::Log,
        record::{Hash, LedgerCreated},
        sqlite::SqliteLog,
    };

    fn name(n: u32) -> String {
        format!("account/company-{n}.example")
    }

    /// Two streams of a ledger with one slice whose names the index cannot tell apart.
    fn alike() -> [StreamName; 2] {
        let mut seen = BTreeMap::new();
        let other = (0..).find_map(|n| seen.insert(name_hash(&name(n)), n).map(|before| [before, n]));
        other.expect("there are more names than hashes").map(|n| StreamName::parse(&name(n)).expect("a stream"))
    }

    #[test]
    fn streams_whose_names_have_one_hash_are_told_apart() {
        let dir = tempfile::tempdir().expect("a folder");
        let created = r#"{"v":1,"ledger_id":"test","slices":{"count":2,"reference":1},"created_at":"2026-01-01T00:00:00Z"}"#;
        let created: LedgerCreated = serde_json::from_str(created).expect("what a ledger is");
        let log = SqliteLog::create(dir.path(), created).expect("a new ledger");
        let [one, other] = alike();
        let slice = log.slices().of(&one);
        assert_eq!(slice, log.slices().of(&other), "accounts have one slice here");
        let mut prev = log.read(slice, 0, 9).expect("readable").last().map_or(Hash::default(), |placed| placed.record.header.hash);
        let first = log.end(slice).expect("an end");
        let records = (0..40).map(|n: u64| {
            let stream = if n % 4 == 3 { &other } else { &one };
            let body = format!(r#"{{"decision":{{"v":1,"stream":"{stream}","version":{n}}}}}"#);
            let record = Record::chain(slice, first + n, 1, prev, body.into());
            prev = record.header.hash;
            record
        });
        let mut producer = log.producer().expect("a producer");
        producer.send(records.collect()).expect("sent");
        assert_eq!(producer.reports(Duration::from_secs(30)).len(), 40);
        let offsets = |streams: &[StreamName], max| -> Vec<(usize, u64)> {
            let found = log.read_streams(streams, 0, max).expect("readable");
            found.into_iter().map(|(at, placed)| (at, placed.offset - first)).collect()
        };
        let of = |at: usize, is_other: bool| (0..40).filter(move |n| (n % 4 == 3) == is_other).map(move |n| (at, n));
        assert_eq!(offsets(std::slice::from_ref(&other), usize::MAX), of(0, true).collect::<Vec<_>>());
        // The first places that are found are mostly the other stream's.
        assert_eq!(offsets(std::slice::from_ref(&other), 6), of(0, true).take(6).collect::<Vec<_>>());
        let both = [other.clone(), one.clone()];
        let all: Vec<_> = of(0, true).chain(of(1, false)).collect();
        for max in [0, 1, 10, 25, usize::MAX] {
            assert_eq!(offsets(&both, max), all.iter().copied().take(max).collect::<Vec<_>>(), "at most {max}");
        }
        assert_eq!(log.counts(&[one, StreamName::program()]).expect("readable"), Some(vec![40, 0]), "as many as have the hash");
    }
}
