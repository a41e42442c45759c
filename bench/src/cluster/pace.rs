//! How a count grows: when it began to, and how fast it goes on.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use crate::{
    report::Row,
    threads::{machine_cpu_seconds, process_cpu_seconds},
};

/// The part of the work, as one over so much, that is over before the pace counts as steady.
const UNTIL_STEADY: u64 = 10;
/// How often the count is looked at.
const LOOK: Duration = Duration::from_millis(2);

/// What came of watching.
pub(super) struct Pace {
    /// Until the first one was counted, in seconds.
    pub(super) first: f64,
    /// Until the last one was.
    pub(super) all: f64,
    total: u64,
    /// A second, from when a tenth was done.
    pub(super) steady: f64,
    /// The time on a core that one took of this process, in microseconds, and of everybody on this machine.
    own_us: f64,
    machine_us: f64,
}

impl Pace {
    /// Watches until `count` answers `total`. The clock began at `start`.
    pub(super) fn watch(start: Instant, total: u64, at_most: Duration, count: impl Fn() -> u64) -> Result<Self> {
        let (own, machine) = (process_cpu_seconds(), machine_cpu_seconds());
        let (mut first, mut under_way) = (None, None);
        loop {
            let (counted, now) = (count(), start.elapsed().as_secs_f64());
            if counted > 0 {
                first.get_or_insert(now);
            }
            if counted >= total / UNTIL_STEADY {
                under_way.get_or_insert((counted, now));
            }
            if let (Some(first), Some((before, since)), true) = (first, under_way, counted >= total) {
                let us = |seconds: f64| seconds * 1e6 / total as f64;
                return Ok(Self {
                    first,
                    all: now,
                    total,
                    steady: (counted - before) as f64 / (now - since),
                    own_us: us(process_cpu_seconds() - own),
                    machine_us: us(machine_cpu_seconds() - machine),
                });
            }
            if now > at_most.as_secs_f64() {
                bail!("{counted} of {total} were done within {} s", at_most.as_secs());
            }
            thread::sleep(LOOK);
        }
    }

    /// A second, from the start to the last one.
    pub(super) fn rate(&self) -> f64 {
        self.total as f64 / self.all
    }

    /// What stands below the rate.
    pub(super) fn details(&self, unit: &'static str) -> [Row; 4] {
        [
            Row::told("  until the first one", self.first, "s"),
            Row::told("  from the first tenth on", self.steady, unit),
            Row::told("  on a core, this process", self.own_us, "us each"),
            Row::told("  on a core, all of the machine", self.machine_us, "us each"),
        ]
    }
}
