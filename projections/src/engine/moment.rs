//! The two times of a question: what was true in the business at one, and what the ledger knew at the other.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use pledger_domain::{
    cost::CostEvent,
    stream::{StreamKind, StreamName},
    values::Timestamp,
};
use pledger_ledger::{
    outline::Outline,
    record::{Events, Outcome},
    slices::SliceId,
};

/// A length of ten characters is a date: `2026-03-31`.
const DATE_LEN: usize = 10;

/// As of when, known at when. Of a stream, what is recorded by the one and true by the other is folded in the order of
/// its versions; where neither is given, everything is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Moment {
    /// Only what is effective by then; of rules and costs, what says of itself that it has begun by then.
    pub as_of: Option<Timestamp>,
    /// Only what was recorded by then.
    pub known_at: Option<Timestamp>,
}

impl Moment {
    /// Reads the end of a span: RFC 3339, or a date, which stands for its last instant in UTC.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse_time(text: &str) -> Result<Timestamp, String> {
        let time = Timestamp::parse(text).map_err(|error| error.to_string())?;
        Ok(if text.len() == DATE_LEN { time.plus_days(1).plus_micros(-1) } else { time })
    }

    /// Whether it is any other than now.
    #[must_use]
    pub const fn is_past(self) -> bool {
        self.as_of.is_some() || self.known_at.is_some()
    }

    /// The instant at which standing questions are asked: windows end there, and the rules in force are those of then.
    #[must_use]
    pub fn asked_at(self, now: Timestamp) -> Timestamp {
        self.as_of.or_else(|| self.known_at.map(|known_at| known_at.min(now))).unwrap_or(now)
    }

    /// Whether a decision had been recorded, and was true, by then. Rules and costs too: it is asked of decisions that are told as they
    /// were made, and not of what is folded from them.
    #[must_use]
    pub fn tells(self, recorded_at: Timestamp, effective_at: Timestamp) -> bool {
        self.known_at.is_none_or(|known_at| recorded_at <= known_at) && self.as_of.is_none_or(|as_of| effective_at <= as_of)
    }

    /// Whether a decision of `stream` counts.
    #[must_use]
    pub fn counts(self, stream: &StreamName, recorded_at: Timestamp, effective_at: Timestamp) -> bool {
        let known = self.known_at.is_none_or(|known_at| recorded_at <= known_at);
        let is_true = self.as_of.is_none_or(|as_of| effective_at <= as_of) || dates_itself(stream);
        known && is_true
    }
}

/// Whether decisions of the stream count as soon as they are known, since they say themselves from when they are true: rules
/// from when they govern, costs the months that they are booked on.
fn dates_itself(stream: &StreamName) -> bool {
    match stream.kind() {
        StreamKind::Program | StreamKind::Cost => true,
        StreamKind::Partner | StreamKind::Account | StreamKind::Fund => false,
    }
}

/// Where history begins, in the time of a question that lies before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Beginning {
    /// Nothing was known by then.
    #[error("the ledger recorded its first fact later, at {0}")]
    RecordedAt(Timestamp),
    /// Nothing of what was known was true by then.
    #[error("the first fact is effective later, at {0}")]
    EffectiveAt(Timestamp),
}

impl Beginning {
    /// When, whichever time it is.
    #[must_use]
    pub const fn at(self) -> Timestamp {
        let (Self::RecordedAt(at) | Self::EffectiveAt(at)) = self;
        at
    }
}

/// Counts what a moment admits.
#[derive(Debug)]
pub(super) struct Admission {
    moment: Moment,
    admitted: AtomicU64,
    first_recorded: AtomicI64,
    first_effective: AtomicI64,
    /// Of every slice, the latest effective time of a decision that counts.
    latest: Vec<AtomicI64>,
}

impl Admission {
    /// `admitted` decisions count already.
    pub(super) fn new(moment: Moment, slices: u16, admitted: u64) -> Self {
        let times = |time: i64| AtomicI64::new(time);
        let latest = (0..slices).map(|_| times(i64::MIN)).collect();
        Self { moment, admitted: AtomicU64::new(admitted), first_recorded: times(i64::MAX), first_effective: times(i64::MAX), latest }
    }

