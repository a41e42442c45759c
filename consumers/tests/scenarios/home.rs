//! A ledger on any engine, to be started again and again, at the time that a scenario wants.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use pledger_consumers::processor::MemorySnapshots;
use pledger_domain::values::Timestamp;
use pledger_ledger::edge::{Clock, SystemClock};

use crate::running::{Kept, Running};

type Start = dyn Fn(&Kept) -> Running + Send + Sync;

/// What a scenario is given.
pub(crate) struct Home {
    pub(crate) clock: Arc<MovedClock>,
    kept: Kept,
    start: Box<Start>,
}

impl Home {
    /// `start` starts all that takes commands on what is there; the first time on a new ledger. `kept` says where the rest is.
    pub(crate) fn new(kept: Kept, start: impl Fn(&Kept) -> Running + Send + Sync + 'static) -> Self {
        let clock = Arc::<MovedClock>::default();
        let kept = Kept { clock: Arc::clone(&clock) as Arc<dyn Clock>, ..kept };
        Self { clock, kept, start: Box::new(start) }
    }

    pub(crate) fn start(&self) -> Running {
        (self.start)(&self.kept)
    }

    /// From the ledger alone.
    pub(crate) fn start_without_snapshots(&self) -> Running {
        (self.start)(&Kept { snapshots: Arc::new(MemorySnapshots::default()), ..self.kept.clone() })
    }
}

/// The machine's clock, ahead of it by as much as it was moved.
#[derive(Default)]
pub(crate) struct MovedClock {
    machine: SystemClock,
    ahead_us: AtomicI64,
}

impl MovedClock {
    pub(crate) fn move_by_days(&self, days: i64) {
        let now = self.now();
        self.ahead_us.fetch_add(now.plus_days(days).micros() - now.micros(), Ordering::SeqCst);
    }
}

impl Clock for MovedClock {
    fn now(&self) -> Timestamp {
        self.machine.now().plus_micros(self.ahead_us.load(Ordering::SeqCst))
    }
}
