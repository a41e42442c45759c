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

/// How many segments a read holds at a time.
const READ_SEGMENTS: usize = 64;

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
        // Of several streams nobody knows before the end which of their records are the first.
        let (from, most) = if streams.len() == 1 { (offset, max) } else { (0, usize::MAX) };
        let skip = usize::try_from(from).unwrap_or(usize::MAX);
        let index = self.state.index.read();
        let mut found: Vec<(usize, SliceId, u64)> = Vec::new();
        for (slice, hashes) in self.hashes(streams) {
            let records = (from..).zip(index.streams(slice).iter().skip(skip));
            let places = records.filter_map(|(at, hash)| Some((at, hashes.get(hash)?)));
            let places = places.flat_map(|(at, streams)| streams.iter().map(move |stream| (*stream, slice, at)));
            found.extend(places.filter(|(stream, _, at)| *stream > 0 || *at >= offset).take(most));
        }
        found.sort_unstable();
        found.truncate(max);
        let located = |(at, slice, offset)| Some((at, Located { slice, offset, place: index.place(slice, offset)? }));
        found.into_iter().filter_map(located).collect()
    }

    /// How many records have the hashes of these streams' names.
    pub(super) fn count(&self, streams: &[StreamName]) -> usize {
        let index = self.state.index.read();
        let of_slice = |(slice, hashes): (SliceId, HashMap<u32, Vec<usize>>)| {
            let of = index.streams(slice).iter().filter_map(|hash| hashes.get(hash));
            of.map(Vec::len).sum::<usize>()
        };
        self.hashes(streams).into_iter().map(of_slice).sum()
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
            self.fill(&mut segments)?;
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

    /// Gets segments from memory or the file; all readers read.
    fn fill(&self, segments: &mut BTreeMap<u32, Option<Arc<Segment>>>) -> Result<(), LogError> {
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
                self.state.keep(&segment);
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
