//! Reads on and on, in the order of the commits.

use std::{
    collections::VecDeque,
    sync::{Arc, mpsc::Receiver},
    time::{Duration, Instant},
};

use super::{Shared, connection::gone, segment::Segment, state::read_run};
use crate::{
    log::{LogError, Placed, Tail},
    slices::SliceId,
};

/// How many records are read ahead at once. More is slower: the allocator then gives memory back to the system and
/// takes it again, a page fault each 4 kB.
const AHEAD_RECORDS: usize = 1024;
/// How often a reader beside another process's writer looks.
const LOOK_EVERY: Duration = Duration::from_millis(4);

/// Segments, and what is wrong with the one after them.
type Run = (Vec<Segment>, Result<(), LogError>);

/// A reader of all slices.
pub(super) struct SqliteTail {
    shared: Arc<Shared>,
    /// The slices whose records are read; all where absent.
    wanted: Option<Vec<SliceId>>,
    /// Records before these offsets are passed over.
    from: Vec<u64>,
    /// The offset of the next record of each slice.
    next: Vec<u64>,
    /// The segment to ask for next.
    segment: u32,
    /// The last segment that was handed on.
    placed: u32,
    ready: VecDeque<Arc<Segment>>,
    /// A run that was asked for ahead.
    ahead: Option<Receiver<Result<Run, LogError>>>,
    /// What is wrong with the segment after those that are ready.
    failed: Option<LogError>,
}

impl SqliteTail {
    pub(super) fn new(shared: Arc<Shared>, from: &[u64]) -> Self {
        let slices = shared.state.slices;
        let from = slices.all().map(|slice| from.get(usize::from(slice)).copied().unwrap_or(0)).collect();
        Self::start(shared, None, from)
    }

    /// Some slices only: segments without a record of theirs are not read.
    pub(super) fn of(shared: Arc<Shared>, places: &[(SliceId, u64)]) -> Self {
        let mut from = vec![u64::MAX; usize::from(shared.state.slices.count)];
        let places = places.iter().filter(|(slice, _)| usize::from(*slice) < from.len()).copied().collect::<Vec<_>>();
        places.iter().for_each(|(slice, offset)| from[usize::from(*slice)] = *offset);
        Self::start(shared, Some(places.iter().map(|(slice, _)| *slice).collect()), from)
    }

    fn start(shared: Arc<Shared>, wanted: Option<Vec<SliceId>>, from: Vec<u64>) -> Self {
        let index = shared.state.index.read();
        let slices = shared.state.slices;
        let first = |(slice, offset): (u16, &u64)| index.place(slice, *offset).map(|place| place.segment);
        let segment = slices.all().zip(&from).filter_map(first).min().unwrap_or(index.last() + 1);
        let next = slices.all().map(|slice| index.before(slice, segment)).collect();
        drop(index);
        Self { shared, wanted, from, next, segment, placed: segment - 1, ready: VecDeque::new(), ahead: None, failed: None }
    }

    /// Passes over segments without a record of a wanted slice, as far as the index knows.
    fn pass_over(&mut self) {
        let Some(wanted) = &self.wanted else { return };
        let index = self.shared.state.index.read();
        let next = wanted.iter().filter_map(|slice| index.at_or_after(*slice, self.segment)).min();
        self.segment = next.unwrap_or_else(|| index.last() + 1).max(self.segment);
    }

    /// Asks for the next run of segments, where there is one that is not in memory.
    fn ask_ahead(&mut self) {
        if self.ahead.is_some() || self.failed.is_some() {
            return;
        }
        self.pass_over();
        while self.ready.len() < 2
            && let Some(segment) = self.shared.state.cached(self.segment)
        {
            self.ready.push_back(segment);
            self.segment += 1;
            self.pass_over();
        }
        let state = &self.shared.state;
        let (first, index) = (self.segment, state.index.read());
        if first > index.last() || state.cached(first).is_some() {
            return;
        }
        let last = index.run(first, AHEAD_RECORDS);
        drop(index);
        self.segment = last + 1;
        let slices = state.slices.count;
        self.ahead = Some(self.shared.readers.ask(move |link| Ok(read_run(link, first, last, slices))));
    }