    /// Whether this decision, and so every later one of its slice, was not known yet.
    pub(super) fn is_over(&self, decision: &Outline<'_>) -> bool {
        let is_over = self.moment.known_at.is_some_and(|known_at| decision.recorded_at > known_at);
        if self.moment.is_past() {
            self.first_recorded.fetch_min(decision.recorded_at.micros(), Ordering::Relaxed);
            // A slice is read no further than to what was not known: later ones may be effective before it.
            if !is_over {
                self.first_effective.fetch_min(decision.effective_at.micros(), Ordering::Relaxed);
            }
        }
        is_over
    }

    /// The slices with a decision that counts and is effective only after `time`, and the latest such time of each.
    pub(super) fn ahead_of(&self, time: Timestamp) -> Vec<(SliceId, Timestamp)> {
        let slices = self.latest.iter().zip(0..);
        let latest = slices.map(|(latest, slice)| (slice, Timestamp::from_micros(latest.load(Ordering::Relaxed))));
        latest.filter(|(_, latest)| *latest > time).collect()
    }

    /// Whether the decision counts.
    pub(super) fn admits(&self, decision: &Outline<'_>, slice: SliceId) -> bool {
        if !self.moment.is_past() {
            return true;
        }
        let counts = self.moment.counts(&decision.stream, decision.recorded_at, decision.effective_at);
        if counts && self.has_begun(decision) {
            self.admitted.fetch_add(1, Ordering::Relaxed);
        }
        if counts
            && !dates_itself(&decision.stream)
            && let Some(latest) = self.latest.get(usize::from(slice))
        {
            latest.fetch_max(decision.effective_at.micros(), Ordering::Relaxed);
        }
        counts
    }

    /// Whether something of the decision has begun by the moment. Rules alone are no history.
    fn has_begun(&self, decision: &Outline<'_>) -> bool {
        match &decision.outcome {
            Outcome::Accepted(Events::Program(_)) => false,
            Outcome::Accepted(Events::Cost(events)) => events.iter().any(|CostEvent::ProgramCostRecorded { period, .. }| {
                self.moment.as_of.is_none_or(|as_of| period.months().0 <= as_of.month())
            }),
            Outcome::Accepted(Events::Partner(_) | Events::Account(_) | Events::Fund(_)) => true,
            Outcome::Rejected(_) => !dates_itself(&decision.stream),
        }
    }

    /// Where history begins, if that is after the moment.
    pub(super) fn before(&self) -> Option<Beginning> {
        let of = |first: &AtomicI64| Timestamp::from_micros(first.load(Ordering::Relaxed));
        let (recorded, effective) = (of(&self.first_recorded), of(&self.first_effective));
        if self.admitted.load(Ordering::Relaxed) > 0 || recorded.micros() == i64::MAX {
            return None;
        }
        let early = |time: Option<Timestamp>, first: Timestamp| time.is_some_and(|time| time < first);
        let known = early(self.moment.known_at, recorded).then_some(Beginning::RecordedAt(recorded));
        known.or_else(|| early(self.moment.as_of, effective).then_some(Beginning::EffectiveAt(effective)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_its_last_instant() {
        let read = |text| Moment::parse_time(text).map(|time| time.to_string());
        assert_eq!(read("2026-03-31").as_deref(), Ok("2026-03-31T23:59:59.999999Z"));
        assert_eq!(read("2026-03-31T10:00:00Z").as_deref(), Ok("2026-03-31T10:00:00Z"));
        assert!(read("yesterday").is_err());
    }

    #[test]
    fn questions_are_asked_at_the_moment() {
        let [day, later] = ["2026-03-01", "2026-05-01"].map(|text| Timestamp::parse(text).expect(text));
        let moment = |as_of, known_at| Moment { as_of, known_at };
        for (moment, expected) in [
            (moment(None, None), later),
            (moment(Some(day), None), day),
            (moment(None, Some(day)), day),
            (moment(None, Some(later.plus_days(9))), later),
            (moment(Some(later.plus_days(9)), Some(day)), later.plus_days(9)),
        ] {
            assert_eq!(moment.asked_at(later), expected, "{moment:?}");
        }
    }
}
