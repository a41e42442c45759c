//! The gate that a reader goes through: shut at one vector of places, so that two generations are compared at the same one.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use pledger_ledger::log::Placed;

use super::Shared;

/// How often to look whether a reader stands still.
const LOOK: Duration = Duration::from_millis(2);

/// How far a reader may go.
#[derive(Default)]
pub(super) struct Gate {
    is_shut: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The offset of every slice that it may not go to.
    until: Vec<u64>,
    /// Where the reader stands, once it saw that the gate is shut.
    stands: Option<Vec<u64>>,
}

impl Gate {
    /// Splits records into those that may go on and those that are held back; `next` is where the reader stands.
    pub(super) fn admit(&self, records: Vec<Placed>, next: &[u64]) -> (Vec<Placed>, Vec<Placed>) {
        if !self.is_shut.load(Ordering::Acquire) {
            return (records, Vec::new());
        }
        let mut state = self.state.lock();
        let may = |placed: &Placed| state.until.get(usize::from(placed.record.header.slice)).is_none_or(|until| placed.offset < *until);
        let (on, back): (Vec<_>, Vec<_>) = records.into_iter().partition(may);
        // What goes on now is counted before the next look.
        if on.is_empty() {
            state.stands = Some(next.to_vec());
        }
        (on, back)
    }

    pub(super) fn is_shut(&self) -> bool {
        self.is_shut.load(Ordering::Acquire)
    }

    fn shut_at(&self, until: Vec<u64>) {
        let mut state = self.state.lock();
        *state = State { until, stands: None };
        self.is_shut.store(true, Ordering::Release);
    }

    fn stands(&self) -> Option<Vec<u64>> {
        self.state.lock().stands.clone()
    }
}

/// A generation that stands still, until this is dropped.
pub(super) struct Still<'a>(&'a Shared);

impl Drop for Still<'_> {
    fn drop(&mut self) {
        self.0.gate.is_shut.store(false, Ordering::Release);
    }
}

impl Shared {
    /// Lets both stand still where every record up to the further of the two is folded, slice by slice; none where one of
    /// them did not get there within `timeout`.
    pub(super) fn still_together<'a>(&'a self, other: &'a Self, timeout: Duration) -> Option<(Still<'a>, Still<'a>)> {
        let until = Instant::now() + timeout;
        let slices = usize::from(self.log.slices().count);
        let still = (Still(self), Still(other));
        self.gate.shut_at(vec![0; slices]);
        other.gate.shut_at(vec![0; slices]);
        let (ours, theirs) = (self.standing(until)?, other.standing(until)?);
        let target: Vec<u64> = ours.iter().zip(&theirs).map(|(ours, theirs)| *ours.max(theirs)).collect();
        for shared in [self, other] {
            shared.gate.shut_at(target.clone());
        }
        for shared in [self, other] {
            while shared.standing(until)? != target {
                if Instant::now() >= until {
                    return None;
                }
                thread::sleep(LOOK);
            }
        }
        Some(still)
    }

    /// Where the reader stands behind the shut gate, once all that it read is folded.
    fn standing(&self, until: Instant) -> Option<Vec<u64>> {
        loop {
            let stands = self.gate.stands();
            let is_done = self.done.load(Ordering::Acquire) == self.routed.load(Ordering::Acquire);
            if let Some(stands) = stands.filter(|_| is_done) {
                return Some(stands);
            }
            if Instant::now() >= until {
                return None;
            }
            thread::sleep(LOOK);
        }
    }
}
