//! What time it is and what is random: injected, so that a generated history and a test are the same every time.

use std::{
    sync::atomic::{AtomicI64, AtomicU64, Ordering},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use pledger_domain::values::Timestamp;
use sha2::{Digest, Sha256};

/// Says what time it is.
pub trait Clock: Send + Sync + 'static {
    /// Now; never earlier than what it said before.
    fn now(&self) -> Timestamp;
}

/// The machine's clock, which stands still where that one is set back.
#[derive(Debug)]
pub struct SystemClock {
    last: AtomicI64,
}

impl SystemClock {
    /// The machine's clock.
    #[must_use]
    pub const fn new() -> Self {
        Self { last: AtomicI64::new(i64::MIN) }
    }

    /// `now` in microseconds, or what was said before where that is later.
    fn never_back(&self, now: i64) -> i64 {
        self.last.fetch_max(now, Ordering::Relaxed).max(now)
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // A clock before 1970 is not set yet.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(self.never_back(i64::try_from(since.as_micros()).unwrap_or(i64::MAX)))
    }
}

/// Goes on from a given instant at the pace of the machine: the present of a generated history.
#[derive(Debug)]
pub struct ContinuingClock {
    from: Timestamp,
    started: Instant,
}

impl ContinuingClock {
    /// It is `from` now.
    #[must_use]
    pub fn new(from: Timestamp) -> Self {
        Self { from, started: Instant::now() }
    }
}

impl Clock for ContinuingClock {
    fn now(&self) -> Timestamp {
        self.from.plus_micros(i64::try_from(self.started.elapsed().as_micros()).unwrap_or(i64::MAX))
    }
}

/// Stands where it was set, and moves by a step each time it is asked: for tests and generated histories.
#[derive(Debug)]
pub struct SteppedClock {
    next: AtomicI64,
    step_us: i64,
}

impl SteppedClock {
    /// Always `at`, until it is set to another instant.
    #[must_use]
    pub const fn fixed(at: Timestamp) -> Self {
        Self::new(at, 0)
    }

    /// `at` the first time, `step_us` microseconds later each time it is asked again.
    ///
    /// # Panics
    /// Where the step is negative.
    #[must_use]
    pub const fn new(at: Timestamp, step_us: i64) -> Self {
        assert!(step_us >= 0, "a clock does not go back");
        Self { next: AtomicI64::new(at.micros()), step_us }
    }

    /// It is `at` now, unless that has passed already.
    pub fn advance_to(&self, at: Timestamp) {
        self.next.fetch_max(at.micros(), Ordering::SeqCst);
    }
}

impl Clock for SteppedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.next.fetch_add(self.step_us, Ordering::SeqCst))
    }
}

/// Gives random bytes: for ids, never for keys.
pub trait Randomness: Send + Sync + 'static {
    /// Sixteen of them.
    fn bytes(&self) -> [u8; 16];
}

/// The operating system's.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandomness;

impl Randomness for SystemRandomness {
    fn bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
        bytes
    }
}

/// The same bytes in the same order for the same seed: for tests and generated histories.
#[derive(Debug)]
pub struct SeededRandomness {
    seed: u64,
    drawn: AtomicU64,
}

impl SeededRandomness {
    /// SHA-256 of the seed and a counter.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed, drawn: AtomicU64::new(0) }
    }
}

impl Randomness for SeededRandomness {
    fn bytes(&self) -> [u8; 16] {
        let drawn = self.drawn.fetch_add(1, Ordering::Relaxed);
        let digest =
            Sha256::new_with_prefix(b"pledger ids").chain_update(self.seed.to_le_bytes()).chain_update(drawn.to_le_bytes()).finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_never_goes_back() {
        let clock = SystemClock::new();
        assert_eq!(clock.never_back(10), 10);
        assert_eq!(clock.never_back(7), 10);
        assert_eq!(clock.never_back(11), 11);
        assert!(clock.now() <= clock.now());
    }

    #[test]
    fn a_stepped_clock_moves_only_by_its_step() {
        let clock = SteppedClock::new(Timestamp::from_micros(100), 5);
        assert_eq!([clock.now(), clock.now()].map(Timestamp::micros), [100, 105]);
        clock.advance_to(Timestamp::from_micros(50));
        assert_eq!(clock.now().micros(), 110);
        clock.advance_to(Timestamp::from_micros(500));
        assert_eq!(clock.now().micros(), 500);
        let fixed = SteppedClock::fixed(Timestamp::from_micros(3));
        assert_eq!(fixed.now(), fixed.now());
    }

    #[test]
    fn a_continuing_clock_starts_where_it_was_told() {
        let from = Timestamp::from_micros(1_000_000);
        let clock = ContinuingClock::new(from);
        let first = clock.now();
        assert!(first >= from && clock.now() >= first);
    }

    #[test]
    fn a_seed_gives_the_same_ids() {
        let draw = |seed| {
            let ids = SeededRandomness::new(seed);
            [ids.bytes(), ids.bytes()]
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        assert_ne!(draw(7)[0], draw(7)[1]);
    }
}
