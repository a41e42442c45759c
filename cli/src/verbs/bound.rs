//! Where a replay begins or ends: a place, or an instant.

use anyhow::Result;
use pledger_domain::values::Timestamp;
use pledger_ledger::{log::Log, outline::Outline, slices::Position};

use crate::context::Usage;

/// Records that are read at once.
const READ: usize = 256;

/// A bound. A place orders its own slice by its sequence; between slices there is only the time of recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    /// A place, and when what stands there was recorded, once the ledger was asked.
    At(Position, Option<Timestamp>),
    /// An instant.
    Time(Timestamp),
}

impl Bound {
    pub(super) fn parse(text: &str) -> Result<Self> {
        text.parse()
            .map(|position| Self::At(position, None))
            .or_else(|_| Timestamp::parse(text).map(Self::Time))
            .map_err(|_| Usage(format!("{text:?} is neither a position like \"12:4711\" nor a time like \"2026-11-05T14:30:00Z\"")).into())
    }

    /// Finds out when what stands at a place was recorded: the first decision from there on in its slice.
    pub(super) fn in_ledger(self, flag: &str, log: &dyn Log) -> Result<Self> {
        let Self::At(position, _) = self else { return Ok(self) };
        let count = log.slices().count;
        if position.slice >= count {
            return Err(Usage(format!("{flag} {position}: the ledger has {count} slices, from 0 on")).into());
        }
        // A record never has a lower offset than its sequence: void ones lie between.
        let mut offset = position.pseq;
        loop {
            let placed = log.read(position.slice, offset, READ)?;
            let Some(last) = placed.last() else {
                let end = log.end(position.slice)?;
                return Err(
                    Usage(format!("{flag} {position}: slice {} of the ledger ends before it, with {end} records", position.slice)).into()
                );
            };
            offset = last.offset + 1;
            let from_there = placed.iter().filter(|placed| placed.record.header.pseq >= position.pseq);
            let recorded_at = |body: &[u8]| Outline::decode(body).ok().flatten().map(|decision| decision.recorded_at);
            if let Some(at) = from_there.filter_map(|placed| recorded_at(&placed.record.body)).next() {
                return Ok(Self::At(position, Some(at)));
            }
        }
    }

    /// Whether a decision stands at the bound or after it.
    pub(super) fn begins_by(self, position: Position, recorded_at: Timestamp) -> bool {
        match self {
            Self::At(bound, _) if bound.slice == position.slice => position.pseq >= bound.pseq,
            Self::At(_, at) => at.is_none_or(|at| recorded_at >= at),
            Self::Time(bound) => recorded_at >= bound,
        }
    }

    /// Whether a decision stands at the bound or before it; before it, where it is an instant.
    pub(super) fn ends_after(self, position: Position, recorded_at: Timestamp) -> bool {
        match self {
            Self::At(bound, _) if bound.slice == position.slice => position.pseq <= bound.pseq,
            Self::At(_, at) => at.is_none_or(|at| recorded_at <= at),
            Self::Time(bound) => recorded_at < bound,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Position {
        text.parse().expect("a position")
    }

    #[test]
    fn a_place_bounds_other_slices_by_its_time() {
        let [noon, later] = ["2026-03-01T12:00:00Z", "2026-03-01T13:00:00Z"].map(|text| Timestamp::parse(text).expect("a time"));
        let bound = Bound::At(at("3:7"), Some(noon));
        for (position, recorded_at, from, to) in [
            ("3:6", noon, false, true),
            ("3:7", noon, true, true),
            ("3:8", noon, true, false),
            ("4:1", noon.plus_micros(-1), false, true),
            ("4:2", noon, true, true),
            ("4:3", later, true, false),
        ] {
            let got = (bound.begins_by(at(position), recorded_at), bound.ends_after(at(position), recorded_at));
            assert_eq!(got, (from, to), "{position}");
        }
        assert_eq!((Bound::Time(noon).begins_by(at("1:1"), noon), Bound::Time(noon).ends_after(at("1:1"), noon)), (true, false));
    }

    #[test]
    fn what_is_no_bound_is_refused() {
        assert_eq!(Bound::parse("12:4711").expect("a position"), Bound::At(at("12:4711"), None));
        assert!(Bound::parse("yesterday").expect_err("neither").to_string().contains("neither a position"));
    }
}
