//! A ledger that counts who searches it from one end to the other and who reads its streams, and whose slices hold void records or
//! cannot: then it knows how many records a stream has.

use std::sync::atomic::{AtomicU32, Ordering};

use pledger_domain::stream::StreamName;
use pledger_ledger::{
    log::{Log, LogError, Placed, Producer, Tail},
    slices::{SliceId, Slices},
    stream_of,
};

use crate::given::Ledger;

pub(super) struct Watched {
    ledger: Ledger,
    may_hold_void: bool,
    searches: AtomicU32,
    streams_read: AtomicU32,
}

impl Watched {
    pub(super) const fn new(ledger: Ledger, may_hold_void: bool) -> Self {
        Self { ledger, may_hold_void, searches: AtomicU32::new(0), streams_read: AtomicU32::new(0) }
    }

    pub(super) fn searches(&self) -> u32 {
        self.searches.load(Ordering::Relaxed)
    }

    pub(super) fn streams_read(&self) -> u32 {
        self.streams_read.load(Ordering::Relaxed)
    }
}

impl Log for Watched {
    fn slices(&self) -> Slices {
        self.ledger.slices()
    }
    fn end(&self, slice: SliceId) -> Result<u64, LogError> {
        self.ledger.end(slice)
    }
    fn read(&self, slice: SliceId, offset: u64, max: usize) -> Result<Vec<Placed>, LogError> {
        self.ledger.read(slice, offset, max)
    }
    fn read_stream(&self, stream: &StreamName, offset: u64, max: usize) -> Result<Vec<Placed>, LogError> {
        self.streams_read.fetch_add(1, Ordering::Relaxed);
        self.ledger.read_stream(stream, offset, max)
    }
    fn counts(&self, streams: &[StreamName]) -> Result<Option<Vec<usize>>, LogError> {
        let is_of = |stream: &StreamName, placed: &Placed| stream_of(&placed.record.body).as_deref() == Some(stream.as_str());
        let count = |stream: &StreamName| {
            let placed = self.ledger.read_stream(stream, 0, usize::MAX)?;
            Ok(placed.iter().filter(|placed| is_of(stream, placed)).count())
        };
        if self.may_hold_void { Ok(None) } else { streams.iter().map(count).collect::<Result<_, _>>().map(Some) }
    }
    fn may_hold_void(&self) -> bool {
        self.may_hold_void
    }
    fn tail(&self, from: &[u64]) -> Result<Box<dyn Tail>, LogError> {
        self.searches.fetch_add(1, Ordering::Relaxed);
        self.ledger.tail(from)
    }
    fn producer(&self) -> Result<Box<dyn Producer>, LogError> {
        self.ledger.producer()
    }
}
