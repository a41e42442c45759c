//! A ledger with something of a test before it.

use std::sync::Arc;

use pledger_domain::stream::StreamName;
use pledger_ledger::{
    log::{Log, LogError, Placed, Producer, Tail},
    slices::{SliceId, Slices},
};

/// What is done before a stream is read.
type BeforeStream = Box<dyn Fn() + Send + Sync>;
/// What a tail is made.
type OfTail = Box<dyn Fn(Box<dyn Tail>) -> Box<dyn Tail> + Send + Sync>;

/// The ledger; otherwise it is as it is.
pub(crate) struct Fronted {
    log: Arc<dyn Log>,
    before_stream: BeforeStream,
    of_tail: OfTail,
}

impl Fronted {
    /// Something is done before each reading of a stream.
    pub(crate) fn streams(log: Arc<dyn Log>, before: impl Fn() + Send + Sync + 'static) -> Arc<dyn Log> {
        Arc::new(Self { log, before_stream: Box::new(before), of_tail: Box::new(|tail| tail) })
    }

    /// Something is made of each tail.
    pub(crate) fn tails(log: Arc<dyn Log>, of_tail: impl Fn(Box<dyn Tail>) -> Box<dyn Tail> + Send + Sync + 'static) -> Arc<dyn Log> {
        Arc::new(Self { log, before_stream: Box::new(|| ()), of_tail: Box::new(of_tail) })
    }
}

impl Log for Fronted {
    fn slices(&self) -> Slices {
        self.log.slices()
    }
    fn end(&self, slice: SliceId) -> Result<u64, LogError> {
        self.log.end(slice)
    }
    fn read(&self, slice: SliceId, offset: u64, max: usize) -> Result<Vec<Placed>, LogError> {
        self.log.read(slice, offset, max)
    }
    fn read_stream(&self, stream: &StreamName, offset: u64, max: usize) -> Result<Vec<Placed>, LogError> {
        (self.before_stream)();
        self.log.read_stream(stream, offset, max)
    }
    fn may_hold_void(&self) -> bool {
        self.log.may_hold_void()
    }
    fn tail(&self, from: &[u64]) -> Result<Box<dyn Tail>, LogError> {
        self.log.tail(from).map(&self.of_tail)
    }
    fn producer(&self) -> Result<Box<dyn Producer>, LogError> {
        self.log.producer()
    }
}
