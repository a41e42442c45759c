//! Cutting a batch where later items need the facts of earlier ones.

use std::ops::Range;

use pledger_domain::stream::StreamKind;

use crate::commands::CommandEnvelope;

/// Cuts a batch into waves, in order, that together are the whole of it.
///
/// Decisions of a partner rest on the program, all others on the program and on partners. Facts are causal: an item must
/// see what earlier items of its batch brought about. So a wave ends where a command follows one whose stream its own
/// rests on; sent with `after` = the positions at which the waves before it were decided, it sees them. Commands
/// inside a wave need nothing of each other but their stream's order.
#[must_use]
pub fn waves(batch: &[CommandEnvelope]) -> Vec<Range<usize>> {
    cut(batch.iter().map(|envelope| rank(envelope.stream.kind())))
}

/// How far down the chain of reliance a kind is: it rests on all of lower rank.
const fn rank(kind: StreamKind) -> u8 {
    match kind {
        StreamKind::Program => 0,
        StreamKind::Partner => 1,
        StreamKind::Account | StreamKind::Fund | StreamKind::Cost => 2,
    }
}

fn cut(ranks: impl Iterator<Item = u8>) -> Vec<Range<usize>> {
    let mut waves: Vec<Range<usize>> = vec![];
    let mut lowest = u8::MAX;
    for (n, rank) in ranks.enumerate() {
        match waves.last_mut() {
            Some(wave) if rank <= lowest => {
                wave.end = n + 1;
                lowest = rank;
            }
            _ => {
                waves.push(n..n + 1);
                lowest = rank;
            }
        }
    }
    waves
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_batch_is_cut_where_facts_are_needed() {
        const P: u8 = 0; // program
        const R: u8 = 1; // partner
        const A: u8 = 2; // account and the rest
        for (ranks, ends) in [
            (vec![], vec![]),
            (vec![A, A, A], vec![3]),
            (vec![R, R], vec![2]),
            (vec![A, R, R], vec![3]),
            (vec![R, A], vec![1, 2]),
            (vec![P, R, A], vec![1, 2, 3]),
            (vec![R, P, P], vec![3]),
            (vec![R, P, R], vec![2, 3]),
            (vec![P, A, R, A, A, P], vec![1, 3, 6]),
        ] {
            let cut: Vec<usize> = cut(ranks.iter().copied()).iter().map(|wave| wave.end).collect();
            assert_eq!(cut, ends, "{ranks:?}");
        }
    }

    proptest! {
        #[test]
        fn waves_cover_the_batch_and_none_rests_on_itself(ranks in prop::collection::vec(0_u8..3, 0..60)) {
            let waves = cut(ranks.iter().copied());
            let mut next = 0;
            for (n, wave) in waves.iter().enumerate() {
                prop_assert_eq!(wave.start, next);
                prop_assert!(wave.end > wave.start);
                next = wave.end;
                let inside = &ranks[wave.clone()];
                let rests = |later: u8, earlier: &[u8]| earlier.iter().any(|e| *e < later);
                for (at, rank) in inside.iter().enumerate() {
                    prop_assert!(!rests(*rank, &inside[..at]));
                }
                // No cut without need.
                if let Some(following) = waves.get(n + 1) {
                    prop_assert!(rests(ranks[following.start], inside));
                }
            }
            prop_assert_eq!(next, ranks.len());
        }
    }
}