    /// The next segment, where there is one.
    fn next_segment(&mut self) -> Result<Option<Arc<Segment>>, LogError> {
        self.ask_ahead();
        if self.ready.is_empty()
            && let Some(run) = self.ahead.take()
        {
            let (segments, read) = run.recv().unwrap_or_else(|_| Err(gone())).unwrap_or_else(|error| (Vec::new(), Err(error)));
            self.ready.extend(segments.into_iter().map(Arc::new));
            self.failed = read.err();
            self.ask_ahead();
        }
        Ok(self.ready.pop_front())
    }

    /// What is wrong with the next segment; the one after the last good one is read again then.
    fn failure(&mut self) -> Option<LogError> {
        let failed = self.failed.take()?;
        self.segment = self.placed + 1;
        Some(failed)
    }

    /// Whether the records stand where the index says: one under another slice's name would shift those after it.
    fn check(&self, segment: &Segment) -> Result<(), LogError> {
        let index = self.shared.state.index.read();
        if segment.id > index.last() {
            // Committed just now by this process, and not in the index yet.
            return Ok(());
        }
        let mut next = self.next.clone();
        (0..segment.len()).for_each(|at| next[usize::from(segment.slice(at))] += 1);
        for (slice, (from, to)) in (0..).zip(self.next.iter().zip(next)) {
            let is_wanted = || self.wanted.as_ref().is_none_or(|wanted| wanted.contains(&slice));
            let known = || index.before(slice, segment.id)..index.before(slice, segment.id + 1);
            if *from < to && is_wanted() && known() != (*from..to) {
                let reason = format!(
                    "segment {} holds the records {from} to {} of slice {slice}, and not those that the index says",
                    segment.id,
                    to - 1
                );
                return Err(LogError::Damaged { position: segment.suspect(slice), reason });
            }
        }
        Ok(())
    }

    fn place(&mut self, segment: &Segment, placed: &mut Vec<Placed>) {
        self.placed = segment.id;
        placed.reserve(segment.len());
        for index in 0..segment.len() {
            let record = segment.record(index);
            let slice = usize::from(record.header.slice);
            let offset = self.next[slice];
            // Of a slice that is not wanted segments may have been passed over: its offsets say nothing.
            self.next[slice] += 1;
            if offset >= self.from[slice] {
                placed.push(Placed { offset, record });
            }
        }
    }

    /// Waits until there may be a next segment.
    fn wait(&self, until: Instant) -> Result<bool, LogError> {
        let (shared, left) = (&self.shared, || until.saturating_duration_since(Instant::now()));
        if shared.is_writer() {
            return Ok(shared.state.wait_for(self.segment, left()));
        }
        loop {
            shared.refresh()?;
            if shared.state.wait_for(self.segment, Duration::ZERO) {
                return Ok(true);
            }
            let left = left();
            if left.is_zero() {
                return Ok(false);
            }
            std::thread::sleep(LOOK_EVERY.min(left));
        }
    }
}

impl Tail for SqliteTail {
    fn next(&mut self, max: usize, wait: Duration) -> Result<Vec<Placed>, LogError> {
        let until = Instant::now() + wait;
        let mut placed = Vec::new();
        loop {
            while placed.len() < max.max(1)
                && let Some(segment) = self.next_segment()?
            {
                if let Err(damaged) = self.check(&segment) {
                    self.ready.clear();
                    self.failed = Some(damaged);
                    break;
                }
                self.place(&segment, &mut placed);
            }
            if !placed.is_empty() {
                return Ok(placed);
            }
            if let Some(failed) = self.failure() {
                return Err(failed);
            }
            if !self.wait(until)? {
                return Ok(placed);
            }
        }
    }
}
