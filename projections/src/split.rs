//! Splitting a whole number of units exactly: whatever the shares are, the parts add up to the whole.

/// Splits `whole` in proportion to `shares` by largest remainder: each part is rounded down, and the units left over go
/// one each to the largest remainders, of equal ones to the earliest. Equal parts where every share is 0.
///
/// Each part is less than one unit away from its exact value. `whole` times the sum of the shares has to fit in 127
/// bits; every caller's bound is written beside its call.
#[must_use]
pub(crate) fn in_proportion(whole: u64, shares: &[u128]) -> Vec<u64> {
    let total: u128 = shares.iter().sum();
    if total == 0 {
        return equally(whole, shares.len());
    }
    let exact = |share: &u128| (u128::from(whole) * share / total, u128::from(whole) * share % total);
    let (mut parts, mut remainders) = (Vec::with_capacity(shares.len()), Vec::with_capacity(shares.len()));
    for (place, (part, remainder)) in shares.iter().map(exact).enumerate() {
        parts.push(u64::try_from(part).expect("a part is no more than the whole"));
        remainders.push((remainder, place));
    }
    let left = usize::try_from(whole - parts.iter().sum::<u64>()).expect("fewer units are left over than there are parts");
    remainders.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    remainders.iter().take(left).for_each(|(_, place)| parts[*place] += 1);
    parts
}

/// Splits `whole` into equal parts; the units left over go one each to the earliest.
#[must_use]
pub(crate) fn equally(whole: u64, parts: usize) -> Vec<u64> {
    let many = u64::try_from(parts).expect("a usize has at most 64 bits");
    (0..many).map(|place| whole / many + u64::from(place < whole % many)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_left_over_goes_to_the_largest_remainders() {
        for (whole, shares, parts) in [
            (10_000, vec![1, 1, 1], vec![3334, 3333, 3333]),
            (10_000, vec![1, 2], vec![3333, 6667]),
            (1, vec![40, 20, 40], vec![1, 0, 0]),
            (1, vec![20, 40, 40], vec![0, 1, 0]),
            (5, vec![0, 0], vec![3, 2]),
            (0, vec![3, 7], vec![0, 0]),
        ] {
            assert_eq!(in_proportion(whole, &shares), parts, "{whole} {shares:?}");
        }
        assert_eq!(equally(10, 3), [4, 3, 3]);
    }

    proptest! {
        #[test]
        fn parts_add_up_and_are_less_than_a_unit_away(whole in 0..=99_999_999_999_999_u64, shares in prop::collection::vec(0..=1_000_000_u128, 1..40)) {
            let parts = in_proportion(whole, &shares);
            prop_assert_eq!(parts.iter().sum::<u64>(), whole);
            let total: u128 = shares.iter().sum();
            for (part, share) in parts.iter().zip(&shares).filter(|_| total > 0) {
                prop_assert!((u128::from(*part) * total).abs_diff(u128::from(whole) * share) < total);
            }
        }
    }
}
