//! The event store that `cqrs-es` sees: the live aggregates of one slice, and what was decided since the last append.
//!
//! An aggregate is lent out under a guard, never copied. What a batch touched is forgotten whole when its append
//! fails, and folded again from the ledger at its next use.

use std::{collections::HashMap as StdHashMap, sync::Arc};

use cqrs_es::{Aggregate, AggregateContext, AggregateError, EventEnvelope, EventStore};
use hashbrown::{HashMap, HashSet};
use parking_lot::{ArcMutexGuard, Mutex, RawMutex};
use pledger_domain::{rejection::Rejection, stream::StreamName};

use super::aggregate::{Decides, Live, Timed};

/// A handle on the live aggregates of one kind in one slice.
pub(crate) struct UnitOfWork<S: Decides>(Arc<Mutex<Work<S>>>);

struct Work<S: Decides> {
    live: HashMap<StreamName, Arc<Mutex<Live<S>>>>,
    /// Streams whose aggregate was forgotten: the ledger knows more than an empty one.
    stale: HashSet<StreamName>,
    /// What the last command decided.
    decided: Vec<S::Event>,
}

/// An aggregate, lent out.
pub(crate) struct Lent<S: Decides>(ArcMutexGuard<RawMutex, Live<S>>);

impl<S: Decides> AggregateContext<Live<S>> for Lent<S> {
    fn aggregate(&mut self) -> &mut Live<S> {
        &mut self.0
    }
}

impl<S: Decides> Clone for UnitOfWork<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: Decides> Default for UnitOfWork<S> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Work { live: HashMap::new(), stale: HashSet::new(), decided: Vec::new() })))
    }
}

impl<S: Decides> UnitOfWork<S> {
    /// The aggregate of `stream`, a new one where there is none.
    pub(crate) fn aggregate(&self, stream: &str) -> Arc<Mutex<Live<S>>> {
        let mut work = self.0.lock();
        if let Some(live) = work.live.get(stream) {
            return Arc::clone(live);
        }
        let live = Arc::default();
        if let Ok(name) = StreamName::parse(stream) {
            work.live.insert(name, Arc::clone(&live));
        }
        live
    }

    /// Whether the aggregate was forgotten and has to be folded again before it is used.
    pub(crate) fn is_stale(&self, stream: &StreamName) -> bool {
        self.0.lock().stale.contains(stream)
    }

    /// The streams whose aggregates were forgotten and not folded again.
    pub(crate) fn stale(&self) -> Vec<StreamName> {
        self.0.lock().stale.iter().cloned().collect()
    }

    /// Puts an aggregate in place: restored from a snapshot, or folded again.
    pub(crate) fn put(&self, stream: StreamName, live: Live<S>) {
        let mut work = self.0.lock();
        work.stale.remove(&stream);
        work.live.insert(stream, Arc::new(Mutex::new(live)));
    }

    /// Puts what another has of a stream in place.
    pub(crate) fn copy(&self, stream: &StreamName, other: &Self) {
        let live = other.aggregate(stream.as_str()).lock().clone();
        self.put(stream.clone(), live);
    }

    /// Forgets an aggregate that a failed append had touched.
    pub(crate) fn forget(&self, stream: &StreamName) {
        let mut work = self.0.lock();
        work.live.remove(stream);
        work.stale.insert(stream.clone());
    }

    /// What the last command decided.
    pub(crate) fn take_decided(&self) -> Vec<S::Event> {
        std::mem::take(&mut self.0.lock().decided)
    }

    /// How many aggregates there are.
    pub(crate) fn len(&self) -> usize {
        self.0.lock().live.len()
    }

    /// Every aggregate, to be changed in place.
    pub(crate) fn for_each_mut(&self, mut f: impl FnMut(&mut Live<S>)) {
        self.0.lock().live.values().for_each(|live| f(&mut live.lock()));
    }

    /// Every stream with its aggregate.
    pub(crate) fn for_each(&self, mut f: impl FnMut(&StreamName, &Live<S>)) {
        for (stream, live) in &self.0.lock().live {
            f(stream, &live.lock());
        }
    }
}

impl<S: Decides> EventStore<Live<S>> for UnitOfWork<S> {
    type AC = Lent<S>;

    /// Never asked for: aggregates are live, or folded from the ledger.
    async fn load_events(&self, _aggregate_id: &str) -> Result<Vec<EventEnvelope<Live<S>>>, AggregateError<Rejection>> {
        Ok(Vec::new())
    }

    async fn load_aggregate(&self, aggregate_id: &str) -> Result<Lent<S>, AggregateError<Rejection>> {
        Ok(Lent(self.aggregate(aggregate_id).lock_arc()))
    }

    async fn commit(
        &self,
        events: Vec<<Live<S> as Aggregate>::Event>,
        mut context: Lent<S>,
        _metadata: StdHashMap<String, String>,
    ) -> Result<Vec<EventEnvelope<Live<S>>>, AggregateError<Rejection>> {
        context.aggregate().version += 1;
        self.0.lock().decided = events.into_iter().map(|Timed { event, .. }| event).collect();
        Ok(Vec::new())
    }
}
