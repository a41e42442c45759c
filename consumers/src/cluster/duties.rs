//! The slices that a processor should write, and how far it is with each.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
    time::{Duration, Instant},
};

use pledger_ledger::slices::SliceId;

/// How long a slice waits after its term was lost, at least; and at most after one loss upon the other. Two processors that
/// both think a slice theirs take turns by it.
const WAIT_LEAST: Duration = Duration::from_millis(10);
const WAIT_MOST: Duration = Duration::from_millis(640);
/// Losses this far apart have nothing to do with each other.
const UNRELATED: Duration = Duration::from_secs(5);

/// One slice.
#[derive(Debug, Default)]
struct Duty {
    /// The next command to take; none where the slice's state is not here yet.
    next: Option<u64>,
    /// Nothing is done before this instant.
    wait: Option<Instant>,
}

/// All slices of a processor.
#[derive(Debug)]
pub(super) struct Duties {
    all: BTreeMap<SliceId, Duty>,
    losses: u32,
    last_loss: Option<Instant>,
    random: RandomState,
}

impl Duties {
    pub(super) fn new() -> Self {
        Self { all: BTreeMap::new(), losses: 0, last_loss: None, random: RandomState::new() }
    }

    pub(super) fn add(&mut self, slice: SliceId) {
        self.all.entry(slice).or_default();
    }

    /// Answers whether it was one.
    pub(super) fn remove(&mut self, slice: SliceId) -> bool {
        self.all.remove(&slice).is_some()
    }

    pub(super) fn slices(&self) -> impl Iterator<Item = SliceId> + '_ {
        self.all.keys().copied()
    }

    /// How many slices have their state here.
    pub(super) fn active(&self) -> usize {
        self.all.values().filter(|duty| duty.next.is_some()).count()
    }

    /// The slices whose state is to be restored now.
    pub(super) fn to_restore(&self, now: Instant) -> Vec<SliceId> {
        let due = |duty: &Duty| duty.next.is_none() && duty.wait.is_none_or(|wait| wait <= now);
        self.all.iter().filter(|(_, duty)| due(duty)).map(|(slice, _)| *slice).collect()
    }

    /// The slice goes on at this command, at once.
    pub(super) fn go_on(&mut self, slice: SliceId, next: u64) {
        if let Some(duty) = self.all.get_mut(&slice) {
            *duty = Duty { next: Some(next), wait: None };
        }
    }

    /// A command was taken.
    pub(super) fn took(&mut self, slice: SliceId, offset: u64) {
        if let Some(duty) = self.all.get_mut(&slice) {
            duty.next = Some(offset + 1);
        }
    }

    /// The slice does nothing for a while.
    pub(super) fn wait(&mut self, slice: SliceId, until: Instant) {
        if let Some(duty) = self.all.get_mut(&slice) {
            duty.wait = Some(until);
        }
    }

    /// These slices lost what they had sent, and go on from there a little later.
    pub(super) fn lost(&mut self, rewound: &[(SliceId, u64)], now: Instant) {
        let related = self.last_loss.is_some_and(|last| now.duration_since(last) < UNRELATED);
        self.losses = if related { self.losses + 1 } else { 0 };
        self.last_loss = Some(now);
        let most = (WAIT_LEAST * 2_u32.saturating_pow(self.losses.min(16))).min(WAIT_MOST);
        let share = u32::try_from(self.random.hash_one(self.losses) % 128).unwrap_or(0);
        let wait = WAIT_LEAST + most * share / 128;
        for (slice, next) in rewound {
            self.go_on(*slice, *next);
            self.wait(*slice, now + wait);
        }
    }

    /// Whether a slice has waited long enough, whose commands could be taken.
    pub(super) fn has_waited(&self, now: Instant) -> bool {
        self.all.values().any(|duty| duty.next.is_some() && duty.wait.is_some_and(|wait| wait <= now))
    }

    /// Where commands are to be taken from now on.
    pub(super) fn places(&mut self, now: Instant) -> Vec<(SliceId, u64)> {
        let mut places = Vec::new();
        for (slice, duty) in &mut self.all {
            if duty.wait.is_none_or(|wait| wait <= now)
                && let Some(next) = duty.next
            {
                duty.wait = None;
                places.push((*slice, next));
            }
        }
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_is_restored_then_read_then_waits_after_a_loss() {
        let (mut duties, now) = (Duties::new(), Instant::now());
        [3, 5].into_iter().for_each(|slice| duties.add(slice));
        assert_eq!((duties.to_restore(now), duties.places(now)), (vec![3, 5], vec![]));
        duties.go_on(3, 7);
        duties.wait(5, now + WAIT_MOST);
        assert_eq!((duties.to_restore(now), duties.places(now), duties.active()), (vec![], vec![(3, 7)], 1));
        duties.took(3, 9);
        duties.lost(&[(3, 8)], now);
        assert_eq!(duties.places(now), []);
        let later = now + WAIT_LEAST * 2;
        assert!(!duties.has_waited(now) && duties.has_waited(later));
        assert_eq!(duties.places(later), [(3, 8)]);
        for _ in 0..40 {
            duties.lost(&[(3, 8)], now);
        }
        assert_eq!(duties.places(now + WAIT_MOST + WAIT_LEAST), [(3, 8)]);
        assert!(duties.remove(3) && !duties.remove(3));
    }
}
