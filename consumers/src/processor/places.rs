//! Where in its log a slice's valid records lie: behind as many void ones as came before.

use serde::{Deserialize, Serialize};

/// The offsets of a slice's valid records. A record lies at its sequence plus the number of void records before it,
/// so that only the few records that follow a void one are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Places {
    /// From which sequence on how many void records lie before a valid one, in order.
    steps: Vec<(u64, u64)>,
}

impl Places {
    /// Notes where the next valid record lies.
    pub(crate) fn note(&mut self, pseq: u64, offset: u64) {
        let void = offset - pseq;
        if void != self.steps.last().map_or(0, |(_, void)| *void) {
            self.steps.push((pseq, void));
        }
    }

    /// The offset of a valid record that was noted.
    pub(crate) fn offset(&self, pseq: u64) -> u64 {
        let before = self.steps.partition_point(|(from, _)| *from <= pseq);
        pseq + before.checked_sub(1).map_or(0, |step| self.steps[step].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn void_records_push_later_ones_back() {
        let mut places = Places::default();
        let offsets = [0, 1, 4, 5, 6, 9, 10];
        for (pseq, offset) in (0..).zip(offsets) {
            places.note(pseq, offset);
        }
        assert_eq!(std::array::from_fn(|pseq| places.offset(pseq as u64)), offsets);
        assert_eq!(places.steps, [(2, 2), (5, 4)]);
    }
}
