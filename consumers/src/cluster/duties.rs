//! The slices that a processor should write, and how far it is with each.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
    time::{Duration, Instant},
};

use pledger_ledger::{commands_topic::Gone, slices::SliceId};

/// How long a slice waits after its term was lost, at least; and at most after one loss upon the other. Two processors that
/// both think a slice theirs take turns by it.
const WAIT_LEAST: Duration = Duration::from_millis(10);
const WAIT_MOST: Duration = Duration::from_millis(640);
/// Losses this far apart have nothing to do with each other.
const UNRELATED: Duration = Duration::from_secs(5);
/// How often a place behind the topic's end is looked for, and how long: a broker that began to lead just now may not know the end yet.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const TO_APPEAR: Duration = Duration::from_secs(5);

/// One slice.
#[derive(Debug, Default)]
struct Duty {
    /// The next command to take; none where the slice's state is not here yet.
    next: Option<u64>,
    /// Nothing is done before this instant.
    wait: Option<Instant>,
    /// Since when its place is not in the topic.
    missed: Option<Instant>,
}

/// All slices of a processor.
#[derive(Debug)]
pub(super) struct Duties {
    all: BTreeMap<SliceId, Duty>,
    /// Why nothing more is done for a slice in this process, also where it is given back and comes again: commands before
    /// its place are lost, which a topic that grows past the place would hide.
    stopped: BTreeMap<SliceId, String>,
    losses: u32,
    last_loss: Option<Instant>,
    random: RandomState,
}

impl Duties {
    pub(super) fn new() -> Self {
        Self { all: BTreeMap::new(), stopped: BTreeMap::new(), losses: 0, last_loss: None, random: RandomState::new() }
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
        let all = self.all.iter().filter(|(slice, duty)| due(duty) && !self.stopped.contains_key(slice));
        all.map(|(slice, _)| *slice).collect()
    }

    /// The slice goes on at this command, at once.
    pub(super) fn go_on(&mut self, slice: SliceId, next: u64) {
        if let Some(duty) = self.all.get_mut(&slice) {
            *duty = Duty { next: Some(next), ..Duty::default() };
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

    /// The slice's place is in the topic.
    pub(super) fn found(&mut self, slice: SliceId) {
        if let Some(duty) = self.all.get_mut(&slice) {
            duty.missed = None;
        }
    }

    /// The slice's place is not in the topic. It is looked for again where it may be there soon, or the slice is stopped; answers which.
    pub(super) fn missed(&mut self, gone: &Gone, now: Instant) -> String {
        let Some(duty) = self.all.get_mut(&gone.slice) else { return gone.to_string() };
        let since = *duty.missed.get_or_insert(now);
        if gone.asked > gone.next && now.duration_since(since) < TO_APPEAR {
            duty.wait = Some(now + LOOK_EVERY);
            return format!("{gone}; it is looked for again");
        }
        let reason = format!("{gone}; the slice is stopped until pledger is started again: docs/cluster.md says what to do first");
        self.stopped.insert(gone.slice, reason.clone());
        reason
    }

    /// Why a slice is stopped.
    pub(super) fn stopped(&self, slice: SliceId) -> Option<&str> {
        self.stopped.get(&slice).map(String::as_str)
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
        let due = |duty: &Duty| duty.next.is_some() && duty.wait.is_some_and(|wait| wait <= now);
        self.all.iter().any(|(slice, duty)| due(duty) && !self.stopped.contains_key(slice))
    }

    /// Where commands are to be taken from now on.
    pub(super) fn places(&mut self, now: Instant) -> Vec<(SliceId, u64)> {
        let mut places = Vec::new();
        for (slice, duty) in &mut self.all {
            if !self.stopped.contains_key(slice)
                && duty.wait.is_none_or(|wait| wait <= now)
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

    fn gone(asked: u64, first: u64, next: u64) -> Gone {
        Gone { slice: 3, asked, first, next }
    }

    #[test]
    fn a_slice_whose_place_does_not_come_is_stopped_for_good() {
        let (mut duties, now) = (Duties::new(), Instant::now());
        duties.add(3);
        duties.go_on(3, 7);
        let told = duties.missed(&gone(7, 0, 5), now);
        assert!(told.ends_with("it is looked for again"), "{told}");
        assert_eq!((duties.stopped(3), duties.has_waited(now), duties.has_waited(now + LOOK_EVERY)), (None, false, true));
        // It came, and is missed another time much later.
        assert_eq!(duties.places(now + LOOK_EVERY), [(3, 7)]);
        duties.found(3);
        let later = now + TO_APPEAR * 2;
        duties.missed(&gone(7, 0, 5), later);
        assert_eq!(duties.stopped(3), None);
        duties.missed(&gone(7, 0, 5), later + TO_APPEAR);
        assert!(duties.stopped(3).is_some_and(|why| why.contains("goes on at the command 7")), "{:?}", duties.stopped(3));
        let at_last = later + TO_APPEAR * 9;
        assert_eq!((duties.places(at_last), duties.has_waited(at_last)), (vec![], false));
        // Neither does it go on where others had it meanwhile.
        assert!(duties.remove(3));
        duties.add(3);
        assert_eq!((duties.to_restore(at_last), duties.places(at_last)), (vec![], vec![]));
    }

    #[test]
    fn a_slice_whose_commands_were_deleted_is_stopped_at_once() {
        let mut duties = Duties::new();
        duties.add(3);
        duties.go_on(3, 2);
        duties.missed(&gone(2, 3, 9), Instant::now());
        assert!(duties.stopped(3).is_some());
    }
}
